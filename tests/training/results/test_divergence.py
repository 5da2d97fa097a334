"""A training that leaves the numbers ends with one sentence, leaves nothing, and is never kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.fixtures_models import make_tiny_base, write_chat_rows
from tests.fixtures_training import write_small_config
from tests.training.test_methods import write_config as write_method_config
from training import sft
from training.config import partial_dir
from training.divergence import Diverged, StopsWhenDiverged
from training.weights.folders import last_checkpoint

FULL = {"weights": "full", "lora": {}}


def write_config(folder: Path, base: Path, **changes: Any) -> Path:
    """A training on 16 rows whose output is `folder/v1`."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "train_file": str(write_chat_rows(folder / "train.jsonl", 16)),
        "validation_file": str(write_chat_rows(folder / "validation.jsonl", 6)),
        "epochs": 1,
        "save_every": 1,
    }
    return write_small_config(folder, base, values | changes)


def refused(config: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """What a training says that has to end with code 1 and leave no result."""
    assert sft.main(["--config", str(config)]) == 1
    assert not (config.parent / "v1").exists()
    said = capfd.readouterr().err.strip()
    assert "Traceback" not in said
    return said.splitlines()[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param(FULL, marks=pytest.mark.deep),
        pytest.param({"packing": True}, marks=pytest.mark.deep),
        {"early_stopping_patience": 1},
    ],
)
def test_a_diverged_training_ends(
    tmp_path: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    steps = {"evaluate_every": 1} if "early_stopping_patience" in changes else {}
    config = write_config(tmp_path, tiny_base, learning_rate=1e35, **changes, **steps)
    assert "The training diverged: the " in refused(config, capfd)
    assert last_checkpoint(tmp_path / "v1") is None
    assert sft.main(["--config", str(write_config(tmp_path, tiny_base))]) == 0


@pytest.mark.parametrize(
    "method", ["dpo", *(pytest.param(name, marks=pytest.mark.deep) for name in ("kto", "pretrain"))]
)
def test_a_diverged_training_of_every_method_ends(
    tmp_path: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str], method: str
) -> None:
    config = write_method_config(tmp_path, tiny_base, method, learning_rate=1e35)
    assert "The training diverged: the " in refused(config, capfd)


def test_weights_that_only_the_last_step_broke_are_not_kept(
    tmp_path: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = write_config(
        tmp_path,
        tiny_base,
        learning_rate=1e39,
        warmup_ratio=0,
        epochs=1,
        batch_size=16,
        validation_file=None,
    )
    assert "holds numbers that are not finite" in refused(config, capfd)


def test_a_start_that_is_not_finite_is_refused(
    tmp_path: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert sft.main(["--config", str(write_config(tmp_path / "a", tiny_base, epochs=1))]) == 0
    file = tmp_path / "a" / "v1" / "adapter_model.safetensors"
    save_file({name: value * np.nan for name, value in load_file(file).items()}, file)
    config = write_config(tmp_path / "b", tiny_base, start_from=str(tmp_path / "a" / "v1"))
    assert "The adapter v1 holds numbers that are not finite" in refused(config, capfd)


def test_dora_on_rows_of_norm_zero_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = make_tiny_base(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.layers.1.self_attn.v_proj.weight"][:3] = 0
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    dora = {"rank": 4, "alpha": 8, "dropout": 0.0, "dora": True}
    said = refused(write_config(tmp_path, base, lora=dora), capfd)
    assert (
        "3 rows in 1 of 14 modules are zero (the first in model.layers.1.self_attn.v_proj)" in said
    )
    others = {**dora, "target_modules": ["q_proj"]}
    assert sft.main(["--config", str(write_config(tmp_path, base, lora=others))]) == 0


class _Trainer:
    """A trainer of two processes whose step loses the numbers."""

    def __init__(self, processes: int) -> None:
        self.accelerator = type("A", (), {"num_processes": processes})()
        self.state = type("S", (), {"global_step": 6})()

    def training_step(self, *args: Any) -> torch.Tensor:
        return torch.tensor(float("nan"))

    def _clip_grad_norm(self, model: Any) -> torch.Tensor:
        return torch.tensor(float("inf"))


class _Watched(StopsWhenDiverged, _Trainer):
    pass


def test_that_several_processes_stop_together_at_the_gradient() -> None:
    """A loss is one process's own; were it to stop alone, the others would wait for it."""
    _Watched(2).training_step()
    for act in (lambda: _Watched(2)._clip_grad_norm(None), lambda: _Watched(1).training_step()):
        with pytest.raises(Diverged, match="at step 7"):
            act()


def test_a_search_never_keeps_what_diverged(
    tmp_path: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, tiny_base, search={"learning_rate": [1e35, 0.01]}, epochs=2)
    assert sft.main(["--config", str(config)]) == 0
    search = json.loads((tmp_path / "v1" / "strop.json").read_text())["search"]
    assert (search["kept"], len(search["trials"])) == ("learning_rate-0.01", 1)
    [diverged] = search["diverged"]
    assert diverged["name"] == "learning_rate-1e+35"
    for text in (capfd.readouterr().out, (tmp_path / "v1" / "README.md").read_text()):
        assert "Left out: learning_rate-1e+35 (The training diverged" in text


def test_a_search_of_which_all_diverge_is_one_sentence(
    tmp_path: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, tiny_base, search={"learning_rate": [1e35, 1e36]})
    assert refused(config, capfd).startswith("All 2 trials of the search diverged.")
    assert partial_dir(tmp_path / "v1").exists()
