"""Masking of a project: what comes in, what is kept, who may look, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, Forbidden, InvalidInput, LeakRefused, NotFound
from backend.services.accounts.users import add_member, create_user
from backend.services.curation.recipes import Recipe, ReplayPart
from backend.services.curation.sets import freeze_training_set
from backend.services.datasets.importing.masked_import import prepare_masked
from backend.services.datasets.leaks import Acceptance
from backend.services.datasets.masking.files import texts_of
from backend.services.datasets.masking.keys import keys_of
from backend.services.datasets.masking.stored import (
    find_policy,
    look_at_original,
    masker_of,
    masking_facts,
    read_original,
    refuse_unmasked_version,
    set_masking_policy,
)
from backend.services.datasets.versions import (
    DatasetVersion,
    ExampleRow,
    import_dataset,
    list_examples,
    store_import,
    unsplit_rows,
)
from backend.services.projects import create_project
from backend.tables.audit import AuditEntry
from backend.tables.masking import ExampleMask, MaskedOriginal
from tests.backend.services.datasets.masking.conftest import KEY, KEYS, SECRETS, named_rows
from tests.fixtures_review import NOW

OTHER = "another key of the tests with enough bytes"


def bring_in(
    session: Session, project_id: int, rows: list[ExampleRow], name: str = "notes"
) -> DatasetVersion:
    masker = masker_of(session, project_id, KEYS)
    assert masker is not None
    return import_dataset(session, project_id, name, masker.mask(rows), source_name="a.jsonl")


@pytest.fixture
def masking(session: Session, project_id: int) -> int:
    set_masking_policy(session, project_id, "", keys=KEYS)
    return project_id


def test_nothing_is_masked_until_a_policy_is_set(session: Session, project_id: int) -> None:
    assert masker_of(session, project_id, KEYS) is None
    version = import_dataset(session, project_id, "notes", named_rows(), source_name="a")
    assert "Kowalczyk" in list_examples(session, version.id)[0].input
    assert masking_facts(session, project_id).n_unmasked == 3


def test_rows_are_stored_masked_with_spans_and_sealed_originals(
    session: Session, masking: int
) -> None:
    version = bring_in(session, masking, named_rows())
    for example in list_examples(session, version.id):
        whole = json.dumps(
            [
                *(example.input, example.messages, example.context, example.references),
                *(example.group, example.external_id),
            ],
            ensure_ascii=False,
        )
        assert not [word for word in SECRETS if word in whole]
        mask = session.get_one(ExampleMask, example.id)
        kept = session.get_one(MaskedOriginal, example.id)
        assert not [word for word in SECRETS if word in kept.sealed]
        assert {span["field"].split(".")[0] for span in mask.spans} <= {
            "input",
            "messages",
            "context",
            "references",
        }
    first = list_examples(session, version.id)[0]
    found = read_original(session, first.id, KEYS)
    assert found["input"] == named_rows()[0].input
    assert (found["id"], found["group"]) == ("MRN-4432118", "Kowalczyk")
    facts = masking_facts(session, masking)
    assert (facts.n_masked, facts.n_unmasked) == (3, 0)
    assert facts.by_kind["PERSON"] >= 6
    assert facts.originals == {KEYS[0].key_id: 3}


def test_spans_are_where_surrogates_stand(session: Session, masking: int) -> None:
    version = bring_in(session, masking, named_rows())
    for example, row in zip(
        list_examples(session, version.id), unsplit_rows(session, version.id), strict=True
    ):
        texts = texts_of(row)
        for span in session.get_one(ExampleMask, example.id).spans:
            piece = texts[span["field"]][span["start"] : span["end"]]
            assert piece
            assert piece == piece.strip()
            assert piece[0].isalnum() or piece[0] in "(+"


def test_input_context_and_reference_tell_of_the_same_person(
    session: Session, masking: int
) -> None:
    version = bring_in(session, masking, named_rows())
    example = list_examples(session, version.id)[0]
    name = example.references[0].split(" (")[0]
    family = name.split()[1]
    assert name in example.input
    assert f"{family} was seen" in (example.context or "")
    number = example.references[0].split("MRN ")[1].split(")")[0]
    assert f"MRN {number}." in (example.context or "")
    assert example.references[0][-11:] == (example.context or "")[-11:]


def test_the_same_file_twice_is_one_version(session: Session, masking: int) -> None:
    first = bring_in(session, masking, named_rows())
    assert bring_in(session, masking, named_rows()).id == first.id
    assert masking_facts(session, masking).n_masked == 3


def test_what_repeats_what_is_told_by_the_originals(session: Session, masking: int) -> None:
    """So that a training row that repeats a test prompt is still found to do so."""
    letter = "Please write to Mr. Henry Foster that his claim of last week has been settled"
    rows = [
        ExampleRow("a", f"{letter}.", references=("Dear Mr. Foster",), split="train"),
        ExampleRow("b", f"{letter.lower()}!", references=("Hello",), split="test"),
        ExampleRow("c", f"{letter}.", references=("Hello",), split="train"),
    ]
    masker = masker_of(session, masking, KEYS)
    assert masker is not None
    prepared = prepare_masked(rows, masker, source_name="f")
    assert len(prepared.leaks) == 2
    assert prepared.rows[0].input == prepared.rows[2].input != prepared.rows[1].input
    assert "Foster" not in str([(row.input, row.references) for row in prepared.rows])
    bare = prepare_masked(rows, None, source_name="f")
    assert bare.rows == rows
    assert [x.may_be_accepted for x in prepared.leaks] == [x.may_be_accepted for x in bare.leaks]


def test_a_refusal_of_leaks_shows_no_original_and_is_accepted_for_good(
    session: Session, masking: int
) -> None:
    letter = "Please write to Mr. Henry Foster that his claim of last week has been settled"
    rows = [
        ExampleRow(
            "a", f"{letter} in full.", references=("Dear Mr. Foster, settled.",), split="train"
        ),
        ExampleRow("b", f"{letter}.", references=("Dear Mr. Foster, settled.",), split="test"),
    ]
    masker = masker_of(session, masking, KEYS)
    prepared = prepare_masked(rows, masker, source_name="f")
    assert prepared.leaks
    with pytest.raises(LeakRefused) as refused:
        store_import(session, masking, "letters", prepared)
    assert "Foster" not in json.dumps([refused.value.message, refused.value.findings])
    person = create_user(session, "Ada", "admin")
    word = Acceptance(person.id, "they were settled both", NOW)
    store_import(session, masking, "letters", prepared, accept_leaks=word)
    recipe = Recipe(dataset="letters", references=ReplayPart(count=1))
    frozen = freeze_training_set(session, project_id=masking, name="s", recipe=recipe)
    assert frozen.n_rows == 1  # who accepted it once is not asked again


def test_surrogates_are_shared_by_a_group_where_the_policy_says_so(
    session: Session, project_id: int
) -> None:
    rows = [
        ExampleRow(str(n), f"Call Mr. Henry Foster about {n}.", group="g", references=("x",))
        for n in range(6)
    ]
    names = {}
    for consistent in ("document", "group"):
        set_masking_policy(session, project_id, f"consistent: {consistent}", keys=KEYS)
        masker = masker_of(session, project_id, KEYS)
        assert masker is not None
        names[consistent] = {row.input.split(" about")[0] for row in masker.mask(rows)}
    assert len(names["group"]) == 1
    assert len(names["document"]) > 1


def test_a_split_keeps_masks_and_originals(session: Session, masking: int) -> None:
    version = bring_in(session, masking, named_rows())
    rows = unsplit_rows(session, version.id)
    again = import_dataset(session, masking, "notes", rows, source_name="split", seed=3)
    assert again.id != version.id
    for example in list_examples(session, again.id):
        assert read_original(session, example.id, KEYS)["input"]
        assert session.get_one(ExampleMask, example.id)


def test_unmasked_rows_are_refused_once_a_policy_stands(session: Session, project_id: int) -> None:
    old = import_dataset(session, project_id, "old", named_rows(), source_name="a")
    set_masking_policy(session, project_id, "", keys=KEYS)
    with pytest.raises(InvalidInput, match="3 of 3 rows are not masked"):
        import_dataset(session, project_id, "new", named_rows(), source_name="a")
    rows = unsplit_rows(session, old.id)
    with pytest.raises(InvalidInput, match="not masked"):
        import_dataset(session, project_id, "old", rows, source_name="split")
    with pytest.raises(InvalidInput, match="came in before the project's masking policy"):
        refuse_unmasked_version(session, project_id, old.id, "A run is refused")
    refuse_unmasked_version(
        session, project_id, bring_in(session, project_id, named_rows()).id, "A run is refused"
    )


def test_what_was_drafted_here_counts_as_masked_and_documents_do_not(
    session: Session, masking: int
) -> None:
    draft = ExampleRow("d", "A draft.", references=("x",), split="train", origin="synthetic")
    made = replace(draft, provenance={"drafting": 1})
    version = import_dataset(session, masking, "drafts", [made], source_name="drafts")
    refuse_unmasked_version(session, masking, version.id, "A set is refused")
    for told in ({"imported": True}, {"document_sha256": "0" * 64}):
        with pytest.raises(InvalidInput, match="not masked"):
            import_dataset(
                session, masking, "more", [replace(draft, provenance=told)], source_name="x"
            )


def test_originals_are_dropped_where_the_policy_says_so(session: Session, project_id: int) -> None:
    set_masking_policy(session, project_id, "originals: drop", keys=KEYS)
    version = bring_in(session, project_id, named_rows())
    assert session.scalars(select(MaskedOriginal)).all() == []
    example = list_examples(session, version.id)[0]
    with pytest.raises(NotFound, match="was not kept"):
        read_original(session, example.id, KEYS)


def test_a_missing_short_or_other_key_is_a_sentence_and_stores_nothing(
    session: Session, masking: int
) -> None:
    version = bring_in(session, masking, named_rows())
    example = list_examples(session, version.id)[0]
    with pytest.raises(InvalidInput, match="STROP_MASKING_KEY is not set"):
        masker_of(session, masking, [])
    with pytest.raises(Conflict, match="the masking policy was set with"):
        masker_of(session, masking, keys_of(OTHER))
    with pytest.raises(Conflict, match="is not in STROP_MASKING_KEY"):
        read_original(session, example.id, keys_of(OTHER))
    with pytest.raises(InvalidInput, match="fewer than 32 bytes"):
        keys_of("short")
    with pytest.raises(InvalidInput, match="needs a key"):
        set_masking_policy(session, masking, "", keys=[])


def test_a_key_is_rotated_by_putting_the_new_one_first(session: Session, masking: int) -> None:
    version = bring_in(session, masking, named_rows())
    example = list_examples(session, version.id)[0]
    both = keys_of(f"{OTHER},{KEY}")
    assert read_original(session, example.id, both)["id"] == "MRN-4432118"
    row = set_masking_policy(session, masking, "", keys=both)
    assert row.version == 2
    masker = masker_of(session, masking, both)
    assert masker is not None
    rows = masker.mask(named_rows())
    assert rows[0].input != example.input
    assert rows[0].mask is not None
    assert rows[0].mask.key_id == both[0].key_id


def test_a_changed_original_is_noticed(session: Session, masking: int) -> None:
    version = bring_in(session, masking, named_rows())
    kept = session.get_one(MaskedOriginal, list_examples(session, version.id)[0].id)
    kept.sealed = kept.sealed[:40] + ("A" if kept.sealed[40] != "A" else "B") + kept.sealed[41:]
    with pytest.raises(Conflict, match="what is stored was changed"):
        read_original(session, kept.example_id, KEYS)


def test_policies_are_versions_and_the_same_is_the_one_that_stands(
    session: Session, project_id: int
) -> None:
    first = set_masking_policy(session, project_id, "languages: [en, de]", keys=KEYS)
    same = set_masking_policy(session, project_id, "# a word\nlanguages: [en, de]", keys=KEYS)
    second = set_masking_policy(session, project_id, "active: off", keys=KEYS)
    assert (first.id, first.version, second.version) == (same.id, 1, 2)
    assert find_policy(session, project_id) is second
    assert masker_of(session, project_id, KEYS) is None
    told = session.scalars(
        select(AuditEntry.detail).where(AuditEntry.action == "masking_policy.set")
    )
    assert [detail["version"] for detail in told] == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Die Patientin wurde am Montag mit starken Schmerzen in der Brust aufgenommen. " * 4,
         "Row 1 is in a language that the masking policy does not name"),
        ("Le patient a été admis lundi avec une douleur dans la poitrine et il est sorti. " * 4,
         "1 of 1 rows are in no language that masking knows"),
    ],
)  # fmt: skip
def test_a_file_in_another_language_is_refused(
    session: Session, project_id: int, text: str, message: str
) -> None:
    set_masking_policy(session, project_id, "languages: [en]", keys=KEYS)
    masker = masker_of(session, project_id, KEYS)
    assert masker is not None
    with pytest.raises(InvalidInput, match=message):
        masker.mask([ExampleRow("1", text)])


def test_ids_and_groups_that_tell_are_pseudonyms(session: Session, masking: int) -> None:
    rows = [
        ExampleRow("case_Anna_Kowalczyk", "Hello.", references=("x",), group="ward 3"),
        ExampleRow("row-2", "Mr. Foster, MRN 99812.", references=("x",), group="ward 3"),
        ExampleRow("99812", "Mr. Foster, MRN 99812.", references=("x",)),
        ExampleRow("17", "What does it cost?", references=("x",), group="other"),
    ]
    masker = masker_of(session, masking, KEYS)
    assert masker is not None
    masked = masker.mask(rows)
    assert [row.external_id[:4] for row in masked] == ["row-", "row-", "row-", "17"]
    assert masked[1].external_id == "row-2"
    assert masked[0].group == masked[1].group != masked[3].group
    assert "ward" not in str(masked[0].group)
    policy = set_masking_policy(session, masking, "ids: all", keys=KEYS)
    assert policy.version == 2
    masker = masker_of(session, masking, KEYS)
    assert masker is not None
    assert masker.mask(rows)[3].external_id.startswith("row-")


def test_two_projects_draw_other_surrogates(session: Session, masking: int) -> None:
    other = create_project(session, "other", base_model="tiny").id
    set_masking_policy(session, other, "", keys=KEYS)
    texts = set()
    for project in (masking, other):
        masker = masker_of(session, project, KEYS)
        assert masker is not None
        texts.add(masker.mask(named_rows())[0].input)
    assert len(texts) == 2


def test_a_lead_may_look_and_every_look_is_recorded(session: Session, masking: int) -> None:
    version = bring_in(session, masking, named_rows())
    example = list_examples(session, version.id)[0].id
    people = {role: create_user(session, role, role) for role in ("lead", "engineer", "admin")}
    stranger = create_user(session, "stranger", "lead")
    for role in ("lead", "engineer"):
        add_member(session, masking, people[role].id)
    for role in ("lead", "admin"):
        found = look_at_original(session, masking, example, people[role].id, KEYS)
        assert found["group"] == "Kowalczyk"
    with pytest.raises(Forbidden, match="engineer may not see originals"):
        look_at_original(session, masking, example, people["engineer"].id, KEYS)
    with pytest.raises(NotFound):
        look_at_original(session, masking, example, stranger.id, KEYS)
    foreign = create_project(session, "foreign", base_model="tiny").id
    with pytest.raises(NotFound):
        look_at_original(session, foreign, example, people["admin"].id, KEYS)
    looks = session.scalars(select(AuditEntry).where(AuditEntry.action == "texts.read")).all()
    assert [look.subject for look in looks] == [f"example:{example}"] * 2
    assert not [word for word in SECRETS if word in json.dumps([look.detail for look in looks])]
