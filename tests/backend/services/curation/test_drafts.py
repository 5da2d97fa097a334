"""The one door by which a model's drafts enter a training set, and attempts to get around it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput, LeakRefused
from backend.services import review
from backend.services.curation import (
    Recipe,
    ReplayPart,
    add_row,
    describe_set,
    freeze_training_set,
    guard_project,
    recipe_from_content,
    training_rows,
)
from backend.services.curation.candidates import CandidateRow, reference_row
from backend.services.curation.formats import FORMATS, export_rows
from backend.services.datasets.importing.rows import ColumnMap, rows_from_table
from backend.services.datasets.versions import (
    ExampleRow,
    import_dataset,
    list_examples,
    stored_rows,
)
from backend.services.exchange.review_imports import import_reviews
from backend.services.synthetic.desk import DraftState, drafts_progress
from backend.services.synthetic.draftings import drafts_of_drafting, get_drafting
from backend.services.training.files import freeze_documents
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example, Origin
from backend.tables.review import Review, ReviewQueue
from backend.tables.synthetic import Draft, SyntheticQueue
from evaluators.files.readers import FileTable
from tests.fixtures_copies import PreparedDatabase, prepare
from tests.fixtures_review import NOW, Desk
from tests.fixtures_synthetic import (
    DOCUMENTS,
    ask_documents,
    decide,
    draft_here,
    open_drafts,
    synthetic_project,
)

ALL = ReplayPart()


class Drafted:
    """A desk with a drafting of six drafts and its queue."""

    def __init__(self, session: Session) -> None:
        self.desk: Desk = synthetic_project(session)
        self.project = self.desk.project.id
        self.id = draft_here(session, self.project, ask_documents(DOCUMENTS[:6], n=6))
        self.queue: ReviewQueue = open_drafts(session, self.desk, self.id)
        self.expert = self.desk.experts[0]

    def freeze(self, session: Session, name: str = "t", **recipe: Any) -> TrainingSet:
        asked = {"queues": ["drafts"], **recipe}
        return freeze_training_set(
            session, project_id=self.project, name=name, recipe=recipe_from_content(asked)
        )

    def kept(self, session: Session) -> list[Draft]:
        return [d for d in drafts_of_drafting(session, self.id) if d.reason is None]

    def example(self, session: Session) -> Example:
        id_ = self.kept(session)[0].example_id
        assert id_ is not None
        return session.get_one(Example, id_)


def laid(sessions: sessionmaker[Session]) -> Drafted:
    with sessions.begin() as session:
        made = Drafted(session)
        session.expunge_all()
    return made


@pytest.fixture(scope="module")
def prepared(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedDatabase:
    return prepare(sqlite_template, tmp_path_factory.mktemp("drafted") / "strop.db", laid)


@pytest.fixture
def sqlite_url(prepared: PreparedDatabase, tmp_path: Path) -> str:
    """With what was drafted in it."""
    return prepared.copied(tmp_path / "strop.db")


@pytest.fixture
def drafted(sessions: sessionmaker[Session], prepared: PreparedDatabase) -> Drafted:
    """On both databases."""
    is_there = sessions.kw["bind"].dialect.name == "sqlite"
    made: Drafted = prepared.rows if is_there else laid(sessions)
    return made


@pytest.fixture
def on_sqlite(prepared: PreparedDatabase) -> Drafted:
    """Where no SQL of its own is asked."""
    made: Drafted = prepared.rows
    return made


def rows_of(session: Session, frozen: TrainingSet) -> list[TrainingSetRow]:
    query = select(TrainingSetRow).where(TrainingSetRow.training_set_id == frozen.id)
    return list(session.scalars(query.order_by(TrainingSetRow.position)))


def test_approved_and_corrected_drafts_enter_and_the_set_says_so(
    sessions: sessionmaker[Session], drafted: Drafted
) -> None:
    with sessions.begin() as session:
        decide(session, drafted.queue, drafted.expert)
        decide(session, drafted.queue, drafted.expert, correction="As I would say it.")
        decide(session, drafted.queue, drafted.expert, usable="no")
        decide(session, drafted.queue, drafted.expert, usable="no", correction="Not even so.")
    with sessions.begin() as session:
        frozen = drafted.freeze(session, references=ALL.model_dump(), dataset="tickets")
        rows = rows_of(session, frozen)
        facts = frozen.recipe["synthetic"]
        taught = [row for row in rows if row.source != "reference"]
        assert sorted(row.source for row in taught) == ["approved", "corrected"]
        assert "As I would say it." in [row.completion for row in taught]
        assert len(rows) == 8 + 2
        assert (facts["rows"], facts["of"], facts["share"]) == (2, 10, 0.2)
        assert facts["approved_by"] == [drafted.expert.pseudonym]
        assert list(facts["drafted_by"]) == ["base+drafts@1"]
        assert set(facts["drawn_from"]) <= {one.name for one in DOCUMENTS}
        said = " ".join(describe_set(frozen))
        assert "Synthetic: 2 of 10 rows (20%; 1 approved, 1 corrected by" in said
        assert "drafted by base+drafts@1 from plan-" in said
        told = [row.provenance for row in training_rows(session, frozen.id)]
        marked = [row for row in told if row.get("origin") == Origin.SYNTHETIC]
        assert {row["drafted_model"] for row in marked} == {"base+drafts@1"}
        states = [one.state for one in drafts_progress(session, get_drafting(session, drafted.id))]
        assert sorted(states) == sorted(
            [
                DraftState.APPROVED,
                DraftState.CORRECTED,
                *[DraftState.REFUSED] * 2,
                *[DraftState.WAITING] * 2,
            ]
        )


def test_nothing_enters_before_somebody_looked(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session, pytest.raises(InvalidInput, match="gives no row"):
        on_sqlite.freeze(session)


def test_a_withdrawn_approval_lets_nothing_in(
    sessions: sessionmaker[Session], drafted: Drafted
) -> None:
    with sessions.begin() as session:
        given = decide(session, drafted.queue, drafted.expert)
        other = decide(session, drafted.queue, drafted.expert)
        given.withdrawn_at = NOW
        kept = other.item.generation_a_id
    with sessions.begin() as session:
        (row,) = rows_of(session, drafted.freeze(session))
        assert row.generation_id == kept


def test_one_of_two_is_no_majority(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session:
        other = open_drafts(
            session,
            on_sqlite.desk,
            draft_here(session, on_sqlite.project, ask_documents(DOCUMENTS[6:8], n=2, name="two")),
            name="both",
            reviewer_ids=[one.id for one in on_sqlite.desk.experts[:2]],
            overlap=2,
            overlap_share=1.0,
        )
        first, second = on_sqlite.desk.experts[:2]
        said = {decide(session, other, first).item_id: "yes"}
        decide(session, other, first)
        for _ in range(2):
            claim = review.claim_review_item(session, other.id, second.id, now=NOW)
            assert claim is not None
            usable = "no" if claim.item_id in said else "yes"
            review.submit_review(
                session,
                slot_id=claim.slot_id,
                version=claim.version,
                user_id=second.id,
                answer=review.Answer(ratings={"usable": usable}),
                now=NOW,
            )
    with sqlite_sessions.begin() as session:
        frozen = on_sqlite.freeze(session, queues=["both"])
        assert frozen.n_rows == 1


def test_a_script_opens_only_a_set_that_says_it_is_simulated(
    sessions: sessionmaker[Session], drafted: Drafted
) -> None:
    with sessions.begin() as session:
        drafted.desk.experts[0].simulated = True
        decide(session, drafted.queue, drafted.expert, simulated=True)
    with sessions.begin() as session:
        frozen = drafted.freeze(session)
        assert frozen.simulated
        assert frozen.recipe["synthetic"]["simulated"] == 1
        assert "1 of them by simulated reviews" in " ".join(describe_set(frozen))
        guard, (row,) = guard_project(session, drafted.project), rows_of(session, frozen)
        honest = TrainingSet(
            project_id=drafted.project, name="h", recipe={}, digest="0" * 64, n_rows=1
        )
        session.add(honest)
        session.flush()
        given = session.get_one(Review, row.review_id)
        candidate = CandidateRow(
            "sft",
            "approved",
            given.item.generation_a.example,
            row.completion,
            generation=given.item.generation_a,
            reviews=(given,),
        )
        add_row(session, guard, honest, candidate, position=0)
        with pytest.raises(IntegrityError, match="drafted by a model"):
            session.flush()
        session.rollback()


def test_a_review_by_a_program_that_hides_it_opens_nothing(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session:
        given = decide(session, on_sqlite.queue, on_sqlite.expert)
        given.annotator_kind = "llm"
    with sqlite_sessions.begin() as session, pytest.raises(LeakRefused, match="a model drafted it"):
        on_sqlite.freeze(session)


def test_an_ordinary_queue_over_the_drafts_opens_nothing(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session:
        drafting = get_drafting(session, on_sqlite.id)
        queue = on_sqlite.desk.open(
            session,
            "aside",
            generation_run_id=drafting.run_id,
            model_ids=[drafting.model_version_id],
        )
        claim = review.claim_review_item(session, queue.id, on_sqlite.expert.id, now=NOW)
        assert claim is not None
        review.submit_review(
            session,
            slot_id=claim.slot_id,
            version=claim.version,
            user_id=on_sqlite.expert.id,
            answer=review.Answer(ratings={"faithful": "yes", "quality": 5, "problem": "none"}),
            now=NOW,
        )
        with pytest.raises(LeakRefused, match="set aside; the first: a model drafted it"):
            on_sqlite.freeze(
                session, queues=["aside"], approved={"criterion": "faithful", "equals": "yes"}
            )


@pytest.mark.parametrize("kind", ["correction", "approval"])
def test_raw_answers_to_briefs_never_enter(
    sessions: sessionmaker[Session], drafted: Drafted, kind: str
) -> None:
    with sessions.begin() as session:
        drafting = get_drafting(session, drafted.id)
        brief = list_examples(session, drafting.briefs_version_id)[0]
        frozen = TrainingSet(
            project_id=drafted.project, name=kind, recipe={}, digest="0" * 64, n_rows=1
        )
        session.add(frozen)
        session.flush()
        guard = guard_project(session, drafted.project)
        row = CandidateRow("sft", "corrected" if kind == "correction" else "approved", brief, "{}")
        with pytest.raises(LeakRefused, match="asks a model for a draft"):
            add_row(session, guard, frozen, row, position=0)
        with pytest.raises(IntegrityError, match="drafted by a model"), session.begin_nested():
            session.execute(raw_insert(frozen.id, brief.id))


def raw_insert(set_id: int, example_id: int, review_id: int | None = None) -> Any:
    return text(
        "INSERT INTO training_set_rows (training_set_id, position, kind, prompt, completion, "
        "source, example_id, review_id) VALUES "
        f"({set_id}, 0, 'sft', '[]', 'x', 'reference', {example_id}, {review_id or 'NULL'})"
    )


def test_the_database_refuses_what_passes_by_the_services(
    sessions: sessionmaker[Session], drafted: Drafted
) -> None:
    with sessions.begin() as session:
        example = drafted.example(session)
        frozen = TrainingSet(
            project_id=drafted.project, name="raw", recipe={}, digest="0" * 64, n_rows=1
        )
        session.add(frozen)
        session.flush()
        with pytest.raises(IntegrityError, match="drafted by a model"), session.begin_nested():
            session.execute(raw_insert(frozen.id, example.id))
        with pytest.raises(IntegrityError, match="never changed"), session.begin_nested():
            session.execute(update(Example).where(Example.id == example.id).values(origin=None))


def test_the_database_takes_a_yes_that_was_given_at_the_desk_alone(
    sessions: sessionmaker[Session], drafted: Drafted
) -> None:
    """Neither an imported answer, wherever it was put, nor an expert's no."""
    with sessions.begin() as session:
        yes, no = (decide(session, drafted.queue, drafted.expert, usable=u) for u in ("yes", "no"))
        drafting = get_drafting(session, drafted.id)
        aside = drafted.desk.open(
            session,
            "aside",
            generation_run_id=drafting.run_id,
            model_ids=[drafting.model_version_id],
        )
        claim = review.claim_review_item(session, aside.id, drafted.expert.id, now=NOW)
        assert claim is not None
        answer = review.Answer(ratings={"faithful": "yes", "quality": 5, "problem": "none"})
        given = review.submit_review(
            session,
            slot_id=claim.slot_id,
            version=claim.version,
            user_id=drafted.expert.id,
            answer=answer,
            now=NOW,
        )
        frozen = TrainingSet(
            project_id=drafted.project, name="raw", recipe={}, digest="0" * 64, n_rows=1
        )
        session.add(frozen)
        session.flush()
        elsewhere = session.get_one(Review, given.review_id)
        session.execute(
            update(Review).where(Review.id == elsewhere.id).values(source="label-studio")
        )
        for moved in ({"source": "argilla"}, {"source": "argilla", "state": "submitted"}):
            with pytest.raises(IntegrityError, match="is not changed"), session.begin_nested():
                session.execute(update(Review).where(Review.id == yes.id).values(**moved))
        with pytest.raises(IntegrityError, match="is not changed"), session.begin_nested():
            session.execute(
                update(Review).where(Review.id == elsewhere.id).values(item_id=yes.item_id)
            )
        copied = "item_id, slot_id, 99, reviewer_id, state, draft, annotator_kind, simulated, "
        copied += "active_seconds, started_at, 'argilla'"
        columns = copied.replace("99", "slot_version").replace("'argilla'", "source")
        with pytest.raises(IntegrityError, match="not by imported"), session.begin_nested():
            session.execute(
                text(
                    f"INSERT INTO reviews ({columns}) SELECT {copied} FROM reviews "
                    f"WHERE id = {yes.id}"
                )
            )
        session.add(
            SyntheticQueue(
                queue_id=aside.id, drafting_id=drafted.id, criterion="faithful", approves="yes"
            )
        )
        session.flush()
        for refused in (no, elsewhere):
            example_id = refused.item.generation_a.example_id
            with pytest.raises(IntegrityError, match="by a model"), session.begin_nested():
                session.execute(raw_insert(frozen.id, example_id, refused.id))
        session.execute(raw_insert(frozen.id, yes.item.generation_a.example_id, yes.id))


def bare(row: ExampleRow, answer: str, number: int = 0) -> ExampleRow:
    """A draft as an ordinary row, its mark taken off, its answer as the reference."""
    return replace(
        row,
        external_id=f"mine-{number}",
        origin=None,
        provenance=None,
        references=(answer,),
        group=None,
    )


def drafted_rows(session: Session, drafted: Drafted) -> list[tuple[ExampleRow, str]]:
    drafting = get_drafting(session, drafted.id)
    assert drafting.dataset_version_id is not None
    rows = {row.external_id: row for row in stored_rows(session, drafting.dataset_version_id)}
    examples = {e.id: e.external_id for e in list_examples(session, drafting.dataset_version_id)}
    kept = [d for d in drafted.kept(session) if d.example_id is not None]
    return [(rows[examples[d.example_id or 0]], d.answer or "") for d in kept]


EDITS = {
    "as it was": lambda row: row,
    "another case and punctuation": lambda row: replace(row, input=row.input.upper() + "!!"),
    "invisible characters": lambda row: replace(row, input=row.input.replace(" ", " \u200b")),
    "a word before it": lambda row: replace(row, input=f"Hello, {row.input}"),
    "without its document": lambda row: replace(row, context=None),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_draft_that_comes_back_as_a_row_of_ones_own_is_known_again(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted, edit: str
) -> None:
    with sqlite_sessions.begin() as session:
        mine = [
            EDITS[edit](bare(row, answer, n))
            for n, (row, answer) in enumerate(drafted_rows(session, on_sqlite))
        ]
        import_dataset(
            session,
            on_sqlite.project,
            "mine",
            [replace(row, split="train") for row in mine],
            source_name="mine.jsonl",
        )
    with sqlite_sessions.begin() as session, pytest.raises((InvalidInput, LeakRefused)):
        on_sqlite.freeze(session, queues=[], references={}, dataset="mine")
    with sqlite_sessions.begin() as session:
        ids = [e.id for e in session.scalars(select(Example)) if e.external_id == "mine-0"]
        with pytest.raises(LeakRefused, match="a model drafted"):
            on_sqlite.freeze(session, queues=[], examples=ids)


@pytest.mark.parametrize("name", [n for n, one in FORMATS.items() if one.kind == "sft"])
def test_the_mark_survives_our_exports_and_imports(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted, name: str
) -> None:
    """Also into another project, which knows nothing of the drafts."""
    with sqlite_sessions.begin() as session:
        for _ in range(3):
            decide(session, on_sqlite.queue, on_sqlite.expert)
        frozen = on_sqlite.freeze(session, references=ALL.model_dump(), dataset="tickets")
        lines = [
            json.loads(json.dumps(row))
            for row in export_rows(training_rows(session, frozen.id), name)
        ]
        read = rows_from_table(FileTable.of_rows("back", lines), ColumnMap())
        assert [row.origin for row in read].count(Origin.SYNTHETIC) == 3
        assert len(read) == 11
        other = synthetic_project_named(session, "elsewhere")
        import_dataset(
            session,
            other.project.id,
            "back",
            [replace(row, split="train") for row in read],
            source_name="back.jsonl",
        )
        taken = freeze_training_set(
            session,
            project_id=other.project.id,
            name="t",
            recipe=Recipe(dataset="back", references=ALL),
        )
        assert taken.n_rows == 8
        assert taken.recipe["n_refused"] == 3


def synthetic_project_named(session: Session, name: str) -> Desk:
    from tests.fixtures_review import build_desk

    return build_desk(session, splits={"train": 2}, name=name)


def test_marked_rows_are_never_held_out(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session:
        row = ExampleRow("x", "ask", references=("say",), split="test", origin=Origin.SYNTHETIC)
        with pytest.raises(InvalidInput, match="drafted by a model, and is in the test split"):
            import_dataset(session, on_sqlite.project, "odd", [row], source_name="odd.jsonl")


def test_drafts_are_no_documents_to_pretrain_on(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session, pytest.raises(LeakRefused, match="a model drafted it"):
        freeze_documents(session, on_sqlite.project, get_drafting(session, on_sqlite.id).name)


def test_a_human_row_that_was_there_before_is_no_draft_when_it_comes_again(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    """A model that copies a training row taints neither it nor its next import."""
    with sqlite_sessions.begin() as session:
        first = on_sqlite.desk.examples[0]
        said = json.dumps({"input": first.input, "answer": str(first.references[0])})
        draft_here(
            session,
            on_sqlite.project,
            ask_documents(DOCUMENTS[6:8], n=2, name="copies"),
            lambda request: said,
        )
        rows = stored_rows(session, first.dataset_version_id)
        more = replace(rows[0], external_id="new", input="Quite another thing", group="n")
        import_dataset(session, on_sqlite.project, "tickets", [*rows, more], source_name="again")
        frozen = on_sqlite.freeze(session, queues=[], references={}, dataset="tickets")
        assert (frozen.n_rows, frozen.recipe["n_refused"]) == (9, 0)


def test_the_most_of_synthetic_rows_is_kept_to(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session:
        for _ in range(6):
            decide(session, on_sqlite.queue, on_sqlite.expert)
        asked = {"references": {}, "dataset": "tickets"}
        capped = on_sqlite.freeze(session, "capped", synthetic_share_max=0.2, **asked)
        again = on_sqlite.freeze(session, "again", synthetic_share_max=0.2, **asked)
        without = on_sqlite.freeze(session, "without", without_synthetic=True, **asked)
        assert capped.recipe["synthetic"]["rows"] == 2
        assert capped.recipe["synthetic"]["left_out"] == 4
        assert capped.recipe["left_out"] == {"over the most of synthetic rows": 4}
        assert capped.digest == again.digest
        assert (without.n_rows, without.recipe["synthetic"]["rows"]) == (8, 0)
        with pytest.raises(InvalidInput):
            on_sqlite.freeze(session, "none", synthetic_share_max=0.2)


def test_checkers_learn_nothing_of_drafts(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    from backend.services.curation.sources import gather_sources

    with sqlite_sessions.begin() as session:
        decide(session, on_sqlite.queue, on_sqlite.expert)
        guard = guard_project(session, on_sqlite.project)
        found = gather_sources(session, on_sqlite.project, Recipe(queues=("drafts",)), guard)
        assert (len(found.reviews), len(found.drafted)) == (0, 1)


def test_a_withdrawal_while_a_set_is_frozen_is_before_or_after_it(
    sessions: sessionmaker[Session], drafted: Drafted
) -> None:
    with sessions.begin() as session:
        given = decide(session, drafted.queue, drafted.expert).id
        decide(session, drafted.queue, drafted.expert)
    errors: list[Exception] = []

    def withdraw() -> None:
        try:
            with sessions.begin() as session:
                session.get_one(Review, given).withdrawn_at = NOW
        except Exception as error:
            errors.append(error)

    other = threading.Thread(target=withdraw)
    other.start()
    with sessions.begin() as session:
        frozen = drafted.freeze(session)
        taught = {row.review_id for row in rows_of(session, frozen)}
    other.join()
    assert errors == []
    assert frozen.n_rows == len(taught)
    assert len(taught) in (1, 2)
    with sessions.begin() as session:
        after = drafted.freeze(session, "after")
        assert given not in {row.review_id for row in rows_of(session, after)}


def test_a_yes_from_another_tool_opens_nothing(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    """Whoever may import could else say yes in an expert's name."""
    answer = {"usable": "yes", "by": "anna"}
    with sqlite_sessions.begin() as session, pytest.raises(InvalidInput, match="at the desk alone"):
        import_reviews(session, on_sqlite.queue.id, [answer], source="ratings", now=NOW)
    with sqlite_sessions.begin() as session:
        done = decide(session, on_sqlite.queue, on_sqlite.expert)
        otherwise = update(Review).where(Review.id == done.id).values(source="ratings")
        with pytest.raises(IntegrityError, match="is not changed"), session.begin_nested():
            session.execute(otherwise)


def test_no_counterfactual_is_made_of_a_draft(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session:
        decide(session, on_sqlite.queue, on_sqlite.expert, correction="Emily has it from Emily.")
    with sqlite_sessions.begin() as session:
        frozen = on_sqlite.freeze(
            session, counterfactuals={"kinds": ["name", "gender"]}, references={}, dataset="tickets"
        )
        assert [row.source for row in rows_of(session, frozen)].count("corrected") == 1
        left_out = frozen.recipe["counterfactuals"]["left_out"]
        assert [n for why, n in left_out.items() if why.startswith("a model drafted")] == [1]


def test_a_reference_row_of_a_draft_is_refused_even_by_hand(
    sqlite_sessions: sessionmaker[Session], on_sqlite: Drafted
) -> None:
    with sqlite_sessions.begin() as session:
        example = on_sqlite.example(session)
        example.references = ["x"]
        session.flush()
        guard = guard_project(session, on_sqlite.project)
        frozen = TrainingSet(
            project_id=on_sqlite.project, name="hand", recipe={}, digest="0" * 64, n_rows=1
        )
        session.add(frozen)
        session.flush()
        with pytest.raises(LeakRefused, match="a model drafted it"):
            add_row(session, guard, frozen, reference_row(example), position=0)
