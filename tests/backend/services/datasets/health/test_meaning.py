"""Copies in meaning: by an encoder that is named, and told so where it cannot be loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from backend.services.datasets.health import repeats
from backend.services.datasets.health.findings import Material
from backend.services.datasets.health.kinds import look_for
from tests.fixtures_health import text_rows


def test_rows_of_one_meaning_are_found_and_those_of_one_wording_left_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = text_rows(6)
    rows[3] = type(rows[3])("same", rows[0].input, rows[0].context, rows[0].references, "c9")

    def vectors(texts: Sequence[str], encoder: str) -> np.ndarray:
        assert encoder == "folders/mini"
        made = np.eye(len(texts), dtype=np.float32)
        made[3] = made[0]  # the same words: an exact copy, and no finding of this kind
        made[4] = 0.96 * made[1] + 0.28 * made[4]
        made[5] = 0.94 * made[2] + 0.34 * made[5]
        return made

    monkeypatch.setattr(repeats, "embed", vectors)
    report = look_for("semantic_duplicates", Material(rows, encoder="folders/mini"))
    assert report.found is not None
    (flag,) = report.found.rows
    assert (flag.id, flag.others) == ("t4", ("t1",))
    assert flag.score == pytest.approx(0.96)
    assert report.found.notes[0] == "cosine of at least 0.95 by the encoder mini"


def test_an_encoder_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    material = Material(text_rows(6), encoder=str(tmp_path / "nowhere"))
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
