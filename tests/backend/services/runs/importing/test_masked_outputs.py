"""Outputs written elsewhere come into a masking project masked, consistent with their example."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backend.db import Base
from backend.errors import Conflict, InvalidInput
from backend.services.datasets.masking.keys import keys_of
from backend.services.datasets.masking.stored import masker_of, set_masking_policy
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.projects import create_project
from backend.services.runs.importing.imported import Imported, import_outputs
from backend.services.runs.importing.masked_outputs import mask_outputs
from backend.services.runs.importing.output_rows import ImportedOutput, ImportedOutputs
from backend.tables.datasets import Example
from backend.tables.runs import Generation
from tests.backend.services.datasets.masking.conftest import words_told

KEYS = keys_of("a key of the tests with enough bytes in it")
NOTE = (
    "Summarise the visit: Mrs Anna Kowalczyk, born 03/04/1961, MRN 4432118, was seen by Dr. Smith "
    "on 2024-03-01 and again on 2024-03-15."
)
SECRETS = ("Kowalczyk", "4432118", "1961", "2024-03-01", "Novakova", "555-0199")


@dataclass(frozen=True)
class Desk:
    session: Session
    project_id: int

    def take(self, *texts: str | None, ids: Sequence[str] = ("n1",), **said: str) -> Imported:
        rows = [
            ImportedOutput(n, ids[n % len(ids)], "vendor", n // len(ids), text=one, **said)
            for n, one in enumerate(texts)
        ]
        given = ImportedOutputs("out.jsonl", rows)
        masked = mask_outputs(self.session, self.project_id, given, KEYS, dataset="notes")
        return import_outputs(self.session, self.project_id, masked, dataset="notes")

    def stored(self) -> list[str]:
        query = select(Generation.text).order_by(Generation.sample)
        return [found or "" for found in self.session.scalars(query)]

    @property
    def example(self) -> Example:
        return self.session.scalars(select(Example).order_by(Example.id)).first() or Example()


def _desk(session: Session, policy: str = "", id_: str = "n1") -> Desk:
    project_id = create_project(session, "desk", base_model="tiny").id
    set_masking_policy(session, project_id, policy, keys=KEYS)
    masker = masker_of(session, project_id, KEYS)
    assert masker is not None
    rows = masker.mask([ExampleRow(id_, NOTE, None, ("Seen.",), None, {}, "test")])
    import_dataset(session, project_id, "notes", rows, source_name="notes.jsonl")
    return Desk(session, project_id)


def _nowhere(session: Session, words: Sequence[str] = SECRETS) -> None:
    for table in Base.metadata.sorted_tables:
        for row in session.execute(text(f'SELECT * FROM "{table.name}"')).mappings():
            said = json.dumps(dict(row), default=str, ensure_ascii=False)
            assert words_told(said, words) == [], table.name


def test_what_the_original_says_gets_the_surrogate_of_the_example(session: Session) -> None:
    desk = _desk(session)
    desk.take("Anna Kowalczyk (MRN 4432118) was seen on 2024-03-01.")
    (said,) = desk.stored()
    name = desk.example.input.split("Mrs ")[1].split(",")[0]
    number = desk.example.input.split("MRN ")[1].split(",")[0]
    day = desk.example.input.split(" on ")[1].split(" and ")[0]
    assert said == f"{name} (MRN {number}) was seen on {day}."
    _nowhere(session)


def test_what_was_written_of_the_masked_row_stays_as_it_is(session: Session) -> None:
    desk = _desk(session)
    name = desk.example.input.split("Mrs ")[1].split(",")[0]
    day = desk.example.input.split(" on ")[1].split(" and ")[0]
    year, month, date = day.split("-")
    written = f"Mrs {name.split()[-1]} was seen on {day}, that is {int(date)}/{int(month)}/{year}."
    desk.take(written)
    assert desk.stored() == [written]


def test_who_stands_in_no_example_is_masked_too(session: Session) -> None:
    desk = _desk(session)
    desk.take("Call Mrs Jana Novakova, (217) 555-0199.")
    (said,) = desk.stored()
    assert said.startswith("Call Mrs ")
    _nowhere(session)


def test_the_same_file_again_is_taken_once(session: Session) -> None:
    desk = _desk(session)
    first = desk.take("Anna Kowalczyk was seen.")
    assert desk.take("Anna Kowalczyk was seen.").repeated
    assert not first.repeated


@pytest.mark.parametrize("policy", ["originals: drop", "replace: placeholder"])
def test_no_original_is_stored_by_any_policy(session: Session, policy: str) -> None:
    desk = _desk(session, policy)
    desk.take("Anna Kowalczyk (MRN 4432118) was seen on 2024-03-01.", "Mrs Jana Novakova came.")
    _nowhere(session)


def test_ids_of_before_are_known(session: Session) -> None:
    desk = _desk(session, id_="MRN-4432118")
    assert desk.example.external_id != "MRN-4432118"
    desk.take("She was seen.", ids=("MRN-4432118",))
    assert desk.stored() == ["She was seen."]
    _nowhere(session)


def test_an_input_of_before_is_held_against_the_original(session: Session) -> None:
    desk = _desk(session)
    desk.take("She was seen.", input=NOTE)
    _nowhere(session)
    with pytest.raises(InvalidInput, match="the input is not what the example"):
        desk.take("She left.", input="What does the tariff cost?")


def test_an_error_is_masked(session: Session) -> None:
    desk = _desk(session)
    desk.take("She was seen.", "ok", ids=("n1",))
    rows = [ImportedOutput(1, "n1", "other", error="refused: Mrs Jana Novakova")]
    given = ImportedOutputs("out.jsonl", rows)
    masked = mask_outputs(session, desk.project_id, given, KEYS, dataset="notes")
    import_outputs(session, desk.project_id, masked, dataset="notes")
    _nowhere(session)


def test_why_an_output_ended_is_masked(session: Session) -> None:
    desk = _desk(session)
    desk.take("She was seen.", finish_reason="left by Mrs Anna Kowalczyk")
    desk.take("She left.", finish_reason="length")
    _nowhere(session)
    assert desk.session.scalars(select(Generation.finish_reason)).all()[-1] == "length"


def test_a_row_of_no_example_does_not_pass_unmasked(session: Session) -> None:
    """A version that comes in between masking and import could have its id."""
    desk = _desk(session)
    rows = [
        ImportedOutput(1, "n1", "vendor", text="ok"),
        ImportedOutput(2, "n9", "vendor", text="Anna"),
    ]
    with pytest.raises(InvalidInput, match="1 of 2 ids is not in"):
        mask_outputs(
            session, desk.project_id, ImportedOutputs("out.jsonl", rows), KEYS, dataset="notes"
        )


def test_unmasked_outputs_are_refused(session: Session) -> None:
    desk = _desk(session)
    given = ImportedOutputs("out.jsonl", [ImportedOutput(1, "n1", "vendor", text="Anna Kowalczyk")])
    with pytest.raises(InvalidInput, match="these outputs are not masked"):
        import_outputs(session, desk.project_id, given, dataset="notes")
    with pytest.raises(InvalidInput, match="STROP_MASKING_KEY is not set"):
        mask_outputs(session, desk.project_id, given, [], dataset="notes")
    other = keys_of("another key of the tests with enough bytes")
    with pytest.raises(Conflict, match="was set with"):
        mask_outputs(session, desk.project_id, given, other, dataset="notes")


def test_outputs_of_rows_of_before_the_policy_are_refused(session: Session) -> None:
    project_id = create_project(session, "desk", base_model="tiny").id
    rows = [ExampleRow("n1", NOTE, None, ("Seen.",), None, {}, "test")]
    import_dataset(session, project_id, "notes", rows, source_name="notes.jsonl")
    set_masking_policy(session, project_id, "", keys=KEYS)
    given = ImportedOutputs("out.jsonl", [ImportedOutput(1, "n1", "vendor", text="Seen.")])
    with pytest.raises(InvalidInput, match="came in before the project's masking policy"):
        mask_outputs(session, project_id, given, KEYS, dataset="notes")
