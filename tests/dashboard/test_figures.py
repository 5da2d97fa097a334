"""Figures in words and in plots: interval and n always, a reason where there is no figure."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from backend.schemas.runs import DifferenceOut, FigureOut, GenerationOut
from backend.tables.rounds import Phase
from dashboard.components.figures.figures import (
    difference_points,
    difference_rows,
    figure_points,
    figure_rows,
    interval_text,
    scale_words,
    scales_in,
)
from dashboard.components.figures.plots import (
    FRAME_HEIGHT,
    LEGEND_HEIGHT,
    POINT_HEIGHT,
    intervals_plot,
    loss_plot,
    votes_plot,
)
from dashboard.components.frame import FigureText, Tag, facts_html, table_html
from dashboard.views.costs import run_row
from dashboard.views.rounds import hallucination_cell, phases_html
from dashboard.views.runs.outputs import usage_words
from tests.dashboard.charts import rows_of
from tests.dashboard.fake_client import costs_shown

FIGURE = FigureOut(
    model_version_id=1, model="base", slice={"task": "x"}, metric="f1",
    value=0.5, low=0.4, high=0.6, n=20, failed=2,
)  # fmt: skip
FAILED = FIGURE.model_copy(update={"value": None, "error": "nothing was scored"})
DIFFERENCE = DifferenceOut(
    baseline_id=1, candidate_id=2, baseline_model="base", candidate_model="v1", slice={},
    metric="bleu", baseline=10.0, candidate=12.0, value=2.0, low=-1.0, high=5.0, p=0.0001,
    wins=5, losses=3, ties=2, n=10, scale=100.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("scale", "figures", "text"),
    [
        (1.0, (0.5, 0.4, 0.6), "0.500 [0.400, 0.600]"),
        (100.0, (12.34, 10.0, 15.0), "12.3 [10.0, 15.0]"),
        (None, (412.5, 400.0, 430.0), "412.500 [400.000, 430.000]"),
        (1.0, (0.5, None, None), "0.500 (no interval)"),
        (1.0, (None, None, None), "cannot be computed"),
    ],
)
def test_a_figure_stands_with_its_interval(
    scale: float | None, figures: tuple[float | None, ...], text: str
) -> None:
    assert interval_text(*figures, scale=scale) == text  # type: ignore[arg-type]


def test_a_figure_row_has_n_and_failures() -> None:
    assert figure_rows([FIGURE]) == [
        ["f1", "task=x", "base", FigureText("0.500 [0.400, 0.600]"), 20, 2, ""]
    ]


def test_what_could_not_be_computed_is_its_reason_and_no_point() -> None:
    assert figure_rows([FAILED])[0][3] == "nothing was scored"
    assert figure_points([FAILED]) == []


def test_a_difference_row() -> None:
    assert difference_rows([DIFFERENCE])[0][4:] == [
        FigureText("2.0 [-1.0, 5.0]"),
        FigureText("< 0.001"),
        FigureText("5 / 2 / 3"),
        10,
    ]


def test_the_plot_draws_every_interval() -> None:
    plot = intervals_plot(figure_points([FIGURE]), label="line", value_title="v")
    rule = plot.to_dict()["layer"][0]
    assert (rule["encoding"]["x"]["field"], rule["encoding"]["x2"]["field"]) == ("low", "high")
    assert rows_of(plot)[0]["n"] == 20


def test_a_figure_without_an_interval_is_drawn_as_its_value() -> None:
    (point,) = figure_points([FIGURE.model_copy(update={"low": None, "high": None})])
    assert (point["low"], point["high"]) == (FIGURE.value, FIGURE.value)


def test_a_line_with_one_point_has_it_in_its_middle() -> None:
    other = FIGURE.model_copy(update={"metric": "bleu", "model": "v1"})
    alone = intervals_plot(figure_points([FIGURE, other]), label="line", value_title="v").to_dict()
    assert "yOffset" not in alone["layer"][0]["encoding"]
    both = [FIGURE, FIGURE.model_copy(update={"model": "v1"})]
    beside = intervals_plot(figure_points(both), label="line", value_title="v").to_dict()
    assert beside["layer"][0]["encoding"]["yOffset"] == {"field": "group", "type": "nominal"}
    frame = FRAME_HEIGHT + LEGEND_HEIGHT
    assert [plot["height"] - frame for plot in (alone, beside)] == [2 * POINT_HEIGHT] * 2


def test_the_many_figures_of_a_run_wrap_so_that_none_is_cut_off() -> None:
    row = run_row(costs_shown().runs[0])
    assert len(row) == 11
    assert not any(isinstance(cell, FigureText) for cell in row)


def test_which_side_is_better_is_said_and_drawn() -> None:
    invented = DIFFERENCE.model_copy(update={"metric": "invented", "better": "lower", "scale": 1.0})
    assert difference_rows([invented])[0][0] == "invented (lower is better)"
    assert difference_points([invented])[0]["line"] == "← invented"
    assert difference_points([DIFFERENCE])[0]["line"] == "bleu →"


def test_figures_of_different_scales_share_no_axis() -> None:
    free = FIGURE.model_copy(update={"metric": "tokens", "scale": None})
    assert [scale_words(scale) for scale in scales_in([FIGURE, free, DIFFERENCE, FIGURE])] == [
        "0 to 1",
        "no fixed scale",
        "0 to 100",
    ]


def test_differences_are_drawn_against_zero() -> None:
    plot = intervals_plot(difference_points([DIFFERENCE]), label="line", value_title="v", mark_at=0)
    assert plot.to_dict()["layer"][-1]["mark"]["strokeDash"] == [4, 4]
    assert rows_of(plot, layer=-1) == [{"at": 0}]


def test_text_is_data_of_the_plot_and_not_its_specification() -> None:
    hostile = "<script>alert(1)</script>"
    points = figure_points([FIGURE.model_copy(update={"model": hostile})])
    spec = intervals_plot(points, label="line", value_title="v").to_dict()
    assert hostile in json.dumps(spec.pop("datasets"))
    assert hostile not in json.dumps(spec)


def test_every_answer_has_its_colour() -> None:
    counts = [{"answer": a, "votes": 1, "place": i} for i, a in enumerate("abcde")]
    scale = votes_plot(counts).to_dict()["encoding"]["color"]["scale"]
    assert len(scale["domain"]) == len(set(scale["range"])) == 5


def test_both_series_of_a_loss_curve() -> None:
    points = [{"step": 1, "loss": 2.0, "series": s} for s in ("training", "validation")]
    assert len(rows_of(loss_plot(points))) == 2


def draw_a_long_curve() -> None:
    import streamlit as st

    from dashboard.components.figures.plots import loss_plot

    st.altair_chart(loss_plot({"step": i, "loss": 2.0, "series": "training"} for i in range(6000)))


def test_a_curve_has_as_many_points_as_were_logged() -> None:
    app = AppTest.from_function(draw_a_long_curve).run()
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 1


def test_cells_are_escaped() -> None:
    html = table_html(["<h>"], [["<b>", 3, None, Tag("<t>", "pass"), FigureText("<n>")]])
    html += facts_html({"<k>": "<v>"})
    for piece in ("h", "b", "t", "n", "k", "v"):
        assert f"<{piece}>" not in html
        assert f"&lt;{piece}&gt;" in html


def test_the_share_of_invented_facts_of_a_round_stands_with_n_or_with_a_reason() -> None:
    rate = {"metric": "invented", "value": 0.1, "low": 0.05, "high": 0.2, "n": 30}
    of_slice = {"title": "invented@task=summary"}
    baseline, candidate = ({**of_slice, "of": side} for side in ("baseline", "candidate"))
    assert hallucination_cell([]) == "not scored"
    assert hallucination_cell([{**baseline, **rate}]) == "not scored"
    assert hallucination_cell([{**candidate, "error": "no output states a fact"}]) == (
        "no output states a fact"
    )
    assert hallucination_cell([{**baseline, **rate}, {**candidate, **rate}]) == FigureText(
        "0.100 [0.050, 0.200], n 30"
    )


PHASES = [phase.value for phase in Phase]


def test_the_phases_of_a_round_say_what_is_done_and_where_it_stands() -> None:
    steps = phases_html(PHASES, "train", ended=False)
    assert '<li class="done">freeze</li><li class="now" aria-current="step">train</li>' in steps
    assert steps.count('class="later"') == len(PHASES) - 3
    assert phases_html(PHASES, "end", ended=True).count('class="done"') == len(PHASES)
    assert "aria-current" in phases_html(PHASES, "train", ended=True)  # cancelled there


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        ({}, "tokens not known, ending not known, time not known"),
        (
            {"completion_tokens": 3, "finish_reason": "stop", "latency_s": 0.5},
            "3 tokens, stop, 0.50 s",
        ),
        ({"truncated_tokens": 2}, "tokens not known, ending not known, time not known, 2 prompt"),
    ],
)
def test_what_an_imported_output_does_not_say_is_not_zero(
    taken: dict[str, object], words: str
) -> None:
    nothing = {"finish_reason": None, "prompt_tokens": 0, "completion_tokens": 0}
    nothing |= {"truncated_tokens": 0, "latency_s": 0.0, "text": "x", "error": None}
    shown = {"id": 1, "run_id": 1, "model": "v", "example_id": 1, "sample": 0, **nothing, **taken}
    assert usage_words(GenerationOut.model_validate(shown)).startswith(words)
