"""The pages as Streamlit draws them, with a client that answers from memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import Conflict, NotAuthenticated, ServerUnavailable
from backend.rubrics import find_rubric
from backend.schemas.review.desk import (
    AdjudicationView,
    AnonymousAnswer,
    AnswerIn,
    GoldFeedback,
    MarkedSpan,
)
from dashboard.session import CLIENT_KEY
from tests.dashboard.fake_client import (
    HOSTILE,
    PAGES,
    FakeClient,
    engineers_project,
    page_script,
    pair_item,
    single_item,
)

PROJECT_PAGES = [name for name in PAGES if name not in ("desk", "guides", "account")]
APP = Path(__file__).parents[2] / "dashboard" / "app.py"


def open_app(client: FakeClient) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    return app.run()


def open_page(name: str, project: dict[str, Any]) -> AppTest:
    client = FakeClient(role="engineer", project=project)
    app = AppTest.from_string(page_script(name), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    return app.run()


def shown(app: AppTest) -> str:
    """All that is on the page: HTML, and what the browser's own parts are given to draw."""
    return drawn(app) + "\n".join(part.proto.json for part in app.get("bidi_component"))


def drawn(app: AppTest) -> str:
    """All HTML and text that the server draws."""
    parts = [str(getattr(e.proto, "body", "") or getattr(e, "value", "")) for e in app.main]
    return "\n".join(parts) + "\n".join(h.proto.body for h in app.get("html"))


def click(app: AppTest, label: str) -> AppTest:
    button = next(b for b in app.button if re.split("[ \u2002]:", b.label)[0].lstrip("✓ ") == label)
    return button.click().run()


def test_every_page_of_the_app_is_drawn_in_these_tests() -> None:
    from dashboard import app

    views = {one.__name__ for one in vars(app).values() if hasattr(one, "show")}
    undrawn = views ^ {f"dashboard.views.{name}" for name in PAGES.values()}
    assert not undrawn, f"PAGES of tests/dashboard/fake_client.py and the app differ in {undrawn}"


class TestSignIn:
    def test_who_is_not_signed_in_is_pointed_to_the_form(self) -> None:
        app = open_app(FakeClient(fail={"me": NotAuthenticated("Nobody is signed in.")}))
        assert not app.exception
        assert "/api/v1/login" in shown(app)


class TestDesk:
    def test_source_output_and_questions_are_there(self) -> None:
        page = shown(open_app(FakeClient()))
        for words in ("She pays 34 EUR.", "Pay 39 EUR.", "0 of 3 done", "How good is the answer"):
            assert words in page

    def test_a_click_answers_and_saves_a_draft(self) -> None:
        client = FakeClient()
        click(open_app(client), "No")
        assert client.drafts[1].ratings == {"faithful": "no"}

    def test_rate_submit_and_get_the_next_item(self) -> None:
        client = FakeClient()
        app = open_app(client)
        for label in ("Yes", "4", "No problem", "Submit"):
            app = click(app, label)
        assert client.submitted[1].ratings == {"faithful": "yes", "quality": 4, "problem": "none"}
        assert "1 of 3 done" in shown(app)

    def test_submit_without_answers_says_what_is_missing(self) -> None:
        client = FakeClient()
        app = click(open_app(client), "Submit")
        assert "needs an answer" in shown(app)
        assert client.submitted == {}

    def test_vote_on_a_pair_shows_no_model(self) -> None:
        client = FakeClient(kind="pair", items=[pair_item()], rubric=find_rubric("blind_pair"))
        app = open_app(client)
        page = shown(app)
        assert "Answer A" in page
        assert "base" not in page.replace("baseline", "").lower()
        click(click(app, "A is better"), "Submit")
        assert client.submitted[1].winner == "left"

    def test_why_there_are_no_highlights_is_said_and_they_are_asked_for_again(self) -> None:
        client = FakeClient(fail={"links": ServerUnavailable("The check did not answer.")})
        app = AppTest.from_string(
            "import dashboard.views.review.desk.item as item\n"
            "item.wants_links = lambda *, key: True\n" + page_script("desk"),
            default_timeout=60,
        )
        app.session_state[CLIENT_KEY] = client
        assert "No highlights: The check did not answer." in drawn(app.run())
        client.fail.clear()
        assert "No highlights" not in drawn(click(app, "Try again"))

    def test_skip_with_a_reason(self) -> None:
        client = FakeClient()
        app = click(open_app(client), "Skip")
        app.text_input[0].input("a typed reason").run()
        click(app, "Skip this item")
        assert client.skipped == {1: "a typed reason"}

    def test_words_of_a_skip_that_come_with_the_press_are_sent(self) -> None:
        client = FakeClient()
        app = click(open_app(client), "Skip")
        app.text_input[0].input("a word").run()
        app.text_input[0].input("a word, and those typed last")  # the box is left by the press
        click(app, "Skip this item")
        assert client.skipped == {1: "a word, and those typed last"}

    def test_an_answer_that_was_settled_while_it_was_changed_can_be_left(self) -> None:
        client = FakeClient()
        app = open_app(client)
        desk = app.session_state["strop-desk-1"]
        desk.claim = desk.claim.model_copy(update={"revising": True})
        desk.problem = Conflict("The queue is closed; its answers stand as they are.")
        app = app.run()
        assert "Next item" not in [button.label for button in app.button]
        click(app, "Leave it as it was")
        assert client.skipped == {1: "Left as it was"}

    def test_finished(self) -> None:
        assert "This queue is finished" in shown(open_app(FakeClient(items=[])))

    def test_others_at_work(self) -> None:
        app = open_app(FakeClient(items=[], held_by_others=1))
        assert "Nothing for you at this moment" in shown(app)

    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            ("share_reached", "Your share is done"),
            ("paused", "Let us pause for a moment"),
            ("closed", "This queue is closed"),
        ],
    )
    def test_why_there_is_no_more(self, reason: str, words: str) -> None:
        page = shown(open_app(FakeClient(items=[], reason=reason, message="In words.")))
        assert words in page
        assert "In words." in page

    def test_a_known_answer_is_told_and_can_be_contested(self) -> None:
        gold = GoldFeedback(
            result_id=9,
            passed=False,
            score=0.0,
            explanation=HOSTILE,
            known=AnswerIn(ratings={"faithful": "no"}),
            may_contest=True,
        )
        client = FakeClient(receipt={"gold": gold})
        app = open_app(client)
        for label in ("Yes", "4", "No problem", "Submit"):
            app = click(app, label)
        assert "The known answer is another one" in shown(app)
        assert "<script>" not in drawn(app)
        app.text_input[0].input("the price is in the source").run()
        app = click(app, "Contest it")
        assert client.contested == {9: "the price is in the source"}
        assert "She pays 34 EUR." in shown(click(app, "Next item"))

    def test_answers_that_differ_stand_beside_each_other_without_names(self) -> None:
        answers = [
            AnonymousAnswer(
                label=f"Reviewer {n}",
                answer=AnswerIn(
                    ratings={"faithful": value, "comment": HOSTILE},
                    spans=[MarkedSpan(start=0, end=3, kind="wrong_fact")],
                ),
            )
            for n, value in ((1, "yes"), (2, "no"))
        ]
        view = AdjudicationView(answers=answers, reason="They differ on one question.")
        client = FakeClient(adjudication=view, items=[single_item()])
        client.submitted[1] = AnswerIn()
        app = click(open_app(client), "Settle a disagreement")
        page = drawn(app)
        for words in (
            "Reviewer 1",
            "Reviewer 2",
            "They differ on one question.",
            "“Pay” wrong fact",
        ):
            assert words in page
        assert "<script>" not in page

    def test_hostile_words_in_the_history_are_words(self) -> None:
        client = FakeClient(skipped={1: HOSTILE}, receipt={"why": HOSTILE})
        app = open_app(client)
        for label in ("Yes", "4", "No problem", "Submit"):
            app = click(app, label)
        assert "<script>" not in drawn(app)
        assert "&lt;script&gt;" in drawn(app)

    def test_no_queue_yet(self) -> None:
        assert "Nothing has been given to you yet" in shown(open_app(FakeClient(n_queues=0)))

    def test_an_error_is_an_error_and_can_be_tried_again(self) -> None:
        client = FakeClient(fail={"claim": ServerUnavailable("The server is away.")})
        app = open_app(client)
        page = shown(app)
        assert "This did not work" in page
        assert "finished" not in page
        client.fail.clear()
        assert "Pay 39 EUR." in shown(click(app, "Try again"))

    def test_a_draft_is_there_again_after_a_reload(self) -> None:
        client = FakeClient(drafts={1: AnswerIn(ratings={"faithful": "no"})})
        app = open_app(client)
        assert "Draft restored" in shown(app)
        assert any(b.label == "✓ No" for b in app.button)

    def test_hostile_text_is_text(self) -> None:
        app = open_app(FakeClient(items=[single_item(HOSTILE)]))
        assert "<script>" not in drawn(app)
        assert "<script>" in shown(app)  # for the reader, which draws it as text
        assert not any("evil.example" in m.value for m in app.markdown)


class TestEngineerPages:
    @pytest.mark.parametrize("name", PROJECT_PAGES)
    def test_draws_and_shows_hostile_text_as_text(self, name: str) -> None:
        app = open_page(name, engineers_project())
        assert not app.exception
        page = shown(app)
        assert "<script>" not in page
        assert not any("evil.example" in m.value for m in app.markdown)

    def test_intervals_are_drawn_and_an_empty_plot_is_not(self) -> None:
        project = engineers_project()
        assert len(open_page("runs", project).get("vega_lite_chart")) == 2
        assert len(open_page("runs", {**project, "differences": []}).get("vega_lite_chart")) == 1

    @pytest.mark.parametrize("name", PROJECT_PAGES)
    def test_an_empty_project_says_what_to_do(self, name: str) -> None:
        app = open_page(name, {})
        assert not app.exception
        told = [info.value for info in app.info]
        assert any("strop " in text for text in told), f"no st.info names a command: {told}"

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("overview", ["INCONCLUSIVE", "f1 better than the baseline", "stopped"]),
            ("runs", ["0.500 [0.400, 0.600]", "no reference has a class", "2.0 [-1.0, 5.0]"]),
            ("runs", ["not proved", "v1@1: outputs imported, not proved to be of a model"]),
            ("preferences", ["left won 2, right won 2", "2 simulated", "equally good"]),
            ("verdicts", ["f1 better", "0.1 [-0.1, 0.3], n=20", "simulated"]),
            ("trainings", ["round-1", "simulated reviews", "123,456", "0.0642", "1.2500", "kept"]),
            (
                "rounds",
                ["judge every line of the manifest", "591", "42.5", "1 simulated", "77 s, cost"],
            ),
            ("prompts", ["0.500 [0.400, 0.600]", "no reference has a class", "looks better"]),
            ("lineage", ["2 rows withdrawn since"]),
            (
                "costs",
                [
                    "at least 1,200 tokens (n=8 of 9)",
                    "unknown",
                    "2 simulated",
                    "1.50 [1.40, 1.60]",
                    "queue does not say",
                    "run 1, training 1, round 1: No job of a worker did it.",
                ],
            ),
            ("queues", ["simulated", "1.50 [1.40, 1.60] minutes", "between 7 and 14 March"]),
        ],
    )
    def test_what_must_be_on_it(self, name: str, words: list[str]) -> None:
        page = shown(open_page(name, engineers_project()))
        for word in words:
            assert word in page

    def test_the_overview_opens_first(self) -> None:
        app = open_app(FakeClient(role="engineer", project=engineers_project()))
        assert not app.exception
        assert "The bar" in [s.value for s in app.subheader]


class TestNextQueue:
    def test_progress_is_mine_and_the_queue_stands_below_it(self) -> None:
        page = shown(open_app(FakeClient()))
        assert "0 by you, 3 left for you" in page
        assert "The queue: 0 of 3 done" in page

    def test_the_next_queue_is_offered_at_the_end_of_one(self) -> None:
        client = FakeClient(n_queues=2)
        app = open_app(client)
        client.submitted = {1: AnswerIn(), 2: AnswerIn(), 3: AnswerIn()}
        client.items = client.items * 2
        client.reason = "others_at_work"
        app = AppTest.from_string(
            "from dashboard.views.review.desk.state import DeskState\n"
            "from dashboard.views.review.desk.screens import show_finished\n"
            "show_finished(DeskState(1))\n",
            default_timeout=60,
        )
        app.session_state[CLIENT_KEY] = client
        app.run()
        assert [b.label for b in app.button if b.label.startswith("Go on")] == [
            "Go on with queue 2"
        ]
        client.items = client.items[:3]
        assert not [b for b in app.run().button if b.label.startswith("Go on")]
