"""The tab "Checkers": what it says of a checker, of one that was not measured, and of none."""

from __future__ import annotations

from datetime import UTC, datetime

from streamlit.testing.v1 import AppTest

from backend.schemas.checks.checkers import CheckerFigure, CheckerKind, CheckerOut
from dashboard.session import CLIENT_KEY
from dashboard.views.checks import checkers as tab
from tests.dashboard.fake_client import FakeClient, engineers_project
from tests.dashboard.test_pages import shown

SCRIPT = "from dashboard.views.checks import checkers as tab\ntab.show()\n"


def open_tab(checkers: list[CheckerOut]) -> AppTest:
    client = FakeClient(role="engineer", project={**engineers_project(), "checkers": checkers})
    app = AppTest.from_string(SCRIPT, default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    return app.run()


def figure(value: float, metric: str, predictor: str = "check") -> CheckerFigure:
    return CheckerFigure(
        predictor=predictor, metric=metric, value=value, low=value - 0.1, high=value + 0.1, n=40
    )


MEASURED = CheckerOut(
    metric="check:facts@2",
    model="base:check-facts@2",
    training_run_id=7,
    training_set="checker facts 2",
    sentences={"reference": 30, "planted": 28, "marked": 2},
    source_bytes=2400,
    figures=[figure(0.71, "auroc"), figure(0.62, "balanced_accuracy")],
    beside=[figure(0.55, "auroc", "invented"), figure(0.16, "difference", "invented")],
    texts=[figure(0.66, "auroc"), figure(0.58, "auroc", "invented")],
    kinds=[CheckerKind(kind="negation", found=figure(0.31, "recall"))],
    false_alarms=figure(0.2, "false_alarms"),
    groups=12,
    failed=3,
    trained_at=datetime(2026, 3, 1, tzinfo=UTC),
)
UNMEASURED = MEASURED.model_copy(
    update={"metric": "check:facts@1", "figures": [], "beside": [], "texts": [], "kinds": [],
            "false_alarms": None, "groups": 0, "failed": 0}
)  # fmt: skip


def test_the_tab_shows_figures_with_intervals_and_says_simulated() -> None:
    app = open_tab([MEASURED, UNMEASURED])
    assert not app.exception
    page = shown(app)
    for said in (
        *("simulated", "0.710 [0.610, 0.810]", "0.310 [0.210, 0.410]", "negation", "invented"),
        *("the checker&#x27;s less it", "0.550 [0.450, 0.650]", "0.160 [0.060, 0.260]"),
        *("not measured", "strop train --resume 7", "12 groups; 3 could not be judged"),
        *("30 reference, 28 planted, 2 marked", "check:facts@2", "base:check-facts@2"),
    ):
        assert said in page


def test_the_tab_without_a_checker_says_how_to_train_one() -> None:
    app = open_tab([])
    assert not app.exception
    assert any("strop check train NAME" in info.value for info in app.info)


def test_a_row_says_what_was_not_measured() -> None:
    assert tab.row(UNMEASURED)[1:4] == ["not measured"] * 3
