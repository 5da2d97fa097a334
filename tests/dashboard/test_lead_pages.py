"""A lead's pages as Streamlit draws them: what is told, what a click does, what is said before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import Conflict
from backend.schemas.datasets import DatasetVersionOut, ExampleOut
from backend.schemas.review.queues import DrawnExample, OpeningDefaults
from dashboard.session import CLIENT_KEY
from dashboard.views.guides import guide_text
from tests.dashboard.fake_client import HOSTILE, FakeClient, engineers_project, page_script
from tests.dashboard.review_figures import agreement_report, queue_report, watch

APP = Path(__file__).parents[2] / "dashboard" / "app.py"


def open_page(name: str, client: FakeClient) -> AppTest:
    app = AppTest.from_string(page_script(name), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    app.run()
    assert not app.exception
    return app


def lead(**changed: Any) -> FakeClient:
    return FakeClient(role="engineer", project=engineers_project() | changed)


def told(app: AppTest) -> str:
    html = [part.proto.body for part in app.get("html")]
    words = [str(getattr(part, "value", "")) for part in (*app.caption, *app.info, *app.success)]
    return "\n".join([*html, *(word.replace("\\", "") for word in words)])


def button(app: AppTest, label: str) -> Any:
    return next(each for each in app.button if each.label == label)


class TestQueues:
    def test_forecast_minutes_and_what_is_simulated(self) -> None:
        page = told(open_page("queues", lead()))
        for words in (
            "between 7 and 14 March",
            "No cost per hour is set",
            "18.0 minutes of a budget of 60 (30%)",
            "3 of 14 reviews were written by a script",
            "skipped for good",
            "came late or on top",
        ):
            assert words in page

    def test_nothing_done_says_what_to_expect(self) -> None:
        report = queue_report(days=[], done=0, leased=0, open=24, n_reviews=0, n_simulated=0)
        app = open_page("queues", lead(queue_report=report))
        assert "Nobody has submitted yet" in told(app)
        assert not app.get("vega_lite_chart")

    def test_a_pause_is_lifted_by_pseudonym(self) -> None:
        client = lead()
        app = open_page("queues", client)
        assert "begin anew" in told(app)
        button(app, "Lift the pause").click().run()
        assert client.lifted == [(1, "E-8")]
        assert "E-8 may work on." in told(app)

    def test_closing_says_its_consequences_first(self) -> None:
        client = lead()
        app = open_page("queues", client)
        assert any("cannot be opened again" in part.value for part in app.markdown)
        button(app, "Close it now").click().run()
        assert client.closed == [1]


class TestAgreement:
    def test_figures_people_and_items(self) -> None:
        page = told(open_page("agreement", lead()))
        alike = "Nearly all answers are alike."
        for words in ("0.61 [0.51, 0.71]", "0.62, n 20", "Patterns, not verdicts", "0.75", alike):
            assert words in page

    def test_an_item_is_read_without_names(self) -> None:
        app = open_page("agreement", lead())
        before = told(app)
        chosen = next(box for box in app.selectbox if box.label == "Read one side by side")
        chosen.select(1).run()
        assert not app.exception
        added = told(app).replace(before, "")
        assert "Reviewer 1" in added
        assert "What was said" in added

    def test_no_overlap_says_what_to_do(self) -> None:
        none = agreement_report("q").model_copy(
            update={"coefficients": [], "notes": [], "raters": [], "worst": []}
        )
        app = open_page("agreement", lead(queue_agreement=none))
        assert "Open a queue with overlap" in told(app)


class TestReviewers:
    def test_consequences_stand_before_the_buttons(self) -> None:
        page = told(open_page("reviewers", lead()))
        for words in ("the known answer stands", "for all reviewers", "cannot be taken back"):
            assert words in page

    @pytest.mark.parametrize("page", ["queues", "reviewers"])
    def test_who_answers_oddly_is_warned_of(self, page: str) -> None:
        app = open_page(page, lead())
        assert "worth a conversation" in app.warning[0].value
        assert "E-8: Gives the same answer to all." in told(app)

    def test_a_contest_is_upheld(self) -> None:
        client = lead()
        app = open_page("reviewers", client)
        reason = next(box for box in app.text_input if box.label.startswith("Reason"))
        reason.input("line 2 says so").run()
        button(app, "Uphold").click().run()
        assert client.resolved == [(5, "upheld", "line 2 says so")]

    def test_a_withdrawal_needs_its_reason(self) -> None:
        client = lead()
        app = open_page("reviewers", client)
        assert button(app, "Withdraw").disabled
        reason = next(box for box in app.text_input if box.label.startswith("Reason"))
        reason.input("two readings are possible").run()
        button(app, "Withdraw").click().run()
        assert client.resolved == [(5, "withdrawn", "two readings are possible")]
        assert "3 results count no more. Back at work: E-8." in told(app)

    def test_somebody_is_paused_with_a_reason(self) -> None:
        client = lead()
        app = open_page("reviewers", client)
        assert button(app, "Pause").disabled
        next(box for box in app.text_input if box.label == "Why").input("let us talk").run()
        button(app, "Pause").click().run()
        assert client.paused == [(1, "E-7", "let us talk")]


class TestAdjudication:
    def test_what_waits_and_what_was_decided(self) -> None:
        client = lead()
        app = open_page("adjudication", client)
        page = told(app)
        for words in ("0.75, n = 2", "verdict by E-9", "none of them is changed", "simulated"):
            assert words in page
        button(app, "Make them").click().run()
        assert client.made_gold_of == [1]

    def test_none_yet_says_how_one_opens(self) -> None:
        client = lead()
        del client.project["adjudication_progress"]
        assert "opens by itself" in told(open_page("adjudication", client))


class TestWatchedVotes:
    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({}, ["undecided", "about this many more", "40 to more than 2000"]),
            (
                {"decision": "better", "saved": 70, "decided_at": 50, "more": None},
                ["decided: better", "votes saved", "decided after 50"],
            ),
            ({"more": None}, ["&gt; 2000", "too close to settle soon"]),
        ],
    )
    def test_saved_or_still_needed(self, changed: dict[str, Any], words: list[str]) -> None:
        page = told(open_page("preferences", lead(watch_queue=[watch(**changed)])))
        assert [word for word in words if word not in page] == []


def opened_form(client: FakeClient) -> AppTest:
    app = open_page("opening", client)
    return app.text_input[0].input("week 12").run()


class TestOpening:
    def test_what_is_missing_is_said_and_nothing_asked(self) -> None:
        client = lead()
        app = open_page("opening", client)
        assert "Give the queue a name." in told(app)
        assert client.previewed == []

    def test_the_sample_is_seen_before_the_queue_is_opened(self) -> None:
        client = lead()
        app = opened_form(client)
        assert [each.label for each in app.button if "Open the queue" in each.label] == []
        button(app, "Show what would be drawn").click().run()
        page = told(app)
        for words in ("24 of 25 asked for", "1 in 2", "90 s a review, from 12 earlier reviews"):
            assert words in page
        assert client.opened == []
        button(app, "Open the queue").click().run()
        assert client.opened == client.previewed
        assert client.opened[0].name == "week 12"

    def test_items_are_dealt_out_assigned_and_kept_for_a_time(self) -> None:
        client = lead()
        run = client.project["list_generation_runs"][0]
        client.project |= {
            "list_datasets": [
                DatasetVersionOut(
                    id=1, dataset_id=1, name=run.dataset, number=run.dataset_version, digest="d",
                    n_examples=1, source_name="d.jsonl", splits={}, created_at=run.created_at,
                )
            ],
            "list_examples": [
                ExampleOut(
                    id=1, external_id="1", input="x", context=None, references=[], group=None,
                    slices={"ward": "a"}, split=run.split,
                )
            ],
        }  # fmt: skip
        app = opened_form(client)
        for label in ("Deal all items out", "Set how long an item"):
            next(each for each in app.toggle if each.label.startswith(label)).set_value(True).run()
        places = next(each for each in app.multiselect if each.label == "Items to be assigned")
        places.set_value(["ward=a"]).run()
        kept = next(each for each in app.number_input if each.label.endswith("item is kept"))
        kept.set_value(30).run()
        button(app, "Show what would be drawn").click().run()
        (asked,) = client.previewed
        assert asked.assignment.model_dump() == {
            "groups": [], "people": {"ward=a": "anna"}, "skills": {}, "deal": True,
        }  # fmt: skip
        assert asked.lease_seconds == 30 * 60
        assert asked.rules["revise_minutes"] == 60

    def test_as_many_of_each_is_asked_of_slices_alone(self) -> None:
        app = opened_form(lead())
        (design,) = [each for each in app.radio if each.label == "Design"]
        for kind in ("random", "active", "stratified"):
            design.set_value(kind).run()
            asked = [each for each in app.toggle if each.label.startswith("As many of each")]
            assert len(asked) == (kind == "stratified"), kind

    def test_after_a_change_the_sample_is_to_be_seen_anew(self) -> None:
        app = opened_form(lead())
        button(app, "Show what would be drawn").click().run()
        app.number_input[0].set_value(33).run()
        assert [each.label for each in app.button if "Open the queue" in each.label] == []

    def test_a_refusal_keeps_the_form(self) -> None:
        client = lead()
        app = opened_form(client)
        client.refuse_preview = Conflict("There is a queue of this name.")
        button(app, "Show what would be drawn").click().run()
        assert app.error[0].value.startswith("There is a queue of this name")
        assert app.text_input[0].value == "week 12"

    def test_no_run_says_what_to_do(self) -> None:
        app = open_page("opening", FakeClient(role="engineer"))
        assert "strop run" in app.info[0].value


def test_files_of_a_queue_are_links_that_stream() -> None:
    from dashboard.views.exchange import QUEUE_FILES, export_links_html

    html = "".join(
        export_links_html(7, name, about, files) for name, about, files, _ in QUEUE_FILES
    )
    for ask in ("ratings&amp;file=csv", "votes&amp;file=jsonl", "label-studio", "argilla"):
        assert f"/api/v1/review-queues/7/export?format={ask}" in html
    assert html.count(" download ") == 6


def test_links_ask_for_formats_that_the_server_has() -> None:
    from backend.services.exchange.review_exports import FORMATS, FileKind
    from dashboard.views.exchange import QUEUE_FILES

    for name, _, files, _ in QUEUE_FILES:
        assert {FileKind(kind) for kind in files} <= set(FORMATS[name].files)


def test_the_guide_names_pages_that_there_are() -> None:
    text = guide_text("lead")
    for page in (
        "Open a queue",
        "Queues",
        "Agreement",
        "Reviewers",
        "Adjudication",
        "A/B",
        "Export",
    ):
        assert f'"{page}"' in APP.read_text("utf-8")
        assert page in text


class TestOpeningDefaults:
    def open_with(self, **changes: Any) -> tuple[AppTest, FakeClient]:
        project = engineers_project()
        own = project["list_rubrics"][0] if project.get("list_rubrics") else None
        project["review_defaults"] = OpeningDefaults(
            rubric=own.name if own else "summary_faithfulness",
            rubric_version=own.version if own else None,
            reviewers=["anna"],
            overlap=1,
            overlap_share=0.0,
            notes=["There is one expert."],
        )
        project["design"] = project["design"].model_copy(update=changes)
        client = FakeClient(role="engineer", project=project)
        return open_page("opening", client), client

    def test_the_rubric_of_the_project_and_its_one_expert_are_there(self) -> None:
        app, client = self.open_with()
        assert any("There is one expert" in caption.value for caption in app.caption)
        app.text_input[0].input("week 12").run()
        button(app, "Show what would be drawn").click().run()
        (asked,) = client.previewed
        assert (asked.reviewers, asked.overlap, asked.overlap_share) == (["anna"], 1, 0.0)
        own = client.project.get("list_rubrics")
        assert asked.rubric == (own[0].source if own else "summary_faithfulness")

    def test_warnings_and_examples_are_shown_and_a_link_afterwards(self) -> None:
        example = DrawnExample(
            input=HOSTILE, context="the source", outputs=[{"text": "an answer"}], split="test"
        )
        app, _ = self.open_with(warnings=["These never train."], examples=[example])
        assert any("never trains" in info.value for info in app.info)
        app.text_input[0].input("week 12").run()
        button(app, "Show what would be drawn").click().run()
        page = "\n".join(part.proto.body for part in app.get("html"))
        assert any("These never train" in warning.value for warning in app.warning)
        assert "an answer" in page
        assert "Source (test split)" in page
        assert "<script>" not in page
        button(app, "Open the queue").click().run()
        page = "\n".join(part.proto.body for part in app.get("html"))
        assert "href='/queues?queue=1'" in page
