"""Does the server compute what PEFT computes in this process, for every model, on a few prompts?

The one check that knows what an adapter's weights should say. A server that holds another adapter
under the name (swapped, stale after a reload, of another file), or another base, differs from PEFT
though it differs from its own base as it should. Both sides round: bfloat16 on a server and float32
here move the likely first tokens by some hundredths of a nat.

How constant greedy answers are: asked twice, in a shuffled batch, and beside other models.

The base is asked alone and then in one batch with the adapters. A server that lets an adapter leak
into its neighbours (vLLM does so on CPUs once all adapter slots are taken, vllm-project/vllm#48421)
gives itself away there, and nowhere else.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.engines.base import (
    Engine,
    GenerationRequest,
    GenerationResult,
    Message,
    SamplingParams,
    ServedModel,
)
from backend.engines.first_tokens import LARGEST_GAP, median_gap
from backend.engines.prompts import load_tokenizer
from backend.errors import StropError
from backend.services.models.preflight.checks import (
    NOISE_FACTOR,
    SMALLEST_DIFFERENCE,
    Check,
    Figures,
    first_difference,
)

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


def load_reference(
    reference: Reference, models: Sequence[ServedModel], probe: Sequence[Message]
) -> Check | None:
    """Make PEFT ready to be asked in another thread; the check that says why it is not.

    One question is asked here, which imports what all need: two threads that import transformers at
    once find it half imported.
    """
    if reference.engine is None:
        why = f"Not compared with PEFT in this process: {reference.reason}."
        return Check("server and PEFT", None, why)
    try:
        reference.engine.load(models)
        reference.engine.next_token_logprobs(models[0].name, probe)
    except StropError as error:
        return _unanswered(error)
    return None


def ask_reference(
    reference: Reference, models: Sequence[ServedModel], probes: Sequence[Sequence[Message]]
) -> Served | Check:
    """What PEFT answers, or the check that says why it does not; it needs nothing of the server."""
    engine = reference.engine
    if engine is None:
        raise ValueError("there is no PEFT to ask")
    names = [model.name for model in models]
    try:
        first = {
            name: [engine.next_token_logprobs(name, probe) for probe in probes] for name in names
        }
        return Served(first, answer_probes(engine, names, probes))
    except StropError as error:
        return _unanswered(error)


def _unanswered(error: StropError) -> Check:
    detail = f"PEFT could not answer for these models: {error.message}"
    return Check("server and PEFT", False, detail)


def check_agreement(
    models: Sequence[ServedModel], served: Served, meant: Served | Check
) -> list[Check]:
    """One check for each model; one alone where nothing could be compared."""
    if isinstance(meant, Check):
        return [meant]
    tokenizer = load_tokenizer(models[0].base_model)
    return [_check_model(model, models, served, meant, tokenizer) for model in models]


def _check_model(
    model: ServedModel, models: Sequence[ServedModel], served: Served, meant: Served, tokenizer: Any
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
    figures: Figures = {
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


def _equal_tokens(served: Answers, meant: Answers, model: str, tokenizer: Any) -> tuple[int, int]:
    """Greedy tokens that are equal before the first that differs, and how many there are."""
    equal = total = 0
    for key, answer in served.items():
        if key.startswith(f"{model}/"):
            left, right = _ids(answer, tokenizer), _ids(meant[key], tokenizer)
            total += max(len(left), len(right))
            equal += first_difference(left, right)
    return equal, total


def _ids(answer: GenerationResult, tokenizer: Any) -> list[int]:
    encoded = tokenizer(answer.text or "", add_special_tokens=False, verbose=False)
    return [*encoded["input_ids"], -1]  # the end is a token too: two empty answers agree


_GREEDY = SamplingParams(max_tokens=16, truncate_prompt=True)
_MOST = 0.5
_SHUFFLE_SEED = 7

Answers = Mapping[str, GenerationResult]


@dataclass(frozen=True, slots=True)
class ProbeRounds:
    """The same greedy questions, asked several times; the keys are `model/probe`.

    Attributes:
        alone, alone_again: the base by itself; without adapters it always is, and they are empty.
        together, together_again: all models in one batch.
        shuffled: the same batch in another order.
    """

    alone: Answers
    alone_again: Answers
    together: Answers
    together_again: Answers
    shuffled: Answers


def ask_rounds(
    engine: Engine, base: str, adapters: Sequence[str], probes: Sequence[Sequence[Message]]
) -> ProbeRounds:
    """Ask everything three times over, and the base twice more without its adapters."""
    models = [base, *adapters]
    by_itself = [base] if adapters else []
    return ProbeRounds(
        alone=answer_probes(engine, by_itself, probes),
        alone_again=answer_probes(engine, by_itself, probes),
        together=answer_probes(engine, models, probes),
        together_again=answer_probes(engine, models, probes),
        shuffled=answer_probes(engine, models, probes, seed=_SHUFFLE_SEED),
    )


def check_repeatability(rounds: ProbeRounds, base: str, adapters: Sequence[str]) -> list[Check]:
    """The base beside adapters (with adapters), the same prompt twice, and in a shuffled batch."""
    checks = []
    if adapters:
        checks.append(_check_neighbours(rounds.alone, rounds.alone_again, rounds.together))
    again, shuffled = rounds.together_again, rounds.shuffled
    checks.append(_check_same("the same prompt twice", rounds.together, again))
    checks.append(_check_same("in a shuffled batch", rounds.together, shuffled))
    return checks


def answer_probes(
    engine: Engine,
    models: Sequence[str],
    probes: Sequence[Sequence[Message]],
    *,
    seed: int | None = None,
    params: SamplingParams = _GREEDY,
) -> dict[str, GenerationResult]:
    """Answers of each model to each probe in one batch, shuffled where there is a seed."""
    requests = [
        GenerationRequest(f"{model}/{index}", model, messages)
        for index, messages in enumerate(probes)
        for model in models
    ]
    if seed is not None:
        random.Random(seed).shuffle(requests)
    return {result.key: result for result in engine.generate(requests, params)}


def _check_same(how: str, one: Answers, other: Answers) -> Check:
    """Half of the answers have to come out the same: rounding flips some, and never most."""
    equal = sum(one[key].text == other[key].text for key in one)
    gap = _gap(one, other)
    figures: Figures = {"answers": len(one), "equal": equal, "median_nats": gap}
    detail = f"Asked {how}, {equal} of {len(one)} greedy answers are equal"
    if equal < _MOST * len(one):
        detail += (
            f" (tokens differ by {gap:.3f} nats): what is served is not constant. Is the server "
            "sampling, or are several different ones behind one address?"
        )
        return Check(f"greedy answers, {how}", False, detail, figures)
    return Check(f"greedy answers, {how}", True, f"{detail}.", figures)


def _check_neighbours(alone: Answers, again: Answers, together: Answers) -> Check:
    noise, gap = _gap(alone, again), _gap(alone, together)
    equal = sum(alone[key].text == together[key].text for key in alone)
    threshold = max(SMALLEST_DIFFERENCE, NOISE_FACTOR * noise)
    figures: Figures = {
        "probes": len(alone),
        "equal": equal,
        "median_nats": gap,
        "threshold_nats": threshold,
    }
    equal_again = sum(alone[key].text == again[key].text for key in alone)
    if gap > threshold or equal < _MOST * equal_again:
        return Check(
            "base beside adapters",
            False,
            f"The base answers differently when adapters are asked beside it ({equal} of "
            f"{len(alone)} answers equal, tokens differ by {gap:.3f} nats): an adapter leaks into "
            "it. Restart the server with `strop serve`, or run the base by itself.",
            figures,
        )
    return Check(
        "base beside adapters",
        True,
        f"Beside adapters, {equal} of {len(alone)} answers of the base stay the same.",
        figures,
    )


def answers_differ(rounds: ProbeRounds, one: str, other: str, probe: int) -> bool:
    """Whether two models write different greedy answers to a probe, or the same with other odds.

    Answers that came out otherwise when they were asked again prove nothing; odds have to differ by
    more than each answer's own do from one time to the next.
    """
    keys = (f"{one}/{probe}", f"{other}/{probe}")
    first, again = rounds.together, rounds.together_again
    if any(first[key].text != again[key].text for key in keys):
        return False
    if first[keys[0]].text != first[keys[1]].text:
        return True
    noise = max(_largest_gap(first[key], again[key]) for key in keys)
    gap = _largest_gap(first[keys[0]], first[keys[1]])
    return gap > max(SMALLEST_DIFFERENCE, NOISE_FACTOR * noise)


def _largest_gap(one: GenerationResult, other: GenerationResult) -> float:
    """In nats, over the tokens of two equal answers; 0 where the engine gives no odds."""
    pairs = zip(one.token_logprobs, other.token_logprobs, strict=False)
    return max((abs(a - b) for a, b in pairs), default=0.0)


def _gap(one: Answers, other: Answers) -> float:
    """Median difference, in nats, of the tokens' logprobs; of the first ones where texts differ."""
    gaps = []
    for key in one:
        shared = None if one[key].text == other[key].text else 1
        pairs = zip(one[key].token_logprobs, other[key].token_logprobs, strict=False)
        gaps += [abs(a - b) for a, b in list(pairs)[:shared]]
    return statistics.median(gaps) if gaps else 0.0
