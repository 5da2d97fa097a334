"""The model card: what it says of a training, before and after anybody judged the result."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from training.config import parse_config
from training.results.card import CardRecord, CardVerdict, JudgedLine, _line, render_card


def result(**changes: Any) -> dict[str, Any]:
    """What `strop.json` would hold."""
    config = parse_config(
        {
            "base_model": "tiny",
            "train_file": "/data/secret-place/train.jsonl",
            "output_dir": "out",
            "manifest_digest": "5" * 64,
        }
    )
    return {
        "base_model": "tiny",
        "manifest_digest": "5" * 64,
        "train_sha256": "7" * 64,
        "adapter_sha256": "9" * 64,
        "recipe_sha256": "8" * 64,
        "train": {"rows": 24, "tokens": 746},
        "config": config.model_dump(mode="json"),
        "loss_curve": [{"loss": 2.0}, {"eval_loss": 1.5}, {"loss": 1.0}],
        "versions": {"peft": "0.21"},
        "ledger": {
            "tokens": 2238,
            "seconds": 1800.0,
            "cpu_seconds": 3300.0,
            "gpu_seconds": 1800.0,
            "gpus": 1,
            "processes": 1,
            "starts": 2,
            "peak_memory_bytes": 2_000_000_000,
            "peak_gpu_memory_bytes": 7_500_000_000,
            "price_per_hour": 3.0,
            "cost": 1.5,
        },
        **changes,
    }


def test_the_front_matter_is_what_peft_and_the_hub_read() -> None:
    card = render_card(result())
    front = yaml.safe_load(card.split("---")[1])
    assert front == {
        "base_model": "tiny",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "sft", "strop"],
    }


def test_the_first_version_has_data_settings_and_ledger_and_no_verdict() -> None:
    card = render_card(result())
    for said in (
        "| train_sha256 | `" + "7" * 64 + "` |",
        "rank 16, alpha 32, learning rate 0.0002, seed 0",
        "from 2.000 to 1.000. Lowest validation loss: 1.500.",
        "weight_decay: 0.0",
        "2238 tokens in 1800 s, 2 start(s)",
        "cost: 1.5 at 3 an hour",
        "Not judged by a manifest yet.",
        "- peft: 0.21",
    ):
        assert said in card
    assert "secret-place" not in card
    assert "## Decisions" not in card


def test_no_price_is_no_cost() -> None:
    ledger = result()["ledger"] | {"price_per_hour": None, "cost": None}
    card = render_card(result(ledger=ledger))
    assert "cost: not known: no price_per_hour was stated" in card


def test_a_verdict_comes_with_n_interval_and_limits() -> None:
    line = JudgedLine("rougeL | all\nof it", "PASS", "0.120 [0.080, 0.160], n=200", "clears 0.05")
    judged = CardVerdict("2026-05-03", "base:v1@1", "manifest version 2", "PASS", [line])
    known = CardRecord(
        "base:v2@1", "base:v1@1", [judged], ["champion: promoted"], ["simulated reviews"]
    )
    card = render_card(result(), known)
    assert "# base:v2@1: LoRA adapter for tiny" in card
    assert "going on from base:v1@1" in card
    assert "**PASS** against base:v1@1, by manifest version 2, 2026-05-03:" in card
    assert "| rougeL \\| all of it | 0.120 [0.080, 0.160], n=200 | PASS | clears 0.05 |" in card
    limits = card.split("## Limits")[1]
    assert "- simulated reviews" in limits
    assert "inputs like the frozen test examples" in limits
    assert "Not judged" not in card


def test_a_search_is_a_table_of_its_trials() -> None:
    trials = [
        {
            "name": name,
            "values": {"rank": rank, "learning_rate": 1e-4},
            "validation_loss": loss,
            "rows": 12,
            "seconds": 3.0,
        }
        for name, rank, loss in (("a", 8, 1.25), ("b", 16, 1.5))
    ]
    card = render_card(result(search={"kept": "a", "trials": trials}))
    assert "| **kept** | 8 | 0.0001 | 1.2500 | 12 | 3 |" in card
    assert "|  | 16 | 0.0001 | 1.5000 | 12 | 3 |" in card
    assert "no test row was read" in card


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("<script>x()</script>", "&lt;script&gt;x()&lt;/script&gt;"),
        ("![seen](https://x.test/pixel.png)", "!\\[seen]\\(https://x.test/pixel.png)"),
        ("<img src=//x.test/p>", "&lt;img src=//x.test/p&gt;"),
        ("a\x1b[31mred\x07\u202e | b\n# c", "a[31mred \\| b # c"),
        ("0.713 [0.661, 0.765]", "0.713 [0.661, 0.765]"),
    ],
)
def test_reasons_are_words_and_nothing_else(words: str, shown: str) -> None:
    assert _line(words) == shown
