"""Labels that are likely wrong: confident learning on predictions that have not seen the row.

A linear classifier on words (TF-IDF of words and pairs of words), or on the vectors of an encoder
that is named, says of each row the probability of each label; groups and near-copies of a row are
never among the rows that it learned from. How many labels are wrong is estimated from the confident
joint (Northcutt, Jiang and Chuang 2021, J. Artif. Intell. Res. 70:1373, by `cleanlab`), and so many
rows of the lowest probability of their own label are flagged.

Only where references are classes: of free texts nobody can say that a label is wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.errors import CannotCompute
from backend.schemas.health import Gain
from backend.services.datasets.health.findings import (
    REFERENCE,
    Flagged,
    HealthMaterial,
    KindFindings,
    Task,
)
from backend.services.datasets.health.repeats import embed
from evaluators.statistics.intervals import wilson

FOLDS = 5
LEAST_OF_LABEL = 5
LEAST_ROWS = 50
EPOCHS, MOST_EPOCHS, STEPS = 10, 50, 40_000
STRENGTH = 10
MOST_WORDS = 60_000


def find_label_errors(material: HealthMaterial) -> KindFindings:
    """Rows whose label the out-of-fold classifier makes unlikely.

    Raises:
        CannotCompute: the references are texts, or too few rows or labels are left.
    """
    from cleanlab.filter import find_label_issues

    if material.task is not Task.CLASSES:
        raise CannotCompute(
            "The references are texts and no classes, so that no label can be called wrong.",
            hint="See contradictions and unsupported references; or say --task classes.",
        )
    judged, left_out = judge(material)
    told, labels = judged.told, judged.labels
    wrong = find_label_issues(labels, told, filter_by="low_self_confidence", n_jobs=1)
    order = sorted(wrong.nonzero()[0], key=lambda i: (told[i][labels[i]], judged.numbers[i]))
    rows = tuple(_flag(material, judged, int(i)) for i in order)
    n = len(judged.numbers)
    agree = float((told.argmax(axis=1) == labels).mean())
    seen = "words" if material.encoder is None else "vectors of the encoder that is named"
    notes = [
        f"out of {FOLDS} folds by group, a linear classifier on {seen} agrees with {agree:.1%} "
        "of the labels"
    ]
    if left_out:
        notes.append(
            f"{left_out} rows are not judged: their label comes fewer than {LEAST_OF_LABEL} "
            "times, or in too few groups"
        )
    return KindFindings(rows, n, _gain(len(rows), n), notes=tuple(notes))


def _flag(material: HealthMaterial, judged: PredictedLabels, i: int) -> Flagged:
    told, label = judged.told[i], int(judged.labels[i])
    given, likely = judged.names[label], judged.names[int(told.argmax())]
    own = float(told[label])
    said = "no other label is likelier" if given == likely else f"{likely!r} has {told.max():.0%}"
    why = f"The label {given!r} has a probability of {own:.1%} out of fold; {said}."
    identity = material.rows[judged.numbers[i]].external_id
    return Flagged(identity, REFERENCE, why, score=round(1 - own, 4))


def _gain(flagged: int, n: int) -> Gain:
    if not flagged:
        return Gain("No label is flagged, so nothing is to be gained here.")
    low, high = wilson(n - flagged, n)
    sentence = (
        f"If all {flagged} are wrong, a model that is always right agrees with "
        f"{1 - flagged / n:.1%} of these labels at most ({low:.1%} to {high:.1%}): no measured "
        "accuracy can go beyond it. What a model gains by mending is not told by the data alone; "
        "have a sample reviewed, and the share confirmed is told here."
    )
    figure = "most that accuracy can be if all flagged are wrong"
    return Gain(sentence, figure, 1 - flagged / n, low, high, n)


def _judgeable(material: HealthMaterial) -> tuple[list[int], list[str], int]:
    """Rows that can be judged, the names of their labels, and how many are left out."""
    named = [row.references[0].strip() if row.references else "" for row in material.rows]
    counted = Counter(name for name in named if name)
    groups: dict[str, set[int]] = {}
    for number, name in enumerate(named):
        groups.setdefault(name, set()).add(material.clusters[number])
    kept = sorted(
        name for name, n in counted.items() if n >= LEAST_OF_LABEL and len(groups[name]) >= 2
    )
    numbers = [n for n, name in enumerate(named) if name in set(kept)]
    if len(kept) < 2 or len(numbers) < LEAST_ROWS:
        raise CannotCompute(
            f"{len(numbers)} rows have a label that comes {LEAST_OF_LABEL} times and in two "
            f"groups; it takes {LEAST_ROWS} rows and two labels.",
            hint="Add rows.",
        )
    return numbers, kept, sum(bool(name) for name in named) - len(numbers)


def _features(material: HealthMaterial, numbers: list[int]) -> Any:
    """Unit rows: of the encoder where one is named, else of words."""
    texts = [material.prompts[n] for n in numbers]
    if material.encoder is not None:
        return embed(texts, material.encoder, spread=material.spread_model)
    return word_features(texts)


def word_features(texts: list[str]) -> Any:
    """TF-IDF of words and pairs of words that come twice; a sparse matrix of unit rows.

    Raises:
        CannotCompute: no word comes twice.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        min_df=2,
        max_features=MOST_WORDS,
        token_pattern=r"(?u)\b\w+\b",
    )
    try:
        return made.fit_transform(texts)
    except ValueError as error:
        raise CannotCompute("No word comes twice, so that nothing can be learned.") from error


def classifier(seed: int, n: int) -> Any:
    """The linear classifier of all examinations: logistic loss on unit rows, so many of them.

    The penalty is that of C = 10 in a logistic regression, whatever the number of rows; few rows
    are seen more often.
    """
    from sklearn.linear_model import SGDClassifier

    epochs = max(EPOCHS, min(MOST_EPOCHS, STEPS // max(1, n)))
    return SGDClassifier(
        loss="log_loss", alpha=1 / (STRENGTH * n), max_iter=epochs, tol=None, random_state=seed
    )


def out_of_fold(
    features: Any, labels: np.ndarray, groups: np.ndarray, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of each label for each row, by a classifier that saw none of its group.

    Returns:
        Shape (rows, labels), and which rows had their label among those learned from.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(FOLDS, len(set(groups.tolist())))
    told = np.zeros((len(labels), int(labels.max()) + 1))
    judged = np.zeros(len(labels), dtype=bool)
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for learn, hold in parts.split(features, labels, groups):
        fitted = classifier(seed, len(learn)).fit(features[learn], labels[learn])
        told[np.ix_(hold, fitted.classes_)] = fitted.predict_proba(features[hold])
        judged[hold] = np.isin(labels[hold], fitted.classes_)
    return told, judged


@dataclass(frozen=True, slots=True)
class PredictedLabels:
    """Rows with what a classifier says of them that has not seen them.

    Attributes:
        numbers: which rows of the material they are.
        labels: of each its place in `names`.
        told: probabilities, shape (rows, names).
    """

    numbers: list[int]
    names: list[str]
    labels: np.ndarray
    told: np.ndarray


def judge(material: HealthMaterial) -> tuple[PredictedLabels, int]:
    """The rows that can be judged, and how many with a label cannot.

    Raises:
        CannotCompute: too few rows or labels.
    """
    numbers, names, left_out = _judgeable(material)
    place = {name: i for i, name in enumerate(names)}
    labels = np.array([place[material.rows[n].references[0].strip()] for n in numbers])
    groups = np.array([material.clusters[n] for n in numbers])
    told, seen = out_of_fold(_features(material, numbers), labels, groups, seed=material.seed)
    return _only_seen(PredictedLabels(numbers, names, labels, told), seen, left_out)


def _only_seen(
    whole: PredictedLabels, seen: np.ndarray, left_out: int
) -> tuple[PredictedLabels, int]:
    """Without rows of a label that the classifier of their fold did not know."""
    if seen.all():
        return whole, left_out
    present, labels = np.unique(whole.labels[seen], return_inverse=True)
    if len(present) < 2:
        raise CannotCompute("The labels lie in too few groups to be held out.", hint="Add groups.")
    told = whole.told[seen][:, present]
    told /= np.maximum(told.sum(axis=1, keepdims=True), 1e-12)
    kept = PredictedLabels(
        [n for n, known in zip(whole.numbers, seen, strict=True) if known],
        [whole.names[i] for i in present],
        labels,
        told,
    )
    return kept, left_out + int((~seen).sum())
