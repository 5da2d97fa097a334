"""The benchmark of wrong labels on a small part of banking77, and on rows made here."""

from __future__ import annotations

import pytest

from tests.benchmarks.health_label_errors import (
    Outcome,
    corrupt,
    label_line,
    nearest_labels,
    play,
    read_rows,
)
from tests.conftest import DATA
from tests.fixtures_health import class_rows

BANKING = DATA / "banking77/train.csv"


@pytest.mark.parametrize("how", ["random", "nearest"])
def test_exactly_the_share_is_made_wrong(how: str) -> None:
    rows = class_rows()
    made, wrong = corrupt(rows, 0.2, how, seed=1)
    differs = {
        a.external_id for a, b in zip(made, rows, strict=True) if a.references != b.references
    }
    assert differs == wrong
    assert len(wrong) == round(0.2 * len(rows))


def test_no_label_is_its_own_nearest() -> None:
    assert all(one != other for one, other in nearest_labels(class_rows()).items())


@pytest.mark.skipif(not BANKING.exists(), reason="the public data lie beside the project")
def test_wrong_labels_of_five_classes_are_found_far_above_chance() -> None:
    rows = read_rows(BANKING, "train")
    names = sorted({row.references[0] for row in rows})[:5]
    part = [row for row in rows if row.references[0] in names]
    outcome = play(part[::2], part[1::2], 0.2, "random", 0)
    assert outcome.hits / outcome.flagged > 0.8  # at random .2
    assert outcome.hits / outcome.wrong > 0.7
    assert outcome.mended > outcome.as_is + 0.02
    line = label_line(0.2, "random", [outcome])
    assert line.startswith("| 20%, random |")
    sound = play(part[::2], part[1::2], 0.0, "none", 0)
    assert sound.flagged / sound.rows < 0.06


def test_of_several_seeds_the_line_says_the_median_and_the_range() -> None:
    found = [Outcome(100, 10, 10, hits, 0.8, 0.85, 0.9) for hits in (9, 5, 8)]
    assert "0.800 (0.500 to 0.900)" in label_line(0.1, "random", found)
    assert label_line(0.1, "random", found).endswith("| 100 | 3 |")
    assert "0.900 (0.596 to 0.982)" in label_line(0.1, "random", found[:1])
