"""DPO, KTO and continued pre-training for real, on a random model of 27,000 parameters."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures_training import train_and_read, write_small_config
from training import sft
from training.config import Method, TrainingError, load_config, partial_dir
from training.rows.data import DataError
from training.rows.encode import encode, read_file

GOOD, BAD = "Answer 1", "Answer 6"
FULL = {"weights": "full", "lora": {}}


def _message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def _pairs() -> list[dict[str, Any]]:
    return [
        {
            "prompt": _message("user", f"Ticket {i}"),
            "chosen": _message("assistant", GOOD),
            "rejected": _message("assistant", BAD),
        }
        for i in range(16)
    ]


def _labels() -> list[dict[str, Any]]:
    return [
        {
            "prompt": _message("user", f"Ticket {i}"),
            "completion": _message("assistant", GOOD if i % 2 else BAD),
            "label": bool(i % 2),
        }
        for i in range(16)
    ]


def _documents() -> list[dict[str, Any]]:
    return [{"text": "the blue ticket is the blue answer " * 6} for _ in range(12)]


ROWS = {"dpo": _pairs, "kto": _labels, "pretrain": _documents}


def write_config(folder: Path, base: Path, method: str, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = ROWS[method]()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    watched = [row | {"group": f"g{i // 2}"} for i, row in enumerate(rows[:10])]
    (folder / "watched.jsonl").write_text("".join(json.dumps(row) + "\n" for row in watched))
    if changes.pop("watched", False):
        changes["validation_file"] = str(folder / "watched.jsonl")
    values = {
        "method": method,
        "train_file": str(folder / "train.jsonl"),
        "epochs": 6,
        "log_every": 2,
    }
    return write_small_config(folder, base, values | changes)


def train(folder: Path, base: Path, method: str, **changes: Any) -> dict[str, Any]:
    return train_and_read(write_config(folder, base, method, **changes))


def preference(base: Path, adapter: Path | None) -> float:
    """How much likelier the good answer is than the bad one to a new prompt, in nats."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)

    def log_probability(answer: str) -> float:
        chat = _message("user", "Ticket 40") + _message("assistant", answer)
        encoded = tokenizer.apply_chat_template(chat, return_dict=True, return_tensors="pt")
        ids = encoded["input_ids"]
        with torch.no_grad():
            nats = model(ids).logits.log_softmax(-1)[0, :-1]
        return float(nats.gather(1, ids[0, 1:, None]).sum())

    return log_probability(GOOD) - log_probability(BAD)


@pytest.fixture(scope="module")
def by_pairs(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder in which one DPO training was run to its end."""
    folder = tmp_path_factory.mktemp("dpo")
    train(folder, tiny_base, "dpo", save_every=4)
    return folder


def test_pairs_make_the_chosen_answer_likelier(by_pairs: Path, tiny_base: Path) -> None:
    assert preference(tiny_base, by_pairs / "v1") > preference(tiny_base, None) + 2


def test_the_result_is_one_adapter_of_its_method(by_pairs: Path) -> None:
    result = json.loads((by_pairs / "v1" / "strop.json").read_text())
    assert (result["kind"], result["train"]["rows"]) == ("dpo", 16)
    assert result["train"]["trained_tokens"] > 0
    assert not [path for path in (by_pairs / "v1").iterdir() if path.is_dir()]
    assert "direct preference optimization" in (by_pairs / "v1" / "README.md").read_text()


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("dpo", {"watched": True, "evaluate_every": 3}),
        ("kto", {"watched": True, "evaluate_every": 3}),
        ("pretrain", {"max_length": 32}),
        ("pretrain", {"max_length": 32, **FULL}),
        ("dpo", FULL),
    ],
    ids=["dpo", "kto", "pretrain", "full", "dpo-full"],
)
def test_a_killed_training_is_taken_up_and_ends_the_same(
    tmp_path: Path,
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    method: str,
    changes: dict[str, Any],
) -> None:
    changes = {"save_every": 4, "epochs": 2, **changes}
    unkilled = train(tmp_path / "unkilled", tiny_base, method, **changes)
    config = write_config(tmp_path, tiny_base, method, **changes)

    class Killed(BaseException):
        pass

    with monkeypatch.context() as patch:
        patch.setattr("training.trainer.CurveWriter.on_save", _die_at(4, Killed), raising=False)
        with pytest.raises(Killed):
            sft.main(["--config", str(config)])
    assert partial_dir(tmp_path / "v1").exists()
    assert sft.main(["--config", str(config)]) == 0
    assert "Taking up the unfinished training after step 4." in capsys.readouterr().out
    ours = json.loads((tmp_path / "v1" / "strop.json").read_text())
    assert (ours["adapter_sha256"], ours["model_sha256"]) == (
        unkilled["adapter_sha256"],
        unkilled["model_sha256"],
    )
    assert _losses(ours) == _losses(unkilled)


def _losses(result: dict[str, Any]) -> list[Any]:
    """The curve without what a clock says, and what was measured of validation rows at its end."""
    curve = result["loss_curve"]
    return [
        *((line["step"], line.get("loss"), line.get("eval_loss")) for line in curve),
        result["validation"],
    ]


def _die_at(step: int, error: type[BaseException]) -> Any:
    def on_save(self: object, args: object, state: Any, control: object, **_: object) -> None:
        if state.global_step >= step:
            raise error

    return on_save


def test_labels_part_good_from_bad(tmp_path: Path, tiny_base: Path) -> None:
    result = train(tmp_path, tiny_base, "kto")
    assert result["kind"] == "kto"
    assert preference(tiny_base, tmp_path / "v1") > preference(tiny_base, None) + 1


def test_preferences_hold_to_the_adapter_that_they_began_from(
    by_pairs: Path, tmp_path: Path, tiny_base: Path
) -> None:
    began = str(by_pairs / "v1")
    train(tmp_path, tiny_base, "dpo", start_from=began, epochs=1, learning_rate=1e-9)
    curve = json.loads((tmp_path / "v1" / "strop.json").read_text())["loss_curve"]
    # Beside itself the adapter prefers nothing: the loss of DPO is log 2.
    assert [line["loss"] for line in curve if "loss" in line] == pytest.approx(
        [0.6931] * 3, abs=1e-3
    )


def test_documents_are_learnt_whole(tmp_path: Path, tiny_base: Path) -> None:
    result = train(tmp_path, tiny_base, "pretrain", max_length=32)
    losses = [line["loss"] for line in result["loss_curve"] if "loss" in line]
    assert losses[-1] < losses[0] - 0.5
    assert result["train"]["trained_tokens"] == result["train"]["tokens"]


def test_blocks_are_full_and_part_documents_by_the_end_token(
    tmp_path: Path, tiny_base: Path
) -> None:
    from training.assemble import load_tokenizer

    config = load_config(write_config(tmp_path, tiny_base, "pretrain", max_length=16))
    tokenizer = load_tokenizer(tiny_base)
    encoded = encode(config, read_file(config.method, config.train_file), tokenizer)
    ids = [token for row in encoded.records for token in row["input_ids"]]
    assert all(len(row["input_ids"]) == 16 for row in encoded.records[:-1])
    assert 11 <= ids.count(tokenizer.eos_token_id) <= 12


@pytest.mark.parametrize(
    ("lora", "key"), [({"rslora": True}, "use_rslora"), ({"dora": True}, "use_dora")]
)
def test_variants_of_lora_are_what_the_adapter_says(
    tmp_path: Path, tiny_base: Path, lora: dict[str, bool], key: str
) -> None:
    shape = {"rank": 4, "alpha": 8, "dropout": 0.0, **lora}
    train(tmp_path, tiny_base, "pretrain", lora=shape, epochs=1)
    assert json.loads((tmp_path / "v1" / "adapter_config.json").read_text())[key] is True
    names = (tmp_path / "v1" / "adapter_model.safetensors").read_bytes()
    assert (b"magnitude" in names) is bool(lora.get("dora"))


def test_four_bits_where_there_are_none_is_one_sentence(
    tmp_path: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    if importlib.util.find_spec("bitsandbytes") and torch.cuda.is_available():
        pytest.skip("this machine can hold a model in 4 bits")
    config = write_config(tmp_path, tiny_base, "dpo", quantize="4bit")
    assert sft.main(["--config", str(config)]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("4-bit training needs")


@pytest.mark.parametrize(
    ("method", "row", "said"),
    [
        ("dpo", {"chosen": "text"}, "'chosen' is not a list of chat messages"),
        ("dpo", {"rejected": _message("assistant", GOOD)}, "both answers are the same"),
        ("dpo", {"rejected": _message("user", "x")}, "the rejected is not the assistant's"),
        ("kto", {"label": "yes"}, "the label is neither true nor false"),
        ("kto", None, "does not hold both good and bad answers"),
        ("pretrain", {"text": "  "}, "there is no text"),
    ],
)
def test_what_cannot_be_learnt_is_named(
    tmp_path: Path, method: str, row: dict[str, Any] | None, said: str
) -> None:
    rows = ROWS[method]()
    rows = rows[:1] if row is None else [*rows[:3], rows[3] | row]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    with pytest.raises(DataError, match=said):
        read_file(Method(method), file)


def test_a_long_pair_is_refused_and_named(tmp_path: Path, tiny_base: Path) -> None:
    config = load_config(write_config(tmp_path, tiny_base, "dpo", max_length=5))
    from training.assemble import load_tokenizer

    rows = read_file(config.method, config.train_file)
    with pytest.raises(TrainingError, match="16 of 16 rows are longer"):
        encode(config, rows, load_tokenizer(tiny_base))
