"""Ways by which a test item reaches training are closed, and what is no leak is let through."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import LeakRefused
from backend.services.checks.judges.notes import add_notes
from backend.services.curation import freeze_training_set, recipe_from_content
from backend.services.curation.candidates import CandidateRow
from backend.services.curation.leaks import drop_near_leaks
from backend.services.datasets.conversations import digest_text
from backend.services.datasets.near_duplicates import find_near_duplicates
from backend.services.datasets.plain_text import plain_text
from backend.services.datasets.versions import ExampleRow, import_dataset, list_examples
from backend.services.projects import create_project
from backend.services.training.files import freeze_documents
from backend.tables.datasets import Dataset, Split

PROMPT = (
    "I ordered a new card on Monday because the old one was stolen on holiday in Lisbon and the "
    "app still says that it is being printed, although your agent promised me that it would be at "
    "my door before the weekend, so please tell me where it is and who pays for the taxi"
)
ANSWER = (
    "Your card left our printer on Tuesday and is with the courier now, who will ring you before "
    "noon; we pay the taxi back once you send us the receipt by mail"
)
OTHER = "The garden shed needs a new roof, and the neighbour lends us his ladder for the afternoon."


def every_tenth(text: str, start: int = 9) -> str:
    words = text.split()
    return " ".join("plainly" if i % 10 == start else word for i, word in enumerate(words))


def first_part(text: str, share: float = 0.45) -> str:
    words = text.split()
    return " ".join(words[: round(share * len(words))])


DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "zero width": lambda text: text.replace("a", "a\u200b").replace("o", "\u2060o"),
    "soft hyphens": lambda text: text.replace("e", "e\u00ad"),
    "direction marks": lambda text: "\u202a" + text.replace(" ", " \u200e") + "\u202c",
    "variation selectors": lambda text: text.replace("i", "i\ufe0f"),
    "tags and fillers": lambda text: text.replace("n", "n\U000e0061\u3164"),
    "entities": lambda text: text.replace(" ", "&nbsp;").replace("t", "&#116;"),
    "named entities": lambda text: text.replace(" ", "&ensp;").replace(",", "&comma;"),
    "Cyrillic": lambda text: text.translate(str.maketrans("aeopcyx", "аеорсух")),
    "Greek": lambda text: text.translate(str.maketrans("oavi", "οανι")),
    "full width": lambda text: "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text
    ),
    "mathematical": lambda text: "".join(
        chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c for c in text
    ),
    "marks on letters": lambda text: text.replace("r", "r\u0334").replace("t", "t\u0336"),
    "other spaces": lambda text: text.replace(" ", "\u2003\u2009"),
    "punctuation": lambda text: text.replace(" ", "... ") + "?!",
    "every tenth word": every_tenth,
    "every tenth word from the first": lambda text: every_tenth(text, 0),
    "the first 45%": first_part,
    "within another text": lambda text: f"{OTHER} {text} {OTHER}",
    "reworded within another text": lambda text: f"{OTHER} {every_tenth(text)} {OTHER}",
    "the first 45% within another text": lambda text: f"{OTHER} {first_part(text)} {OTHER}",
}


@pytest.mark.parametrize("way", DISGUISES)
@pytest.mark.parametrize("asked", [PROMPT, PROMPT.replace("Monday", "12 May at 4 pm")])
def test_a_held_out_prompt_is_found_in_a_prompt(way: str, asked: str) -> None:
    train = [OTHER, DISGUISES[way](asked)]
    assert [pair.train for pair in find_near_duplicates(train, [asked])] == [1]


HIDING = ["upper case", "zero width", "soft hyphens", "entities", "Cyrillic", "Greek", "full width"]


@pytest.mark.parametrize("way", HIDING)
def test_what_looks_the_same_has_one_digest(way: str) -> None:
    assert digest_text(DISGUISES[way](PROMPT), None) == digest_text(PROMPT, None)


@pytest.mark.parametrize(
    "text",
    [
        "ваш тариф истекает завтра",
        "das öl ist über der straße",
        "αύριο λήγει",
        "a naïve café",
        "ที่นี่",
    ],
)
def test_other_languages_stay_what_they_are(text: str) -> None:
    assert plain_text(text) == text.replace("ß", "ss")


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Session:
    """On SQLite only: nothing here depends on the backend."""
    return sqlite_sessions()


@pytest.fixture
def project_id(session: Session) -> int:
    project = create_project(session, "desk", base_model="tiny").id
    held_out = ExampleRow("t", PROMPT, references=(ANSWER,), split="test")
    import_dataset(session, project, "test", [held_out], source_name="f")
    return project


def freeze(session: Session, project_id: int, row: ExampleRow, *, drop: bool = False) -> list[str]:
    """What is left out of a set of this row and another one."""
    rows = [row, ExampleRow("other", OTHER, references=("Lend it to him.",), split="train")]
    import_dataset(session, project_id, "train", rows, source_name="f")
    content = {"references": {"count": 2}, "dataset": "train", "drop_leaks": drop}
    recipe = recipe_from_content(content)
    frozen = freeze_training_set(session, project_id=project_id, name="s", recipe=recipe)
    return [leak["train"] for leak in frozen.recipe.get("dropped_as_leaks", [])]


# Of an answer half must be told, more than the 45% by which a prompt is known.
TOLD = [
    pytest.param(what, way, id=f"{name}-{way}")
    for name, what in (("prompt", PROMPT), ("answer", ANSWER))
    for way in DISGUISES
    if way != "punctuation" and not (what is ANSWER and "45%" in way)
]


@pytest.mark.parametrize(("what", "way"), TOLD)
def test_a_reference_that_tells_a_test_item_is_refused_or_left_out(
    session: Session, project_id: int, way: str, what: str
) -> None:
    row = ExampleRow("a", "How is the weather?", references=(DISGUISES[way](what),), split="train")
    with pytest.raises(LeakRefused, match="training texts repeat"):
        freeze(session, project_id, row)
    content = {"references": {"count": 2}, "dataset": "train", "drop_leaks": True}
    recipe = recipe_from_content(content)
    frozen = freeze_training_set(session, project_id=project_id, name="s", recipe=recipe)
    assert [leak["train_is"] for leak in frozen.recipe["dropped_as_leaks"]] == ["answer"]
    assert frozen.n_rows == 1


@pytest.mark.parametrize("field", ["completion", "rejected"])
@pytest.mark.parametrize("source", ["corrected", "vote"])
@pytest.mark.parametrize("what", [PROMPT, ANSWER])
def test_a_correction_or_a_vote_that_tells_a_test_item(
    session: Session, project_id: int, field: str, source: str, what: str
) -> None:
    rows = [
        ExampleRow("a", "How is the weather?", split="train"),
        ExampleRow("b", OTHER, split="train"),
    ]
    version = import_dataset(session, project_id, "train", rows, source_name="f")
    asked, other = list_examples(session, version.id, Split.TRAIN)
    plain = CandidateRow("dpo", source, asked, "It rains.", rejected="It snows.")
    told = replace(plain, **{field: DISGUISES["zero width"](what)})
    beside = replace(plain, example=other)
    recipe = recipe_from_content({"references": {"count": 1}})
    with pytest.raises(LeakRefused):
        drop_near_leaks(session, project_id, [told, beside], recipe, accept=None)
    dropping = recipe.model_copy(update={"drop_leaks": True})
    kept, _ = drop_near_leaks(session, project_id, [plain, told, beside], dropping, accept=None)
    assert kept == [plain, beside]


def test_a_test_answer_in_a_prompt_or_its_source(session: Session, project_id: int) -> None:
    row = ExampleRow(
        "a", "Sum this up.", context=f"{OTHER} {ANSWER}", references=("x",), split="train"
    )
    assert freeze(session, project_id, row, drop=True) == ["a"]


def test_a_grading_note_on_a_test_item_is_told_as_its_answer_is(
    session: Session, project_id: int
) -> None:
    note = (
        "A right answer says that the courier rings before noon, that the taxi is paid back once "
        "the receipt came by mail, and it does not promise another card before the weekend"
    )
    dataset = session.scalars(select(Dataset).where(Dataset.project_id == project_id)).one()
    add_notes(session, dataset, {"t": note})
    add_notes(session, dataset, {"t": "Names the courier."})  # what it said before stays secret
    row = ExampleRow("a", "How is the weather?", references=(note.upper(),), split="train")
    with pytest.raises(LeakRefused, match="grading note on test"):
        freeze(session, project_id, row)


@pytest.mark.parametrize("what", [PROMPT, ANSWER, every_tenth(PROMPT), first_part(PROMPT)])
def test_a_document_that_tells_a_test_item(
    session: Session, project_id: int, tmp_path: Path, what: str
) -> None:
    (tmp_path / "leak.txt").write_text(f"{OTHER}\n{what}\n{OTHER}")
    (tmp_path / "fine.txt").write_text(OTHER * 3)
    with pytest.raises(LeakRefused):
        freeze_documents(session, project_id, str(tmp_path))


@pytest.mark.parametrize("answer", ["refund", "yes", "Yes, that is possible.", "card_arrival"])
def test_labels_and_short_answers_are_equal_everywhere(session: Session, answer: str) -> None:
    project = create_project(session, "labels", base_model="tiny").id
    rows = [
        ExampleRow("a", "Where is my parcel?", references=(answer,), split="train"),
        ExampleRow("b", "Why was I charged twice?", references=(answer,), split="test"),
    ]
    assert import_dataset(session, project, "d", rows, source_name="f").n_examples == 2


def test_canned_answers_are_no_leak(session: Session) -> None:
    project = create_project(session, "canned", base_model="tiny").id
    words = ["parcel", "bill", "lamp", "roof", "tyre", "phone", "router", "desk"]
    rows = [
        ExampleRow(word, f"What about my {word} {word}?", references=(ANSWER,), split=split)
        for word, split in zip(words, ["train"] * 4 + ["test"] * 4, strict=True)
    ]
    assert import_dataset(session, project, "d", rows, source_name="f").n_examples == 8


def test_a_split_of_ours_keeps_what_tells_an_item_beside_it(session: Session) -> None:
    project = create_project(session, "ours", base_model="tiny").id
    rows = [ExampleRow(f"r{i}", f"{word} bill {word}") for i, word in enumerate("abcdefghij")]
    rows += [
        ExampleRow("one", PROMPT, references=(ANSWER,)),
        ExampleRow("two", "Hm?", references=(PROMPT,)),
    ]
    rows += [ExampleRow("three", "What?", references=(every_tenth(ANSWER),))]
    for seed in range(6):
        version = import_dataset(session, project, f"d{seed}", rows, source_name="f", seed=seed)
        sides = {e.external_id: s for s in Split for e in list_examples(session, version.id, s)}
        assert len({sides["one"], sides["two"], sides["three"]}) == 1


def test_few_rows_of_public_data_are_flagged(public_data: Path) -> None:
    def texts(folder: str, name: str, column: str) -> list[str]:
        with (public_data / folder / name).open(encoding="utf-8-sig", newline="") as file:
            return [row[column] for row in csv.DictReader(file)]

    train = texts("mts_dialog", "train.csv", "dialogue")
    test = texts("mts_dialog", "test.csv", "dialogue")
    assert len(find_near_duplicates(train, test)) < 0.01 * len(train)
