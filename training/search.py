"""A small search: every combination is trained, and that of the lowest validation loss is kept.

The lowest is kept even where validation rows cannot tell it from others, and the result says which
those are: a paired difference to the kept one, clustered by group, whose interval holds 0.

    NAME.partial/search.json     the trials so far: values, validation loss, rows, seconds
    NAME.partial/trials/TRIAL/   what each trial left; NAME is a copy of the best one

Trials are trainings like any other, one after the other in the order of the lists, with the same
seed: a killed search goes on where it stopped, and trains no finished trial again. What is read is
the training file and the validation file. Knows nothing of torch.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from training.config import (
    RESULT_NAME,
    Dtype,
    TrainingConfig,
    TrainingError,
    dump_config,
    partial_dir,
    trials_dir,
)
from training.divergence import Diverged
from training.results.card import render_card, search_verdict, trial_figures
from training.results.intervals import LEVEL, FigureEstimate, behind_the_best, read_losses
from training.weights import folders

SEARCH_NAME = "search.json"
_SUMMED = ("tokens", "seconds", "cpu_seconds", "gpu_seconds", "starts")


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination: what differs from the other trials, and the whole configuration."""

    name: str
    values: Mapping[str, float]
    config: TrainingConfig


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a trial.

    Attributes:
        validation_loss: mean over the trained tokens of `rows` rows, or over the rows (DPO, KTO).
        loss: the same with its interval, rows and groups.
        accuracy: DPO: share of the validation pairs that are right.
        behind: how much more it loses than the kept trial on the same rows; None for the kept one.
        told_apart: whether that interval lies above 0.
    """

    name: str
    values: Mapping[str, float]
    validation_loss: float
    rows: int
    seconds: float
    recipe_sha256: str
    loss: Mapping[str, Any]
    accuracy: Mapping[str, Any] | None = None
    behind: Mapping[str, Any] | None = None
    told_apart: bool | None = None


def trials_of(config: TrainingConfig) -> list[Trial]:
    """The combinations of a search space, in the order of its lists, the last one fastest."""
    space = config.search
    assert space is not None, "the caller has asked for a search"
    lists = {name: values for name, values in space.model_dump().items() if values}
    return [
        _trial(config, dict(zip(lists, combination, strict=True)))
        for combination in product(*lists.values())
    ]


def _trial(config: TrainingConfig, values: Mapping[str, float]) -> Trial:
    name = "-".join(f"{key}-{value:g}" for key, value in values.items())
    changes: dict[str, Any] = {key: value for key, value in values.items() if key != "rank"}
    if "rank" in values:
        rank, lora = int(values["rank"]), config.lora
        alpha = max(1, round(rank * lora.alpha / lora.rank))
        changes["lora"] = lora.model_copy(update={"rank": rank, "alpha": alpha})
    folder = trials_dir(config.output_dir) / name
    changes |= {"search": None, "output_dir": folder}
    return Trial(name, values, config.model_copy(update=changes))


def run_search(
    config: TrainingConfig, *, recipe: str, train: Callable[[TrainingConfig], Path], is_main: bool
) -> None:
    """Train what was not trained yet, and publish the best trial with the table of all.

    Args:
        recipe: digest of the whole search, under which its result is known.
        train: trains one configuration to its end, or finds that it has been.

    Raises:
        TrainingError: a trial could not run (those before it are kept), or all diverged.
    """
    trials, tried, diverged = trials_of(config), [], []
    for number, trial in enumerate(trials, start=1):
        if is_main:
            print(f"Trial {number} of {len(trials)}: {trial.name}", flush=True)
        try:
            folder = train(trial.config)
            if is_main:
                tried.append(read_trial(trial, folder))
                _write_table(config.output_dir, tried)
        except Diverged as error:
            print(error.message, flush=True)
            diverged.append({"name": trial.name, "values": trial.values, "reason": error.message})
    if is_main:
        _publish_best(config, trials, tried, diverged, recipe=recipe)


def _publish_best(
    config: TrainingConfig,
    trials: Sequence[Trial],
    tried: Sequence[Tried],
    diverged: Sequence[Mapping[str, Any]],
    *,
    recipe: str,
) -> None:
    if not tried:
        raise TrainingError(
            f"All {len(trials)} trials of the search diverged.", hint="Try lower learning rates."
        )
    names = {one.name for one in tried}
    ended = [trial for trial in trials if trial.name in names]
    kept = min(tried, key=lambda one: one.validation_loss)
    search = describe_search(compare_trials(tried, kept, ended), kept, diverged)
    print_table(search)
    _stage(config, ended, search, recipe=recipe)
    folders.publish(config.output_dir)


def read_trial(trial: Trial, folder: Path) -> Tried:
    """What a finished trial came to, at the step whose weights it kept.

    Raises:
        TrainingError: it was not validated there, or left no losses of rows.
        Diverged: the loss is no number.
    """
    result = _read_result(folder)
    held = {e["step"]: e["eval_loss"] for e in result["loss_curve"] if "eval_loss" in e}
    if result["kept_step"] not in held:
        raise TrainingError(
            f"Trial {trial.name} has no validation loss at step {result['kept_step']}.",
            hint="Set evaluate_every: epoch.",
        )
    if not math.isfinite(held[result["kept_step"]]):
        raise Diverged("the validation loss", result["kept_step"])
    read_losses(folder)  # a trial of before rows were measured cannot be compared with the others
    return Tried(
        trial.name,
        trial.values,
        validation_loss=held[result["kept_step"]],
        rows=result["validation"]["rows"],
        seconds=result["ledger"]["seconds"],
        recipe_sha256=result["recipe_sha256"],
        loss=result["validation"]["loss"],
        accuracy=result["validation"].get("accuracy"),
    )


def compare_trials(tried: Sequence[Tried], kept: Tried, trials: Sequence[Trial]) -> list[Tried]:
    """Each trial with its paired difference to the kept one, on the same rows.

    Raises:
        TrainingError: a trial has left no losses of rows.
    """
    losses = {trial.name: read_losses(trial.config.output_dir) for trial in trials}
    behind = behind_the_best(losses, kept.name)
    return [one if one.name == kept.name else _set_behind(one, behind[one.name]) for one in tried]


def _set_behind(one: Tried, difference: FigureEstimate) -> Tried:
    apart = difference.low is not None and difference.low > 0
    return replace(one, behind=asdict(difference), told_apart=apart)


def _read_result(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / RESULT_NAME).read_text("utf-8"))
    return result


def _write_table(output_dir: Path, tried: Sequence[Tried]) -> None:
    text = json.dumps([asdict(one) for one in tried], indent=1)
    folders.write_whole(partial_dir(output_dir) / SEARCH_NAME, text + "\n")


def print_table(search: Mapping[str, Any]) -> None:
    """Say what came of every trial, the lowest loss first."""
    for one in sorted(search["trials"], key=lambda one: float(one["validation_loss"])):
        loss, behind = trial_figures(one)
        mark = "  <- kept" if one["name"] == search["kept"] else f", behind by {behind}"
        rows = f"n={one['rows']} of {one['loss']['groups']} groups"
        print(f"{one['name']:40} validation {loss}, {rows}{mark}", flush=True)
    print(search_verdict(search), flush=True)


def describe_search(
    tried: Sequence[Tried], kept: Tried, diverged: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The record of a search: every trial, which was kept and why, which are not told from it, and
    which diverged and why."""
    return {
        "kept": kept.name,
        "kept_because": "lowest validation loss",
        "level": LEVEL,
        "not_told_apart": [one.name for one in tried if one.told_apart is False],
        "trials": [asdict(one) for one in tried],
        "diverged": [dict(one) for one in diverged],
    }


def _stage(
    config: TrainingConfig, trials: Sequence[Trial], search: Mapping[str, Any], *, recipe: str
) -> None:
    """Lay a copy of the best trial where it is published from, with the table of all."""
    staged = partial_dir(config.output_dir) / "result"
    shutil.rmtree(staged, ignore_errors=True)
    best = next(trial for trial in trials if trial.name == search["kept"])
    shutil.copytree(best.config.output_dir, staged)
    trained = _read_result(staged)
    same = {"output_dir": config.output_dir, "dtype": Dtype(trained["config"]["dtype"])}
    settings = best.config.model_copy(update=same)
    result = trained | {
        "recipe_sha256": recipe,
        "config": settings.model_dump(mode="json"),
        "ledger": _total([_read_result(trial.config.output_dir)["ledger"] for trial in trials]),
        "search": search,
    }
    (staged / "config.yaml").write_text(dump_config(settings), encoding="utf-8")
    (staged / RESULT_NAME).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (staged / "README.md").write_text(render_card(result), encoding="utf-8")


def _total(ledgers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all trials took: sums, and the highest peaks."""
    costs = [ledger["cost"] for ledger in ledgers]
    gpu = [p for ledger in ledgers if (p := ledger["peak_gpu_memory_bytes"]) is not None]
    return {
        **ledgers[-1],
        **{name: sum(ledger[name] for ledger in ledgers) for name in _SUMMED},
        "peak_memory_bytes": max(ledger["peak_memory_bytes"] for ledger in ledgers),
        "peak_gpu_memory_bytes": max(gpu, default=None),
        "cost": None if None in costs else sum(costs),
    }
