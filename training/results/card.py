"""The model card of what was trained, in the form that PEFT and the hub read: a README.

Made from what `strop.json` says and from what has become known since (verdicts, decisions), so that
it can be written again whenever that grows. Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import yaml

from training.methods import METHODS
from training.results.exposure import exposure_lines
from training.results.forgetting import forgetting_lines

_DIGESTS = (
    "manifest_digest", "training_set_digest", "train_sha256", "validation_sha256",
    "start_from_sha256", "base_sha256", "tokenizer_sha256", "template_sha256", "adapter_sha256",
    "model_sha256", "recipe_sha256",
)  # fmt: skip
_PLACES = frozenset(
    {"base_model", "train_file", "validation_file", "earlier_file", "output_dir", "start_from"}
)
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
class CardVerdict:
    """A verdict on this model: when, beside which baseline, by which manifest."""

    when: str
    baseline: str
    manifest: str
    verdict: str
    lines: Sequence[JudgedLine]


@dataclass(frozen=True, slots=True)
class CardRecord:
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
    verdicts: Sequence[CardVerdict] = ()
    decisions: Sequence[str] = ()
    limits: Sequence[str] = ()


def render_card(result: Mapping[str, Any], known: CardRecord | None = None) -> str:
    """The card of one training.

    Args:
        result: what `strop.json` holds.
    """
    known = known or CardRecord()
    parts = [
        _front(result),
        _opening(result, known),
        _section("Data and digests", _digest_table(result)),
        _section("Settings", _settings(result["config"])),
        _section("What it took", _ledger(result)),
        _section("Search", _search(result.get("search"))),
        _section("Forgetting", "\n".join(f"- {line}" for line in forgetting_lines(result))),
        _section("What it remembers", "\n".join(f"- {line}" for line in exposure_lines(result))),
        _section("Evaluation", _evaluation(known)),
        _section("Decisions", "\n".join(f"- {_line(text)}" for text in known.decisions)),
        _section("Limits", "\n".join(f"- {_line(text)}" for text in _limits(result, known))),
        _section("Framework versions", _versions(result)),
    ]
    return "\n".join(part for part in parts if part)


def _front(result: Mapping[str, Any]) -> str:
    full = result["config"].get("weights") == "full"
    front = {
        "base_model": result["base_model"],
        "library_name": "transformers" if full else "peft",
        "pipeline_tag": "text-generation",
        "tags": [result["config"].get("weights") or "lora", result["config"]["method"], "strop"],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n"


def _opening(result: Mapping[str, Any], known: CardRecord) -> str:
    config, base = result["config"], _line(str(result["base_model"]))
    kind, shape = _kind_and_shape(config)
    title = f"{kind} {base}"
    start = known.start or (config.get("start_from") and "an adapter that was there before")
    return (
        f"# {known.label + ': ' if known.label else ''}{title}\n\n"
        f"Trained by {METHODS[config['method']].words} on {result['train']['rows']} rows "
        f"({result['train']['tokens']} tokens{_left_out(result['train'])}) "
        f"for {config['epochs']:g} epochs, {shape}, learning "
        f"rate {config['learning_rate']:g}, seed {config['seed']}"
        f"{f', going on from {_line(str(start))}' if start else ''}. "
        f"{_losses(result['loss_curve'])}{_validation(result.get('validation'))}\n"
    )


def _kind_and_shape(config: Mapping[str, Any]) -> tuple[str, str]:
    """What was trained of the base, and how much of it, in words."""
    match config.get("weights"):
        case "full":
            return "Model trained from", "all weights"
        case "prompt-tuning":
            return "Soft prompt for", f"{config['prompt_tuning']['tokens']} vectors"
        case _:
            lora = config["lora"]
            return "LoRA adapter for", f"rank {lora['rank']}, alpha {lora['alpha']}"


def _left_out(report: Mapping[str, Any]) -> str:
    cut, dropped = report.get("cut", 0), report.get("dropped", 0)
    if not cut:
        return ""
    return f"; {cut} rows were longer than max_length, and {dropped} of them dropped"


def data_warnings(result: Mapping[str, Any]) -> list[str]:
    """What of the rows one has to know: those that were not trained on, and answers without an
    end. Empty for the record of a training that says nothing of it."""
    told = []
    report = result.get("train") or {}
    rows, dropped, ended = (report.get(name) for name in ("rows", "dropped", "ended"))
    if dropped:
        told.append(
            f"{dropped} of {rows + dropped} rows were not trained on: nothing of their answer is "
            "left at max_length."
        )
    if ended is not None and ended < rows:
        why = "Its chat template writes none after an answer" if not ended else "Others are cut"
        told.append(
            f"{ended} of {rows} rows end with the base's end token. {why}: from such rows a model "
            "does not learn where to stop."
        )
    return told


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}\n" if text else ""


def _digest_table(result: Mapping[str, Any]) -> str:
    facts = {name: result[name] for name in _DIGESTS if result.get(name) is not None}
    return _table(("what", "sha256"), [(name, f"`{value}`") for name, value in facts.items()])


def _settings(config: Mapping[str, Any]) -> str:
    shown = {k: v for k, v in config.items() if k not in _PLACES and v not in (None, [], ())}
    others = {"lora": "lora", "prompt_tuning": "prompt-tuning"}
    weights = config.get("weights") or "lora"
    shown = {key: v for key, v in shown.items() if others.get(key, weights) == weights}
    text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}yaml\n{text}{fence}"


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


def validation_line(validation: Mapping[str, Any]) -> str:
    """The validation figures of what was kept, with intervals, rows and groups."""
    loss, right = validation["loss"], validation.get("accuracy")
    accuracy = "" if right is None else f", preference accuracy {_figure(right)}"
    share = validation.get("share")
    kept_out = "" if share is None else f", kept out of training ({share:.0%} of the groups asked)"
    rows = f"{loss['n']} rows of {loss['groups']} groups"
    return f"validation loss {_figure(loss)}{accuracy}, {rows}{kept_out}"


def trial_figures(trial: Mapping[str, Any]) -> tuple[str, str]:
    """The loss of a trial of a search, and how far it lies behind the one that was kept."""
    loss, behind = trial.get("loss"), trial.get("behind")
    if loss is None:  # a search of before intervals were kept
        return f"{trial['validation_loss']:.4f}", ""
    if behind is None:
        return _figure(loss), ""
    apart = "" if trial["told_apart"] else ", not told apart"
    return _figure(loss), f"{_figure(behind, signed=True)}{apart}"


def search_verdict(search: Mapping[str, Any]) -> str:
    """Which trials the rows could not tell from the kept one; empty for an old search."""
    return " ".join(part for part in (_told_apart(search), _diverged(search)) if part)


def _diverged(search: Mapping[str, Any]) -> str:
    """The trials that were left out since they came to no number."""
    names = [f"{trial['name']} ({trial['reason']})" for trial in search.get("diverged", ())]
    return f"Left out: {'; '.join(names)}." if names else ""


def _told_apart(search: Mapping[str, Any]) -> str:
    apart = search.get("not_told_apart")
    if apart is None:
        return ""
    level = f"the intervals of the differences hold together at {search['level']:.0%}"
    picked = "Being the lowest on these rows its loss looks better than it is; a test split tells."
    if not apart:
        return f"All other trials are told apart from the kept one ({level}). {picked}"
    return (
        f"Not told apart from the kept one, the lowest: {', '.join(apart)} ({level}). "
        f"More validation rows would tell; the lowest loss is no proof. {picked}"
    )


def _figure(estimate: Mapping[str, Any], *, signed: bool = False) -> str:
    form = "+.4f" if signed else ".4f"
    if estimate["low"] is None:
        return f"{estimate['value']:{form}} ({estimate['reason']})"
    low, high = (f"{estimate[name]:{form}}" for name in ("low", "high"))
    return f"{estimate['value']:{form}} [{low}, {high}]"


def _search(search: Mapping[str, Any] | None) -> str:
    if not search:
        return ""
    rows = [
        (
            "**kept**" if trial["name"] == search["kept"] else "",
            *(f"{value:g}" for value in trial["values"].values()),
            trial_figures(trial)[0],
            str(trial["rows"]),
            f"{trial['seconds']:.0f}",
            trial_figures(trial)[1],
        )
        for trial in search["trials"]
    ]
    names = list(search["trials"][0]["values"])
    head = ("", *names, "validation loss", "validation rows", "seconds", "behind the kept one")
    said = f"{search_verdict(search)} Chosen on validation rows; no test row was read."
    return f"{_table(head, rows)}\n\n{said.strip()}"


def _evaluation(known: CardRecord) -> str:
    if not known.verdicts:
        return f"Not judged by a manifest yet. {_LOSS}"
    return "\n\n".join(_verdict(judged) for judged in reversed(known.verdicts))


def _verdict(judged: CardVerdict) -> str:
    rows = [(line.title, line.figure, line.verdict, line.reason) for line in judged.lines]
    head = f"**{judged.verdict}** against {judged.baseline}, by {judged.manifest}, {judged.when}:"
    return f"{head}\n\n{_table(('line of the bar', 'estimate', 'verdict', 'reason'), rows)}"


def _limits(result: Mapping[str, Any], known: CardRecord) -> list[str]:
    told = [*known.limits, *data_warnings(result)]
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
    """Somebody's words as words: on one line, and no markup, picture, link or control character."""
    seen = "".join(letter for letter in text if letter.isprintable() or letter.isspace())
    plain = escape(" ".join(seen.split()), quote=False).replace("|", "\\|")
    return plain.replace("![", "!\\[").replace("](", "]\\(")


def _validation(found: Mapping[str, Any] | None) -> str:
    if not found or "loss" not in found:
        return ""
    return f" Of the weights that were kept: {validation_line(found)}."


def _losses(curve: Sequence[Mapping[str, Any]]) -> str:
    train = [line["loss"] for line in curve if "loss" in line]
    held = [line["eval_loss"] for line in curve if "eval_loss" in line]
    text = f"Training loss went from {train[0]:.3f} to {train[-1]:.3f}." if train else ""
    return text + (f" Lowest validation loss: {min(held):.3f}." if held else "")
