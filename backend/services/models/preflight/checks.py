"""The checks of a preflight that need files or first tokens: each returns one `Check`.

A check that cannot be made is neither passed nor failed (`passed` is None): a note that everybody
sees.

Whether the engine makes of a training prompt, byte for byte, what training made of it.

Training records the digests of what some prompts of its file became (strop.json, `rendered`); the
prompts themselves stay in the training file, which is read here and has to be the one that was
trained on.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from backend.engines.adapters.fit import check_fits_base
from backend.engines.adapters.folders import VLLM_RANKS, read_adapter
from backend.engines.base import Engine, Message, ServedModel
from backend.engines.first_tokens import token_gaps
from backend.engines.prompts import decode_prompt, encode_prompt, load_tokenizer
from backend.errors import StropError
from backend.services.models.adapter_files import check_model_finite
from backend.tables.models import WITH
from training.config import TrainingError
from training.weights import digest

SMALLEST_DIFFERENCE = 0.05
"""Nats. A trained adapter moves the likeliest twenty first tokens by far more; rounding by less."""
NOISE_FACTOR = 3.0
Figures = dict[str, float | int | str]
SHARE_OF_PROBES = 0.75


@dataclass(frozen=True, slots=True)
class Check:
    """One question with its answer: passed, failed, or (None) a note that decides nothing."""

    name: str
    passed: bool | None
    detail: str
    figures: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Digests:
    """sha256 of what decides a model's answers; None where it is not known or does not apply."""

    base: str | None = None
    tokenizer: str | None = None
    template: str | None = None
    adapter: str | None = None


def current_digests(model: ServedModel) -> tuple[Digests | None, str]:
    """The digests of a model's files as they are now, or None and the reason."""
    try:
        base, path = digest.resolve_model(model.base_model), model.adapter_path
        return Digests(
            base=digest.model_sha256(base),
            tokenizer=digest.tokenizer_sha256(base),
            template=digest.template_sha256(base),
            adapter=None if path is None else digest.adapter_sha256(path),
        ), ""
    except (TrainingError, OSError) as error:
        return None, str(error)


def check_digests(name: str, occasion: str, now: Digests, then: Digests) -> Check:
    """Whether every file that is known from then is still the same."""
    title = f"files of {name} since {occasion}"
    compared = [f.name for f in fields(Digests) if getattr(then, f.name) is not None]
    changed = [part for part in compared if getattr(now, part) != getattr(then, part)]
    if not compared:
        return Check(title, None, f"{name}: no digests were recorded at {occasion}.")
    figures = {part: str(getattr(now, part)) for part in compared}
    if changed:
        parts = " and ".join(_PART_NAMES[part] for part in changed)
        return Check(title, False, f"{name}: {parts} changed since {occasion}.", figures)
    parts = ", ".join(_PART_NAMES[part] for part in compared)
    return Check(title, True, f"{name}: {parts} as at {occasion}.", figures)


_PART_NAMES = {
    "base": "the base model",
    "tokenizer": "the tokeniser",
    "template": "the chat template",
    "adapter": "the adapter",
}


def check_training_record(name: str, now: Digests, trained: Digests | None) -> Check:
    """Whether the files are those that training recorded; a note where there is no record."""
    if trained is None:
        return Check(
            f"files of {name} since training",
            None,
            f"{name}: training digests unknown (no strop.json in its folder, so it was not trained "
            "here); only what registration recorded is checked.",
        )
    return check_digests(name, "training", now, trained)


def check_prompt(
    name: str, model: str, asked: str | None, asked_digest: str | None, facts: Mapping[str, Any]
) -> Check | None:
    """Whether a model is asked with the prompt that it was trained with; None where nothing says.

    Args:
        name, model: how people write the candidate, and its model without a prompt.
        asked, asked_digest: the prompt that it is asked with, `brief@2`, and its digest.
        facts: what training recorded in `strop.json`.
    """
    title = f"prompt of {name}"
    trained = (facts.get("config") or {}).get("prompt")
    if not trained:
        if asked is None or not facts:
            return None
        return Check(
            title, None, f"{model} was trained without a prompt and is asked with {asked}."
        )
    meant = f"{trained['name']}@{trained['version']}"
    figures = {"trained": str(trained["digest"]), "asked": str(asked_digest)}
    if asked_digest == trained["digest"]:
        return Check(title, True, f"{model} is asked with {asked}, as in training.", figures)
    return Check(
        title,
        False,
        f"{model} was trained with the prompt {meant} and is asked with {asked or 'none'}: the "
        f"candidate that was trained is {model}{WITH}{meant}.",
        figures,
    )


def check_rank(name: str, path: Path, registered: int | None) -> Check:
    """Whether the adapter's rank is the registered one, and one that a server can be told to take.

    The limit that a server was started with is proved by loading: vLLM refuses a larger rank.
    """
    title = f"rank of {name}"
    try:
        folder = read_adapter(path)
    except StropError as error:
        return Check(title, False, f"{name}: {error.message}")
    rank = folder.rank
    figures: Figures = {"rank": rank, "largest": VLLM_RANKS[-1]}
    if registered is not None and rank != registered:
        detail = f"{name} has rank {rank}, and had {registered} when it was registered."
        return Check(title, False, detail, figures)
    if rank > VLLM_RANKS[-1]:
        detail = f"{name} has rank {rank}; vLLM serves at most {VLLM_RANKS[-1]}."
        return Check(title, False, detail, figures)
    detail = f"{name} has rank {rank}; above its --max-lora-rank a server refuses to load it."
    if folder.soft_prompt is not None:
        detail = f"{name} is a soft prompt of {folder.soft_prompt.shape[0]} vectors, without rank."
    return Check(title, True, detail, figures)


def check_fit(model: ServedModel, path: Path) -> Check:
    """Whether every tensor of the adapter fits the base; vLLM loads one that does not (0.32)."""
    title = f"fit of {model.name}"
    try:
        check_fits_base(read_adapter(path), digest.resolve_model(model.base_model))
    except (StropError, TrainingError) as error:
        return Check(title, False, f"{model.name}: {error.message}")
    return Check(title, True, f"{model.name}: every tensor fits the base.")


def check_finite(model: ServedModel) -> Check:
    """Whether every weight of a base or of a fully trained model is a number.

    Of an adapter, reading it (`check_fit`) has asked.
    """
    title = f"weights of {model.name}"
    try:
        check_model_finite(digest.resolve_model(model.base_model))
    except (StropError, TrainingError) as error:
        return Check(title, False, f"{model.name}: {error.message}")
    return Check(title, True, f"{model.name}: every weight is finite.")


def check_rendering(
    engine: Engine, base_model: str, probes: Sequence[Sequence[Message]]
) -> list[Check]:
    """Whether the engine makes the same text and the same tokens of the probes as the base does.

    Two checks, the chat template and the tokeniser; the second is a note where texts differ.
    """
    tokenizer = load_tokenizer(base_model)
    tokens = 0
    for probe in probes:
        ids, seen_ids = encode_prompt(tokenizer, probe), engine.token_ids(probe)
        meant, seen = decode_prompt(tokenizer, ids), engine.render(probe)
        if seen != meant:
            note = "Not compared: the prompts differ already as text."
            return [_other_text(seen, meant), Check("tokeniser", None, note)]
        if ids != seen_ids:
            return [_same_text(len(probes)), _other_tokens(seen_ids, ids)]
        tokens += len(ids)
    same = f"The engine makes the same {tokens} tokens of {len(probes)} prompts as the base's own."
    figures: Figures = {"prompts": len(probes), "tokens": tokens}
    return [_same_text(len(probes)), Check("tokeniser", True, same, figures)]


def _same_text(probes: int) -> Check:
    detail = f"The engine renders {probes} prompts byte for byte as the base's chat template."
    return Check("chat template", True, detail, {"prompts": probes})


def _other_text(seen: str, meant: str) -> Check:
    place = first_difference(seen, meant)
    return Check(
        "chat template",
        False,
        f"The engine renders another prompt than the base's chat template, from character {place} "
        f"on: {seen[place : place + 40]!r} instead of {meant[place : place + 40]!r}.",
        {"engine": seen, "template": meant},
    )


def first_difference(one: Sequence[object], other: Sequence[object]) -> int:
    """The first place where two differ; the end of the shorter where they do nowhere."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _other_tokens(seen: Sequence[int], meant: Sequence[int]) -> Check:
    place = first_difference(seen, meant)
    return Check(
        "tokeniser",
        False,
        f"The engine makes {len(seen)} tokens of a prompt of which the base's tokeniser makes "
        f"{len(meant)}; they part at token {place}: it has another tokeniser.",
        {"engine_tokens": len(seen), "base_tokens": len(meant), "first_difference": place},
    )


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Largest difference in nats of two lists of likeliest tokens (see `token_gaps`)."""
    return max(token_gaps(one, other))


def check_difference(
    one: ServedModel,
    other: ServedModel,
    distances: Sequence[float],
    answers: Sequence[bool],
    *,
    noise: float,
) -> Check:
    """Whether two models answer differently on most probes, by more than the engine's own noise.

    Two adapters with the same digest are the same model under two names: a note.

    Args:
        distances: of the first tokens, in nats, for each probe.
        answers: whether the greedy answers to each probe differ; an adapter that was trained gently
            may leave the first token as it was and change what follows.
    """
    title = f"{one.name} and {other.name} differ"
    threshold = max(SMALLEST_DIFFERENCE, NOISE_FACTOR * noise)
    by_token = [gap > threshold for gap in distances]
    differing = sum(token or answer for token, answer in zip(by_token, answers, strict=True))
    figures: Figures = {
        "probes": len(distances),
        "differing": differing,
        "first_tokens_differing": sum(by_token),
        "answers_differing": sum(answers),
        "threshold_nats": threshold,
        "median_nats": statistics.median(distances),
        "smallest_nats": min(distances),
        "largest_nats": max(distances),
    }
    if one.adapter_sha256 is not None and one.adapter_sha256 == other.adapter_sha256:
        return Check(title, None, f"{one.name} and {other.name} are the same weights.", figures)
    if differing >= SHARE_OF_PROBES * len(distances):
        detail = f"{one.name} and {other.name} differ on {differing} of {len(distances)} probes."
        return Check(title, True, detail, figures)
    cause = (
        f"The engine answers for {other.name} as for {one.name}"
        if one.adapter_path is not None
        else f"The adapter {other.name} has no effect: the engine answers as the base does"
    )
    return Check(
        title,
        False,
        f"{cause} (first tokens differ by more than {threshold:.3f} nats, or greedy answers do, on "
        f"{differing} of {len(distances)} probes).",
        figures,
    )


@dataclass(frozen=True, slots=True)
class RecordedPrompt:
    """A prompt of the training file, with the digests of what it became."""

    line: int
    messages: Sequence[Message]
    text_sha256: str
    ids_sha256: str


@dataclass(frozen=True, slots=True)
class TrainingPrompts:
    """The recorded prompts of a model; where there are none, `gap` says why."""

    prompts: tuple[RecordedPrompt, ...] = ()
    gap: str = "it was not trained here"


def read_training_prompts(facts: Mapping[str, Any], *, trained_here: bool) -> TrainingPrompts:
    """The prompts that the training of a model recorded.

    Args:
        facts: what training wrote as `strop.json`.
        trained_here: only then may the record name a file of this machine.
    """
    if not trained_here:
        return TrainingPrompts()
    recorded = {entry["line"]: entry for entry in facts.get("rendered") or ()}
    if not recorded:
        return TrainingPrompts(gap="its training recorded no prompts")
    file = Path(str(facts.get("config", {}).get("train_file", "")))
    if not file.is_file():
        return TrainingPrompts(gap=f"its training file {file.name} is gone")
    if digest.file_sha256(file) != facts.get("train_sha256"):
        return TrainingPrompts(gap=f"its training file {file.name} is not the one trained on")
    found = _messages_of(file, recorded)
    return TrainingPrompts(
        tuple(
            RecordedPrompt(line, messages, entry["text_sha256"], entry["ids_sha256"])
            for line, messages in found
            if (entry := recorded[line])
        )
    )


def _messages_of(file: Path, lines: Collection[int]) -> Iterable[tuple[int, list[dict[str, str]]]]:
    with file.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if number in lines:
                yield number, json.loads(line)["prompt"]


def check_training_prompts(engine: Engine, name: str, recorded: TrainingPrompts) -> Check:
    """Whether every recorded prompt becomes the same text and the same tokens in the engine."""
    title = f"prompts of {name} since training"
    if not recorded.prompts:
        return Check(title, None, f"{name}: not compared with training: {recorded.gap}.")
    texts, tokens = [], []
    for prompt in recorded.prompts:
        texts.append(digest.text_sha256(engine.render(prompt.messages)) == prompt.text_sha256)
        ids = engine.token_ids(prompt.messages)
        tokens.append(digest.ids_sha256(ids) == prompt.ids_sha256)
    figures: Figures = {
        "prompts": len(texts),
        "equal_texts": sum(texts),
        "equal_tokens": sum(tokens),
    }
    if all(texts) and all(tokens):
        detail = f"{name}: {len(texts)} training prompts become byte for byte what training saw."
        return Check(title, True, detail, figures)
    what, equal = ("text", texts) if not all(texts) else ("tokens", tokens)
    wrong, at = equal.count(False), equal.index(False)
    return Check(
        title,
        False,
        f"{name}: {wrong} of {len(texts)} training prompts become another {what} than in training "
        f"(the first is line {recorded.prompts[at].line} of the training file): the chat template "
        "or the tokeniser is another one.",
        figures,
    )
