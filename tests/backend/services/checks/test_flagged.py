"""Findings kept, sent to experts and confirmed, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound, UnknownName
from backend.services import review
from backend.services.checks.flagged import FindingsRequest, confirmed_shares, send_to_review
from backend.services.datasets.health.kinds import examine
from backend.services.datasets.health.reports import (
    HealthRequest,
    ask_report,
    findings_of,
    finished_report,
    flagged_by_split,
    keep_report,
    read_material,
    set_warning,
    severe_warning,
)
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.metric_specs import BUILT_IN
from backend.services.review import Answer
from backend.tables.audit import AuditEntry
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.health import HealthFinding, HealthReport
from backend.tables.review import ReviewItem
from tests.fixtures_health import text_rows
from tests.fixtures_review import NOW, Desk, build_desk, review_next

KINDS = ("residue", "unsupported", "empty")


def _rows() -> list[ExampleRow]:
    """Twelve training rows with residue, two of test, and one with a number of its own."""
    rows = []
    for n, row in enumerate(text_rows(60)):
        text = row.references[0]
        if row.split == "train" and n < 15:
            text = f"Dear {{{{name}}}}, {text}"
        elif n in (4, 9):
            text = f"{text} [/INST]"
        elif n == 31:
            text = "The kettle was sold for 9,999 euros."
        rows.append(
            ExampleRow(row.external_id, row.input, row.context, (text,), row.group, {}, row.split)
        )
    return rows


@pytest.fixture
def desk(session: Session) -> Desk:
    desk = build_desk(session, n_experts=1)
    import_dataset(session, desk.project.id, "calls", _rows(), source_name="made here")
    return desk


def _examined(session: Session, desk: Desk, *kinds: str) -> HealthReport:
    report = ask_report(session, desk.project.id, HealthRequest("calls", kinds or KINDS))
    found = examine(read_material(session, report.id), kinds or KINDS)
    keep_report(session, report.id, found, now=NOW)
    return report


def test_a_report_is_filled_once_and_holds_no_text(session: Session, desk: Desk) -> None:
    report = _examined(session, desk)
    n = session.scalar(select(func.count(HealthFinding.id)))
    found = examine(read_material(session, report.id), KINDS)
    keep_report(session, report.id, found, now=NOW)
    assert session.scalar(select(func.count(HealthFinding.id))) == n
    assert report.worst == "severe"
    assert report.content is not None
    assert "rows" not in report.content["kinds"][0]
    assert flagged_by_split(session, report.id)["residue"] == {"train": 12, "test": 2}
    assert "sold for" not in str(report.content)
    assert not any("sold for" in one.why for one, _ in findings_of(session, report.id))
    actions = session.scalars(select(AuditEntry.action)).all()
    assert actions.count("dataset.examined") == 1


def test_an_unfinished_report_is_not_read(session: Session, desk: Desk) -> None:
    report = ask_report(session, desk.project.id, HealthRequest("calls"))
    with pytest.raises(Conflict, match="not done"):
        finished_report(session, report.id)
    with pytest.raises(Conflict, match="not done"):
        send_to_review(session, FindingsRequest(report.id, "q"), allowed=BUILT_IN)
    assert severe_warning(session, [report.dataset_version_id]) is None


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (HealthRequest("nowhere"), NotFound),
        (HealthRequest("calls", ("residu",)), UnknownName),
        (HealthRequest("calls", task="numbers"), InvalidInput),
        (HealthRequest("calls", alike=0), InvalidInput),
        (HealthRequest("calls", encoder="x" * 400), InvalidInput),
    ],
)
def test_what_cannot_be_asked(
    session: Session, desk: Desk, asked: HealthRequest, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ask_report(session, desk.project.id, asked)


def test_severe_findings_are_told_before_a_training(session: Session, desk: Desk) -> None:
    report = _examined(session, desk)
    told = severe_warning(session, [report.dataset_version_id, desk.version.id])
    assert told is not None
    assert "calls@1: " in told
    assert "residue" in told
    assert "strop dataset health" in told
    assert severe_warning(session, [desk.version.id]) is None


def test_a_set_and_its_training_say_that_its_data_have_severe_findings(
    session: Session, desk: Desk
) -> None:
    report = _examined(session, desk)
    example = findings_of(session, report.id, ["residue"])[0][1]
    frozen = TrainingSet(project_id=desk.project.id, name="t", recipe={}, digest="0" * 64, n_rows=1)
    session.add(frozen)
    session.flush()
    assert set_warning(session, frozen.id) is None
    session.add(
        TrainingSetRow(
            training_set_id=frozen.id,
            position=0,
            example_id=example.id,
            kind="sft",
            prompt=[],
            source="reference",
            completion="y",
        )
    )
    session.flush()
    assert "calls@1" in str(set_warning(session, frozen.id))


def _send(session: Session, report: HealthReport, name: str = "look", **asked: object) -> int:
    sent = send_to_review(
        session,
        FindingsRequest(report.id, name, **asked),
        allowed=BUILT_IN,  # type: ignore[arg-type]
    )
    return sent.queue.id


def test_flagged_references_come_before_experts_with_their_reason(
    session: Session, desk: Desk
) -> None:
    report = _examined(session, desk)
    queue = review.get_queue(session, _send(session, report, kinds=("residue",)))
    items = session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue.id)).all()
    assert len(items) == 12
    assert {item.stratum for item in items} == {"residue"}
    claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
    assert claim is not None
    view = review.item_view(session, claim.slot_id, desk.experts[0].id)
    assert view.output is not None
    assert view.output.text.startswith("Dear {{name}}")
    assert view.why is not None
    assert "a placeholder in double braces" in view.why


def test_other_queues_tell_no_reason_before_the_answer(session: Session, desk: Desk) -> None:
    queue = desk.open(session)
    claim = review.claim_review_item(session, queue.id, desk.experts[0].id, now=NOW)
    assert claim is not None
    assert review.item_view(session, claim.slot_id, desk.experts[0].id).why is None


def test_test_rows_are_a_queue_of_their_own_with_a_warning(session: Session, desk: Desk) -> None:
    report = _examined(session, desk)
    asked = FindingsRequest(report.id, "held", kinds=("residue",), split="test")
    sent = send_to_review(session, asked, allowed=BUILT_IN)
    assert sent.n_items == 2
    assert any("never enter a training set" in note for note in sent.notes)
    with pytest.raises(InvalidInput, match="no validation example"):
        _send(session, report, "none", split="validation")


def test_so_many_are_drawn_at_random_and_a_name_is_taken_once(session: Session, desk: Desk) -> None:
    report = _examined(session, desk)
    queue = review.get_queue(session, _send(session, report, kinds=("residue",), n_items=4))
    items = session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue.id)).all()
    assert len(items) == 4
    assert {round(item.inclusion_probability, 3) for item in items} == {0.333}
    with pytest.raises(Conflict, match="already"):
        _send(session, report, kinds=("residue",), n_items=4)


def test_what_experts_confirm_comes_back_by_kind(session: Session, desk: Desk) -> None:
    report = _examined(session, desk)
    queue = review.get_queue(session, _send(session, report, kinds=("residue",)))
    assert confirmed_shares(session, desk.project.id) == {}
    for n, said in enumerate(["right"] * 7 + ["wrong"] * 3 + ["cannot_tell"] * 2):
        moment = NOW + timedelta(minutes=n)
        review_next(session, queue, desk.experts[0], Answer({"finding": said}), now=moment)
    share = confirmed_shares(session, desk.project.id)["residue"]
    assert (share.value, share.n) == (0.7, 10)
    assert share.low is not None
    assert share.high is not None
    assert share.low < 0.7 < share.high
    other = build_desk(session, name="other")
    assert confirmed_shares(session, other.project.id) == {}


def test_another_rubric_confirms_by_what_it_calls_wrong(session: Session, desk: Desk) -> None:
    report = _examined(session, desk)
    asked = {"kinds": ("residue",), "rubric": "telecom_desk"}
    queue = review.get_queue(session, _send(session, report, **asked))
    good = {"faithful": "yes", "quality": 5, "problem": "none"}
    review_next(session, queue, desk.experts[0], Answer(good, correction="mended"), now=NOW)
    later = NOW + timedelta(minutes=1)
    review_next(session, queue, desk.experts[0], Answer(good), now=later)
    share = confirmed_shares(session, desk.project.id)["residue"]
    assert (share.value, share.n) == (0.5, 2)
