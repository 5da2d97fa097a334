"""The tab Risk: figures with intervals, what was learned from, and a new version."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.errors import CannotCompute
from backend.schemas.checks.risk import (
    ReliabilityBin,
    RiskFigure,
    RiskIn,
    RiskVersionOut,
)
from backend.schemas.review.desk import RiskNotice
from dashboard.components.figures.plots import MARK_COLOUR, calibration_plot
from dashboard.components.frame import FigureText
from dashboard.session import CLIENT_KEY
from dashboard.views.checks.risk import figure_table, sentences, version_row
from dashboard.views.review.desk.side import risk_line
from tests.dashboard.fake_client import HOSTILE, NOW, FakeClient


def version(**changes: Any) -> RiskVersionOut:
    values = {
        "id": 1,
        "version": 2,
        "metric": "risk:2",
        "wrong_when": HOSTILE,
        "splits": ["train"],
        "score_run_ids": [1],
        "n": 90,
        "positives": 30,
        "n_simulated": 0,
        "n_groups": 80,
        "n_effective": 71.4,
        "kind": "logistic",
        "features": ["invented", "invented~others"],
        "figures": [
            RiskFigure(predictor="risk", metric="auroc", value=0.81, low=0.72, high=0.88, n=90),
            RiskFigure(predictor="majority", metric="auroc", value=0.5, low=None, high=None, n=90),
        ],
        "reliability": [ReliabilityBin(risk=0.2, rate=0.1, low=0.0, high=0.3, n=45)],
        "left_out": {"reviews of the test split": 7},
        "created_by_id": None,
        "created_at": NOW,
    }
    return RiskVersionOut(**{**values, **changes})


class Fake(FakeClient):
    """Answers with these versions; `fitted` is what was asked for."""

    versions: list[RiskVersionOut]
    problem: Exception | None
    fitted: list[RiskIn]

    def risks_list(self, project_id: int) -> list[RiskVersionOut]:
        return self.versions

    def risks_fit(self, project_id: int, body: RiskIn) -> RiskVersionOut:
        if self.problem is not None:
            raise self.problem
        self.fitted.append(body)
        return version()


def open_tab(*versions: RiskVersionOut, problem: Exception | None = None) -> tuple[AppTest, Fake]:
    client = Fake(role="engineer")
    client.versions, client.problem, client.fitted = list(versions), problem, []
    app = AppTest.from_string("from dashboard.views.checks import risk\nrisk.show_risk()\n")
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    app.run(timeout=30)
    assert not app.exception
    return app, client


def text_of(app: AppTest) -> str:
    told = [str(element.value) for element in [*app.info, *app.error]]
    return " ".join([*told, *(part.proto.body for part in app.get("html"))])


def test_a_version_is_shown_with_its_figures_and_what_was_left_out() -> None:
    said = sentences(version())
    assert said[0].startswith(
        "Learned from the reviews of 90 outputs, 30 of them wrong; as much as"
    )
    even = sentences(version(n_effective=90.0))[0]
    assert even == "Learned from the reviews of 90 outputs, 30 of them wrong."
    assert "Left out: 7 reviews of the test split." in said
    assert any("less its mean over the other answers" in one for one in said)
    assert not any("simulated" in one for one in said)
    app, _ = open_tab(version())
    page = text_of(app)
    assert "0.810 [0.720, 0.880]" in page
    assert "<script>" not in page


def test_the_command_names_all_that_the_risk_is_made_of() -> None:
    said = sentences(version(features=["invented", "invented~others", "overlap~others"]))
    command = "strop run --resume RUN --metrics invented,overlap,risk:2"
    assert any(one.endswith(command) for one in said)


def test_figures_stand_beside_those_of_the_baselines() -> None:
    header, rows = figure_table(version().figures)
    assert header == ["figure", "this risk", "one rate said of all", "outputs"]
    [auroc] = rows
    assert auroc[1:] == [
        FigureText("0.810 [0.720, 0.880]"),
        FigureText("0.500 (no interval)"),
        90,
    ]


def test_calibration_is_drawn_against_the_diagonal() -> None:
    spec = calibration_plot([asdict(part) for part in version().reliability]).to_dict()
    diagonal, rule, _ = spec["layer"]
    assert spec["datasets"][diagonal["data"]["name"]] == [
        {"risk": 0, "rate": 0},
        {"risk": 1, "rate": 1},
    ]
    assert rule["encoding"]["y"]["title"] == "share found wrong"
    assert rule["encoding"]["x"]["title"] == "risk that was said"
    assert rule["mark"]["color"] == MARK_COLOUR  # without one it is black, on black in the dark


def test_simulated_reviews_are_named_as_such() -> None:
    simulated = version(n_simulated=90)
    assert "90 of these outputs have simulated reviews." in sentences(simulated)
    assert "simulated" in str(version_row(simulated)[0])
    tested = sentences(version(splits=["test"]))
    assert any("no test run is scored by it" in one for one in tested)


def test_without_a_version_it_says_what_it_takes() -> None:
    app, _ = open_tab()
    assert "It takes 60 reviewed outputs" in text_of(app)


def test_a_new_version_is_fitted_as_asked() -> None:
    app, client = open_tab(version())
    app.text_input(key="risk-wrong").set_value("marked")
    app.button[0].click().run(timeout=30)
    assert client.fitted == [RiskIn(wrong_when="marked", splits=["train", "validation"])]


def test_a_refusal_is_shown_with_how_many_more_it_takes() -> None:
    refused = CannotCompute("30 labels are too few.", hint="It wants 30 more labels.")
    app, _ = open_tab(problem=refused)
    app.button[0].click().run(timeout=30)
    assert "It wants 30 more labels" in text_of(app)


def test_the_desk_says_the_risk_in_one_line() -> None:
    told = RiskNotice(metric="risk:1", value=0.806, reason="raised by invented is 1")
    expected = (
        "The checks put the chance that this output is wrong at 81%: raised by invented is 1."
    )
    assert risk_line(told) == expected
    assert "was wrong" in risk_line(told, past=True)
