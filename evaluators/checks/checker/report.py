"""How good a checker is on sentences and texts that it never saw, beside checks without a model.

Planted errors are simulated: they tell what a checker can find, not how often a model errs. AUROC
and balanced accuracy have bootstrap intervals over groups (`risk.report`), rates by kind have
Wilson's. A text is as good as its least supported sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluators.checks.checker.checker import WEAK, lowest
from evaluators.checks.grounding.grounding import INVENTED
from evaluators.checks.grounding.overlap import OVERLAP
from evaluators.errors import UndefinedFigure
from evaluators.metric import Metric
from evaluators.types import Sample

if TYPE_CHECKING:
    from evaluators.statistics.meta import MetaDifference

BASELINES: tuple[Metric, ...] = (INVENTED, OVERLAP)


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """A sentence with what is known of it, and what the checker found (None: an error).

    Attributes:
        source, sentence: what checks without a model read of it; empty where nothing is held
            against them.
    """

    group: str
    supported: bool
    kind: str | None
    probability: float | None
    source: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class JudgedText:
    """A text, right or with an error of a kind, and the probabilities of its sentences."""

    group: str
    source: str
    text: str
    kind: str | None
    probabilities: tuple[float | None, ...]


def report_checker(
    sentences: Sequence[JudgedSentence], texts: Sequence[JudgedText], *, seed: int = 0
) -> dict[str, Any]:
    """All figures of a checker, JSON-serialisable, each with its n and interval.

    Raises:
        UndefinedFigure: the checker could judge no right or no wrong sentence.
    """
    judged = [one for one in sentences if one.probability is not None]
    if len({one.supported for one in judged}) < 2:
        raise UndefinedFigure(
            f"Of {len(sentences)} held-out sentences the checker could judge {len(judged)}, not "
            "both right and wrong ones."
        )
    return {
        "sentences": _of_sentences(judged, seed),
        "beside": _beside(judged, seed),
        "found": _by_kind(judged),
        "false_alarms": _rate([one for one in judged if one.supported]),
        "texts": _of_texts(texts, seed),
        "failed": len(sentences) - len(judged),
        "groups": len({one.group for one in judged}),
    }


def _of_sentences(judged: Sequence[JudgedSentence], seed: int) -> list[dict[str, Any]]:
    return _figures(
        "check",
        [1 - (one.probability or 0.0) for one in judged],
        [not one.supported for one in judged],
        [one.group for one in judged],
        metrics=("auroc", "balanced_accuracy"),
        seed=seed,
    )


def _beside(judged: Sequence[JudgedSentence], seed: int) -> list[dict[str, Any]]:
    """AUROC of checks without a model on the same sentences, and the checker's less theirs."""
    from evaluators.statistics.correlations import Rated
    from evaluators.statistics.meta import meta_differences

    if not judged[0].sentence:
        return []
    bad, groups = [not one.supported for one in judged], [one.group for one in judged]
    samples = [Sample(str(i), one.sentence, context=one.source) for i, one in enumerate(judged)]
    risks = {metric.name: _risks(metric, samples) for metric in BASELINES}
    own = [1 - (one.probability or 0.0) for one in judged]
    columns = {name: np.array(risk) for name, risk in {"check": own, **risks}.items()}
    rated = Rated(np.array(bad, dtype=np.float64), columns, tuple(groups))
    apart = {
        one.other: one
        for one in meta_differences(rated, coefficients=[("auroc", "sample")], seed=seed)
        if one.metric == "check"
    }
    return [
        row
        for name, risk in risks.items()
        for row in (
            *_figures(name, risk, bad, groups, metrics=("auroc",), seed=seed),
            {**_bounds(apart[name]), "predictor": name, "metric": "difference"},
        )
    ]


def _bounds(found: MetaDifference) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def _figures(
    name: str,
    risk: Sequence[float],
    bad: Sequence[bool],
    groups: Sequence[str],
    *,
    metrics: Sequence[str],
    seed: int,
) -> list[dict[str, Any]]:
    from evaluators.checks.risk.report import risk_figures

    # "Not supported" is said below WEAK, so at a risk of 1 - WEAK only above it.
    found = risk_figures(
        name, risk, bad, groups, metrics=metrics, seed=seed, threshold=1 - WEAK + 1e-9
    )
    return [asdict(figure) for figure in found]


def _by_kind(judged: Sequence[JudgedSentence]) -> dict[str, dict[str, Any]]:
    """Share of the wrong sentences of each kind that the checker calls unsupported."""
    by_kind: dict[str, list[JudgedSentence]] = defaultdict(list)
    for one in judged:
        if one.kind is not None:
            by_kind[one.kind].append(one)
    return {kind: _rate(found) for kind, found in sorted(by_kind.items())}


def _rate(judged: Sequence[JudgedSentence]) -> dict[str, Any]:
    """How many of some sentences are called unsupported."""
    from evaluators.statistics.intervals import wilson

    hits = sum((one.probability or 0.0) < WEAK for one in judged)
    low, high = wilson(hits, len(judged))
    return {"value": hits / len(judged), "low": low, "high": high, "n": len(judged)}


def _of_texts(texts: Sequence[JudgedText], seed: int) -> list[dict[str, Any]]:
    """AUROC of right texts against the same with one error, of the checker and of baselines."""
    whole = [one for one in texts if one.probabilities and None not in one.probabilities]
    if len({one.kind is None for one in whole}) < 2:
        return []
    risks: Mapping[str, list[float]] = {
        "check": [1 - lowest(p for p in one.probabilities if p is not None) for one in whole],
        **{metric.name: _risks(metric, _samples(whole)) for metric in BASELINES},
    }
    bad, groups = [one.kind is not None for one in whole], [one.group for one in whole]
    return [
        figure
        for name, risk in risks.items()
        for figure in _figures(name, risk, bad, groups, metrics=("auroc",), seed=seed)
    ]


def _samples(texts: Sequence[JudgedText]) -> list[Sample]:
    return [Sample(str(i), one.text, context=one.source) for i, one in enumerate(texts)]


def _risks(metric: Metric, samples: Sequence[Sample]) -> list[float]:
    """More is worse; a check that does not speak of a text finds nothing wrong with it."""
    sign = -1 if metric.higher_is_better else 1
    return [
        sign * (1 if metric.higher_is_better else 0) if score.value is None else sign * score.value
        for score in metric.score(samples)
    ]
