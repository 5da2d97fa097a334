"""Training of all weights, on a random model of 27,000 parameters: the result is a base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures_models import make_tiny_base, tiny_adapter, write_chat_rows
from training import sft
from training.config import ConfigError, parse_config
from training.weights import loading
from training.weights.digest import model_sha256, template_sha256, tokenizer_sha256


def write_config(folder: Path, base: Path, **changes: Any) -> Path:
    """A configuration of a full training whose output is `folder/v1`."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "base_model": str(base),
        "train_file": str(write_chat_rows(folder / "train.jsonl", 24)),
        "output_dir": str(folder / "v1"),
        "manifest_digest": "5" * 64,
        "weights": "full",
        "epochs": 4,
        "learning_rate": 0.01,
        "threads": 1,
        "measure_forgetting": False,
    }
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(values | changes))
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder in which one full training was run to its end."""
    folder = tmp_path_factory.mktemp("full")
    assert sft.main(["--config", str(write_config(folder, tiny_base))]) == 0
    return folder


def read_result(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "v1" / "strop.json").read_text())
    return result


def test_the_result_is_a_whole_model_with_the_bases_tokeniser(
    trained: Path, tiny_base: Path
) -> None:
    result, folder = read_result(trained), trained / "v1"
    assert (result["weights"], result["adapter_sha256"]) == ("full", None)
    assert result["model_sha256"] == model_sha256(folder) != model_sha256(tiny_base)
    assert tokenizer_sha256(folder) == tokenizer_sha256(tiny_base)
    assert template_sha256(folder) == template_sha256(tiny_base)
    assert (folder / "config.json").read_bytes() == (tiny_base / "config.json").read_bytes()
    assert not {path.suffix for path in folder.rglob("*")} & {".pt", ".bin", ".pth"}


def test_all_weights_moved_and_the_loss_fell(trained: Path, tiny_base: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    before = AutoModelForCausalLM.from_pretrained(tiny_base).state_dict()
    after = AutoModelForCausalLM.from_pretrained(trained / "v1").state_dict()
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    losses = [line["loss"] for line in read_result(trained)["loss_curve"] if "loss" in line]
    assert losses[-1] < losses[0] - 1


def test_the_card_says_that_it_is_a_model(trained: Path) -> None:
    front = yaml.safe_load((trained / "v1" / "README.md").read_text().split("---")[1])
    assert (front["library_name"], front["tags"][0]) == ("transformers", "full")


def test_a_full_training_goes_on_from_a_full_model(
    trained: Path, tmp_path: Path, tiny_base: Path
) -> None:
    config = write_config(tmp_path, tiny_base, start_from=str(trained / "v1"), epochs=1)
    assert sft.main(["--config", str(config)]) == 0
    result, before = read_result(tmp_path), read_result(trained)
    assert result["start_from_sha256"] == before["model_sha256"]
    assert result["base_sha256"] == before["base_sha256"]
    assert result["loss_curve"][0]["loss"] < before["loss_curve"][0]["loss"] - 1


def test_what_a_full_training_cannot_go_on_from_is_one_sentence(
    trained: Path, tmp_path: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wider = make_tiny_base(tmp_path / "wider", hidden=64)
    adapter = tiny_adapter(tmp_path / "adapter", tiny_base)
    for start, said in ((adapter, "is an adapter"), (wider, "not of the base's architecture")):
        config = write_config(tmp_path, tiny_base, start_from=str(start))
        assert sft.main(["--config", str(config)]) == 1
        (told,) = capsys.readouterr().err.splitlines()
        assert said in told
    config = write_config(tmp_path, tiny_base, weights="lora", start_from=str(trained / "v1"))
    assert sft.main(["--config", str(config)]) == 1
    assert "has no adapter_config.json" in capsys.readouterr().err


def test_a_model_that_does_not_fit_into_memory_is_one_sentence(
    tmp_path: Path,
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(loading, "_memory", lambda: ("this machine", 1000))
    assert sft.main(["--config", str(write_config(tmp_path, tiny_base))]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert "this machine has 0 GB. Train an adapter" in told


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lora": {"rank": 4}}, "lora has no meaning with weights: full"),
        ({"quantize": "4bit"}, "quantize holds the base still"),
        ({"weights": "some"}, "weights: input should be 'lora', 'full' or 'prompt-tuning'"),
    ],
)
def test_what_full_training_cannot_be_combined_with(changes: dict[str, Any], said: str) -> None:
    least = {"base_model": "b", "train_file": "t", "output_dir": "o", "manifest_digest": "5" * 64}
    with pytest.raises(ConfigError, match=said):
        parse_config({**least, "weights": "full", **changes})
