"""DPO and KTO watched on validation rows: measured, stopped early and searched as SFT is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures_models import tiny_adapter, write_chat_rows
from tests.fixtures_training import train_and_read, write_small_config
from training.assemble import build_trainer, load_tokenizer
from training.config import load_config
from training.methods import METHODS
from training.results.intervals import mean_loss, read_losses
from training.rows.encode import by_length

GOOD, BAD = "Answer 1", "Answer 6"


def preference_row(method: str, number: int, *, turned: bool = False) -> dict[str, Any]:
    """A pair or a label that prefers GOOD to BAD; turned round, BAD to GOOD."""

    def say(role: str, content: str) -> list[dict[str, str]]:
        return [{"role": role, "content": content}]

    better, worse = (BAD, GOOD) if turned else (GOOD, BAD)
    row: dict[str, Any] = {"prompt": say("user", f"Ticket {number}"), "group": f"g{number // 2}"}
    if method == "dpo":
        return row | {"chosen": say("assistant", better), "rejected": say("assistant", worse)}
    label = bool(number % 2)
    return row | {"completion": say("assistant", better if label else worse), "label": label}


def write_rows(file: Path, rows: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def write_config(
    folder: Path, base: Path, method: str, *, turned: bool = False, **changes: Any
) -> Path:
    """16 rows to train on, and 12 rows of 6 groups to validate on."""
    train = [preference_row(method, i) for i in range(16)]
    watched = [preference_row(method, i, turned=turned) for i in range(20, 32)]
    values = {
        "method": method,
        "train_file": write_rows(folder / "train.jsonl", train),
        "validation_file": write_rows(folder / "validation.jsonl", watched),
        "validation_share": 0.4,
        "epochs": 2,
    }
    return write_small_config(folder, base, values | changes)


def train(folder: Path, base: Path, method: str, **changes: Any) -> dict[str, Any]:
    return train_and_read(write_config(folder, base, method, **changes))


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("dpo", {"batch_size": 5}),
        ("kto", {"batch_size": 5, "undesirable_weight": 1.7}),
        ("sft", {"batch_size": 5}),
        ("sft", {"batch_size": 5, "packing": True}),
    ],
    ids=["dpo", "kto", "sft", "packing"],
)
def test_the_rows_of_a_batch_cost_what_trl_says_of_the_batch(
    tmp_path: Path, tiny_base: Path, method: str, changes: dict[str, Any]
) -> None:
    import torch

    if method == "sft":
        rows = str(write_chat_rows(tmp_path / "chat.jsonl", 12))
        changes |= {"train_file": rows, "validation_share": None}
    config = load_config(write_config(tmp_path, tiny_base, method, **changes))
    tokenizer = load_tokenizer(tiny_base)
    kind = METHODS[config.method]
    watched = by_length(kind.encode(config, kind.read(config.train_file), tokenizer))
    trainer: Any = build_trainer(config, tiny_base, tokenizer, train=watched, validation=watched)
    generator = torch.Generator().manual_seed(1)
    for weights in trainer.model.parameters():
        if weights.requires_grad:
            weights.data += 0.2 * torch.randn(weights.shape, generator=generator)
    trainer.model.eval()
    n_rows: list[int] = []
    for batch in trainer.get_eval_dataloader():
        inputs = trainer._prepare_inputs(batch)
        with torch.no_grad():
            ours = trainer.measure_batch(trainer.model, dict(inputs))
            theirs = trainer.compute_loss(trainer.model, dict(inputs))
        n_rows.append(len(ours))
        mean = ours[:, 0].sum() / ours[:, 1].sum()
        assert mean.item() == pytest.approx(theirs.item(), rel=1e-5)
        if method == "dpo":
            right = trainer._metrics["eval"]["rewards/accuracies"][-1]
            assert ours[:, 2].mean().item() == right
    if (
        method == "kto"
    ):  # a batch whose answers became likelier anywhere, which its rewards leave out
        assert max(trainer._metrics["eval"]["kl"]) > 0.1
    assert (max(n_rows), sum(n_rows)) == (5, len(watched.records))


@pytest.mark.parametrize("method", ["dpo", pytest.param("kto", marks=pytest.mark.deep)])
def test_where_training_began_is_asked_once_a_row(
    tmp_path: Path, tiny_base: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import preference_trainer, sft

    asked: list[int] = []
    for name in ("DPOTrainer", "KTOTrainer"):
        kind = getattr(preference_trainer, name)
        compute = kind.compute_ref_log_probs

        def counted(trainer: Any, model: Any, inputs: Any, compute: Any = compute) -> Any:
            found = compute(trainer, model, inputs)
            asked.append(len(found[0]))
            return found

        monkeypatch.setattr(kind, "compute_ref_log_probs", counted)
    sft.train(load_config(write_config(tmp_path, tiny_base, method, epochs=3)))
    assert sum(asked) == 16 + 12  # to train on and to validate on, whatever the epochs


def test_rows_that_are_sorted_by_length_keep_their_groups(tmp_path: Path, tiny_base: Path) -> None:
    rows = [
        preference_row("kto", 1)
        | {"group": f"g{n}", "completion": [{"role": "assistant", "content": "A" * n}]}
        for n in (9, 2, 7, 4, 8)
    ]
    changes: dict[str, Any] = {"validation_share": None}
    changes["train_file"] = write_rows(tmp_path / "chat.jsonl", rows)
    config = load_config(write_config(tmp_path, tiny_base, "sft", batch_size=2, **changes))
    tokenizer = load_tokenizer(tiny_base)
    kind = METHODS[config.method]
    watched = by_length(kind.encode(config, kind.read(config.train_file), tokenizer))
    trainer: Any = build_trainer(config, tiny_base, tokenizer, train=watched, validation=watched)
    measured = trainer.measure_rows(0)
    # Each letter is a token, and the end is one more.
    assert [(row.group, row.count) for row in measured] == [
        (f"g{n}", n + 1) for n in (2, 4, 7, 8, 9)
    ]


@pytest.mark.parametrize(
    ("method", "begun"), [("dpo", True), pytest.param("kto", False, marks=pytest.mark.deep)]
)
def test_training_stops_early_and_keeps_the_best(
    tmp_path: Path, tiny_base: Path, method: str, begun: bool
) -> None:
    """The validation rows say the opposite, so that the first evaluation is the best."""
    changes: dict[str, Any] = {}
    if begun:  # where training began is then an adapter of its own, beside that in training
        changes["start_from"] = str(tiny_adapter(tmp_path / "begun", tiny_base, spread=0.05))
    result = train(
        tmp_path,
        tiny_base,
        method,
        turned=True,
        epochs=8,
        evaluate_every=2,
        save_every=2,
        early_stopping_patience=2,
        **changes,
    )
    held = {line["step"]: line["eval_loss"] for line in result["loss_curve"] if "eval_loss" in line}
    assert result["stopped_early"]
    assert (result["kept_step"], min(held, key=held.__getitem__), max(held)) == (2, 2, 6)
    assert max(held.values()) > 1.005 * held[2]
    told = result["validation"]
    assert (told["rows"], told["share"], told["step"]) == (12, 0.4, 2)
    assert told["loss"]["value"] == pytest.approx(held[2], rel=1e-5)
    assert mean_loss(read_losses(tmp_path / "v1"), seed=0).value == pytest.approx(held[2], rel=1e-5)


def test_a_search_over_preferences_tells_each_trial_with_its_interval(
    tmp_path: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(tmp_path, tiny_base, "dpo", epochs=1, search={"learning_rate": [1e-6, 0.02]})
    slow, fast = result["search"]["trials"]
    assert (result["search"]["kept"], fast["behind"]) == (fast["name"], None)
    for trial in (slow, fast):
        loss = trial["loss"]
        assert loss["value"] == trial["validation_loss"]
        assert (loss["n"], loss["groups"], loss["level"]) == (12, 6, 0.95)
        assert loss["low"] <= loss["value"] <= loss["high"]
        assert trial["accuracy"]["n"] == 12
    assert (fast["accuracy"]["value"], fast["accuracy"]["high"]) == (1.0, 1.0)
    difference = slow["validation_loss"] - fast["validation_loss"]
    assert slow["behind"]["value"] == pytest.approx(difference)
    assert slow["behind"]["low"] > 0
    assert (slow["told_apart"], result["search"]["not_told_apart"]) == (True, [])
    printed = capsys.readouterr().out
    assert "n=12 of 6 groups, behind by +" in printed
    assert "All other trials are told apart from the kept one" in printed
    card = (tmp_path / "v1" / "README.md").read_text()
    assert "preference accuracy 1.0000 [" in card
    assert "12 rows of 6 groups, kept out of training (40% of the groups asked)" in card
