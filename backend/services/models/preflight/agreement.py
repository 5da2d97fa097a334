"""Does the server compute what PEFT computes in this process, for every model, on a few prompts?

The one check that knows what an adapter's weights should say. A server that holds another adapter
under the name (swapped, stale after a reload, of another file), or another base, differs from PEFT
though it differs from its own base as it should. Both sides round: bfloat16 on a server and float32
here move the likely first tokens by some hundredths of a nat.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.engines.base import Engine, GenerationResult, Message, ServedModel
from backend.engines.prompts import load_tokenizer
from backend.errors import StropError
from backend.services.models.preflight.answers import Answers, answer_probes
from backend.services.models.preflight.checks import SMALLEST_DIFFERENCE, Check, token_gaps

LARGEST_GAP = 0.25
"""Nats, median over the likely first tokens. Rounding stays below 0.1; other weights do not."""
LEAST_SHARE = 0.25
"""Of greedy tokens that are equal up to the first that differs, over all probes."""

FirstTokens = Sequence[Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Reference:
    """PEFT in this process with the same models; without an engine, `reason` says why not."""

    engine: Engine | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What an engine answered, by the model's serving name."""

    first_tokens: Mapping[str, FirstTokens]
    answers: Answers


def check_agreement(
    reference: Reference,
    models: Sequence[ServedModel],
    probes: Sequence[Sequence[Message]],
    served: Served,
) -> list[Check]:
    """One check for each model; a note where nothing could be compared."""
    if reference.engine is None:
        detail = f"Not compared with PEFT in this process: {reference.reason}."
        return [Check("server and PEFT", None, detail)]
    try:
        meant = _ask(reference.engine, models, probes)
    except StropError as error:
        detail = f"PEFT could not answer for these models: {error.message}"
        return [Check("server and PEFT", False, detail)]
    tokenizer = load_tokenizer(models[0].base_model)
    return [_check_model(model, models, served, meant, tokenizer) for model in models]


def _ask(
    engine: Engine, models: Sequence[ServedModel], probes: Sequence[Sequence[Message]]
) -> Served:
    engine.load(models)
    names = [model.name for model in models]
    first = {name: [engine.next_token_logprobs(name, probe) for probe in probes] for name in names}
    return Served(first, answer_probes(engine, names, probes))


def _check_model(
    model: ServedModel,
    models: Sequence[ServedModel],
    served: Served,
    meant: Served,
    tokenizer: Any,
) -> Check:
    title = f"{model.name} at the server and in PEFT"
    theirs = served.first_tokens[model.name]
    gap = median_gap(theirs, meant.first_tokens[model.name])
    others = {
        other.name: median_gap(theirs, meant.first_tokens[other.name])
        for other in models
        if other.name != model.name and other.adapter_sha256 != model.adapter_sha256
    }
    nearest = min(others, key=others.__getitem__) if others else None
    equal, tokens = _equal_tokens(served.answers, meant.answers, model.name, tokenizer)
    figures: dict[str, float | int | str] = {
        "probes": len(theirs),
        "median_nats": gap,
        "threshold_nats": LARGEST_GAP,
        "tokens": tokens,
        "equal_tokens": equal,
        **({"nearest_other": nearest, "other_nats": others[nearest]} if nearest else {}),
    }
    if nearest is not None and gap > SMALLEST_DIFFERENCE and others[nearest] < gap:
        return Check(
            title,
            False,
            f"The server answers for {model.name} as PEFT does for {nearest} (first tokens "
            f"{others[nearest]:.3f} nats apart, {gap:.3f} from its own): names are swapped or the "
            "adapter is stale.",
            figures,
        )
    share = equal / tokens if tokens else 0.0
    if gap > LARGEST_GAP or share < LEAST_SHARE:
        return Check(
            title,
            False,
            f"The server does not compute {model.name} as PEFT does: first tokens {gap:.3f} nats "
            f"apart, {equal} of {tokens} greedy tokens equal: other weights than those of its "
            "files.",
            figures,
        )
    detail = (
        f"{model.name}: {equal} of {tokens} greedy tokens equal, first tokens {gap:.3f} nats apart "
        f"on {len(theirs)} probes."
    )
    return Check(title, True, detail, figures)


def median_gap(one: FirstTokens, other: FirstTokens) -> float:
    """Median difference in nats over the likeliest tokens of either side, on all probes."""
    pairs = zip(one, other, strict=True)
    return statistics.median(gap for left, right in pairs for gap in token_gaps(left, right))


def _equal_tokens(served: Answers, meant: Answers, model: str, tokenizer: Any) -> tuple[int, int]:
    """Greedy tokens that are equal before the first that differs, and how many there are."""
    equal = total = 0
    for key, answer in served.items():
        if key.startswith(f"{model}/"):
            left, right = _ids(answer, tokenizer), _ids(meant[key], tokenizer)
            total += max(len(left), len(right))
            pairs = enumerate(zip(left, right, strict=False))
            shorter = min(len(left), len(right))
            equal += next((i for i, (a, b) in pairs if a != b), shorter)
    return equal, total


def _ids(answer: GenerationResult, tokenizer: Any) -> list[int]:
    encoded = tokenizer(answer.text or "", add_special_tokens=False, verbose=False)
    return [*encoded["input_ids"], -1]  # the end is a token too: two empty answers agree
