"""The cheap models of the banking77 curves: features made once, a classifier, and two screens.

Stands in for an adapter (classifier) and for the checks that pick what to review (screens); knows
nothing of rounds, budgets and designs. scikit-learn only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

EPOCHS = 10


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of both splits as features, and their true labels as numbers."""

    words: Any
    characters: Any
    test_words: Any
    truth: np.ndarray
    test_truth: np.ndarray

    @classmethod
    def of(cls, train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str]]) -> Texts:
        """From (text, label) rows; labels that only the test split has are labels too."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        names = sorted({label for _, label in [*train, *test]})
        number = {name: i for i, name in enumerate(names)}
        words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
        characters = TfidfVectorizer(
            sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 4), min_df=4
        )
        return cls(
            words=words.fit_transform(text for text, _ in train),
            characters=characters.fit_transform(text for text, _ in train),
            test_words=words.transform(text for text, _ in test),
            truth=np.array([number[label] for _, label in train]),
            test_truth=np.array([number[label] for _, label in test]),
        )

    def nearest(self) -> np.ndarray:
        """For each label the one whose texts are most like its own, by cosine of their means."""
        classes = int(self.truth.max()) + 1
        members = np.eye(classes)[self.truth].T
        means = members @ self.words
        means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-12
        likeness = means @ means.T
        np.fill_diagonal(likeness, -1.0)
        return np.asarray(likeness.argmax(axis=1))


def measure_f1(texts: Texts, labels: np.ndarray, *, seed: int) -> float:
    """Macro-F1 on the clean test split of a linear classifier trained on labels as they stand."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import f1_score

    model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=EPOCHS, tol=None, random_state=seed)
    said = model.fit(texts.words, labels).predict(texts.test_words)
    return float(f1_score(texts.test_truth, said, average="macro"))


def screen_labels(
    texts: Texts, labels: np.ndarray, *, folds: int, seed: int
) -> dict[str, np.ndarray]:
    """What strata go by, a value for each label, from two screens that have not seen it.

    high_risk: 1 - probability of the label as it stands (confident learning: Northcutt et al. 2021,
    J. Artif. Intell. Res. 70:1373). models_disagree: share of the screens that say another label.
    low_confidence: 1 - probability of the first screen's own label.
    """
    classes = int(max(labels.max(), texts.truth.max())) + 1
    by_words = _out_of_fold(texts.words, labels, classes, folds=folds, seed=seed)
    by_characters = _out_of_fold(texts.characters, labels, classes, folds=folds, seed=seed)
    rows = np.arange(len(labels))
    apart = [screen.argmax(axis=1) != labels for screen in (by_words, by_characters)]
    return {
        "high_risk": 1 - (by_words[rows, labels] + by_characters[rows, labels]) / 2,
        "models_disagree": np.mean(apart, axis=0),
        "low_confidence": 1 - by_words.max(axis=1),
    }


def _out_of_fold(
    features: Any, labels: np.ndarray, classes: int, *, folds: int, seed: int
) -> np.ndarray:
    """Probabilities (labels, classes) by naive Bayes models that were trained on other folds."""
    from sklearn.naive_bayes import MultinomialNB

    fold = np.random.default_rng(seed).permutation(len(labels)) % folds
    found = np.zeros((len(labels), classes))
    for number in range(folds):
        rest, here = fold != number, fold == number
        model = MultinomialNB(alpha=0.1).fit(features[rest], labels[rest])
        found[np.ix_(here, model.classes_)] = model.predict_proba(features[here])
    return found
