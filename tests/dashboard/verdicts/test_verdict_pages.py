"""The verdict's page: the bar that moved, the preflight, base and champion, slices, flips, a lead's
signature; and the preflight on the run's page."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import Conflict
from backend.schemas.models import PreflightOut
from backend.schemas.verdicts import PromotionOut
from dashboard.components.frame import Tag
from dashboard.components.preflights import check_rows, figures_text, newest_of_each, preflight_tag
from dashboard.session import CLIENT_KEY
from dashboard.views.verdicts.decisions import decision_row, evidence_facts
from tests.dashboard.fake_client import NOW, FakeClient, engineers_project, page_script

TABS = "comparison-tabs-1"


def open_verdicts(*, role: str = "engineer", tab: str | None = None, **changes: Any) -> AppTest:
    client = FakeClient(role=role, project={**engineers_project(), **changes})
    app = AppTest.from_string(page_script("verdicts"), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    if tab is not None:
        app.session_state[TABS] = tab
    return app.run()


def drawn(app: AppTest) -> str:
    return "\n".join(part.proto.body for part in app.get("html"))


def test_a_bar_that_moved_is_an_alarm_in_words() -> None:
    page = drawn(open_verdicts())
    assert "class='strop-alarm' role='alert'" in page
    assert "THE BAR CHANGED after training began" in page
    assert "-  - {metric: f1, threshold: 0.8}" in page


def test_a_bar_that_stood_is_no_alarm() -> None:
    detail = engineers_project()["comparison"]
    same = detail.bar.model_copy(update={"changed": False, "sentence": "It stood before."})
    page = drawn(open_verdicts(comparison=detail.model_copy(update={"bar": same})))
    assert "strop-alarm" not in page
    assert "It stood before." in page


def test_the_preflight_stands_above_the_lines() -> None:
    page = drawn(open_verdicts())
    assert page.index("9 of 11 checks passed") < page.index("f1 better")


def test_a_verdict_without_a_preflight_says_so() -> None:
    detail = engineers_project()["comparison"].model_copy(update={"preflight": None})
    assert "judged before preflights were kept" in drawn(open_verdicts(comparison=detail))


@pytest.mark.parametrize(
    ("tab", "words"),
    [
        (None, ["The champion v0 took no part", "tokens written", "+20 [", "EUR, for 1000"]),
        ("Slices", ["by the bar", "0.060", "no example"]),
        ("Flips", ["better than base on 3 and worse on 1 of 20", "16 are equal", "f1"]),
    ],
)
def test_the_tabs_show_what_stands_beside_the_bar(tab: str | None, words: list[str]) -> None:
    page = drawn(open_verdicts(tab=tab))
    assert not [word for word in words if word not in page]


def test_flips_are_text_and_stand_side_by_side() -> None:
    app = open_verdicts(tab="Flips")
    page = drawn(app)
    assert "<script>" not in page
    assert [one.label for one in app.expander if "example e4" in one.label] == [
        "▼ worse: example e4"
    ]
    assert "base: 1" in page
    assert "v1: 0" in page


@pytest.mark.parametrize(
    ("role", "buttons"),
    [
        ("engineer", []),
        ("lead", ["Sign: v1 is the champion"]),
        ("admin", ["Sign: v1 is the champion"]),
    ],
)
def test_only_who_may_sign_is_offered_to(role: str, buttons: list[str]) -> None:
    app = open_verdicts(role=role)
    assert [one.label for one in app.button if one.label.startswith("Sign")] == buttons


def test_a_lead_signs_without_pass_only_with_a_reason() -> None:
    app = open_verdicts(role="lead")
    assert app.button[0].disabled
    app.text_input(key="override-1").input("urgent").run()
    assert not app.button[0].disabled
    app.button[0].click().run()
    (given,) = app.session_state[CLIENT_KEY].project["promoted"]
    assert (given.comparison_id, given.override, given.allow_unserved) == (1, "urgent", None)


def test_a_second_press_speaks_of_the_champion_that_was_seen() -> None:
    moved = promotion(id=7, model="v7")
    app = open_verdicts(role="lead", list_promotions=[promotion()])
    app.text_input(key="rollback-reason").input("it was slow").run()
    (button,) = (one for one in app.button if one.label == "Sign the roll-back")
    client = app.session_state[CLIENT_KEY]
    client.project["list_promotions"] = [promotion(), moved]  # the first press has moved it
    button.click().run()
    assert [given.expected_current for given in client.project["promoted"]] == ["v1"]


def test_who_was_refused_decides_anew_over_the_champion_that_is_shown() -> None:
    app = open_verdicts(role="lead", list_promotions=[promotion()])
    client = app.session_state[CLIENT_KEY]
    app.text_input(key="rollback-reason").input("it was slow").run()
    client.project["list_promotions"] = [promotion(), promotion(id=7, model="v7")]
    client.fail["verdicts_promote"] = Conflict("champion is v7 now, and was v1 when you looked")
    for _ in range(2):
        (button,) = (one for one in app.button if one.label == "Sign the roll-back")
        app = button.click().run()
        client.fail.clear()
    assert client.project["promoted"][-1].expected_current == "v7"


def promotion(**changes: Any) -> PromotionOut:
    given = {
        "id": 1, "project_id": 1, "alias": "champion", "model": "v1", "action": "promoted",
        "comparison_id": 1, "reason": "why", "simulated": False, "decided_by": "L-1",
        "created_at": NOW,
    }  # fmt: skip
    return PromotionOut(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"override": "urgent"}, Tag("without PASS", "fail")),
        ({"evidence": {"unserved": "it restarts"}}, Tag("not served", "fail")),
    ],
)
def test_an_override_stays_visible(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: object
) -> None:
    monkeypatch.setattr("dashboard.views.verdicts.decisions.moment", lambda at: str(at))
    assert decision_row(promotion(**changes))[5] == expected


def test_two_comparisons_of_the_same_models_can_be_told_apart() -> None:
    one = engineers_project()["list_comparisons"][0]
    app = open_verdicts(list_comparisons=[one, one.model_copy(update={"id": 2})])
    options = app.selectbox[0].options
    assert len(set(options)) == 2


def test_evidence_names_verdict_preflight_bar_digests_and_servers() -> None:
    facts = evidence_facts(
        {
            "verdict": "PASS",
            "preflight": {"verdict": "PASS", "reason": "all"},
            "bar_sentence": "It stood before.",
            "digests": {"base": "ab" * 32, "adapter": None},
            "served": "http://a: serves champion as evaluated.",
        }
    )
    assert facts == {
        "verdict": Tag("PASS", "pass"),
        "preflight": "PASS: all",
        "bar": "It stood before.",
        "sha256 of base": "abababababab",
        "servers": "http://a: serves champion as evaluated.",
    }


def preflight(number: int, models: list[int], *, passed: bool = True) -> PreflightOut:
    checks = [{"name": "x", "passed": passed, "detail": "", "figures": {}}]
    return PreflightOut(
        id=number, engine="vllm", model_ids=models, passed=passed, checks=checks, created_at=NOW
    )


def test_the_newest_preflight_of_each_base_is_shown() -> None:
    found = newest_of_each([preflight(1, [1, 2]), preflight(2, [3]), preflight(3, [2, 1])])
    assert [one.id for one in found] == [3, 2]


def test_failed_checks_come_first_with_their_figures() -> None:
    run = engineers_project()["list_generation_runs"][0]
    rows = check_rows(run.preflight.checks)
    assert [row[0] for row in rows] == ["v1 in PEFT", "chat template"]
    assert rows[0][3] == "median nats 0.9351, digest abababababab"
    assert preflight_tag(run.preflight) == Tag("failed, 1 of 2 checks", "fail")
    assert figures_text({}) == ""


def test_the_page_of_a_run_shows_each_check() -> None:
    client = FakeClient(role="engineer", project=engineers_project())
    app = AppTest.from_string(page_script("runs"), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    page = drawn(app.run())
    assert "failed, 1 of 2 checks" in page
    assert "median nats 0.9351" in page
