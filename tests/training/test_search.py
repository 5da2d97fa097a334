"""A search over rank, learning rate and epochs, on a random model of 27,000 parameters."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures_models import write_chat_rows
from training import sft
from training.config import load_config, parse_config, partial_dir, progress_file, trials_dir
from training.results.intervals import LOSSES_NAME, RowLoss, describe_losses, write_losses
from training.search import Tried, compare_trials, describe_search, print_table, trials_of
from training.weights.digest import adapter_sha256


def write_config(folder: Path, base: Path, **changes: Any) -> Path:
    """A search over two learning rates whose output is `folder/v1`."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "base_model": str(base),
        "train_file": str(write_chat_rows(folder / "train.jsonl", 16)),
        "validation_file": str(write_chat_rows(folder / "validation.jsonl", 6)),
        "output_dir": str(folder / "v1"),
        "manifest_digest": "5" * 64,
        "lora": {"rank": 4, "alpha": 8},
        "epochs": 2,
        "threads": 1,
        "price_per_hour": 2,
        "measure_forgetting": False,
        "search": {"learning_rate": [1e-5, 0.02]},
    }
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(values | changes))
    return file


def read_result(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "v1" / "strop.json").read_text())
    return result


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder in which one search was run to its end."""
    folder = tmp_path_factory.mktemp("searched")
    assert sft.main(["--config", str(write_config(folder, tiny_base))]) == 0
    return folder


def test_trials_are_all_combinations_in_the_order_of_the_lists() -> None:
    least = {"base_model": "b", "train_file": "t", "output_dir": "o", "manifest_digest": "5" * 64}
    space = {"rank": [8, 32], "epochs": [1, 3]}
    config = parse_config({**least, "validation_file": "v", "search": space})
    trials = trials_of(config)
    assert [trial.name for trial in trials] == [
        "rank-8-epochs-1",
        "rank-8-epochs-3",
        "rank-32-epochs-1",
        "rank-32-epochs-3",
    ]
    assert [(t.config.lora.rank, t.config.lora.alpha, t.config.epochs) for t in trials] == [
        (8, 16, 1),
        (8, 16, 3),
        (32, 64, 1),
        (32, 64, 3),
    ]
    assert {trial.config.seed for trial in trials} == {config.seed}
    assert {trial.config.search for trial in trials} == {None}


def test_the_lowest_validation_loss_is_kept_with_the_table_of_all(searched: Path) -> None:
    result = read_result(searched)
    slow, fast = result["search"]["trials"]
    assert (slow["values"], fast["values"]) == (
        {"learning_rate": 1e-5},
        {"learning_rate": 0.02},
    )
    assert fast["validation_loss"] < slow["validation_loss"] - 0.1
    assert (result["search"]["kept"], fast["rows"]) == (fast["name"], 6)
    assert result["config"]["learning_rate"] == 0.02
    assert result["loss_curve"][-1]["eval_loss"] == fast["validation_loss"]
    assert result["adapter_sha256"] == adapter_sha256(searched / "v1")
    assert not partial_dir(searched / "v1").exists()
    assert "**kept** | 0.02 |" in (searched / "v1" / "README.md").read_text()


def test_the_kept_configuration_is_one_that_runs_alone(searched: Path) -> None:
    config = load_config(searched / "v1" / "config.yaml")
    assert (config.search, config.learning_rate) == (None, 0.02)
    assert config.output_dir == searched / "v1"


def test_the_ledger_is_of_all_trials(searched: Path) -> None:
    result = read_result(searched)
    ledger = result["ledger"]
    assert ledger["tokens"] == 2 * result["tokens"]
    seconds = sum(trial["seconds"] for trial in result["search"]["trials"])
    assert ledger["seconds"] == pytest.approx(seconds)
    assert ledger["cost"] == pytest.approx(seconds / 3600 * 2, rel=1e-3)


def test_trials_that_the_rows_do_not_tell_apart_are_named_and_the_lowest_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three, one loses everywhere and one as often as it wins; the same rows are compared."""
    least = {"base_model": "b", "train_file": "t", "validation_file": "v"}
    here = {"output_dir": str(tmp_path / "v1"), "manifest_digest": "5" * 64}
    rates = {"learning_rate": [0.1, 0.2, 0.3]}
    trials = trials_of(parse_config({**least, **here, "search": rates}))
    add = ([0.0] * 8, [0.5, -0.4] * 4, [0.9, 1.1] * 4)
    tried = []
    for trial, more in zip(trials, add, strict=True):
        trial.config.output_dir.mkdir(parents=True)
        rows = [RowLoss(f"g{i}", 3.0 + i + one, 1.0) for i, one in enumerate(more)]
        write_losses(trial.config.output_dir / LOSSES_NAME, rows)
        loss = describe_losses(rows, seed=0)["loss"]
        tried.append(Tried(trial.name, trial.values, loss["value"], 8, 1.0, "r", loss))
    best, even, worse = compare_trials(tried, tried[0], trials)
    assert (best.behind, best.told_apart) == (None, None)
    assert even.behind is not None
    assert worse.behind is not None
    assert (even.told_apart, worse.told_apart) == (False, True)
    assert even.behind["low"] < 0 < even.behind["value"] == pytest.approx(0.05)
    assert (worse.behind["value"], worse.behind["level"]) == (pytest.approx(1.0), 0.975)
    search = describe_search([best, even, worse], best)
    assert (search["kept"], search["not_told_apart"]) == (best.name, [even.name])
    assert search["kept_because"] == "lowest validation loss"
    print_table(search)
    printed = capsys.readouterr().out
    assert printed.count("not told apart") == 1
    assert f"Not told apart from the kept one, the lowest: {even.name} (" in printed
    assert "Being the lowest on these rows its loss looks better than it is" in printed


def test_a_finished_search_is_not_repeated(
    searched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sft.main(["--config", str(searched / "run.yaml")]) == 0
    assert "already holds the result" in capsys.readouterr().out


def test_a_killed_search_trains_no_finished_trial_again_and_ends_the_same(
    searched: Path, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path, tiny_base)

    class Killed(BaseException):
        pass

    trained: list[Path] = []
    train_once = sft._train_once

    def record(config: Any, *args: Any, **kwargs: Any) -> None:
        if len(trained) == 1:
            raise Killed
        trained.append(config.output_dir)
        train_once(config, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(sft, "_train_once", record)
        with pytest.raises(Killed):
            sft.main(["--config", str(config)])
    finished = trials_dir(tmp_path / "v1") / "learning_rate-1e-05"
    assert trained == [finished]
    assert progress_file(tmp_path / "v1").parent == finished
    before = (finished / "strop.json").stat().st_mtime_ns
    files = json.loads((partial_dir(tmp_path / "v1") / "search.json").read_text())
    assert len(files) == 1

    def resume(config: Any, *args: Any, **kwargs: Any) -> None:
        assert config.output_dir != finished
        assert (finished / "strop.json").stat().st_mtime_ns == before
        train_once(config, *args, **kwargs)

    monkeypatch.setattr(sft, "_train_once", resume)
    assert sft.main(["--config", str(config)]) == 0
    ours, unkilled = read_result(tmp_path), read_result(searched)
    assert ours["adapter_sha256"] == unkilled["adapter_sha256"]
    assert [t["validation_loss"] for t in ours["search"]["trials"]] == [
        t["validation_loss"] for t in unkilled["search"]["trials"]
    ]


def test_a_search_reads_the_training_and_the_validation_file_and_no_other(
    tmp_path: Path, tiny_base: Path
) -> None:
    """A test split beside them, under a name that is easily taken for one, stays unread."""
    write_chat_rows(tmp_path / "test.jsonl", 4)
    config = write_config(tmp_path, tiny_base, search={"learning_rate": [0.01]}, epochs=1)
    read: set[str] = set()
    watching = True

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if watching and event == "open" and str(args[0]).endswith(".jsonl"):
            read.update({Path(str(args[0])).name} if Path(str(args[0])).parent == tmp_path else ())

    sys.addaudithook(watch)  # sees every file that the process opens, and cannot be taken away
    try:
        assert sft.main(["--config", str(config)]) == 0
    finally:
        watching = False
    assert read == {"train.jsonl", "validation.jsonl"}
