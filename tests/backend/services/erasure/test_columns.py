"""Every column that can hold a text says what an erasure does with it."""

from __future__ import annotations

from sqlalchemy import String

from backend.services.erasure.columns import EXAMPLES, PEOPLE, Blank, KeptColumn, Notice
from backend.services.erasure.rows import HANGS
from backend.tables import Base
from backend.tables.packed import is_json, is_packed

TABLES = Base.metadata.sorted_tables


def test_every_column_of_text_has_a_line_and_no_line_is_of_none() -> None:
    texts = {
        f"{table.name}.{column.name}"
        for table in TABLES
        for column in table.columns
        if is_json(column.type)
        or is_packed(column.type)
        or (isinstance(column.type, String) and (column.type.length or 1000) >= 80)
    }
    assert sorted(texts - EXAMPLES.keys()) == [], "say in EXAMPLES what an erasure does with these"
    assert sorted(EXAMPLES.keys() - texts) == []


def test_every_table_that_names_a_person_says_what_becomes_of_it() -> None:
    naming = {
        table.name
        for table in TABLES
        if any(key.column.table.name == "users" for key in table.foreign_keys)
    }
    assert naming == PEOPLE.keys()


def test_what_is_blanked_is_reached() -> None:
    blanked = {name.partition(".")[0] for name, fate in EXAMPLES.items() if isinstance(fate, Blank)}
    assert blanked == HANGS.keys()


def test_what_stays_says_why() -> None:
    assert all(fate.why for fate in EXAMPLES.values() if isinstance(fate, KeptColumn))


def test_that_labels_and_shared_slices_stay_and_texts_go() -> None:
    notice = Notice("Erased on D: R", {"p": "erased group 1.1"}, frozenset({("ward", "north")}))
    long = "a sentence that is longer than any label could be, by far"

    def becomes(column: str, old: object) -> object:
        fate = EXAMPLES[column]
        assert isinstance(fate, Blank)
        return fate.value(old, notice)

    assert becomes("examples.slices", {"ward": "north", "name": "Eva"}) == {"ward": "north"}
    assert becomes("examples.group", "p") == "erased group 1.1"
    assert becomes("examples.group", "q") == "q"
    assert becomes("ratings.value", "yes") == "yes"
    assert becomes("ratings.value", long) == "Erased on D: R"
    assert becomes("scores.stats", [1.0, "billing", long]) == [1.0, "billing", "Erased on D: R"]
    assert becomes("scores.spans", [{"start": 1, "end": 2, "reason": long}]) == [
        {"start": 1, "end": 2}
    ]
    assert becomes("examples.context", None) is None
    assert becomes("reviews.skip_reason", None) is None
