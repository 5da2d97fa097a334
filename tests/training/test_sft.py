"""Supervised fine-tuning for real, on a random model of 27,000 parameters."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.engines.base import ServedModel
from backend.engines.local.engine import LocalEngine
from backend.services.models.preflight.checks import check_training_prompts, read_training_prompts
from tests.fixtures_models import write_chat_rows
from training import sft
from training.assemble import build_trainer, load_tokenizer
from training.config import (
    EXIT_ALREADY_TRAINING,
    load_config,
    lock_file,
    partial_dir,
    progress_file,
)
from training.methods import METHODS
from training.rows.data import read_rows
from training.rows.encode import by_length
from training.weights.digest import (
    adapter_sha256,
    file_sha256,
    model_sha256,
    template_sha256,
    tokenizer_sha256,
)
from training.weights.folders import hold_lock

MANIFEST = "5" * 64
ROOT = Path(sft.__file__).parents[1]


def write_config(folder: Path, base: Path, **changes: Any) -> Path:
    """A configuration whose output is `folder/v1`, with rows beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "base_model": str(base),
        "train_file": str(write_chat_rows(folder / "train.jsonl", 24)),
        "validation_file": str(write_chat_rows(folder / "validation.jsonl", 12)),
        "output_dir": str(folder / "v1"),
        "manifest_digest": MANIFEST,
        "training_set_digest": "set-digest",
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
        "epochs": 6,
        "learning_rate": 0.01,
        "batch_size": 8,
        "save_every": 4,
        "evaluate_every": 8,
        "log_every": 3,
        "threads": 1,
        "price_per_hour": 3,
        "measure_forgetting": False,
    }
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(values | changes))
    return file


def read_result(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "v1" / "strop.json").read_text())
    return result


def curve(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The loss curve without what a clock says."""
    clock = ("time", "seconds")
    return [{k: v for k, v in line.items() if k not in clock} for line in result["loss_curve"]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder in which one training was run to its end."""
    folder = tmp_path_factory.mktemp("trained")
    assert sft.main(["--config", str(write_config(folder, tiny_base))]) == 0
    return folder


def test_that_the_result_holds_safetensors_and_no_pickle(trained: Path) -> None:
    assert sorted(path.name for path in (trained / "v1").iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "config.yaml",
        "progress.jsonl",
        "strop.json",
        "validation_losses.jsonl",
    ]
    assert not partial_dir(trained / "v1").exists()


def test_that_the_recorded_digests_are_those_of_the_files(trained: Path, tiny_base: Path) -> None:
    result = read_result(trained)
    expected = {
        "manifest_digest": MANIFEST,
        "training_set_digest": "set-digest",
        "base_sha256": model_sha256(tiny_base),
        "tokenizer_sha256": tokenizer_sha256(tiny_base),
        "template_sha256": template_sha256(tiny_base),
        "adapter_sha256": adapter_sha256(trained / "v1"),
        "train_sha256": file_sha256(trained / "train.jsonl"),
        "validation_sha256": file_sha256(trained / "validation.jsonl"),
        "start_from_sha256": None,
    }
    assert {name: result[name] for name in expected} == expected


def test_that_the_account_is_complete(trained: Path) -> None:
    result = read_result(trained)
    assert (result["steps"], result["kept_step"], result["stopped_early"]) == (18, 18, False)
    assert result["tokens"] == 6 * result["train"]["tokens"]
    assert result["versions"].keys() >= {"torch", "transformers", "trl", "peft", "python"}
    assert min(result["seconds"], result["peak_memory_bytes"]) > 0
    ledger = result["ledger"]
    assert (ledger["tokens"], ledger["starts"], ledger["processes"]) == (result["tokens"], 1, 1)
    assert min(ledger["seconds"], ledger["cpu_seconds"]) > 0
    assert ledger["cost"] == pytest.approx(ledger["seconds"] / 3600 * 3, rel=1e-3)
    assert result["started_at"] <= result["ended_at"]


def test_that_the_preflight_knows_the_prompts_again(trained: Path, tiny_base: Path) -> None:
    """What training recorded of its prompts is what the engine makes of them."""
    prompts = read_training_prompts(read_result(trained), trained_here=True)
    with LocalEngine(threads=1) as engine:
        engine.load([ServedModel("base", str(tiny_base))])
        check = check_training_prompts(engine, "v1", prompts)
    assert check.passed
    assert check.figures == {"prompts": 8, "equal_texts": 8, "equal_tokens": 8}


def test_that_the_loss_curve_is_written_and_falls(trained: Path) -> None:
    result = read_result(trained)
    losses = [line["loss"] for line in result["loss_curve"] if "loss" in line]
    held = {line["step"] for line in result["loss_curve"] if "eval_loss" in line}
    assert losses[-1] < losses[0] - 0.3
    assert held == {8, 16, 18}
    lines = progress_file(trained / "v1").read_text().splitlines()
    assert [json.loads(line) for line in lines] == result["loss_curve"]


def test_that_the_model_card_names_base_and_bar(trained: Path) -> None:
    card = (trained / "v1" / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["library_name"] == "peft"
    assert MANIFEST in card


def test_that_the_adapter_loads_and_differs_from_the_base(trained: Path, tiny_base: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    question = [{"role": "user", "content": "Ticket 3: "}]
    ids = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )["input_ids"]
    base = AutoModelForCausalLM.from_pretrained(tiny_base)
    with torch.no_grad():
        before = base(ids).logits
        after = PeftModel.from_pretrained(base, trained / "v1")(ids).logits
    assert (after - before).abs().max() > 0.1


def test_that_a_finished_training_is_not_repeated(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "v1" / "strop.json").stat().st_mtime_ns
    assert sft.main(["--config", str(trained / "run.yaml")]) == 0
    assert "already holds the result" in capsys.readouterr().out
    assert (trained / "v1" / "strop.json").stat().st_mtime_ns == before


def test_that_a_finished_folder_is_not_overwritten_by_another_recipe(
    trained: Path, tmp_path: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(tmp_path, tiny_base, seed=1, output_dir=str(trained / "v1"))
    assert sft.main(["--config", str(file)]) == 1
    assert "holds the result of another training" in capsys.readouterr().err


TRAINING = ("-m", "training.sft")
KILLED_AT_8 = """
import os, signal, sys
from training import sft, trainer

def die_on_save(self, args, state, control, **_):
    if state.global_step == 8:
        os.kill(os.getpid(), signal.SIGKILL)

trainer.CurveWriter.on_save = die_on_save
sys.exit(sft.main(sys.argv[1:]))
"""


def start(config: Path, *program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", *program, "--config", str(config)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )


def train_until_killed(config: Path, output: Path) -> None:
    """Start a training that is killed with -9 as soon as the checkpoint of step 8 is whole."""
    trainer = start(config, "-c", KILLED_AT_8)
    _, complaints = trainer.communicate(timeout=300)
    assert (trainer.returncode, complaints) == (-signal.SIGKILL, "")
    checkpoints = partial_dir(output) / "checkpoints"
    assert (checkpoints / "checkpoint-8" / "trainer_state.json").exists()
    assert not (checkpoints / "checkpoint-12").exists()


def test_that_a_killed_training_is_taken_up_and_ends_the_same(
    trained: Path, tmp_path: Path, tiny_base: Path
) -> None:
    output = tmp_path / "v1"
    config = write_config(tmp_path, tiny_base)
    train_until_killed(config, output)
    assert not output.exists()
    assert lock_file(output).exists()

    trainer = start(config, *TRAINING)
    printed, complaints = trainer.communicate(timeout=300)
    assert (trainer.returncode, complaints) == (0, "")
    assert "Taking up the unfinished training after step 8" in printed

    ours, unkilled = read_result(tmp_path), read_result(trained)
    assert curve(ours) == curve(unkilled)
    assert ours["adapter_sha256"] == unkilled["adapter_sha256"]
    assert ours["tokens"] == unkilled["tokens"]
    assert ours["ledger"]["starts"] == 2
    assert ours["ledger"]["seconds"] > ours["seconds"] > 0


def test_that_an_adapter_is_given_bfloat16_as_it_is(tmp_path: Path, tiny_base: Path) -> None:
    from torch import is_grad_enabled, nn

    given: set[str] = set()

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        small = getattr(module, "out_features", 0) == 4  # the first matrix of an adapter
        if small and is_grad_enabled():
            given.add(str(inputs[0].dtype))

    changes = {"dtype": "bfloat16", "epochs": 1}
    hook = nn.modules.module.register_module_forward_pre_hook(note)
    try:
        sft.train(load_config(write_config(tmp_path, tiny_base, **changes)))
    finally:
        hook.remove()
    assert given == {"torch.bfloat16"}


@pytest.mark.deep
def test_that_a_killed_training_in_bfloat16_ends_the_same(tmp_path: Path, tiny_base: Path) -> None:
    configs = [write_config(tmp_path / n, tiny_base, dtype="bfloat16") for n in ("whole", "killed")]
    train_until_killed(configs[1], configs[1].parent / "v1")
    for config in configs:
        _, complaints = start(config, *TRAINING).communicate(timeout=300)
        assert complaints == ""
    whole, killed = (read_result(config.parent) for config in configs)
    assert curve(killed) == curve(whole)
    assert killed["adapter_sha256"] == whole["adapter_sha256"]


def test_that_a_second_start_is_refused_while_the_first_lives(
    tmp_path: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, tiny_base)
    with hold_lock(tmp_path / "v1"):
        assert sft.main(["--config", str(config)]) == EXIT_ALREADY_TRAINING
    assert f"Process {os.getpid()} is training" in capsys.readouterr().err
    assert not partial_dir(tmp_path / "v1").exists()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder in which a training at far too high a rate was stopped early."""
    folder = tmp_path_factory.mktemp("stopped")
    config = write_config(
        folder,
        tiny_base,
        learning_rate=0.3,
        scheduler="constant",
        epochs=20,
        evaluate_every=4,
        early_stopping_patience=2,
    )
    assert sft.main(["--config", str(config)]) == 0
    return folder


def held_out_losses(folder: Path) -> dict[int, float]:
    lines = read_result(folder)["loss_curve"]
    return {line["step"]: line["eval_loss"] for line in lines if "eval_loss" in line}


def test_that_training_stops_early(stopped: Path) -> None:
    result, held = read_result(stopped), held_out_losses(stopped)
    assert result["stopped_early"]
    assert result["steps"] < result["steps_planned"]
    assert result["kept_step"] == min(held, key=held.__getitem__) == result["steps"] - 8


def test_that_early_stopping_keeps_the_best_adapter(
    stopped: Path, tmp_path: Path, tiny_base: Path
) -> None:
    config = load_config(write_config(tmp_path, tiny_base, start_from=str(stopped / "v1")))
    tokenizer = load_tokenizer(tiny_base)
    rows = by_length(
        METHODS[config.method].encode(config, read_rows(stopped / "validation.jsonl"), tokenizer)
    )
    kept = build_trainer(config, tiny_base, tokenizer, train=rows, validation=rows).evaluate()
    held = held_out_losses(stopped)
    assert kept["eval_loss"] == pytest.approx(min(held.values()), rel=1e-5)
    assert max(held.values()) > 1.01 * min(held.values())


def test_that_training_goes_on_from_an_adapter(
    trained: Path, tmp_path: Path, tiny_base: Path
) -> None:
    config = write_config(tmp_path, tiny_base, start_from=str(trained / "v1"), epochs=1)
    assert sft.main(["--config", str(config)]) == 0
    result = read_result(tmp_path)
    assert result["start_from_sha256"] == adapter_sha256(trained / "v1")
    assert curve(result)[0]["loss"] < curve(read_result(trained))[0]["loss"] - 0.3


def changed_base(base: Path, folder: Path, name: str, content: bytes) -> str:
    copy = shutil.copytree(base, folder / "changed")
    (copy / name).write_bytes(content)
    return str(copy)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"manifest_digest": ""}, "refuses to start without a success manifest"),
        ({"base_model": "no-such-folder"}, "There is no model 'no-such-folder'"),
        ({"train_file": "absent.jsonl"}, "absent.jsonl cannot be read"),
        ({"max_length": 5}, "rows are longer than max_length 5"),
        ({"lora": {"target_modules": ["nothing"]}}, "cannot be loaded for training"),
        ({"start_from": "absent"}, "absent has no adapter_config.json"),
    ],
)
def test_that_what_cannot_start_is_one_sentence(
    tmp_path: Path,
    tiny_base: Path,
    changes: dict[str, Any],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sft.main(["--config", str(write_config(tmp_path, tiny_base, **changes))]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "v1").exists()


def test_that_a_broken_base_is_one_sentence(
    tmp_path: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = changed_base(tiny_base, tmp_path, "model.safetensors", b"\x08\0\0\0\0\0\0\0half")
    assert sft.main(["--config", str(write_config(tmp_path, Path(base)))]) == 1
    assert "cannot be loaded for training" in capsys.readouterr().err


def test_that_leaving_prompts_out_of_the_head_keeps_the_loss(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import trainer

    config = load_config(write_config(tmp_path, tiny_base))
    tokenizer = load_tokenizer(tiny_base)
    rows = METHODS[config.method].encode(config, read_rows(config.train_file), tokenizer)
    built = build_trainer(config, tiny_base, tokenizer, train=rows, validation=None)
    batch = built.data_collator(rows.records[:8])
    built.model.eval()
    ours = built.compute_loss(built.model, dict(batch))
    monkeypatch.setattr(trainer, "_MOST_LOGITS", 0)
    theirs = built.compute_loss(built.model, dict(batch))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
