"""The model card of what was trained, in the form that PEFT and the hub read: a README.

Made from what `strop.json` says and from what has become known since (verdicts, decisions), so that
it can be written again whenever that grows. Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

_METHODS = {
    "sft": "supervised fine-tuning",
    "dpo": "direct preference optimization",
    "kto": "Kahneman-Tversky optimization",
    "pretrain": "continued pre-training",
}
_DIGESTS = (
    "manifest_digest",
    "training_set_digest",
    "train_sha256",
    "validation_sha256",
    "start_from_sha256",
    "base_sha256",
    "tokenizer_sha256",
    "template_sha256",
    "adapter_sha256",
    "model_sha256",
    "recipe_sha256",
)
_PLACES = frozenset({"base_model", "train_file", "validation_file", "output_dir", "start_from"})
_LOSS = (
    "A loss says nothing of quality: what this is worth is decided by the comparison against the "
    "success manifest named above."
)


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """One line of a manifest, judged: an estimate with its interval and n, or a reason for none."""

    title: str
    verdict: str
    figure: str
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on this model: when, beside which baseline, by which manifest."""

    when: str
    baseline: str
    manifest: str
    verdict: str
    lines: Sequence[JudgedLine]


@dataclass(frozen=True, slots=True)
class Known:
    """What became known after training.

    Attributes:
        label: how the project names this model.
        start: the model whose weights it went on from.
        verdicts: oldest first.
        decisions: sentences on promotions, oldest first.
        limits: sentences on what it must not be taken for.
    """

    label: str = ""
    start: str = ""
    verdicts: Sequence[Judged] = ()
    decisions: Sequence[str] = ()
    limits: Sequence[str] = ()


def render_card(result: Mapping[str, Any], known: Known | None = None) -> str:
    """The card of one training.

    Args:
        result: what `strop.json` holds.
    """
    known = known or Known()
    parts = [
        _front(result),
        _opening(result, known),
        _section("Data and digests", _digest_table(result)),
        _section("Settings", _settings(result["config"])),
        _section("What it took", _ledger(result)),
        _section("Search", _search(result.get("search"))),
        _section("Evaluation", _evaluation(known)),
        _section("Decisions", "\n".join(f"- {_line(text)}" for text in known.decisions)),
        _section("Limits", "\n".join(f"- {_line(text)}" for text in _limits(known))),
        _section("Framework versions", _versions(result)),
    ]
    return "\n".join(part for part in parts if part)


def _front(result: Mapping[str, Any]) -> str:
    full = result["config"].get("weights") == "full"
    front = {
        "base_model": result["base_model"],
        "library_name": "transformers" if full else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["full" if full else "lora", result["config"]["method"], "strop"],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n"


def _opening(result: Mapping[str, Any], known: Known) -> str:
    config, base = result["config"], _line(str(result["base_model"]))
    full = config.get("weights") == "full"
    shape = (
        "all weights" if full else f"rank {config['lora']['rank']}, alpha {config['lora']['alpha']}"
    )
    title = f"{'Model trained from' if full else 'LoRA adapter for'} {base}"
    start = known.start or (config.get("start_from") and "an adapter that was there before")
    return (
        f"# {known.label + ': ' if known.label else ''}{title}\n\n"
        f"Trained by {_METHODS[config['method']]} on {result['train']['rows']} rows "
        f"({result['train']['tokens']} tokens) for {config['epochs']:g} epochs, {shape}, learning "
        f"rate {config['learning_rate']:g}, seed {config['seed']}"
        f"{f', going on from {_line(str(start))}' if start else ''}. "
        f"{_losses(result['loss_curve'])}\n"
    )


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}\n" if text else ""


def _digest_table(result: Mapping[str, Any]) -> str:
    facts = {name: result[name] for name in _DIGESTS if result.get(name) is not None}
    return _table(("what", "sha256"), [(name, f"`{value}`") for name, value in facts.items()])


def _settings(config: Mapping[str, Any]) -> str:
    shown = {k: v for k, v in config.items() if k not in _PLACES and v not in (None, [], ())}
    if config.get("weights") == "full":
        shown.pop("lora", None)
    return f"```yaml\n{yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)}```"


def _ledger(result: Mapping[str, Any]) -> str:
    ledger = result.get("ledger")
    if ledger is None:
        return ""
    return "".join(f"- {line}\n" for line in ledger_lines(ledger)).rstrip()


def ledger_lines(ledger: Mapping[str, Any]) -> list[str]:
    """What a training took, in words: tokens, seconds, memory, money."""
    memory = f"{ledger['peak_memory_bytes'] / 1e9:.2f} GB of memory"
    if ledger["peak_gpu_memory_bytes"] is not None:
        memory += f", {ledger['peak_gpu_memory_bytes'] / 1e9:.2f} GB on the GPU"
    price = "not known: no price_per_hour was stated"
    if ledger["cost"] is not None:
        price = f"{ledger['cost']:.4g} at {ledger['price_per_hour']:g} an hour"
    return [
        f"{ledger['tokens']} tokens in {ledger['seconds']:.0f} s, {ledger['starts']} start(s), "
        f"{ledger['processes']} process(es)",
        f"{ledger['cpu_seconds']:.0f} CPU seconds, {ledger['gpu_seconds']:.0f} GPU seconds on "
        f"{ledger['gpus']} GPU(s)",
        f"at most {memory}",
        f"cost: {price}",
    ]


def _search(search: Mapping[str, Any] | None) -> str:
    if not search:
        return ""
    rows = [
        (
            "**kept**" if trial["name"] == search["kept"] else "",
            *(f"{value:g}" for value in trial["values"].values()),
            f"{trial['validation_loss']:.4f}",
            str(trial["rows"]),
            f"{trial['seconds']:.0f}",
        )
        for trial in search["trials"]
    ]
    names = list(search["trials"][0]["values"])
    table = _table(("", *names, "validation loss", "validation rows", "seconds"), rows)
    return f"{table}\n\nChosen on the validation split; no test row was read."


def _evaluation(known: Known) -> str:
    if not known.verdicts:
        return f"Not judged by a manifest yet. {_LOSS}"
    return "\n\n".join(_verdict(judged) for judged in reversed(known.verdicts))


def _verdict(judged: Judged) -> str:
    rows = [(line.title, line.figure, line.verdict, line.reason) for line in judged.lines]
    head = f"**{judged.verdict}** against {judged.baseline}, by {judged.manifest}, {judged.when}:"
    return f"{head}\n\n{_table(('line of the bar', 'estimate', 'verdict', 'reason'), rows)}"


def _limits(known: Known) -> list[str]:
    told = [*known.limits]
    if known.verdicts:
        told.append(
            "The estimates hold for inputs like the frozen test examples they were taken on."
        )
    return [*told, _LOSS]


def _versions(result: Mapping[str, Any]) -> str:
    found = result.get("versions", {})
    return "\n".join(f"- {name}: {value}" for name, value in found.items())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_line(cell) for cell in line) + " |" for line in lines)


def _line(text: str) -> str:
    """Text on one line that cannot end a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _losses(curve: Sequence[Mapping[str, Any]]) -> str:
    train = [line["loss"] for line in curve if "loss" in line]
    held = [line["eval_loss"] for line in curve if "eval_loss" in line]
    text = f"Training loss went from {train[0]:.3f} to {train[-1]:.3f}." if train else ""
    return text + (f" Lowest validation loss: {min(held):.3f}." if held else "")
