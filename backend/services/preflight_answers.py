"""How constant greedy answers are: asked again, in another order, and beside other models.

The base is asked alone and then in one batch with the adapters. A server that lets an adapter leak
into its neighbours (vLLM does so on CPUs once all adapter slots are taken, vllm-project/vllm#48421)
gives itself away there, and nowhere else.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from backend.engines.base import (
    Engine,
    GenerationRequest,
    GenerationResult,
    Message,
    SamplingParams,
)
from backend.services.preflight_checks import NOISE_FACTOR, SMALLEST_DIFFERENCE, Check

_GREEDY = SamplingParams(max_tokens=16, truncate_prompt=True)
_MOST = 0.5

Answers = Mapping[str, GenerationResult]


def check_repeatability(
    engine: Engine, base: str, adapters: Sequence[str], probes: Sequence[Sequence[Message]]
) -> list[Check]:
    """Two checks: the base beside adapters (with adapters), and a note on greedy decoding."""
    models = [base, *adapters]
    alone = _answer(engine, [base], probes)
    alone_again = _answer(engine, [base], probes)
    together = _answer(engine, models, probes)
    reversed_order = _answer(engine, models, probes, backwards=True)
    checks = []
    if adapters:
        checks.append(_check_neighbours(base, alone, alone_again, together))
    equal = sum(together[key].text == reversed_order[key].text for key in together)
    checks.append(
        Check(
            "greedy decoding",
            None,
            f"Asked again in another order, {equal} of {len(together)} greedy answers are equal.",
            {"answers": len(together), "equal": equal},
        )
    )
    return checks


def _answer(
    engine: Engine,
    models: Sequence[str],
    probes: Sequence[Sequence[Message]],
    *,
    backwards: bool = False,
) -> dict[str, GenerationResult]:
    requests = [
        GenerationRequest(f"{model}/{index}", model, messages)
        for index, messages in enumerate(probes)
        for model in models
    ]
    ordered = requests[::-1] if backwards else requests
    return {result.key: result for result in engine.generate(ordered, _GREEDY)}


def _check_neighbours(base: str, alone: Answers, again: Answers, together: Answers) -> Check:
    noise = _gap(alone, again)
    gap = _gap(alone, together)
    equal = sum(alone[key].text == together[key].text for key in alone)
    threshold = max(SMALLEST_DIFFERENCE, NOISE_FACTOR * noise)
    figures: dict[str, float | int | str] = {
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


def _gap(one: Answers, other: Answers) -> float:
    """Median difference, in nats, of the tokens' logprobs; of the first ones where texts differ."""
    gaps = []
    for key in one:
        shared = None if one[key].text == other[key].text else 1
        pairs = zip(one[key].token_logprobs, other[key].token_logprobs, strict=False)
        gaps += [abs(a - b) for a, b in list(pairs)[:shared]]
    return statistics.median(gaps) if gaps else 0.0
