"""What the labels of a checker mean, whatever they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping

from evaluators.checks.text.claims import word_set
from evaluators.errors import EvaluatorError

SUPPORTED = word_set(
    "accurate attributable consistent correct entail entailed entailment entails factual "
    "faithful grounded support supported supports"
)
UNSUPPORTED = word_set(
    "contradiction fabricated hal hall hallu hallucinated hallucination inaccurate "
    "inconsistent ungrounded unfaithful unsupported"
)
_NOT = frozenset({"no", "non", "not"})


def means_supported(label: str) -> bool | None:
    """Whether a label says that the source supports a text, or that it does not; else None.

    Letters in small, words apart: `SUPPORTS`, `Factually_Consistent`, `not-entailment`, `B-HALL`.
    """
    words = re.findall(r"[a-z]+", label.lower()) or [""]
    negated = words[0] in _NOT
    if words[-1] in SUPPORTED:
        return not negated
    return negated if words[-1] in UNSUPPORTED else None


def number_of_label(model: str, labels: Mapping[int, str], wanted: str) -> int:
    """The label of a classifier that means supported, or that is asked for by name or number.

    Raises:
        EvaluatorError: none does, several do, or there is no such label.
    """
    found = _asked_for(labels, wanted) if wanted else _meaning(labels, supported=True)
    if len(found) != 1:
        raise _unclear(model, labels, "supported")
    return found[0]


def numbers_of_marks(model: str, labels: Mapping[int, str], wanted: str) -> list[int]:
    """The labels of a token classifier that mean hallucinated, or the one that is asked for.

    Raises:
        EvaluatorError: none does, or there is no such label.
    """
    found = _asked_for(labels, wanted) if wanted else _meaning(labels, supported=False)
    if not found:
        raise _unclear(model, labels, "hallucinated")
    return found


def _asked_for(labels: Mapping[int, str], wanted: str) -> list[int]:
    return [i for i, name in labels.items() if wanted.lower() in (name.lower(), str(i))]


def _meaning(labels: Mapping[int, str], *, supported: bool) -> list[int]:
    return [i for i, name in labels.items() if means_supported(name) is supported]


def _unclear(model: str, labels: Mapping[int, str], meant: str) -> EvaluatorError:
    return EvaluatorError(
        f"{model!r} has the labels {', '.join(labels.values())}, and which one means {meant} is "
        "not told by its name.",
        hint=f"Name it: {model}?label={next(iter(labels.values()))}",
    )
