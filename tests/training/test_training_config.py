"""The training configuration: what is accepted, and what each refusal says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.config import (
    ConfigError,
    TrainingConfig,
    dump_config,
    load_config,
    parse_config,
    recipe_sha256,
)

DIGEST = "0123456789abcdef" * 4


def values(**changes: Any) -> dict[str, Any]:
    least = {
        "base_model": "base",
        "train_file": "train.jsonl",
        "output_dir": "out",
        "manifest_digest": DIGEST,
    }
    return {key: value for key, value in (least | changes).items() if value is not None}


def test_that_four_keys_are_enough() -> None:
    config = parse_config(values())
    assert (config.lora.rank, config.completion_only, config.truncate) == (16, True, False)
    assert config.measure_forgetting  # which most tests of trainings turn off


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"manifest_digest": None}, "refuses to start without a success manifest"),
        ({"manifest_digest": "todo"}, "64 hexadecimal digits"),
        ({"train_file": None}, "train_file is missing"),
        ({"learnig_rate": 1e-3}, "no key 'learnig_rate', did you mean learning_rate"),
        ({"lora": {"rnk": 4}}, "no key 'lora.rnk', did you mean lora.rank"),
        ({"lora": {"dropout": 1.0}}, "lora.dropout"),
        ({"epochs": 0}, "epochs: input should be greater than 0, not 0"),
        ({"scheduler": "cosin"}, "scheduler"),
        ({"save_every": "day"}, "save_every"),
        ({"early_stopping_patience": 2}, "needs a validation_file"),
        ({"method": "dpo", "packing": True}, "packing cannot be combined with dpo"),
        ({"method": "kto", "packing": True}, "packing cannot be combined with kto"),
        ({"method": "pretrain", "packing": True}, "its blocks are full as it is"),
        ({"report_to": ["email"]}, "report_to"),
        ({"search": {"rank": [8]}}, "search needs a validation_file"),
        ({"validation_share": 0.2}, "validation_share is for dpo and kto: sft watches"),
        ({"method": "kto", "validation_share": 0.2}, "how a validation_file was drawn: name it"),
        ({"method": "dpo", "validation_share": 0.6, "validation_file": "v"}, "validation_share"),
        ({"search": {}, "validation_file": "v"}, "names nothing to try"),
        ({"search": {"epochs": [1, 1]}, "validation_file": "v"}, "names a value twice"),
        ({"search": {"rnk": [8]}}, "no key 'search.rnk', did you mean search.rank"),
        (
            {"search": {"rank": [8]}, "validation_file": "v", "weights": "full"},
            "search.rank has no meaning with weights: full",
        ),
        (
            {"early_stopping_patience": 2, "validation_file": "v", "save_every": 5},
            "save_every equal to evaluate_every",
        ),
    ],
)
def test_that_a_refusal_names_the_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(values(**changes))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("- a\n", "holds no `key: value` lines"), ("a: [", "is not YAML"), ("", "holds no")],
)
def test_that_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(file)


def test_that_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.yaml")


def test_that_the_resolved_configuration_reads_back(tmp_path: Path) -> None:
    config = parse_config(values(lora={"rank": 4}, threads=1))
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(config))
    assert load_config(file) == config


@pytest.mark.parametrize("model", [TrainingConfig, TrainingConfig.model_fields["lora"].annotation])
def test_that_every_key_is_described(model: Any) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"output_dir": "elsewhere"}, True),
        ({"train_file": "moved.jsonl"}, True),
        ({"threads": 2}, True),
        ({"report_to": ["mlflow"]}, True),
        ({"price_per_hour": 2.5}, True),
        ({"packing": True}, False),
        ({"weights": "full"}, False),
        ({"seed": 1}, False),
        ({"lora": {"rank": 8}}, False),
        ({"manifest_digest": "f" * 64}, False),
    ],
)
def test_that_the_recipe_is_what_decides_the_adapter(changes: dict[str, Any], same: bool) -> None:
    inputs = {"train_sha256": "1", "base_sha256": "2"}
    ours = recipe_sha256(parse_config(values()), inputs)
    assert (recipe_sha256(parse_config(values(**changes)), inputs) == ours) is same


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({}, "50ce4a284205c841"),
        ({"method": "kto", "undesirable_weight": 2}, "9b637b143ff5037e"),
        ({"method": "pretrain", "weights": "full"}, "24865f694a3ea71e"),
    ],
)
def test_that_a_recipe_keeps_its_digest(changes: dict[str, Any], begins: str) -> None:
    found = recipe_sha256(parse_config(values(**changes)), {"train_sha256": "1"})
    assert found.startswith(begins)


def test_that_other_data_is_another_recipe() -> None:
    config = parse_config(values())
    assert recipe_sha256(config, {"train_sha256": "1"}) != recipe_sha256(
        config, {"train_sha256": "2"}
    )


def test_that_configuration_and_digests_import_without_torch() -> None:
    code = (
        "import sys, training.config, training.weights.digest;"
        "print([m for m in ('torch', 'transformers', 'backend', 'evaluators') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
