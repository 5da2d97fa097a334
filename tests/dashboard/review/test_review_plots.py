"""Plots of a queue: every interval that is known is in them, and no text is in their program."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from backend.schemas.review.queues import ReviewOut
from backend.schemas.review.reports import DayOut
from dashboard.components.figures.effects import (
    effect_plots,
    effect_row,
    pace_plot,
    pace_points,
    unit_of,
)
from dashboard.components.figures.heat import DARKEST, Square, heat_map_html, legend_html
from dashboard.components.figures.review_plots import (
    burn_up_plot,
    done_by_day,
    forecast_fan,
    watch_plot,
)
from dashboard.components.frame import FigureText, table_html, tiles_html
from dashboard.views.review.agreement import rater_squares
from dashboard.views.review.item_side_by_side import answer_table
from tests.dashboard.charts import rows_of
from tests.dashboard.fake_client import HOSTILE, NOW, engineers_project
from tests.dashboard.review_figures import agreement_report, effects, queue_report, watch

REPORT = queue_report()
DAYS = REPORT.days
LAST = date(2026, 3, 5)


def marks(plot: Any) -> list[str]:
    return [layer["mark"]["type"] for layer in plot.to_dict()["layer"]]


class TestBurnUp:
    def test_reviews_add_up_to_what_is_done(self) -> None:
        points = done_by_day(DAYS, done=12)
        assert [point["done"] for point in points] == [0, 4, 8, 12]
        assert points[0]["day"] == "2026-03-01"

    def test_reviews_on_top_never_draw_below_zero(self) -> None:
        assert min(point["done"] for point in done_by_day(DAYS, done=5)) == 0

    def test_nothing_done_yet(self) -> None:
        assert done_by_day([], done=0) == []

    def test_the_wedge_spans_the_earliest_and_the_latest_finish(self) -> None:
        fan = forecast_fan(LAST, done=12, total=24, forecast=REPORT.forecast)
        assert [point["day"] for point in fan] == ["2026-03-05", "2026-03-07", "2026-03-14"]
        assert fan[1]["high"] == 24
        assert fan[1]["low"] == pytest.approx(12 + 12 * 2 / 9)
        assert fan[2]["low"] == fan[2]["high"] == 24

    @pytest.mark.parametrize("missing", ["earliest", "latest"])
    def test_no_wedge_without_a_forecast(self, missing: str) -> None:
        forecast = REPORT.forecast.model_copy(update={missing: None})
        assert forecast_fan(LAST, done=12, total=24, forecast=forecast) == []

    def test_no_wedge_when_all_is_done(self) -> None:
        assert forecast_fan(LAST, done=24, total=24, forecast=REPORT.forecast) == []

    def test_everything_is_in_the_plot_and_told(self) -> None:
        plot = burn_up_plot(DAYS, done=12, total=24, forecast=REPORT.forecast)
        assert marks(plot) == ["area", "rule", "line", "line"]
        spec = plot.to_dict()
        assert spec["layer"][0]["encoding"]["y2"] == {"field": "high"}
        assert "12 of 24" in spec["description"]

    def test_a_single_day_is_a_plot(self) -> None:
        one = [DayOut(day=LAST, reviews=3, minutes=2.0)]
        forecast = REPORT.forecast.model_copy(
            update={"earliest": LAST, "latest": LAST, "finish_on": LAST}
        )
        plot = burn_up_plot(one, done=3, total=9, forecast=forecast)
        assert rows_of(plot)[1]["low"] == 9


class TestWatch:
    def test_the_band_is_drawn_with_the_line_that_decides(self) -> None:
        plot = watch_plot(watch().series, margin=0.05, decided_at=None)
        assert marks(plot) == ["area", "line", "rule"]
        assert plot.to_dict()["layer"][0]["encoding"]["y2"] == {"field": "high"}
        assert rows_of(plot, layer=2) == [{"at": 0.55}]

    def test_where_it_was_decided(self) -> None:
        plot = watch_plot(watch().series, margin=0.0, decided_at=4)
        assert rows_of(plot, layer=3) == [{"votes": 4}]


class TestEffects:
    def test_no_effect_lies_elsewhere_for_shares_and_for_odds(self) -> None:
        side, length = effects("n")
        odds = length.model_copy(update={"figure": side.figure.model_copy(update={"unit": "odds"})})
        plots = effect_plots([side, odds])
        lines = [rows_of(plot, layer=2)[0]["at"] for plot in plots]
        assert lines == [0.5, 1.0]

    def test_what_cannot_be_said_is_in_the_table_alone(self) -> None:
        unsaid = effects(HOSTILE)[1]
        assert effect_plots([unsaid]) == []
        assert effect_row(unsaid)[2] == "All pairs are of one length."
        assert unit_of(unsaid) == "odds ratio"

    def test_a_small_p_is_not_zero(self) -> None:
        assert effect_row(effects("n")[0])[3] == FigureText("< 0.001")


def review_at(minutes: float, *, reviewer: str = "E-7", seconds: float = 30.0) -> ReviewOut:
    first: ReviewOut = engineers_project()["list_reviews"][0]
    at = NOW + timedelta(minutes=minutes)
    changed = {"submitted_at": at, "reviewer": reviewer, "active_seconds": seconds}
    return first.model_copy(update=changed)


class TestPace:
    def test_a_long_pause_begins_another_sitting(self) -> None:
        points = pace_points([review_at(100), review_at(5), review_at(0), review_at(33)])
        assert [point["minutes"] for point in points] == [0, 5, 33, 0]

    def test_everybody_has_sittings_of_their_own(self) -> None:
        points = pace_points([review_at(0), review_at(4, reviewer="E-8")])
        assert [point["minutes"] for point in points] == [0, 0]

    def test_untimed_reviews_are_left_out(self) -> None:
        assert pace_points([review_at(0, seconds=0.0)]) == []

    def test_names_are_data(self) -> None:
        spec = pace_plot(pace_points([review_at(0, reviewer=HOSTILE)])).to_dict()
        assert "<script" in json.dumps(spec.pop("datasets"))
        assert "<script" not in json.dumps(spec)


class TestHeatMap:
    def test_both_halves_carry_number_and_n(self) -> None:
        pairs = [pair for pair in agreement_report("q").raters if pair.criterion == "faithful"]
        squares = rater_squares(pairs)
        html = heat_map_html(["E-7", "E-8"], squares, title="t")
        assert html.count("0.62, n 20") == 2
        assert "kappa 0.62 [0.40, 0.81], 80% equal, n = 20" in html

    def test_an_undefined_kappa_gives_way_to_the_share_equal(self) -> None:
        pairs = [pair for pair in agreement_report("q").raters if pair.kappa is None]
        square = rater_squares(pairs)["E-7", "E-8"]
        assert square.text == "80% equal, n 20"
        assert square.heat is None
        assert "no variation" in square.about

    def test_names_are_text_and_strangers_say_so(self) -> None:
        html = heat_map_html([HOSTILE, "b"], {}, title=HOSTILE)
        assert "<script>" not in html
        assert html.count("none shared") == 2

    @pytest.mark.parametrize(("heat", "share"), [(-0.4, 0), (0.5, DARKEST / 2), (1.5, DARKEST)])
    def test_heat_stays_within_what_can_be_read(self, heat: float, share: float) -> None:
        html = heat_map_html(["a", "b"], {("a", "b"): Square(heat, "x", "y")}, title="t")
        assert f"#2f8079 {share:.0f}%" in html

    def test_legends_and_tiles_are_text(self) -> None:
        html = legend_html([(HOSTILE, "#123456")]) + tiles_html([(HOSTILE, 3, HOSTILE)])
        assert "<script>" not in html
        assert html.count("&lt;script&gt;") == 3


class TestTables:
    def test_every_cell_knows_its_column_for_a_phone(self) -> None:
        html = table_html(["a", "b", "c", ""], [["1", "2", "3", "4"]], title="t")
        assert "strop-table stacks" in html
        assert [f"data-label='{name}'" in html for name in ("a", "b", "c", "remark")] == [True] * 4
        assert "strop-unseen'>remark" in html

    def test_a_narrow_table_stays_one(self) -> None:
        assert "stacks" not in table_html(["a", "b"], [["1", "2"]])

    def test_answers_side_by_side_name_nobody(self) -> None:
        reviews = [review_at(0, reviewer="E-7"), review_at(1, reviewer="E-8")]
        rows = answer_table(reviews)
        assert ["vote", "second text better", "second text better"] in rows
        told = json.dumps([[str(cell) for cell in row] for row in rows])
        assert "E-7" not in told
        assert "v1" not in told
        assert "simulated" in told
