"""All metrics by name.

To add one: a file under `metrics/` or `checks/`, a line here, a golden table in tests/evaluators.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluators.checks.grounding import GROUNDING, INVENTED
from evaluators.errors import EvaluatorError, UnknownMetric
from evaluators.metric import Metric
from evaluators.metrics.labels import ACCURACY, F1, F1_MICRO, F1_WEIGHTED
from evaluators.metrics.rouge import VARIANTS, rouge
from evaluators.metrics.sacre import BLEU, CHRF, CHRF_PP, TER
from evaluators.metrics.squad import EXACT_MATCH, TOKEN_F1

METRICS: dict[str, Metric] = {
    "accuracy": ACCURACY,
    "f1": F1,
    "f1_micro": F1_MICRO,
    "f1_weighted": F1_WEIGHTED,
    "exact_match": EXACT_MATCH,
    "token_f1": TOKEN_F1,
    **{name: rouge(name, variant) for name, variant in VARIANTS.items()},
    **{f"{name}_stem": rouge(name, variant, stem=True) for name, variant in VARIANTS.items()},
    "bleu": BLEU,
    "chrf": CHRF,
    "chrf++": CHRF_PP,
    "ter": TER,
    "grounding": GROUNDING,
    "invented": INVENTED,
}

FAMILIES: dict[str, tuple[str, ...]] = {
    "rouge": tuple(VARIANTS),
    "rouge_stem": tuple(f"{name}_stem" for name in VARIANTS),
}


def resolve_metrics(names: Sequence[str]) -> list[Metric]:
    """Metrics by name, in order, each once; a family such as `rouge` stands for its members.

    Raises:
        UnknownMetric: a name that is not registered; the message lists the nearest.
        EvaluatorError: no name at all.
    """
    if not names:
        raise EvaluatorError("No metric is named.", hint="Name one of: " + ", ".join(METRICS))
    found: dict[str, Metric] = {}
    for name in names:
        for member in FAMILIES.get(name, (name,)):
            if member not in METRICS:
                raise UnknownMetric(member, [*METRICS, *FAMILIES])
            found[member] = METRICS[member]
    return list(found.values())
