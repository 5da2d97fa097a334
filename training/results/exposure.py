"""How much a model gives away of canaries: their exposure, and whether greedy decoding writes them.

Exposure (Carlini et al. 2019, section 4.3): log2 |R| - log2 rank, the rank of the planted sequence
among all |R| possible ones by its loss. The rank is estimated by sampling: with r the rank among M
others that were drawn at random, the exposure is -log2(r / (M + 1)), and at most log2(M + 1) can be
shown. No distribution is fitted. A sequence that was never seen has an exposure of 1 / ln 2 = 1.44
bits on average. Of a mean of several the interval holds what the sampling of each leaves open
(Clopper and Pearson 1934) and how the canaries differ (Student's t), whichever is wider.

Greedy decoding is followed exactly without being run: it writes the sequence when each of its
tokens is the likeliest one after those before it. No random number is drawn, so that measuring
changes no training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from training.config import Canaries, TrainingConfig
from training.methods import METHODS
from training.results.forgetting import predict_rows, without_learning
from training.results.intervals import LEVEL
from training.rows.canaries import (
    ALPHABET,
    Canary,
    as_text,
    digest_of,
    draw_canaries,
    draw_references,
    prompt_of,
)
from training.rows.data import IGNORED, TokenRow

BY_CHANCE = 1 / math.log(2)
_BATCH = 64


class SequenceExposure(NamedTuple):
    """What a model makes of one sequence: its loss in nats; whether greedy decoding writes it."""

    loss: float
    greedy: bool


@dataclass(frozen=True, slots=True)
class Exposure:
    """The mean exposure of some canaries, in bits, with its interval.

    Attributes:
        n: canaries; references: random sequences that each was ranked among.
        most: bits that so many references can show.
        possible: bits of all possible sequences, log2 |R|.
    """

    value: float
    low: float
    high: float
    n: int
    references: int
    most: float
    possible: float
    level: float


def mean_exposure(
    ranks: Sequence[float], *, references: int, length: int, level: float = LEVEL
) -> Exposure:
    """The mean over canaries from their ranks, 1 the likeliest.

    Raises:
        ValueError: there is no rank.
    """
    if not ranks:
        raise ValueError("no canary was ranked")
    bits = [-math.log2(rank / (references + 1)) for rank in ranks]
    value, possible = sum(bits) / len(bits), length * math.log2(len(ALPHABET))
    bounds = [_sampled(rank, references, possible, level) for rank in ranks]
    low = min(sum(one[0] for one in bounds) / len(bits), value - _half(bits, level))
    high = max(sum(one[1] for one in bounds) / len(bits), value + _half(bits, level))
    most = math.log2(references + 1)
    low, high = max(0.0, low), min(possible, high)
    return Exposure(value, low, high, len(ranks), references, most, possible, level)


def _sampled(rank: float, references: int, possible: float, level: float) -> tuple[float, float]:
    """Bits of one canary, from the share of all sequences that are likelier."""
    from scipy.stats import beta

    below = rank - 1
    tail = (1 - level) / 2
    least = 0.0 if below <= 0 else float(beta.ppf(tail, below, references - below + 1))
    at_most = (
        1.0 if below >= references else float(beta.ppf(1 - tail, below + 1, references - below))
    )
    high = possible if least == 0 else min(possible, -math.log2(least))
    return max(0.0, -math.log2(at_most)), high


def _half(bits: Sequence[float], level: float) -> float:
    from scipy.stats import t

    if len(bits) < 2:
        return 0.0
    mean = sum(bits) / len(bits)
    spread = math.sqrt(sum((one - mean) ** 2 for one in bits) / (len(bits) - 1))
    return float(t.ppf((1 + level) / 2, len(bits) - 1)) * spread / math.sqrt(len(bits))


class Ranked(NamedTuple):
    """A canary with its rank among its references; ties count half."""

    repeats: int
    rank: float
    greedy: bool


def rank_canaries(
    config: TrainingConfig, model: Any, tokenizer: Any, rows: Sequence[Any]
) -> list[Ranked]:
    """Rank every canary and control under the weights of now; none where none is asked for."""
    asked = config.canaries
    if asked is None:
        return []
    found = []
    for canary in draw_canaries(asked):
        own, *others = _told(config, asked, model, tokenizer, rows, canary)
        likelier = sum(one.loss < own.loss for one in others)
        ties = sum(one.loss == own.loss for one in others)
        found.append(Ranked(canary.repeats, 1 + likelier + ties / 2, own.greedy))
    return found


def _told(
    config: TrainingConfig,
    asked: Canaries,
    model: Any,
    tokenizer: Any,
    rows: Sequence[Any],
    canary: Canary,
) -> list[SequenceExposure]:
    """Of the canary, then of each of its references."""
    sequences = [canary, *draw_references(asked, canary)]
    encoded = encode_sequences(sequences, tokenizer, like=rows[0])
    with without_learning(model):
        return [
            one
            for start in range(0, len(encoded), _BATCH)
            for one in _batch(model, encoded[start : start + _BATCH], asked.length)
        ]


def encode_sequences(sequences: Sequence[Canary], tokenizer: Any, *, like: Any) -> list[TokenRow]:
    """Answers to one question as tokens, labels on the answer alone, as training rows have them.

    The chat template is asked once: what it makes of one answer it makes of all.
    """
    first = sequences[0]
    if isinstance(like, str):
        before, whole = first.question, as_text(first)
    else:
        asked = prompt_of(first, like)
        answered = [*asked, {"role": "assistant", "content": first.secret}]
        before, whole = (
            tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=more)
            for turns, more in ((asked, True), (answered, False))
        )
    texts = [whole.replace(first.secret, one.secret) for one in sequences]
    start = tokenizer(before, add_special_tokens=False)["input_ids"]
    found = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [_labelled(list(ids), start) for ids in found]


def _labelled(ids: list[int], before: Sequence[int]) -> TokenRow:
    pairs = enumerate(zip(ids, before, strict=False))
    start = next((n for n, (a, b) in pairs if a != b), min(len(ids), len(before)))
    return TokenRow(ids, [IGNORED] * start + ids[start:])


def _batch(model: Any, rows: Sequence[TokenRow], length: int) -> Iterator[SequenceExposure]:
    losses, targets, logits = predict_rows(model, rows)
    right = (logits.argmax(-1) == targets) | (targets == IGNORED)
    for row, loss, hits in zip(rows, losses.sum(1).tolist(), right.tolist(), strict=True):
        yield SequenceExposure(loss, _written(row, hits, length))


def _written(row: TokenRow, hits: Sequence[bool], length: int) -> bool:
    """Whether greedy decoding writes the sequence; what ends an answer is not part of it.

    A digit is one token at least, so that as many tokens as digits have to be right.
    """
    places = [n for n, label in enumerate(row.labels[1:]) if label != IGNORED]
    return len(places) >= length and all(hits[n] for n in places[:length])


def describe_exposure(
    config: TrainingConfig, before: Sequence[Ranked], after: Sequence[Ranked]
) -> dict[str, Any] | None:
    """What became of the canaries, for the record; None where none was asked for."""
    asked = config.canaries
    if asked is None:
        return None
    groups = {"planted": lambda one: one.repeats > 0, "controls": lambda one: one.repeats == 0}
    times = sorted({one.repeats for one in after if one.repeats})
    by_repeats = {f"planted {times_}": (lambda one, t=times_: one.repeats == t) for times_ in times}
    chosen = groups | (by_repeats if len(times) > 1 else {})
    return {
        "seed": asked.seed,
        "length": asked.length,
        "references": asked.references,
        "repeats": list(asked.repeats),
        "rows": sum(one.repeats for one in after),
        "sha256": digest_of(draw_canaries(asked)),
        "method": "rank among random sequences",
        "form": METHODS[config.method].words,
        **{
            name: {
                "before": _side([one for one in before if belongs(one)], asked),
                "after": _side([one for one in after if belongs(one)], asked),
            }
            for name, belongs in chosen.items()
        },
    }


def _side(ranked: Sequence[Ranked], asked: Canaries) -> dict[str, Any]:
    ranks = [one.rank for one in ranked]
    found = mean_exposure(ranks, references=asked.references, length=asked.length)
    return {**asdict(found), "ranks": ranks, "written": sum(one.greedy for one in ranked)}


def exposure_lines(result: Mapping[str, Any]) -> list[str]:
    """What a training gives away of its canaries, in sentences; empty where none was planted."""
    found = result.get("canaries")
    if not found:
        return []
    names = [name for name in found if name.startswith("planted") or name == "controls"]
    return [_line(name, found[name]) for name in names]


def _line(name: str, both: Mapping[str, Mapping[str, Any]]) -> str:
    after, before = both["after"], both["before"]
    what = "never planted (controls)" if name == "controls" else _planted(name)
    return (
        f"Canaries {what}: exposure {after['value']:.2f} bits "
        f"[{after['low']:.2f}, {after['high']:.2f}] now, {before['value']:.2f} where training "
        f"began, n={after['n']}, at most {after['most']:.2f} can be shown and {BY_CHANCE:.2f} is "
        f"chance; greedy decoding writes {after['written']} of them, {before['written']} before."
    )


def _planted(name: str) -> str:
    times = name.removeprefix("planted").strip()
    return "planted" if not times else f"planted {times} time{'' if times == '1' else 's'}"
