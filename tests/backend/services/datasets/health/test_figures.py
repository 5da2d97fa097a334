"""The figures behind findings: folds by group, permutations, areas, sizes, curves."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from backend.errors import CannotCompute
from backend.services.datasets.health import drift, enough, labels
from backend.services.datasets.health.findings import BarLine, FindingSeverity, HealthMaterial, Task
from backend.services.datasets.health.kinds import look_for
from backend.services.datasets.versions import ExampleRow
from tests.fixtures_health import class_rows, text_rows, with_wrong_labels


def test_no_classifier_sees_a_group_that_it_judges() -> None:
    """A token that each group has alone tells its label, and may help nobody."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    truth = rng.integers(0, 2, 40)[groups]
    features = np.eye(40)[groups]  # a leak is the only way to know anything
    told, seen = labels.out_of_fold(features, truth, groups, seed=0)
    assert seen.all()
    assert abs((told.argmax(axis=1) == truth).mean() - 0.5) < 0.2
    leaky, _ = labels.out_of_fold(features, truth, np.arange(200), seed=0)
    assert (leaky.argmax(axis=1) == truth).mean() > 0.95


def test_copies_with_the_same_wrong_label_do_not_vouch_for_each_other() -> None:
    rows, _ = with_wrong_labels(class_rows(), 0)
    copies = [
        replace(
            rows[0], external_id=f"copy{n}", references=("pin",), input=f"{rows[0].input}{'!' * n}"
        )
        for n in range(6)
    ]
    judged, _ = labels.judge(HealthMaterial([*rows, *copies]))
    pin = judged.names.index("pin")
    own = [judged.told[i][pin] for i, n in enumerate(judged.numbers) if n >= len(rows)]
    assert len(own) == 6
    assert max(own) < 0.1


def test_clusters_join_groups_copies_and_near_copies() -> None:
    rows = text_rows(4)
    rows[1] = replace(rows[1], input=rows[0].input, context=rows[0].context)
    rows[2] = replace(rows[2], group=rows[1].group)
    clusters = HealthMaterial(rows).clusters
    assert clusters[0] == clusters[1] == clusters[2] != clusters[3]


def test_a_label_of_too_few_rows_or_groups_is_left_out_and_told() -> None:
    rows = class_rows(30)
    rare = [ExampleRow(f"x{n}", f"{n} strange words", None, ("rare",)) for n in range(4)]
    one_group = [ExampleRow(f"y{n}", f"odd thing {n}", None, ("single",), "g") for n in range(8)]
    report = look_for(
        "label_errors", HealthMaterial([*rows, *rare, *one_group], task_given=Task.CLASSES)
    )
    assert report.found is not None
    assert report.found.n == len(rows)
    assert any(note.startswith("12 rows are not judged") for note in report.found.notes)


def test_wrong_labels_are_found_far_above_chance() -> None:
    rows, wrong = with_wrong_labels(class_rows(80), 0.2)
    found = look_for("label_errors", HealthMaterial(rows)).found
    assert found is not None
    flagged = {row.id for row in found.rows}
    assert len(flagged & wrong) / len(flagged) > 0.8  # at random .2
    assert len(flagged & wrong) / len(wrong) > 0.8
    assert found.gain.value == pytest.approx(1 - len(flagged) / len(rows))
    scores = [row.score for row in found.rows]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]


def test_a_permutation_of_whole_groups_is_not_fooled_by_large_groups() -> None:
    """Ten groups of one length each: rows alone would make any split of them a sure shift."""
    rng = random.Random(0)
    values = np.repeat(np.array([rng.randrange(100) for _ in range(10)], dtype=float), 50)
    groups = np.repeat(np.arange(10), 50)
    away = groups < 3
    by_group = drift.permuted_p(drift._apart_in_length, values, away, groups, 0)
    by_row = drift.permuted_p(drift._apart_in_length, values, away, np.arange(500), 0)
    assert by_row < 0.01
    assert by_group > 0.05


@pytest.mark.parametrize(
    ("told", "away", "area"),
    [([1, 2, 3, 4], [0, 0, 1, 1], 1.0), ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
     ([1, 1, 1, 1], [0, 1, 0, 1], 0.5), ([1, 2, 2, 3], [0, 0, 1, 1], 0.875)],
)  # fmt: skip
def test_the_area_counts_ties_as_halves(told: list[int], away: list[int], area: float) -> None:
    side = np.array(away, dtype=bool)
    assert drift.weighted_area(np.array(told, float), side, np.ones(4)) == pytest.approx(area)


def test_random_splits_are_called_shifted_seldom() -> None:
    alarms = 0
    for seed in range(8):
        rng = random.Random(seed)
        rows = [replace(r, split="test" if rng.random() < 0.3 else "train") for r in class_rows(40)]
        alarms += look_for("drift", HealthMaterial(rows, seed=seed)).severity is not None
    assert alarms <= 1


def test_more_of_one_label_in_test_is_a_shift_of_labels() -> None:
    rows = [
        replace(r, references=("pin",)) if r.split == "test" and n % 2 else r
        for n, r in enumerate(class_rows(60))
    ]
    found = look_for("drift", HealthMaterial(rows)).found
    assert found is not None
    line = next(one for one in found.details if one["of"] == "labels")
    assert line["p"] <= 0.01
    assert line["value"] > 0.1
    assert "labels" in found.gain.sentence


def _line(**values: object) -> BarLine:
    return BarLine("accuracy", {}, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "never", "needed"),
    [
        (_line(threshold=0.9), True, 35),  # Wilson's low end of 35 of 35 is .901, of 34 .898
        (_line(threshold=0.5), False, None),
        (_line(threshold=0.1, higher_is_better=False), True, 35),
        (_line(margin=0.5), False, None),
        (_line(margin=0.05), False, 308),  # 1.96 ** 2 * .2 / .05 ** 2
    ],
)
def test_a_line_that_a_slice_cannot_settle(line: BarLine, never: bool, needed: int | None) -> None:
    rows = text_rows(100)  # 20 of test
    report = look_for("small_slices", HealthMaterial(rows, bar=(line,)))
    assert report.found is not None
    (told,) = report.found.details
    assert told["n"] == 20
    assert (told["never"], told["needed"]) == (never, needed)
    wanted = FindingSeverity.SEVERE if never else FindingSeverity.WARNING
    assert report.severity == (wanted if needed else None)


def test_rows_of_one_group_count_once_for_the_size_of_a_slice() -> None:
    rows = [replace(row, group=f"g{n % 4}") for n, row in enumerate(text_rows(100))]
    found = look_for("small_slices", HealthMaterial(rows, bar=(_line(threshold=0.6),))).found
    assert found is not None
    assert found.details[0]["groups"] < found.details[0]["n"]
    assert found.details[0]["never"]


def test_a_slice_without_a_row_can_never_be_shown() -> None:
    bar = (BarLine("accuracy", {"lang": "de"}, threshold=0.1),)
    report = look_for("small_slices", HealthMaterial(text_rows(100), bar=bar))
    assert report.severity is FindingSeverity.SEVERE
    assert report.found is not None
    assert report.found.details[0]["problem"] == "no test row is of this slice"


def test_the_power_law_is_read_back_from_its_own_points() -> None:
    sizes = [100, 200, 400, 800]
    told = np.array([1 - 2 * n**-0.4 for n in sizes])
    assert enough.extrapolate(told, sizes, 1600) == pytest.approx(1 - 2 * 1600**-0.4)
    falling = told[::-1]  # no gain is told where more rows brought none
    assert enough.extrapolate(falling, sizes, 1600) == pytest.approx(float(falling[-1]))


def test_a_curve_rises_tells_its_interval_and_needs_rows() -> None:
    curve = enough.proxy_curve(HealthMaterial(with_wrong_labels(class_rows(130), 0.3)[0]))
    assert [point["rows"] for point in curve.points] == sorted(p["rows"] for p in curve.points)
    assert curve.low <= curve.value <= curve.high
    assert curve.n > 100
    assert "power" in curve.signature or "error = a" in curve.signature
    with pytest.raises(CannotCompute, match="takes 400"):
        enough.proxy_curve(HealthMaterial(class_rows(20)))
    with pytest.raises(CannotCompute, match="of classes"):
        enough.proxy_curve(HealthMaterial(text_rows(500)))


def test_rows_of_test_teach_no_curve() -> None:
    rows = [replace(row, split="test") for row in class_rows(130)]
    with pytest.raises(CannotCompute, match="there are 0"):
        enough.proxy_curve(HealthMaterial(rows))
