"""Whether what is held out is like what is learned from: labels, lengths, words.

Labels and lengths are tested by permutation of whole groups between the splits, since rows of one
group come together; words by a classifier that learns on half of the groups to tell the splits
apart, and is measured on the other half (Lopez-Paz and Oquab 2017, "Revisiting classifier
two-sample tests", ICLR): an area under the ROC curve of .5 means that it cannot. The p-values are
adjusted together (Holm 1979).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backend.errors import CannotCompute
from backend.schemas.health import Gain
from backend.services.datasets.health.findings import (
    INPUT,
    REFERENCE,
    FindingSeverity,
    Flagged,
    HealthMaterial,
    KindFindings,
    Task,
)
from backend.services.datasets.health.labels import classifier, word_features
from backend.tables.datasets import Split
from evaluators.statistics.testing import holm

LEAST_ROWS = 20
LEAST_GROUPS = 10
MOST_ROWS = 6_000
PERMUTATIONS = 400
RESAMPLES = 300
ALPHA = 0.01
SEVERE_AREA = 0.65
SHOWN = 20
KS = "Kolmogorov-Smirnov"
Statistic = Callable[["np.ndarray", "np.ndarray"], float]
"""Of values and which of them are held out: how far the two sides lie apart."""


def find_drift(material: HealthMaterial) -> KindFindings:
    """Train against each held-out split: labels, lengths and words, with tests.

    Raises:
        CannotCompute: the rows name no splits, or one has fewer than twenty rows.
    """
    held = [
        split for split in (Split.TEST, Split.VALIDATION) if material.splits[split] >= LEAST_ROWS
    ]
    if not held or material.splits[Split.TRAIN] < LEAST_ROWS:
        raise CannotCompute(
            f"It takes {LEAST_ROWS} rows in train and in a held-out split.",
            hint="Name the splits of a file: train=FILE test=FILE.",
        )
    details: list[dict[str, Any]] = []
    rows: list[Flagged] = []
    for split in held:
        numbers = _sample(material, split)
        away = np.array([material.rows[n].split == split for n in numbers])
        groups = np.array([material.clusters[n] for n in numbers])
        lines, unlike = _compare(material, numbers, away, groups, split)
        details += lines
        rows += unlike
    tested = [line for line in details if line["p"] is not None]
    for line, p in zip(tested, holm([line["p"] for line in tested]), strict=True):
        line["p"] = round(p, 4)
    severity = _severity(details)
    told = {line["split"] for line in details if line["p"] is None}
    notes = [
        f"{split}: its rows lie in fewer than {LEAST_GROUPS} groups, so that words are not compared"
        for split in held
        if split not in told
    ]
    kept = tuple(rows) if severity is not None else ()
    n, gain = len(material.rows), _gain(details)
    return KindFindings(kept, n, gain, severity, tuple(details), tuple(notes))


def _sample(material: HealthMaterial, split: str) -> list[int]:
    """Rows of train and of one split, at most MOST_ROWS of each, drawn by the seed."""
    import random

    drawn: list[int] = []
    for name in (Split.TRAIN, split):
        numbers = [n for n, row in enumerate(material.rows) if row.split == name]
        if len(numbers) > MOST_ROWS:
            numbers = sorted(random.Random(material.seed).sample(numbers, MOST_ROWS))
        drawn += numbers
    return drawn


def _compare(
    material: HealthMaterial,
    numbers: Sequence[int],
    away: np.ndarray,
    groups: np.ndarray,
    split: str,
) -> tuple[list[dict[str, Any]], list[Flagged]]:
    said: list[dict[str, Any]] = []
    rows = [material.rows[n] for n in numbers]
    answers = [row.references[0].strip() if row.references else "" for row in rows]
    tested: list[tuple[str, str, Statistic, np.ndarray]] = []
    if material.task is Task.CLASSES:
        labels = np.unique(np.array(answers), return_inverse=True)[1]
        tested.append(("labels", "total variation", _apart_in_labels, labels))
    else:
        lengths = np.array([len(answer) for answer in answers], dtype=float)
        tested.append((f"length of {REFERENCE}", KS, _apart_in_length, lengths))
    asked = np.array([len(row.input) for row in rows], dtype=float)
    tested.append((f"length of {INPUT}", KS, _apart_in_length, asked))
    for of, figure, statistic, values in tested:
        p = permuted_p(statistic, values, away, groups, material.seed)
        said.append(_line(split, of, figure, statistic(values, away), p, away))
    words, unlike = _words(material, numbers, away, groups, split)
    return [*said, *words], unlike


def _line(
    split: str, of: str, figure: str, value: float, p: float, away: np.ndarray
) -> dict[str, Any]:
    return {
        "split": str(split),
        "of": of,
        "figure": figure,
        "value": round(float(value), 4),
        "p": p,
        "n": len(away),
        "n_held_out": int(away.sum()),
    }


def permuted_p(
    statistic: Statistic, values: np.ndarray, away: np.ndarray, groups: np.ndarray, seed: int
) -> float:
    """Share of permutations of whole groups that part the splits at least as far, itself included.

    A group that lies in both splits is taken row by row: it says nothing of groups.
    """
    rng = np.random.default_rng(seed)
    member = np.unique(groups, return_inverse=True)[1]
    share = np.bincount(member, weights=away) / np.bincount(member)
    whole = bool(np.isin(share, (0.0, 1.0)).all())
    unit = share.astype(bool) if whole else away
    seen, extreme = statistic(values, away), 0
    for _ in range(PERMUTATIONS):
        shuffled = rng.permutation(unit)
        side = shuffled[member] if whole else shuffled
        extreme += statistic(values, side) >= seen - 1e-12
    return (extreme + 1) / (PERMUTATIONS + 1)


def _apart_in_labels(labels: np.ndarray, away: np.ndarray) -> float:
    """Total variation distance of the shares of labels, 0 to 1."""
    k = int(labels.max()) + 1
    ours, theirs = (np.bincount(labels[side], minlength=k) for side in (~away, away))
    return float(np.abs(ours / max(1, ours.sum()) - theirs / max(1, theirs.sum())).sum() / 2)


def _apart_in_length(values: np.ndarray, away: np.ndarray) -> float:
    """Greatest difference of the cumulative shares, 0 to 1."""
    marks = np.unique(values)
    ours, theirs = (np.sort(values[side]) for side in (~away, away))
    if not len(ours) or not len(theirs):
        return 0.0
    shares = [np.searchsorted(one, marks, side="right") / len(one) for one in (ours, theirs)]
    return float(np.abs(shares[0] - shares[1]).max())


def _words(
    material: HealthMaterial,
    numbers: Sequence[int],
    away: np.ndarray,
    groups: np.ndarray,
    split: str,
) -> tuple[list[dict[str, Any]], list[Flagged]]:
    """How well the splits are told apart by words, with an interval, and the rows most unlike."""
    told = _told_apart(material, numbers, away, groups)
    if told is None:
        return [], []
    half, scores = told
    area, low, high = area_interval(scores[half], away[half], groups[half], material.seed)
    line = {
        "split": str(split),
        "of": "words of the prompt",
        "figure": "AUROC of a classifier",
        "value": round(area, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "p": None,
        "n": len(half),
        "n_held_out": int(away[half].sum()),
    }
    if low <= 0.5:
        return [line], []
    unlike = np.flatnonzero(away)
    unlike = unlike[np.argsort(-scores[unlike], kind="stable")][:SHOWN]
    why = f"Unlike the training rows: a classifier that tells {split} from train is surest here."
    rows = [
        Flagged(material.rows[numbers[i]].external_id, INPUT, why, score=round(float(scores[i]), 4))
        for i in unlike
    ]
    return [line], rows


def _told_apart(
    material: HealthMaterial, numbers: Sequence[int], away: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Half of the rows, and of all rows a probability of being held out by the other half.

    The figure is of one half alone, of which the classifier saw nothing: over several folds the
    rows depend on each other, and an interval of 95% then excludes .5 far too often. None where
    groups are too few.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if min(len(np.unique(groups[side])) for side in (away, ~away)) < LEAST_GROUPS:
        return None
    features = word_features([material.prompts[n] for n in numbers])
    scores = np.full(len(away), 0.5)
    parts = StratifiedGroupKFold(2, shuffle=True, random_state=material.seed)
    halves = list(parts.split(features, away, groups))
    for learn, hold in halves:
        fitted = classifier(material.seed, len(learn)).fit(features[learn], away[learn])
        scores[hold] = fitted.predict_proba(features[hold])[:, -1]
    return halves[0][1], scores


def area_interval(
    told: np.ndarray, away: np.ndarray, groups: np.ndarray, seed: int
) -> tuple[float, float, float]:
    """Area under the ROC curve with a percentile interval of 95% over resampled groups."""
    rng = np.random.default_rng(seed)
    member = np.unique(groups, return_inverse=True)[1]
    n, areas = member.max() + 1, []
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, n, n), minlength=n)
        areas.append(weighted_area(told, away, weights[member].astype(float)))
    low, high = np.nanpercentile(areas, [2.5, 97.5])
    return weighted_area(told, away, np.ones(len(told))), float(low), float(high)


def weighted_area(told: np.ndarray, away: np.ndarray, weights: np.ndarray) -> float:
    """Area under the ROC curve with weights, ties as halves; NaN where a side has no weight."""
    values, place = np.unique(told, return_inverse=True)
    ours = np.bincount(place, weights=weights * ~away, minlength=len(values))
    theirs = np.bincount(place, weights=weights * away, minlength=len(values))
    if not ours.sum() or not theirs.sum():
        return float("nan")
    below = np.cumsum(ours) - ours / 2
    return float((theirs * below).sum() / (theirs.sum() * ours.sum()))


def _severity(details: Sequence[dict[str, Any]]) -> FindingSeverity | None:
    if any((line.get("low") or 0) >= SEVERE_AREA for line in details):
        return FindingSeverity.SEVERE
    shifted = any(line["p"] is not None and line["p"] <= ALPHA for line in details)
    told_apart = any((line.get("low") or 0) > 0.5 for line in details)
    return FindingSeverity.WARNING if shifted or told_apart else None


def _gain(details: Sequence[dict[str, Any]]) -> Gain:
    shifted = [
        line["of"] for line in details if (line["p"] or 1) <= ALPHA or (line.get("low") or 0) > 0.5
    ]
    if not shifted:
        return Gain("No shift was found; one that is too small for these numbers may be there.")
    most = Counter(shifted).most_common()
    return Gain(
        f"Train and held-out rows differ in {', '.join(name for name, _ in most)}: figures on the "
        "held-out rows speak of other rows than those learned from. Where that is the wish (later "
        "data, other sites) keep it; else split anew by group: strop dataset split. What a model "
        "gains cannot be computed from the data alone."
    )
