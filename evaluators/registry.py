"""All metrics by name.

To add one: a file under `metrics/` or `checks/`, a line here, a golden table in tests/evaluators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from evaluators.checks.grounding.citations import CITATIONS
from evaluators.checks.grounding.grounding import GROUNDING, INVENTED
from evaluators.checks.grounding.others import OTHERS_OVERLAP, OWN_NOVEL, OWN_WORDS
from evaluators.checks.grounding.overlap import (
    INPUT_OVERLAP,
    NOVEL_STRETCH,
    NOVEL_WORDS,
    OVERLAP,
    OVERLAP_PAIRS,
    SOURCE_ROUGE,
)
from evaluators.checks.grounding.weighing import DEPARTURES
from evaluators.checks.models.confidence import CONFIDENCE, CONFIDENCE_MIN, TOKEN_ENTROPY
from evaluators.checks.models.entailment import checker, entailment
from evaluators.checks.models.interface import unasked
from evaluators.checks.models.self_consistency import SELF_CONSISTENCY, entailment_consistency
from evaluators.checks.models.source_gain import support
from evaluators.errors import EvaluatorError, UndefinedFigure, UnknownMetric
from evaluators.metric import Metric
from evaluators.metrics.edits import COST, EDIT_SIMILARITY, LATENCY, TOKENS
from evaluators.metrics.encoders import bertscore, embedding
from evaluators.metrics.forms import LENGTH, REFUSAL, REPETITION, VALID_JSON, json_schema, regex
from evaluators.metrics.hub import hub_metric
from evaluators.metrics.labels import (
    ACCURACY,
    BALANCED_ACCURACY,
    F1,
    F1_MICRO,
    F1_WEIGHTED,
    PRECISION,
    RECALL,
)
from evaluators.metrics.multilabel import MULTILABEL_F1, MULTILABEL_SAMPLES
from evaluators.metrics.rouge import VARIANTS, rouge
from evaluators.metrics.sacre import BLEU, BLEU_BY_TOKENISER, CHRF, CHRF_PP, TER
from evaluators.metrics.squad import EXACT_MATCH, EXACT_MATCH_NUMBERS, TOKEN_F1, TOKEN_F1_UNICODE
from evaluators.types import Sample, Score

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        ACCURACY,
        F1,
        F1_MICRO,
        F1_WEIGHTED,
        BALANCED_ACCURACY,
        PRECISION,
        RECALL,
        MULTILABEL_F1,
        MULTILABEL_SAMPLES,
        EXACT_MATCH,
        EXACT_MATCH_NUMBERS,
        TOKEN_F1,
        TOKEN_F1_UNICODE,
        *(rouge(name, variant) for name, variant in VARIANTS.items()),
        *(rouge(name, variant, "stem") for name, variant in VARIANTS.items()),
        *(rouge(name, variant, "unicode") for name, variant in VARIANTS.items()),
        *(BLEU, *BLEU_BY_TOKENISER.values(), CHRF, CHRF_PP, TER, EDIT_SIMILARITY),
        VALID_JSON,
        LENGTH,
        REPETITION,
        REFUSAL,
        LATENCY,
        TOKENS,
        COST,
        GROUNDING,
        INVENTED,
        OVERLAP,
        OVERLAP_PAIRS,
        INPUT_OVERLAP,
        SOURCE_ROUGE,
        *(OWN_WORDS, OWN_NOVEL, OTHERS_OVERLAP, *DEPARTURES, NOVEL_WORDS, NOVEL_STRETCH, CITATIONS),
        SELF_CONSISTENCY,
        CONFIDENCE,
        CONFIDENCE_MIN,
        TOKEN_ENTROPY,
    )
}


class Takes(StrEnum):
    """What the argument of a metric is: text, the path of a file, a model, a module to run.

    SERVED names a thing of the project that a worker asks (`evaluators.checks.models.interface`),
    FITTED one that is computed from the other scores of a run (`evaluators.checks.risk.scores`).
    """

    PATTERN = "pattern"
    FILE = "file"
    MODEL = "model"
    CODE = "code"
    SERVED = "served"
    FITTED = "fitted"


class Factory(NamedTuple):
    """Makes a metric of an argument, and whether what it makes reads the reference."""

    make: Callable[[str], Metric]
    takes: Takes
    reads_reference: bool = False


def _check(name: str) -> Metric:
    return unasked(
        f"check:{name}",
        1,
        needs=frozenset({"context"}),
        description="the project's own checker: the least supported sentence of the output",
    )


def _judge(name: str) -> Metric:
    return unasked(f"judge:{name}", 1, needs=frozenset(), description="a rating by a judge")


def _risk(version: str) -> Metric:
    def score(samples: Sequence[Sample]) -> list[Score]:
        raise UndefinedFigure(
            f"risk:{version} is made of the other scores of a run of its project.",
            hint="A worker computes it: strop run --metrics checks,risk; in files: --risk FILE",
        )

    return Metric(
        f"risk:{version}",
        1,
        score,
        higher_is_better=False,
        description="probability that the output is wrong, learned from the project's reviews",
    )


FITTED_NAME = "risk"
FACTORIES: dict[str, Factory] = {
    "json_schema": Factory(json_schema, Takes.FILE),
    "regex": Factory(regex, Takes.PATTERN),
    "embedding": Factory(embedding, Takes.MODEL, reads_reference=True),
    "bertscore": Factory(bertscore, Takes.MODEL, reads_reference=True),
    "entailment": Factory(entailment, Takes.MODEL),
    "checker": Factory(checker, Takes.MODEL),
    "self_consistency": Factory(entailment_consistency, Takes.MODEL),
    "evaluate": Factory(hub_metric, Takes.CODE, reads_reference=True),
    "support": Factory(support, Takes.SERVED),
    "check": Factory(_check, Takes.SERVED),
    "judge": Factory(_judge, Takes.SERVED),
    FITTED_NAME: Factory(_risk, Takes.FITTED),
}


def asks_model(name: str) -> bool:
    """Whether a metric of this name asks a model that a worker has to serve."""
    return _takes(name) is Takes.SERVED


def is_fitted(name: str) -> bool:
    """Whether a metric of this name is computed from the other scores of a run."""
    return _takes(name) is Takes.FITTED


def loads_model(name: str) -> bool:
    """Whether a metric of this name loads a model, which uses every processor by itself."""
    return _takes(name) is Takes.MODEL


def reads_reference(name: str) -> bool:
    """Whether a metric of this name reads the reference; told without opening what it is made of.

    Raises:
        UnknownMetric: there is no such metric.
    """
    kind, colon, _ = name.partition(":")
    if colon and kind in FACTORIES:
        return FACTORIES[kind].reads_reference
    return "reference" in _find(name, None).needs


def _takes(name: str) -> Takes | None:
    kind, colon, _ = name.partition(":")
    return FACTORIES[kind].takes if colon and kind in FACTORIES else None


# Given the whole name, what the argument is, and the argument; returns what to make the metric of.
Argument = Callable[[str, str, str], str]

FAMILIES: dict[str, tuple[str, ...]] = {
    "rouge": tuple(VARIANTS),
    "rouge_stem": tuple(f"{name}_stem" for name in VARIANTS),
    "rouge_unicode": tuple(f"{name}_unicode" for name in VARIANTS),
    "checks": (
        *("invented", "grounding", "overlap", "overlap_pairs", "source_rouge"),
        *("input_overlap", "novel_stretch"),
        *("own_words", "others_overlap", "length", "repetition"),
        *(metric.name for metric in DEPARTURES),
    ),
}


def resolve_metrics(names: Sequence[str], argument: Argument | None = None) -> list[Metric]:
    """Metrics by name, in order, each once; a family such as `rouge` stands for its members.

    A name with an argument, such as `regex:PATTERN`, `json_schema:FILE`, `bertscore:MODEL` or
    `evaluate:PATH`, makes a metric.

    Args:
        argument: looks at an argument first and returns what the metric is made of (a relative path
            made whole, say), or raises; the metric keeps the name that was asked for.

    Raises:
        UnknownMetric: a name that is not registered; the message lists the nearest.
        EvaluatorError: no name at all.
    """
    if not names:
        raise EvaluatorError("No metric is named.", hint="Name one of: " + ", ".join(METRICS))
    found: dict[str, Metric] = {}
    for name in names:
        for member in FAMILIES.get(name, (name,)):
            found[member] = _find(member, argument)
    return list(found.values())


def _find(name: str, look: Argument | None) -> Metric:
    if name in METRICS:
        return METRICS[name]
    kind, colon, argument = name.partition(":")
    if colon and argument and kind in FACTORIES:
        factory = FACTORIES[kind]
        # What is said of a model stands behind a ? and is no part of its path.
        path, *options = argument.split("?", 1) if factory.takes is Takes.MODEL else [argument]
        asked = path if look is None else look(name, factory.takes, path)
        made = factory.make("?".join([asked, *options]))
        return made if made.name == name else replace(made, name=name)
    raise UnknownMetric(name, [*METRICS, *FAMILIES, *(f"{kind}:..." for kind in FACTORIES)])
