"""What drafts may be drawn from, and what never."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, LeakRefused, NotFound, UnknownName
from backend.services.datasets.versions import (
    ExampleRow,
    import_dataset,
    list_examples,
    stored_rows,
)
from backend.services.review import Answer
from backend.services.synthetic.asking import DraftAsk, lay_down
from backend.services.synthetic.draftings import get_drafting
from backend.services.synthetic.sources.documents import TitledText, passages, read_documents
from backend.services.synthetic.sources.sources import (
    SourceAsk,
    find_sources,
    parse_slice,
    version_of,
)
from backend.tables.datasets import Split
from backend.tables.runs import GenerationRun
from backend.tables.synthetic import DraftShape, SourceKind
from tests.fixtures_review import BAD, Desk, review_next, run_over, score_answers
from tests.fixtures_synthetic import DOCUMENTS, ask_documents, draft_here, synthetic_project


@pytest.fixture
def desk(sqlite_sessions: sessionmaker[Session]) -> Desk:
    with sqlite_sessions.begin() as session:
        made = synthetic_project(session)
        session.expunge_all()
    return made


def found(session: Session, desk: Desk, ask: SourceAsk) -> Any:
    version = version_of(session, desk.project.id, ask)
    return find_sources(session, desk.project.id, ask, version)


def split_run(session: Session, desk: Desk, split: str) -> GenerationRun:
    return run_over(session, desk, desk.version, split=split)


def test_failures_of_the_test_split_are_refused_in_a_sentence(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        run = split_run(session, desk, "test")
        ask = SourceAsk(SourceKind.FAILURES, run_id=run.id, worse_than="rougeL<0.9")
        with pytest.raises(LeakRefused, match="is on the test split: what failed there may not"):
            found(session, desk, ask)


def test_a_validation_failure_is_drafted_from_without_its_answer(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        run = split_run(session, desk, "validation")
        score_answers(session, run, "rougeL")
        run.split = "all"
        ask = SourceAsk(SourceKind.FAILURES, run_id=run.id, worse_than="rougeL<0.95")
        sources = found(session, desk, ask)
        splits = {one.example.split for one in sources.sources}
        assert splits == {Split.VALIDATION}
        assert "3 failures are of the validation split" in sources.notes[0]
        held = [one for one in sources.sources if one.example.split == Split.VALIDATION]
        assert [(one.answer, one.text) for one in held] == [(None, None)] * 3
        assert {one.group for one in held} == {f"validation-{n}" for n in range(3)}


def test_failures_by_reviews_show_what_the_expert_wrote_and_none_is_tested(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        queue = desk.open(session, "q")
        for _ in range(15):
            review_next(session, queue, desk.experts[0], Answer(ratings=BAD, correction="Better."))
        sources = found(session, desk, SourceAsk(SourceKind.FAILURES, run_id=desk.run.id))
        trained = [one for one in sources.sources if one.example.split == Split.TRAIN]
        assert {one.example.split for one in sources.sources} == {
            Split.TRAIN,
            Split.VALIDATION,
        }
        assert {one.answer for one in trained} == {"Better."}
        assert len(trained) == 8


def test_without_a_failure_it_says_how_to_name_one(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        for options, said in (
            ({}, "has no failure by reviews"),
            ({"worse_than": "rougeL<0.1"}, "was not scored by rougeL"),
            ({"worse_than": "bad"}, "says no bound"),
        ):
            ask = SourceAsk(SourceKind.FAILURES, run_id=desk.run.id, **options)
            with pytest.raises(InvalidInput, match=said):
                found(session, desk, ask)
        with pytest.raises(NotFound):
            found(session, desk, SourceAsk(SourceKind.FAILURES, run_id=999))


def test_documents_that_repeat_what_is_held_out_are_refused(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        held = ExampleRow(
            "t", "What of it?", context=DOCUMENTS[0].text, references=("x",), split="test"
        )
        train = ExampleRow(
            "u", "Another?", context="Quite another text.", references=("y",), split="train"
        )
        import_dataset(session, desk.project.id, "sheets", [held, train], source_name="sheets")
        reworded = replace(DOCUMENTS[0], text=DOCUMENTS[0].text.upper() + "\n\nPrinted in May.")
        given = (reworded, *DOCUMENTS[1:3])
        sources = found(session, desk, SourceAsk(SourceKind.DOCUMENTS, documents=given))
        assert [one.name for one in sources.sources] == ["plan-1.txt", "plan-2.txt"]
        assert "held out as 't' (test of sheets version 1)" in sources.refused["plan-0.txt"]
        with pytest.raises(LeakRefused, match="All 1 sources are refused"):
            found(session, desk, SourceAsk(SourceKind.DOCUMENTS, documents=(reworded,)))


def test_a_document_of_known_examples_has_their_group_and_a_tested_group_is_no_source(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        rows = [
            ExampleRow(
                "a", "One?", context=DOCUMENTS[0].text, references=("x",), group="g", split="train"
            ),
            ExampleRow(
                "b", "Two?", context=DOCUMENTS[1].text, references=("x",), group="h", split="train"
            ),
            ExampleRow("c", "Three?", context="Else.", references=("x",), group="h", split="test"),
        ]
        import_dataset(session, desk.project.id, "sheets", rows, source_name="sheets")
        ask = SourceAsk(SourceKind.DOCUMENTS, documents=DOCUMENTS[:3], dataset="sheets")
        sources = found(session, desk, ask)
        assert (sources.sources[0].name, sources.sources[0].group) == ("plan-0.txt", "g")
        assert len(sources.sources) == 2
        assert "has examples in the test split" in sources.refused["plan-1.txt"]


def test_a_slice_gives_its_train_examples_alone(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        rows = [
            replace(row, slices={"language": "de" if n % 2 else "en"})
            for n, row in enumerate(stored_rows(session, desk.version.id))
        ]
        import_dataset(session, desk.project.id, "tickets", rows, source_name="again")
        ask = SourceAsk(SourceKind.SLICE, slice=parse_slice("language=de"), dataset="tickets")
        sources = found(session, desk, ask)
        assert {one.example.split for one in sources.sources} == {Split.TRAIN}
        assert {tuple(one.slices.items()) for one in sources.sources} == {(("language", "de"),)}
        assert all(one.answer for one in sources.sources)
        strange = SourceAsk(SourceKind.SLICE, slice=("language", "fr"), dataset="tickets")
        with pytest.raises(InvalidInput, match="No train example") as error:
            found(session, desk, strange)
        assert "language=de" in str(error.value.hint)
    with pytest.raises(InvalidInput):
        parse_slice("de")


def test_briefs_show_train_examples_of_other_groups_and_no_held_out_text(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        laid = lay_down(session, desk.project.id, ask_documents(n=20, shots=3)).drafting
        briefs = list_examples(session, laid.briefs_version_id)
        told = " ".join(brief.input for brief in briefs)
        assert "train call" in told
        assert "test call" not in told
        assert "validation call" not in told
        assert len({brief.input for brief in briefs}) > 10
        assert len(briefs) == 60


def test_examples_that_share_an_input_are_drafted_as_answers(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        rows = [
            ExampleRow(
                f"n{n}",
                "Write the note.",
                context=f"Talk number {n} about matter {n * 7}.",
                references=(f"Note {n}",),
                split="train",
            )
            for n in range(6)
        ]
        import_dataset(session, desk.project.id, "notes", rows, source_name="notes")
        laid = lay_down(session, desk.project.id, ask_documents(DOCUMENTS[:2], n=2)).drafting
        assert laid.shape == DraftShape.ANSWER
        assert laid.asked["given_input"] == "Write the note."
        other = lay_down(session, desk.project.id, ask_documents(n=2, given_input="")).drafting
        assert other.shape == DraftShape.PAIR


def test_what_cannot_be_asked_for(sqlite_sessions: sessionmaker[Session], desk: Desk) -> None:
    with sqlite_sessions.begin() as session:
        for options in ({"n": 0}, {"n": 10**6}, {"shots": -1}, {"temperature": 3.0}, {"top_p": 0}):
            with pytest.raises(InvalidInput):
                lay_down(session, desk.project.id, ask_documents(**options))
        with pytest.raises(UnknownName):
            lay_down(session, desk.project.id, ask_documents(engine="steam"))
        with pytest.raises(NotFound):
            lay_down(session, desk.project.id, ask_documents(model="v9"))
        with pytest.raises(InvalidInput, match="no encoder"):
            lay_down(session, desk.project.id, ask_documents(encoder="../../etc"))
        lay_down(session, desk.project.id, ask_documents(name="mine"))
        for taken in ("mine", "tickets"):
            with pytest.raises(Conflict):
                lay_down(session, desk.project.id, ask_documents(name=taken))
        ask = DraftAsk(SourceAsk(SourceKind.SLICE, slice=("a", "b")), given_input="x")
        with pytest.raises(InvalidInput, match="only documents are answered"):
            lay_down(session, desk.project.id, ask)


def test_a_later_drafting_repeats_no_draft_of_an_earlier_one(
    sqlite_sessions: sessionmaker[Session], desk: Desk
) -> None:
    with sqlite_sessions.begin() as session:
        draft_here(session, desk.project.id, ask_documents(n=10, name="one"))
        second = draft_here(session, desk.project.id, ask_documents(n=10, name="two"))
        figures = get_drafting(session, second).figures
        assert figures is not None
        assert figures["dropped"]["like_draft"] >= 10


def test_documents_are_read_and_cut_at_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n\n" + "Two is long. " * 300, "utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "Three.", "name": "three"}\n\n', "utf-8")
    (tmp_path / "c.md").write_text("One.\n\n" + "Two is long. " * 300, "utf-8")
    (tmp_path / "d.pdf").write_bytes(b"%PDF")
    read = read_documents(tmp_path)
    assert [one.name for one in read] == ["a.txt", "three"]
    pieces = passages(read[0].text)
    assert len(pieces) == 2
    assert max(map(len, pieces)) <= 3000
    assert "".join(pieces).replace(" ", "") == read[0].text.replace("\n", "").replace(" ", "") or (
        pieces[0].startswith("One.")
    )
    assert passages("x" * 7000) == ["x" * 3000, "x" * 3000, "x" * 1000]
    for name, content in (("e.txt", b"\xff\xfe"), ("f.jsonl", b'{"txt": 1}'), ("g.txt", b"a\x00b")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput):
            read_documents(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no document"):
        read_documents(tmp_path / "empty")


def test_a_document_has_its_digest() -> None:
    assert TitledText("a", "x").sha256 == TitledText("b", "x").sha256
