"""MQM marks and plain ratings of outputs, taken as reviews of named people, once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput
from backend.rubrics import library_rubric
from backend.schemas.exchange import ImportOut
from backend.services import review
from backend.services.exchange.rated_elsewhere import read_rated
from backend.services.exchange.rated_queues import add_raters, open_for, rubric_of
from backend.services.exchange.review_imports import import_reviews
from backend.tables.review import Rating, Review, ReviewQueue, Span
from evaluators.errors import UnreadableRecord
from tests.backend.services.runs.importing.test_imported import given, said_by, take
from tests.fixtures_review import NOW
from tests.fixtures_runs import lay_down_project

Rows = Sequence[dict[str, Any]]


def mark(seg: str, rater: str, target: str, category: str, severity: str, **more: str) -> Any:
    return {
        "system": "vendor",
        "doc": "d",
        "seg_id": seg,
        "rater": rater,
        "target": target,
        "category": category,
        "severity": severity,
        "source": "x",
        **more,
    }


MARKS = [
    mark("e0", "r1", "say <v>0</v>", "Accuracy/Mistranslation", "Major"),
    mark("e0", "r1", "<v>say</v> 0", "Fluency/Punctuation", "Minor", comment="odd"),
    mark("e0", "r2", "say 0", "No-error", "No-error"),
    mark("e1", "r1", "say 1", "Accuracy/Omission", "Minor", source="please <v>do</v> say 1"),
    mark("e1", "r2", "<v>say 1</v>", "Non-translation!", "Major"),
]
RATED = [
    {"item": "e0", "rater": "r1", "criterion": "Fluency", "value": 4},
    {"item": "e0", "rater": "r1", "criterion": "ok", "value": "yes"},
    {"item": "e0", "rater": "r2", "criterion": "Fluency", "value": "2"},
    {"item": "e1", "rater": "r1", "criterion": "ok", "value": "No"},
]


def _imported(session: Session, source: str, rows: Rows) -> tuple[ReviewQueue, ImportOut]:
    """Outputs of a vendor for two examples, and the judgements of them in a queue of their own."""
    laid = lay_down_project(session)
    run = take(session, laid, given(said_by(2))).run
    add_raters(session, laid.project, source=source, rows=rows)
    queue = open_for(session, laid.project, "rated", source=source, rows=rows, run_id=run.id)
    return queue, import_reviews(session, queue.id, rows, source=source, now=NOW)


def test_marks_are_reviews_with_spans_by_kind_and_severity(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        queue, report = _imported(session, "mqm", MARKS)
        assert (report.taken, report.refused) == (4, [])
    with sessions.begin() as session:
        query = select(Span.start, Span.end, Span.kind, Span.severity, Span.note)
        assert session.execute(query.order_by(Span.id)).all() == [
            (4, 5, "accuracy_mistranslation", "major", None),
            (0, 3, "fluency_punctuation", "minor", "odd"),
            (0, 5, "accuracy_omission", "minor", "in the source: do"),
            (0, 5, "non_translation", "major", None),
        ]
        reviews = session.scalars(select(Review).order_by(Review.id)).all()
        assert [(r.reviewer.name, r.source, r.purpose) for r in reviews] == [
            ("r1", "mqm", "review"),
            ("r2", "mqm", "review"),
            ("r1", "mqm", "review"),
            ("r2", "mqm", "review"),
        ]
        assert review.queue_progress(session, queue.id).done == 4
        again = import_reviews(session, queue.id, MARKS, source="mqm", now=NOW)
        assert (again.taken, again.repeated, again.refused) == (0, 4, [])


def test_ratings_are_reviews_by_criterion(session: Session) -> None:
    queue, report = _imported(session, "ratings", RATED)
    assert (report.taken, report.refused) == (3, [])
    found = session.execute(select(Rating.criterion, Rating.value).order_by(Rating.id)).all()
    assert sorted(found) == [("fluency", "2"), ("fluency", "4"), ("ok", "no"), ("ok", "yes")]
    again = import_reviews(session, queue.id, RATED, source="ratings", now=NOW)
    assert (again.taken, again.repeated) == (0, 3)


def test_the_rubric_asks_what_was_answered() -> None:
    marked = rubric_of("mqm", MARKS, "m")
    assert marked.span_kinds == (
        "accuracy_mistranslation",
        "accuracy_omission",
        "fluency_punctuation",
        "non_translation",
    )
    assert [(s.name, s.weight) for s in marked.severities] == [("minor", 1.0), ("major", 5.0)]
    assert marked.span_weights == {
        "fluency_punctuation": {"minor": 0.1},
        "non_translation": {"minor": 25.0, "major": 25.0},
    }
    asked = rubric_of("ratings", RATED, "r").criteria
    assert [(c.name, c.scale) for c in asked] == [("fluency", "number"), ("ok", "yes_no")]
    words = [{"item": "e0", "rater": "r", "value": word} for word in ("Good", "bad")]
    [criterion] = rubric_of("ratings", words, "r").criteria
    assert (criterion.name, criterion.scale) == ("rating", "category")


def test_marks_go_into_a_queue_whose_kinds_are_its_own(session: Session) -> None:
    laid = lay_down_project(session)
    run = take(session, laid, given(said_by(2))).run
    add_raters(session, laid.project, source="mqm", rows=MARKS)
    kinds = library_rubric("translation")
    kinds = kinds.model_copy(update={"criteria": kinds.criteria[1:]})  # the verdict is not given
    queue = open_for(
        session, laid.project, "own", source="mqm", rows=MARKS, run_id=run.id, rubric=kinds
    )
    report = import_reviews(session, queue.id, MARKS, source="mqm", now=NOW)
    assert (report.taken, report.refused) == (4, [])
    assert set(session.scalars(select(Span.kind))) == {
        "mistranslation", "punctuation", "omission", "non_translation",
    }  # fmt: skip


REFUSED: list[tuple[str, Any, str]] = [
    ("mqm", mark("e0", "r1", "say <v>9</v>", "a", "Major"), "it judges another text than the"),
    ("mqm", mark("e9", "r1", "x", "a", "Major"), "no output of vendor on 'e9'"),
    ("mqm", mark("e0", "r1", "x", "a", ""), "it has no severity"),
    ("mqm", {**MARKS[0], "system": "other"}, "no output of other on 'e0'"),
    ("mqm", {**MARKS[0], "rater": "zoe"}, "nobody of this project is known as zoe"),
    ("mqm", mark("e0", "r1", "<v>say</v> <v>0</v>", "a", "Major"), "marks 2 stretches at once"),
    ("mqm", mark("e0", "r1", "say <v>0</v>", "a/b", "Major"), "'a_b' is no kind of mark."),
    ("mqm", mark("e0", "r1", "say <v>0</v>", "Accuracy/Omission", "Grave"), "How grave is"),
    ("ratings", {"item": "e0", "rater": "r1"}, "it has no value"),
    ("ratings", {**RATED[0], "value": 9}, "9 is no answer to"),
    ("ratings", {**RATED[0], "criterion": "style"}, "style"),
    ("ratings", "e0", "it is no row with names"),
]


@pytest.mark.parametrize("source", ["mqm", "ratings"])
def test_what_cannot_be_taken_is_named(session: Session, source: str) -> None:
    queue, _ = _imported(session, source, {"mqm": MARKS, "ratings": RATED}[source])
    for _, row, reason in [case for case in REFUSED if case[0] == source]:
        report = import_reviews(session, queue.id, [row], source=source, now=NOW)
        assert report.taken == 0, row
        assert reason in report.refused[0].reason, row


UNOPENED: list[tuple[str, Rows, str]] = [
    ("mqm", [{**MARKS[0], "system": "other"}], "The rows are of other, and run 1 has vendor@1"),
    ("mqm", [mark("e0", "r1", "x", "a", "Grave")], "No penalty is known for the severity"),
    ("mqm", [{}], "No row of it can be read."),
    ("mqm", MARKS, "Nobody of this project is known as 'r1'."),
    (
        "ratings",
        [{"item": "e0", "rater": "r1", "value": f"word {n}"} for n in range(30)],
        "30 different values of 'rating' make no scale",
    ),
]


def test_a_queue_that_cannot_be_made_is_refused(session: Session) -> None:
    laid = lay_down_project(session)
    run = take(session, laid, given(said_by(2))).run
    for source, rows, said in UNOPENED:
        with pytest.raises(InvalidInput) as refused:
            open_for(session, laid.project, "rated", source=source, rows=rows, run_id=run.id)
        assert said in str(refused.value)


def test_a_tsv_is_read_with_its_quotes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "mqm.tsv"
    path.write_text('system\ttarget\na\t"Hi," he said\n', encoding="utf-8")
    [record] = read_rated(str(path), "mqm").records
    assert record.values == {"system": "a", "target": '"Hi," he said'}
    path.write_text("system\ttarget\na\n", encoding="utf-8")
    with pytest.raises(UnreadableRecord, match="row 2: 1 cells under 2 columns"):
        read_rated(str(path), "mqm")


def test_added_raters_are_people_who_cannot_sign_in(session: Session) -> None:
    laid = lay_down_project(session)
    made = add_raters(session, laid.project, source="mqm", rows=MARKS)
    assert [(user.name, user.password_hash) for user in made] == [("r1", None), ("r2", None)]
    assert add_raters(session, laid.project, source="mqm", rows=MARKS) == []
    mapped = [{**MARKS[0], "rater": "theirs"}]
    assert not add_raters(session, laid.project, source="mqm", rows=mapped, people={"theirs": "r1"})
