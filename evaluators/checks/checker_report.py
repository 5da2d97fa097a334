"""How good a checker is on sentences and texts that it never saw, beside checks without a model.

Planted errors are simulated: they tell what a checker can find, not how often a model errs. AUROC
and balanced accuracy have bootstrap intervals over groups (`risk_report`), rates by kind have
Wilson's. A text is as good as its least supported sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaluators.checks.checker import WEAK, lowest
from evaluators.checks.grounding import INVENTED
from evaluators.checks.overlap import OVERLAP
from evaluators.errors import CannotCompute
from evaluators.metric import Metric
from evaluators.types import Sample

BASELINES: tuple[Metric, ...] = (INVENTED, OVERLAP)


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """A sentence with what is known of it, and what the checker found (None: an error)."""

    group: str
    supported: bool
    kind: str | None
    probability: float | None


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
        CannotCompute: the checker could judge no right or no wrong sentence.
    """
    judged = [one for one in sentences if one.probability is not None]
    if len({one.supported for one in judged}) < 2:
        raise CannotCompute(
            f"Of {len(sentences)} held-out sentences the checker could judge {len(judged)}, not "
            "both right and wrong ones."
        )
    return {
        "sentences": _of_sentences(judged, seed),
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


def _figures(
    name: str,
    risk: Sequence[float],
    bad: Sequence[bool],
    groups: Sequence[str],
    *,
    metrics: Sequence[str],
    seed: int,
) -> list[dict[str, Any]]:
    from evaluators.checks.risk_report import risk_figures

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
    """AUROC of right texts against the same with one error, of the checker and of baselines.

    A baseline that does not speak of a text finds nothing wrong with it.
    """
    whole = [one for one in texts if one.probabilities and None not in one.probabilities]
    if len({one.kind is None for one in whole}) < 2:
        return []
    risks: Mapping[str, list[float]] = {
        "check": [1 - lowest(p for p in one.probabilities if p is not None) for one in whole],
        **{metric.name: _risks(metric, whole) for metric in BASELINES},
    }
    bad, groups = [one.kind is not None for one in whole], [one.group for one in whole]
    return [
        figure
        for name, risk in risks.items()
        for figure in _figures(name, risk, bad, groups, metrics=("auroc",), seed=seed)
    ]


def _risks(metric: Metric, texts: Sequence[JudgedText]) -> list[float]:
    samples = [
        Sample(id=str(i), prediction=one.text, context=one.source) for i, one in enumerate(texts)
    ]
    sign = -1 if metric.higher_is_better else 1
    return [
        sign * (1 if metric.higher_is_better else 0) if score.value is None else sign * score.value
        for score in metric.score(samples)
    ]
