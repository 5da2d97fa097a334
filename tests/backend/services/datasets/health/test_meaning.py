"""Copies in meaning: by an encoder that is named, and told so where it cannot be loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.services.datasets.health import repeats
from backend.services.datasets.health.findings import HealthMaterial
from backend.services.datasets.health.kinds import look_for
from tests.fixtures_health import text_rows


def test_rows_of_one_meaning_are_found_and_those_of_one_wording_left_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = text_rows(6)
    rows[3] = type(rows[3])("same", rows[0].input, rows[0].context, rows[0].references, "c9")

    def vectors(texts: Sequence[str], encoder: str, **how: object) -> np.ndarray:
        assert encoder == "folders/mini"
        made = np.eye(len(texts), dtype=np.float32)
        assert len(texts) == 5  # the same words: an exact copy, and no finding of this kind
        made[3] = 0.96 * made[1] + 0.28 * made[3]
        made[4] = 0.94 * made[2] + 0.34 * made[4]
        return made

    monkeypatch.setattr(repeats, "embed", vectors)
    report = look_for("semantic_duplicates", HealthMaterial(rows, encoder="folders/mini"))
    assert report.found is not None
    (flag,) = report.found.rows
    assert (flag.id, flag.others) == ("t4", ("t1",))
    assert flag.score == pytest.approx(0.96)
    assert report.found.notes[0] == "cosine of at least 0.95 by the encoder mini"


def test_an_encoder_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    material = HealthMaterial(text_rows(6), encoder=str(tmp_path / "nowhere"))
    report = look_for("semantic_duplicates", material)
    assert report.found is None
    assert "cannot be loaded" in str(report.problem)


def test_vectors_are_of_unit_length_in_the_order_of_the_texts(tiny_base: Path) -> None:
    texts = ["a longer text than the other", "short", ""]
    one = repeats.embed(texts, str(tiny_base))
    assert one.shape[0] == 3
    assert np.linalg.norm(one, axis=1) == pytest.approx(np.ones(3), abs=1e-4)
    other = repeats.embed(texts[::-1], str(tiny_base))
    assert one == pytest.approx(other[::-1], abs=1e-4)


def test_many_copies_of_few_prompts_are_not_compared_with_each_other() -> None:
    words = ("where is the new card that I ordered last week", "how do I close the old account")
    base = replace(text_rows(1)[0], context=None)
    rows = [
        replace(base, external_id=f"r{n}", input=words[n % 2], references=(str(n),))
        for n in range(8000)
    ]
    began = time.process_time()
    report = look_for("near_duplicates", HealthMaterial(rows))
    assert report.found is not None
    assert report.found.rows == ()
    report = look_for("contradictions", HealthMaterial(rows))
    assert report.found is not None
    assert report.found.flagged == 8000
    assert time.process_time() - began < 5


def test_a_copy_with_another_answer_is_held_against_what_is_nearly_the_same() -> None:
    asked = "please tell me where the new card is that I ordered online last week in the shop"
    said = [(asked, "in 5 days"), (asked, "in 7 days"), (f"{asked} today", "in 5 days")]
    rows = [
        replace(text_rows(1)[0], external_id=str(n), input=one, context=None, references=(answer,))
        for n, (one, answer) in enumerate(said)
    ]
    report = look_for("contradictions", HealthMaterial(rows))
    assert report.found is not None
    assert {(row.id, row.others) for row in report.found.rows} >= {("1", ("2",)), ("2", ("1",))}
