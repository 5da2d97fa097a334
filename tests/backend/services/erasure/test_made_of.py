"""With an example goes what was made of it: drafts with their briefs, pairs, originals."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationResult
from backend.errors import NotFound
from backend.services.datasets.masking.stored import (
    masker_of,
    read_original,
    set_masking_policy,
)
from backend.services.datasets.versions import import_dataset, list_examples
from backend.services.erasure.acts import ask_erasure, carry_out, erase_now
from backend.services.erasure.passages import BLACK
from backend.services.erasure.requests import find_examples_to_erase
from backend.services.projects import create_project
from backend.services.runs import generation
from backend.services.synthetic import batches, storing
from backend.services.synthetic.asking import lay_down
from backend.services.synthetic.draftings import get_drafting
from backend.services.synthetic.sifting import sift
from backend.services.verification import verify_records
from backend.settings import Settings
from backend.tables.datasets import Dataset, DatasetVersion, Example, Origin
from backend.tables.masking import ExampleMask, MaskedOriginal
from backend.tables.synthetic import Draft, DraftShape
from tests.backend.services.datasets.masking.conftest import KEYS, named_rows
from tests.backend.services.erasure.conftest import SECRET, House, build_house, everything_in, told
from tests.backend.services.erasure.test_examples import erase
from tests.fixtures_review import NOW
from tests.fixtures_synthetic import ask_documents, by_document, draft_here, synthetic_project


def _shown(session: Session, row: Example) -> set[int]:
    return set((row.provenance or {}).get("shown_example_ids", ()))


def _drawn(session: Session, project_id: int, origin: Origin) -> list[Example]:
    query = (
        select(Example)
        .join(DatasetVersion)
        .join(Dataset)
        .where(Dataset.project_id == project_id, Example.origin == origin)
    )
    return list(session.scalars(query.order_by(Example.id)))


def test_drafts_and_briefs_that_were_shown_it_go(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        project_id = synthetic_project(session).project.id
        draft_here(session, project_id, ask_documents(n=10))
        briefs = _drawn(session, project_id, Origin.BRIEF)
        shown = min(set().union(*(_shown(session, brief) for brief in briefs)))
        text = session.get_one(Example, shown).input
        naming = {row.id for row in briefs if shown in _shown(session, row)}
        drafted = _drawn(session, project_id, Origin.SYNTHETIC)
        naming |= {row.id for row in drafted if shown in _shown(session, row)}
        others = {row.id for row in [*briefs, *drafted]} - naming
        assert others
        wanted = find_examples_to_erase(session, project_id, str(shown), copies=False)
        assert naming <= set(wanted.example_ids)
        assert not others & set(wanted.example_ids)
        erasure = ask_erasure(session, project_id, wanted, reason="x", by_id=None, now=NOW)
    carry_out(sessions, settings, erasure.id, now=NOW)
    with sessions() as session:
        assert text not in everything_in(session)
        gone = session.scalars(select(Draft).where(Draft.brief_id.in_(naming)))
        assert all((draft.answer or "Erased").startswith("Erased") for draft in gone)
        assert all(record.same for record in verify_records(session))


def test_a_drafting_that_is_under_way_ends_without_what_was_drawn_from_it(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    say = by_document()
    with sessions.begin() as session:
        project_id = synthetic_project(session).project.id
        drafting_id = lay_down(session, project_id, ask_documents(n=10)).drafting.id
        run_id = batches.next_batch(session, drafting_id)
        assert run_id is not None
        asked = generation.pending_requests(session, run_id)
        told = [GenerationResult(one.key, text=say(one)) for one in asked]
        generation.save_generations(session, run_id, told)
        drafting = get_drafting(session, drafting_id)
        read = sift(
            *batches.read_batch(session, drafting, run_id), shape=DraftShape(drafting.shape)
        )
    with sessions.begin() as session:
        brief = _drawn(session, project_id, Origin.BRIEF)[0]
        wanted = find_examples_to_erase(session, project_id, str(min(_shown(session, brief))))
        erasure = ask_erasure(session, project_id, wanted, reason="x", by_id=None, now=NOW)
        erase_now(session, erasure.id, settings, now=NOW)
    with sessions.begin() as session:
        drafting = get_drafting(session, drafting_id)
        batches.save_drafts(session, drafting_id, read)  # what was read before the erasure
        assert batches.next_batch(session, drafting_id) == run_id
        again = batches.read_batch(session, drafting, run_id)
        batches.save_drafts(session, drafting_id, sift(*again, shape=DraftShape(drafting.shape)))
        assert batches.next_batch(session, drafting_id) != run_id
        storing.finish(session, drafting_id, now=NOW)
        kept = _drawn(session, project_id, Origin.SYNTHETIC)
        assert kept
        assert not any(row.input.startswith("Erased on") for row in kept)
        assert not any(set(wanted.example_ids) & _shown(session, row) for row in kept)


def test_two_erasures_of_the_same_row_at_once(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    """Both were asked before either was carried out: the later one finds nothing left, and what
    the first put in place of the texts is no text that it looks for.
    """
    with sessions.begin() as session:
        house = build_house(session, settings)
        project_id = house.desk.project.id
        first, second = (
            ask_erasure(
                session,
                project_id,
                find_examples_to_erase(session, project_id, "tickets:train-0"),
                reason="withdrawn by the patient herself",
                by_id=None,
                now=NOW,
            )
            for _ in range(2)
        )
        other = find_examples_to_erase(session, project_id, "tickets:train-1")
        third = ask_erasure(
            session,
            project_id,
            other,
            reason="withdrawn by the patient herself",
            by_id=None,
            now=NOW,
        )
    carry_out(sessions, settings, first.id, now=NOW)
    with sessions() as session:
        said = session.get_one(Example, house.example_id).input
        seen = everything_in(session).count(said)
    again = carry_out(sessions, settings, second.id, now=NOW)
    assert again.state == "done"
    assert again.found["elsewhere"] == {}
    assert again.found["rows"].get("examples", 0) == 0
    carry_out(sessions, settings, third.id, now=NOW)
    with sessions() as session:
        assert session.get_one(Example, house.example_id).input == said
        assert everything_in(session).count(said) > seen
        assert BLACK not in session.get_one(Example, house.example_id).input
        assert all(record.same for record in verify_records(session))


def test_with_a_masked_example_its_sealed_original_goes(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        project_id = create_project(session, "masks", base_model="tiny").id
        set_masking_policy(session, project_id, "", keys=KEYS)
        masker = masker_of(session, project_id, KEYS)
        assert masker is not None
        rows = masker.mask(named_rows())
        version = import_dataset(session, project_id, "notes", rows, source_name="f")
        first, *others = (example.id for example in list_examples(session, version.id))
        sealed = session.get_one(MaskedOriginal, first).sealed
        wanted = find_examples_to_erase(session, project_id, str(first))
        erasure = ask_erasure(session, project_id, wanted, reason="x", by_id=None, now=NOW)
    carry_out(sessions, settings, erasure.id, now=NOW)
    with sessions() as session:
        assert session.get(MaskedOriginal, first) is None
        assert session.get(ExampleMask, first) is None
        assert sealed not in everything_in(session)
        assert read_original(session, others[0], KEYS)
        with pytest.raises(NotFound):
            read_original(session, first, KEYS)
        again = masker.mask(named_rows())
        later = import_dataset(session, project_id, "again", again, source_name="f")
        assert later.n_examples == len(rows) - 1


def test_logs_are_blacked_out_where_they_stand(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    log = house.settings.home / "worker.log"
    before = b"\xff start \xc3\xbc\n" + told("Source").encode() + "\nüber the end\n".encode()
    log.write_bytes(before)
    with log.open("ab") as stream:
        erase(sqlite_sessions, house)
        stream.write(b"goes on\n")
    said = log.read_bytes()
    assert SECRET.encode() not in said
    assert len(said) == len(before) + len(b"goes on\n")
    assert said.startswith(b"\xff start \xc3\xbc\n###")
    assert said.endswith("#\nüber the end\ngoes on\n".encode())
