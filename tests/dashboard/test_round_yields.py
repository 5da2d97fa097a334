"""The yield on the page of rounds: figures with n, reasons in their place, texts as text."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from backend.errors import StropError
from backend.schemas.review.reports import Measured
from backend.schemas.yields import (
    CurveForecastOut,
    CurvePointOut,
    DiagnosisOut,
    OutcomeOut,
    RoundPointOut,
    TypeYieldOut,
    YieldOut,
)
from dashboard.session import CLIENT_KEY
from dashboard.views.yields import curve_points, curve_row
from tests.dashboard.fake_client import HOSTILE, FakeClient, rounds_and_lineage

FIXED = Measured(value=0.9, low=0.8, high=0.95, n=40, signature="yield_fixed|equal")
MISSED = Measured(value=0.1, low=0.03, high=0.3, n=20)
UNKNOWN = Measured(error="nothing was held back: freeze with hold_back")
TOLD = DiagnosisOut(bottleneck="more ratings", sentence="it has learnt prompts", rule="the rule")


def point(**changes: Any) -> RoundPointOut:
    values = {
        "number": 1,
        "candidate": HOSTILE,
        "trained": FIXED,
        "held_back": MISSED,
        "per_hour": UNKNOWN,
        "overall": FIXED,
        "overall_title": "f1",
        "diagnosis": TOLD,
        "simulated": True,
    }
    return RoundPointOut(**{**values, **changes})


def told() -> YieldOut:
    example = OutcomeOut(
        review_id=3, example=HOSTILE, state="still wrong", held_back=True, error_types=[HOSTILE],
        wanted=HOSTILE, before=HOSTILE, answer=HOSTILE, reason=None,
    )  # fmt: skip
    return YieldOut(
        training_set="s", candidate=HOSTILE, rule="equal", is_frozen_rule=False, signature="x",
        trained=FIXED, held_back=MISSED, broken=MISSED, broken_held_back=UNKNOWN,
        broken_elsewhere=UNKNOWN,
        by_type=[TypeYieldOut(error_type=HOSTILE, trained=FIXED, held_back=UNKNOWN)],
        per_hour=UNKNOWN, active_minutes=0.0, counts={"fixed": 36}, unchanged=0,
        unknown_reasons={HOSTILE: 2}, diagnosis=TOLD, simulated=True, examples=[example],
    )  # fmt: skip


def open_rounds(**project: Any) -> tuple[AppTest, str]:
    client = FakeClient(role="engineer", project={**rounds_and_lineage(), **project})
    app = AppTest.from_string("from dashboard.views import rounds\nrounds.show()\n")
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    app.run(timeout=60)
    assert not app.exception
    return app, "\n".join(part.proto.body for part in app.get("html"))


def test_the_page_shows_figures_reasons_and_the_bottleneck() -> None:
    _, page = open_rounds(yield_curve=[point()], round_yield=told())
    for word in (
        "0.90 [0.80, 0.95], n = 40",
        "f1 0.90 [0.80, 0.95], n = 40",
        "nothing was held back",
        "Bottleneck: more ratings. it has learnt prompts",
        "not the rule of the set",
        "1 simulated",
        "still wrong, held back",
        "newly broken",
    ):
        assert word in page
    assert HOSTILE not in page  # escaped


def test_without_a_candidate_there_is_no_section() -> None:
    app, _ = open_rounds(yield_curve=[])
    assert "What became of the corrections" not in [head.value for head in app.subheader]


def test_a_round_without_a_replay_says_why() -> None:
    missing = "The corrections of s were never replayed on v9."
    none = Measured(error=missing)
    turn = point(
        trained=none, held_back=none, per_hour=none, overall=none, diagnosis=None, error=missing
    )
    assert list(curve_points(turn)) == []
    assert curve_row(turn)[-1] == missing
    _, page = open_rounds(yield_curve=[turn])
    assert missing in page


def test_the_plot_tells_trained_on_from_held_back() -> None:
    drawn = [(p["group"], p["value"], p["low"], p["n"]) for p in curve_points(point())]
    assert drawn == [("trained on", 0.9, 0.8, 40), ("held back", 0.1, 0.03, 20)]


def test_two_rounds_show_what_more_examples_would_bring_or_why_nobody_can_tell() -> None:
    two = [point(), point(number=2)]
    forecast = CurveForecastOut(
        metric="f1", run_id=3, split="test", more=200, target=500, simulated=True,
        points=[CurvePointOut(candidate=HOSTILE, rows=300, figure=FIXED)],
        forecast=Measured(value=0.93, low=0.85, high=0.97, n=40, note="of the test rows alone"),
        notes=["The trainings differ in epochs, too."],
    )  # fmt: skip
    _, page = open_rounds(yield_curve=two, round_yield=told(), yield_forecast=forecast)
    for word in ("0.93 [0.85, 0.97], n = 40", "500", "test rows alone", "differ in epochs"):
        assert word in page
    assert "run 3, simulated reviews" in page
    assert HOSTILE not in page
    app, _ = open_rounds(yield_curve=two, round_yield=told())
    assert "No forecast of more examples: No held" in "".join(
        caption.value for caption in app.caption
    )
    _, page = open_rounds(yield_curve=[point()], round_yield=told(), yield_forecast=forecast)
    assert "Learning curve" not in page


def test_a_problem_of_the_section_leaves_the_page() -> None:
    client = FakeClient(role="engineer", project=rounds_and_lineage())
    client.fail["yield_curve"] = StropError("The server is busy.")
    app = AppTest.from_string("from dashboard.views import rounds\nrounds.show()\n")
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    app.run(timeout=60)
    assert not app.exception
    assert "Round 1" in [head.value for head in app.subheader]
