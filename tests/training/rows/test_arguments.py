"""Every setting of a configuration reaches the trainer or the adapter, and does so under its name.

The trainer is built, not run.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures_models import write_chat_rows
from training.assemble import build_trainer, load_tokenizer, resolve_dtype
from training.config import Dtype, TrainingConfig, TrainingError, parse_config
from training.methods import METHODS
from training.results import result as reporting
from training.rows.data import read_rows


def configure(folder: Path, base: Path, **changes: Any) -> TrainingConfig:
    """A configuration with rows beside it."""
    rows = str(write_chat_rows(folder / "train.jsonl", 8))
    values = {
        "base_model": str(base),
        "train_file": rows,
        "output_dir": str(folder / "v1"),
        "manifest_digest": "5" * 64,
    }
    return parse_config(values | changes)


def build(config: TrainingConfig, base: Path) -> Any:
    """The trainer that the configuration makes, with its rows to validate on."""
    tokenizer = load_tokenizer(base)
    rows = METHODS[config.method].encode(config, read_rows(config.train_file), tokenizer)
    return build_trainer(config, base, tokenizer, train=rows, validation=rows)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"epochs": 2.5}, {"num_train_epochs": 2.5}),
        ({"learning_rate": 3e-3}, {"learning_rate": 3e-3}),
        ({"batch_size": 3}, {"per_device_train_batch_size": 3, "per_device_eval_batch_size": 3}),
        ({"gradient_accumulation": 4}, {"gradient_accumulation_steps": 4}),
        ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
        ({"warmup_ratio": 0.2}, {"warmup_steps": 0.2}),
        ({"scheduler": "linear"}, {"lr_scheduler_type": "linear"}),
        ({"gradient_checkpointing": True}, {"gradient_checkpointing": True}),
        ({"gradient_checkpointing": False}, {"gradient_checkpointing": False}),
        ({"dtype": "bfloat16"}, {"bf16": True}),
        ({"dtype": "float32"}, {"bf16": False}),
        ({"seed": 7}, {"seed": 7}),
        ({"packing": True}, {"packing": True}),
        ({"packing": False}, {"packing": False}),
        ({"max_length": 99}, {"max_length": 99}),
        ({"log_every": 9}, {"logging_steps": 9}),
        ({"save_every": 11}, {"save_strategy": "steps", "save_steps": 11}),
        ({"evaluate_every": 12}, {"eval_strategy": "steps", "eval_steps": 12}),
        (
            {"early_stopping_patience": 2, "validation_file": "v"},
            {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"},
        ),
        ({}, {"load_best_model_at_end": False, "report_to": [], "run_name": "v1"}),
    ],
)
def test_settings_reach_the_trainer(
    tmp_path: Path, tiny_base: Path, changes: dict[str, Any], found: dict[str, Any]
) -> None:
    arguments = build(configure(tmp_path, tiny_base, **changes), tiny_base).args
    assert {name: getattr(arguments, name) for name in found} == found


def test_settings_reach_the_adapter(tmp_path: Path, tiny_base: Path) -> None:
    lora = {"rank": 3, "alpha": 5, "dropout": 0.25, "target_modules": ["q_proj"], "dora": True}
    shape = build(configure(tmp_path, tiny_base, lora=lora), tiny_base).model.peft_config["default"]
    assert (shape.r, shape.lora_alpha, shape.lora_dropout) == (3, 5, 0.25)
    assert (set(shape.target_modules), shape.use_dora, shape.use_rslora) == (
        {"q_proj"},
        True,
        False,
    )


def test_the_seed_decides_the_first_weights(tmp_path: Path, tiny_base: Path) -> None:
    def first(seed: int) -> Any:
        model = build(configure(tmp_path, tiny_base, seed=seed), tiny_base).model
        return next(w for name, w in model.named_parameters() if "lora_A" in name)

    assert first(1).equal(first(1))
    assert not first(1).equal(first(2))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_base_is_held_in_the_precision_and_what_is_trained_in_float32(
    tmp_path: Path, tiny_base: Path, dtype: str
) -> None:
    model = build(configure(tmp_path, tiny_base, dtype=dtype), tiny_base).model
    held = {str(w.dtype) for w in model.parameters() if not w.requires_grad}
    trained = {str(w.dtype) for w in model.parameters() if w.requires_grad}
    assert (held, trained) == ({f"torch.{dtype}"}, {"torch.float32"})


def test_what_is_named_is_told_the_loss(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.assemble import _common_arguments

    config = configure(tmp_path, tiny_base, report_to=["tensorboard", "mlflow"])
    arguments = _common_arguments(config, half=False, with_validation=False)
    assert (arguments["report_to"], arguments["run_name"]) == (["tensorboard", "mlflow"], "v1")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "given")
    reporting.name_places(config)
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == "given"
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR")
    reporting.name_places(config)
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == str(tmp_path / "v1.tensorboard")


def test_a_package_that_is_not_installed_is_one_sentence(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match="to wandb: the package is not installed"):
        reporting.check_reporters(configure(tmp_path, tiny_base, report_to=["wandb"]))
    reporting.check_reporters(configure(tmp_path, tiny_base))


@pytest.mark.parametrize(
    ("asked", "hidden", "has", "found"),
    [
        ("auto", 1024, True, "bfloat16"),
        ("auto", 4096, True, "bfloat16"),
        ("auto", 576, True, "bfloat16"),
        ("auto", 256, True, "float32"),
        ("auto", 4096, False, "float32"),
        ("float32", 4096, True, "float32"),
        ("bfloat16", 256, False, "bfloat16"),
    ],
)
def test_bfloat16_on_a_processor_is_for_bases_where_it_pays(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    hidden: int,
    has: bool,
    found: str,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("training.assemble._processor_has_bfloat16", lambda: has)
    named: list[dict[str, object]] = [
        {"hidden_size": hidden},
        {"text_config": {"hidden_size": hidden}},
        {"n_embd": hidden, "text_config": None},  # GPT-2
    ]
    for settings in named:
        (tmp_path / "config.json").write_text(json.dumps(settings))
        assert resolve_dtype(Dtype(asked), tmp_path) == found
