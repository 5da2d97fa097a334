"""A project with rows that name people, and the words that no table but the vault may hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from sqlalchemy.orm import Session

from backend.services.datasets.masking.keys import keys_of
from backend.services.datasets.versions import ExampleRow
from backend.services.projects import create_project

KEY = "a key of the tests with enough bytes in it"
KEYS = keys_of(KEY)
SECRETS = ("Kowalczyk", "4432118", "DE89370400440532013000", "555-0134", "1961", "Jürgen")
"""Pieces of identifiers in ROWS; after masking none stands anywhere in clear."""


def words_told(said: str, words: Sequence[str] = SECRETS) -> list[str]:
    """Which words stand in a text; few digits in a digest or the fraction of a second do not."""
    few = [word for word in words if word.isdigit() and len(word) < 7]
    alone = {word: rf"(?<![\da-f.]){word}(?![\da-f])" for word in few}
    return [w for w in words if re.search(alone.get(w, re.escape(w)), said, re.IGNORECASE)]


def named_rows() -> list[ExampleRow]:
    """Rows of two splits: prompts with their source, a conversation, ids and groups that tell."""
    talk = (
        {"role": "user", "content": "Ich heiße Jürgen Weiß, IBAN DE89370400440532013000."},
        {"role": "assistant", "content": "Guten Tag Herr Weiß."},
        {"role": "user", "content": "Bitte sperren Sie meine Karte."},
    )
    rows = [
        ExampleRow(
            "MRN-4432118",
            "Summarise the visit of Mrs Anna Kowalczyk, DOB 03/04/1961.",
            "MRN 4432118. Call (217) 555-0134. Kowalczyk was seen by Dr. Smith on 2024-03-01.",
            ("Anna Kowalczyk (MRN 4432118) was seen on 2024-03-01.",),
            "Kowalczyk",
            {"ward": "cardiology"},
            "train",
        ),
        ExampleRow(
            "talk", "x", None, ("Herr Weiß, die Karte ist gesperrt.",), "Jürgen Weiß", {}, "train"
        ),
        ExampleRow("3", "What does the tariff cost?", None, ("39 euros.",), None, {}, "test"),
    ]
    from backend.schemas.turns import transcript

    rows[1] = ExampleRow(
        "talk",
        transcript(talk),
        None,
        rows[1].references,
        rows[1].group,
        {},
        "train",
        messages=talk,
    )
    return rows


@pytest.fixture
def project_id(session: Session) -> int:
    return create_project(session, "desk", base_model="tiny").id
