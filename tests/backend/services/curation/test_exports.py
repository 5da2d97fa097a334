"""Each format on known rows, loaded back by datasets, and taken by TRL's trainers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import InvalidInput, UnknownName
from backend.services.curation.formats import FORMATS, TrainingRow, export_rows

SYSTEM = {"role": "system", "content": "Answer in one word."}
QUESTION = {"role": "user", "content": "Größe 5 €?\nReally?"}
ANSWER = {"role": "assistant", "content": "Ja"}
WRONG = {"role": "assistant", "content": "Nein"}
TOOL = {"role": "tool", "content": "5 €"}
WHERE = {"review": 7, "model": None}

ROWS = [
    TrainingRow("sft", [SYSTEM, QUESTION], "Ja", provenance=WHERE),
    TrainingRow("dpo", [QUESTION], "Ja", rejected="Nein", provenance=WHERE),
    TrainingRow("kto", [QUESTION], "Nein", label=False),
]


WRITTEN: dict[str, dict[str, Any]] = {
    "sft": {
        "prompt": [SYSTEM, QUESTION],
        "completion": [ANSWER],
        "provenance": '{"review": 7, "model": null}',
    },
    "dpo": {
        "prompt": [QUESTION],
        "chosen": [ANSWER],
        "rejected": [WRONG],
        "provenance": '{"review": 7, "model": null}',
    },
    "kto": {"prompt": [QUESTION], "completion": [WRONG], "label": False},
    "openai": {"messages": [SYSTEM, QUESTION, ANSWER]},
    "alpaca": {
        "instruction": QUESTION["content"],
        "input": "",
        "output": "Ja",
        "system": SYSTEM["content"],
    },
    "sharegpt": {
        "conversations": [
            {"from": "system", "value": SYSTEM["content"]},
            {"from": "human", "value": QUESTION["content"]},
            {"from": "gpt", "value": "Ja"},
        ]
    },
}


def test_that_no_format_is_gone() -> None:
    assert WRITTEN.keys() - FORMATS.keys() == set()


@pytest.mark.parametrize("name", FORMATS)
def test_that_a_format_writes_its_kind_only(name: str) -> None:
    assert name in WRITTEN, f"WRITTEN lacks what a row is in the format {name}"
    assert list(export_rows(ROWS, name)) == [WRITTEN[name]]


def test_that_an_alpaca_question_alone_is_the_instruction() -> None:
    (row,) = export_rows([TrainingRow("sft", [QUESTION], "Ja")], "alpaca")
    assert row == {"instruction": QUESTION["content"], "input": "", "output": "Ja"}


def test_that_alpaca_holds_the_turns_before_as_history() -> None:
    prompt = [SYSTEM, QUESTION, WRONG, {"role": "user", "content": "Sure?"}]
    (row,) = export_rows([TrainingRow("sft", prompt, "Ja")], "alpaca")
    assert row == {
        "instruction": "Sure?",
        "input": "",
        "output": "Ja",
        "system": SYSTEM["content"],
        "history": [[QUESTION["content"], "Nein"]],
    }


@pytest.mark.parametrize(
    ("row", "name", "said"),
    [
        (TrainingRow("sft", [QUESTION, TOOL], "Ja"), "alpaca", r"not these \(user, tool\)"),
        (TrainingRow("sft", [QUESTION, QUESTION], "Ja"), "alpaca", r"not these \(user, user\)"),
        (TrainingRow("dpo", [QUESTION], "Ja"), "dpo", "no rejected answer"),
        (TrainingRow("kto", [QUESTION], "Ja"), "kto", "no label"),
    ],
)
def test_that_a_row_that_does_not_fit_is_refused(row: TrainingRow, name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        list(export_rows([row], name))


def test_that_an_unknown_format_lists_the_nearest() -> None:
    with pytest.raises(UnknownName, match="nearest first: sharegpt"):
        export_rows(ROWS, "share-gpt")


def many_rows() -> Iterator[TrainingRow]:
    for n in range(8):
        prompt = [SYSTEM, {"role": "user", "content": f"Ticket {n}"}]
        where = {"review": n if n % 2 else None}
        yield TrainingRow("sft", prompt, f"Answer {n}", provenance=where)
        yield TrainingRow("dpo", prompt, f"Answer {n}", rejected=f"No {n}", provenance=where)
        yield TrainingRow("kto", prompt, f"Answer {n}", label=n % 2 == 0, provenance=where)


def load_back(name: str, folder: Path) -> Any:
    """The export of `many_rows`, through a file, as a dataset."""
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    rows = list(export_rows(many_rows(), name))
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    loaded = load_dataset("json", data_files=str(file), split="train", cache_dir=str(folder))
    assert loaded.to_list() == rows
    return loaded


def alpaca_to_chat(row: dict[str, str]) -> dict[str, Any]:
    """The usual reading: instruction and input are one question."""
    question = "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
    return {
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": row["output"]}],
    }


def train_one_step(trainer_name: str, rows: Any, base: Path, folder: Path) -> float:
    """One update of a LoRA adapter by one of TRL's trainers; returns the loss."""
    import trl
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trainer_class = getattr(trl, f"{trainer_name}Trainer")
    config_class = getattr(trl, f"{trainer_name}Config")
    trainer = trainer_class(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=config_class(
            output_dir=str(folder / "out"),
            max_steps=1,
            logging_steps=1,
            per_device_train_batch_size=4,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            dataloader_pin_memory=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(r=2, target_modules="all-linear"),
    )
    trainer.train()
    (loss,) = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return float(loss)


@pytest.mark.parametrize(
    ("name", "trainer"),
    [
        ("sft", "SFT"),
        ("openai", "SFT"),
        ("sharegpt", "SFT"),
        ("alpaca", "SFT"),
        ("dpo", "DPO"),
        ("kto", "KTO"),
    ],
)
def test_that_trl_trains_on_what_was_exported(
    name: str, trainer: str, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = load_back(name, tmp_path)
    if name == "alpaca":
        rows = rows.map(alpaca_to_chat, remove_columns=rows.column_names)
    assert train_one_step(trainer, rows, tiny_base, tmp_path) > 0
