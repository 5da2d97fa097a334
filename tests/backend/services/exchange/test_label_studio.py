"""Label Studio both ways: what is exported, what comes back, and what cannot be taken."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import NotFound
from backend.schemas.exchange import ImportOut
from backend.services import review
from backend.services.exchange import review_exports
from backend.services.exchange.label_studio import labelling_config
from backend.services.exchange.review_exports import ExportAsk, FileKind
from backend.services.exchange.review_imports import import_reviews
from backend.services.exchange.text_offsets import Offsets
from backend.tables.review import Review, ReviewQueue
from tests.fixtures_copies import PreparedDatabase, prepare, sessions_at
from tests.fixtures_exchange import OUTPUT, Reviewed, every_scale, reviewed_pairs, reviewed_queue
from tests.fixtures_review import NOW, Desk


@pytest.fixture(scope="module")
def prepared(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedDatabase:
    def build(sessions: sessionmaker[Session]) -> tuple[Desk, ReviewQueue]:
        found = reviewed_queue(sessions, n_items=3)
        return found.desk, found.queue

    return prepare(sqlite_template, tmp_path_factory.mktemp("reviewed") / "strop.db", build)


@pytest.fixture
def done(prepared: PreparedDatabase, tmp_path: Path) -> Iterator[Reviewed]:
    with sessions_at(prepared.copied(tmp_path / "reviewed.db")) as sessions:
        yield Reviewed(*prepared.rows, sessions)


def tasks_of(found: Reviewed, **ask: Any) -> list[dict[str, Any]]:
    pieces = review_exports.export_text(
        found.reading, found.queue.id, "label-studio", ExportAsk(**ask), kind=FileKind.JSON
    )
    tasks: list[dict[str, Any]] = json.loads("".join(pieces))
    return tasks


def take(found: Reviewed, queue: ReviewQueue, tasks: list[Any], **options: Any) -> ImportOut:
    with found.sessions.begin() as session:
        return import_reviews(session, queue.id, tasks, source="label-studio", now=NOW, **options)


def fresh_queue(found: Reviewed, kind: str = "single") -> ReviewQueue:
    with found.sessions.begin() as session:
        return found.desk.open(session, f"fresh {kind}", kind=kind)


def moved(found: Reviewed, queue: ReviewQueue, tasks: list[Any]) -> list[Any]:
    """The tasks as if they were exported from another queue over the same outputs."""
    with found.sessions() as session:
        ids = {item.generation_a_id: item.id for item in queue_items(session, queue.id)}
        olds = {item.id: item.generation_a_id for item in queue_items(session, found.queue.id)}
    again = copy.deepcopy(tasks)
    for task in again:
        task["data"]["strop_item"] = ids[olds[task["data"]["strop_item"]]]
    return again


def queue_items(session: Session, queue_id: int) -> list[Any]:
    from backend.tables.review import ReviewItem

    return list(session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue_id)))


def said(session: Session, queue_id: int) -> list[Any]:
    """What all reviews of a queue say, without their ids and places."""
    rows = [
        (
            item.generation_a_id,
            found.reviewer.pseudonym,
            found.comment,
            found.active_seconds,
            sorted((r.criterion, r.value, r.number) for r in found.ratings),
            [(c.text, c.reason) for c in found.corrections],
            sorted((s.start, s.end, s.kind, s.severity, s.note) for s in found.spans),
            [p.winner for p in found.preferences],
        )
        for item in queue_items(session, queue_id)
        for found in session.query(Review).filter_by(item_id=item.id, state="submitted")
    ]
    return sorted(rows, key=str)


@pytest.mark.parametrize("offsets", list(Offsets))
def test_that_what_went_out_comes_back_the_same(done: Reviewed, offsets: Offsets) -> None:
    queue = fresh_queue(done)
    tasks = moved(done, queue, tasks_of(done, offsets=offsets))
    report = take(done, queue, tasks, offsets=offsets)
    assert (report.taken, report.repeated, report.refused) == (6, 0, [])
    with done.sessions() as session:
        assert said(session, queue.id) == said(session, done.queue.id)
        taken = session.query(Review).filter_by(source="label-studio").all()
        assert [found.purpose for found in taken].count("review") == 3  # the rest nobody asked for
        progress = review.queue_progress(session, queue.id)
        assert (progress.done, progress.total) == (3, 3)
        assert session.get_one(ReviewQueue, queue.id).finished_at is not None


def test_that_marks_without_their_text_are_read_as_the_option_says(done: Reviewed) -> None:
    queue = fresh_queue(done)
    tasks = moved(done, queue, tasks_of(done, offsets=Offsets.UTF16))
    for task in tasks:
        for annotation in task["annotations"]:
            for result in annotation["result"]:
                if result["type"] == "labels":
                    del result["value"]["text"]
    take(done, queue, tasks, offsets=Offsets.UTF16)
    with done.sessions() as session:
        assert said(session, queue.id) == said(session, done.queue.id)


def test_that_offsets_count_what_javascript_counts(done: Reviewed) -> None:
    (mark,) = [
        result
        for result in tasks_of(done, offsets=Offsets.UTF16)[0]["annotations"][0]["result"]
        if result["from_name"] == "errors" and result["value"]["labels"] == ["number"]
    ]
    start, end = mark["value"]["start"], mark["value"]["end"]
    units = OUTPUT.encode("utf-16-le")
    assert units[2 * start : 2 * end].decode("utf-16-le") == "EUR 12"
    assert start == OUTPUT.index("EUR") + 3  # a trumpet, a woman and a fire engine before it


def test_that_a_second_import_takes_nothing(done: Reviewed) -> None:
    queue = fresh_queue(done)
    tasks = moved(done, queue, tasks_of(done))
    take(done, queue, tasks)
    again = take(done, queue, tasks)
    assert (again.taken, again.repeated, again.refused) == (0, 6, [])


def test_that_our_own_reviews_are_not_taken_again(done: Reviewed) -> None:
    report = take(done, done.queue, tasks_of(done))
    assert (report.taken, report.repeated, report.refused) == (0, 6, [])


def change(control: str, **value: Any) -> Any:
    """A change of the value of a result; None takes a key away."""

    def spoil(task: Any) -> None:
        found = result_of(task, control)["value"]
        found.update(value)
        for key in [key for key, new in value.items() if new is None]:
            del found[key]

    return spoil


def put(place: str, **values: Any) -> Any:
    """A change of a task's data, or of its first annotation."""

    def spoil(task: Any) -> None:
        (task["data"] if place == "data" else task["annotations"][0]).update(values)

    return spoil


def answer_twice(task: Any) -> None:
    task["annotations"][0]["result"].append(copy.deepcopy(result_of(task, "q_quality")))


def rename_control(task: Any) -> None:
    result_of(task, "q_quality")["from_name"] = "mood"


REFUSALS = [
    (put("annotation", was_cancelled=True), "skipped"),
    (put("data", strop_digest="0" * 64), "another text"),
    (put("annotation", completed_by={"id": 9, "email": "x@example.org"}), "x@example.org or 9"),
    (put("annotation", completed_by=None), "known as no name"),
    (put("data", strop_item=999_999), "no item 999999"),
    (put("data", strop_item=None), "which item"),
    (put("annotation", result=None), "no list of results"),
    (put("annotation", lead_time="long"), "lead_time is no number"),
    (change("q_quality", rating=8), "8 is no answer"),
    (change("q_faithful", choices=["yes", "no"]), "faithful has 2 answers"),
    (change("errors", text="something else"), "not on the text that it quotes"),
    (change("errors", text=None, end=10_000), "outside the output"),
    (rename_control, "no control 'mood'"),
    (answer_twice, "quality is answered twice"),
    (lambda task: task.pop("data"), "there is no data"),
]


def result_of(task: Any, control: str) -> Any:
    results = task["annotations"][0]["result"]
    return next(result for result in results if result["from_name"] == control)


@pytest.mark.parametrize(("spoil", "reason"), REFUSALS, ids=[reason for _, reason in REFUSALS])
def test_that_what_cannot_be_taken_is_named(done: Reviewed, spoil: Any, reason: str) -> None:
    queue = fresh_queue(done)
    tasks = moved(done, queue, tasks_of(done))
    for task in tasks:  # one annotation each, the one with marks where there is one
        task["annotations"] = task["annotations"][:1]
    spoil(tasks[0])
    report = take(done, queue, [*tasks, "no task"])
    assert [one.row for one in report.refused] == [1, 4]
    assert reason in report.refused[0].reason
    assert report.taken == 2
    assert sum(report.reasons.values()) == 2


def test_that_a_person_has_one_answer_to_an_item(done: Reviewed) -> None:
    queue = fresh_queue(done)
    tasks = moved(done, queue, tasks_of(done))
    first, second = tasks[0]["annotations"]
    second["completed_by"] = first["completed_by"]
    report = take(done, queue, tasks[:1])
    assert report.taken == 1
    assert ["answered this item already" in one.reason for one in report.refused] == [True]


def test_that_a_changed_annotation_is_named_and_the_first_stands(done: Reviewed) -> None:
    queue = fresh_queue(done)
    tasks = moved(done, queue, tasks_of(done))
    take(done, queue, tasks)
    result_of(tasks[0], "q_quality")["value"]["rating"] = 7
    report = take(done, queue, tasks)
    assert (report.taken, report.repeated) == (0, 5)
    assert ["has changed since" in one.reason for one in report.refused] == [True]


def test_that_people_are_found_by_a_map(done: Reviewed) -> None:
    queue = fresh_queue(done)
    tasks = moved(done, queue, tasks_of(done))[:1]
    for number, annotation in enumerate(tasks[0]["annotations"]):
        annotation["completed_by"] = 10 + number
    people = {"10": done.desk.experts[2].name, "11": done.desk.experts[0].pseudonym}
    assert take(done, queue, tasks, people=people).taken == 2
    with done.sessions() as session:
        found = session.query(Review).filter_by(source="label-studio").order_by(Review.id)
        ids = [done.desk.experts[2].id, done.desk.experts[0].id]
        assert [one.reviewer_id for one in found] == ids


def test_that_a_map_to_nobody_is_refused(done: Reviewed) -> None:
    with pytest.raises(NotFound, match="no member 'nobody'"):
        take(done, done.queue, tasks_of(done), people={"1": "nobody"})


def test_that_flags_are_predictions_and_never_answers(done: Reviewed) -> None:
    tasks = tasks_of(done)
    flagged = [task for task in tasks if task["predictions"]]
    assert len(flagged) == 1
    (prediction,) = flagged[0]["predictions"]
    assert prediction["model_version"] == "grounding|v1"
    assert prediction["result"][0]["value"]["text"] == OUTPUT[:4]
    queue = fresh_queue(done)
    again = moved(done, queue, flagged)
    again[0]["annotations"][0]["result"] += prediction["result"]
    assert take(done, queue, again).refused == []
    with done.sessions() as session:
        spans = [
            span
            for one in session.query(Review).filter_by(source="label-studio")
            for span in one.spans
        ]
    assert all(span.kind in {"number", "invented"} for span in spans)


def test_that_votes_on_pairs_come_back(sqlite_sessions: sessionmaker[Session]) -> None:
    found = reviewed_pairs(sqlite_sessions)
    queue = fresh_queue(found, "pair")
    tasks = tasks_of(found)
    assert "base" not in json.dumps([list(task["data"]) for task in tasks])
    with found.sessions() as session:
        flips = sides(session, found.queue.id), sides(session, queue.id)
    again = moved(found, queue, tasks)
    for task, old in zip(again, tasks, strict=True):
        swap_sides(
            task, flips[0][old["data"]["strop_item"]] != flips[1][task["data"]["strop_item"]]
        )
    report = take(found, queue, again)
    assert (report.taken, report.refused) == (16, [])
    with found.sessions() as session:
        assert said(session, queue.id) == said(session, found.queue.id)


def sides(session: Session, queue_id: int) -> dict[int, bool]:
    return {item.id: item.a_is_left for item in queue_items(session, queue_id)}


def swap_sides(task: Any, turned: bool) -> None:
    """The same vote where the other queue shows the two outputs the other way round."""
    import hashlib

    data = task["data"]
    if turned:
        data["left_output"], data["right_output"] = data["right_output"], data["left_output"]
    shown = f"{data['left_output']}\x1e{data['right_output']}"
    data["strop_digest"] = hashlib.sha256(shown.encode()).hexdigest()
    for annotation in task["annotations"]:
        for result in annotation["result"]:
            if turned and result["type"] == "pairwise":
                other = {"left": "right", "right": "left"}
                result["value"]["selected"] = other[result["value"]["selected"]]


def test_that_no_model_is_named_in_tasks(sqlite_sessions: sessionmaker[Session]) -> None:
    found = reviewed_pairs(sqlite_sessions)
    for task in tasks_of(found):
        task["data"]["left_output"] = task["data"]["right_output"] = ""
        assert "base" not in json.dumps(task)


@pytest.mark.parametrize("pair", [False, True])
def test_that_every_result_has_its_control(
    sqlite_sessions: sessionmaker[Session], pair: bool
) -> None:
    found = reviewed_pairs(sqlite_sessions) if pair else reviewed_queue(sqlite_sessions)
    from backend.services.review.reports.contents import queue_facts

    with found.sessions() as session:
        facts = queue_facts(session, found.queue.id)
    config = ElementTree.fromstring(labelling_config(facts.rubric, pair=pair))
    controls = {tag.get("name"): tag for tag in config.iter() if tag.get("toName")}
    for task in tasks_of(found):
        made = [*task["annotations"], *task["predictions"]]
        for result in (result for one in made for result in one["result"]):
            tag = controls[result["from_name"]]
            assert tag.tag.lower() == result["type"]
            assert result["to_name"] in {tag.get("toName"), tag.get("name")}


def test_that_hostile_questions_stay_xml() -> None:
    rubric = every_scale().model_copy(update={"guidelines": '<script>"\x1b[31m\x00 & \u202e'})
    config = ElementTree.fromstring(labelling_config(rubric, pair=False))
    assert config[0].get("value") == '<script>"\ufffd[31m\ufffd & \u202e'


@pytest.mark.parametrize("named", [True, False])
def test_that_annotators_are_named_as_label_studio_knows_them(done: Reviewed, named: bool) -> None:
    """It refuses addresses that it does not know, and takes the importer where none is given."""
    known = done.desk.experts[0].pseudonym
    tasks = tasks_of(done, addresses={known: "eva@example.org"} if named else {})
    annotations = [one for task in tasks for one in task["annotations"]]
    addresses = {one.get("completed_by", {}).get("email") for one in annotations}
    assert addresses == ({"eva@example.org", None} if named else {None})
    provenance = [one["reviewer"] for task in tasks for one in task["data"]["strop_reviews"]]
    assert set(provenance) == {expert.pseudonym for expert in done.desk.experts[:2]}


def test_that_either_database_takes_answers_back(sessions: sessionmaker[Session]) -> None:
    found = reviewed_queue(sessions, n_items=1)
    queue = fresh_queue(found)
    tasks = moved(found, queue, tasks_of(found))
    assert [take(found, queue, tasks).taken for _ in range(2)] == [2, 0]
