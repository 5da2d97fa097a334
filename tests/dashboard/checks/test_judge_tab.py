"""The tab on judges: licences with their figures, biases, and texts as texts."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from backend.schemas.checks.judges import JudgedRate
from backend.schemas.review.reports import Measured
from dashboard.session import CLIENT_KEY
from dashboard.views.checks.judge import licence_row, licence_sentence, rate_rows, standing_rows
from tests.dashboard.fake_checks import judge, judged, licence
from tests.dashboard.fake_client import HOSTILE, FakeClient
from tests.dashboard.test_lead_pages import told

SCRIPT = "from dashboard.views.checks import judge\njudge.show()\n"


def opened(**project: Any) -> tuple[AppTest, str]:
    client = FakeClient(role="engineer", project=project)
    app = AppTest.from_string(SCRIPT, default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    app.run()
    assert not app.exception
    return app, told(app)


def test_nothing_says_how_to_begin() -> None:
    _, page = opened()
    assert "strop judge add NAME --model MODEL" in page


def test_a_licence_is_shown_with_its_figures() -> None:
    _, page = opened(judges=[judge()])
    for words in ("licensed", "0.67", "0.87", "0.85 [0.70, 0.95], n = 120", "0.75", "no, yes"):
        assert words in page
    assert "strop-tag pass" in page


def test_what_lapsed_says_why_and_what_to_do() -> None:
    gone = licence(state="lapsed", recorded=False, reason="people since: agreement 0.4", attempts=3)
    _, page = opened(judges=[judge(licences=[gone])])
    assert "strop-tag fail" in page
    assert (
        "people since: agreement 0.4. That is not recorded yet: strop judge audit strict@1" in page
    )
    assert "asked for 3 times" in page
    assert "A new licence needs new reviews by people" in page
    assert "asked for" not in licence_sentence(licence(), "strict@1")


def test_all_judges_stand_in_one_table_and_what_lapsed_is_open() -> None:
    gone = licence(state="lapsed", reason="people since: agreement 0.4")
    judges = [
        judge(id=1, label="strict@1", licences=[gone]),
        judge(id=2, label="new@1", model="v1", prompt="Another question?", licences=[]),
        judge(id=3, label="pairs@1", kind="comparer", criterion=None, answers=[], licences=[]),
    ]
    app, page = opened(judges=judges)
    assert [row[0] for one in judges for row in standing_rows(one)] == [
        "strict@1", "new@1", "pairs@1",
    ]  # fmt: skip
    assert standing_rows(judges[1])[0][4] == "none asked for"
    assert app.selectbox[0].value == 1
    assert "Is it? {prediction}" in page
    assert "Another question?" not in page
    app.selectbox[0].set_value(2).run()
    assert "Another question?" in told(app)


def test_of_two_models_a_win_rate_stands_once() -> None:
    won = Measured(value=0.7, low=0.6, high=0.8, n=40)
    rates = [
        JudgedRate(model=model, against=against, figure=won)
        for model, against in [("a", None), ("a", "b"), ("b", None), ("b", "a")]
    ]
    assert [row[:2] for row in rate_rows(rates)] == [["a", "b"], ["b", "a"]]
    third = JudgedRate(model="c", against="a", figure=won)
    assert len(rate_rows([*rates, third])) == 5


def test_a_test_that_was_not_made_has_no_figures() -> None:
    thin = licence(state="refused", evidence={"epsilon": 0.2, "n_items": 4}, audit=None, bar=None)
    row = licence_row(thin)
    assert [row[2], row[3], row[8], row[9]] == [None, None, None, None]


def test_a_judge_without_a_licence_is_told_how_to_get_one() -> None:
    _, page = opened(judges=[judge(licences=[])])
    assert "strop judge licence strict@1 --queue QUEUE" in page


def test_pairs_are_said_to_be_by_a_judge() -> None:
    _, page = opened(judges=[judge(kind="comparer", answers=[])], judged_pairs=[judged()])
    for words in (
        "by a judge and not by people",
        "40 pairs in both orders, 2 without a usable answer",
        "judges its own outputs",
        "says otherwise when the sides are changed",
        "0.25 [0.14, 0.40], n = 40",
        "No person voted on these pairs.",
        "No strengths: every vote is a tie",
    ):
        assert words in page
    _, empty = opened(judges=[judge(kind="comparer", answers=[])])
    assert "It compared nothing yet" in empty


def test_texts_are_texts() -> None:
    bad = licence(criterion=HOSTILE, reason=HOSTILE, queue=HOSTILE, audit=Measured(error=HOSTILE))
    _, page = opened(
        judges=[judge(label=HOSTILE, prompt=HOSTILE, licences=[bad])],
        judged_pairs=[judged(said=[HOSTILE], no_strengths=HOSTILE)],
    )
    assert "<script>" not in page
    _, page = opened(
        judges=[judge(kind="comparer", model=HOSTILE)],
        judged_pairs=[
            judged(said=[HOSTILE], no_strengths=HOSTILE, biases={HOSTILE: Measured(error=HOSTILE)})
        ],
    )
    assert "<script>" not in page
