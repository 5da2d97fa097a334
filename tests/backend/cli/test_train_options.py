"""`strop train`: what its options mean, and how a result is told."""

from __future__ import annotations

from typing import Any

import pytest

from backend.cli.training import describe_result, parse_search
from backend.errors import InvalidInput

LEDGER = {
    "tokens": 100,
    "seconds": 7.2,
    "cpu_seconds": 9.0,
    "gpu_seconds": 0.0,
    "gpus": 0,
    "processes": 1,
    "starts": 1,
    "peak_memory_bytes": 500_000_000,
    "peak_gpu_memory_bytes": None,
    "price_per_hour": None,
    "cost": None,
}


@pytest.mark.parametrize(
    ("pairs", "space"),
    [
        (["rank=8,16", "epochs=1"], {"rank": [8, 16], "epochs": [1]}),
        (["rank=8 learning_rate=1e-4,2e-4"], {"rank": [8], "learning_rate": [1e-4, 2e-4]}),
    ],
)
def test_a_search_is_lists_of_values(pairs: list[str], space: dict[str, Any]) -> None:
    assert parse_search(pairs) == space


@pytest.mark.parametrize("pairs", [["rank"], ["rank="], ["rank=eight"], ["rank=8", "rank=9"]])
def test_what_is_no_list_of_values_is_one_sentence(pairs: list[str]) -> None:
    with pytest.raises(InvalidInput, match="is no list of values to try"):
        parse_search(pairs)


def test_a_result_is_told_with_its_trials_and_what_it_took() -> None:
    trials = [
        {"name": "rank-8", "validation_loss": 1.5, "rows": 12},
        {"name": "rank-16", "validation_loss": 1.25, "rows": 12},
    ]
    result = {
        "steps": 3,
        "seconds": 7.2,
        "adapter_sha256": None,
        "model_sha256": "abcdef" * 10,
        "search": {"kept": "rank-16", "trials": trials},
        "ledger": LEDGER,
    }
    assert describe_result("v2@1", result, [{"loss": 2.0}, {"eval_loss": 1.0}, {"loss": 1.0}]) == [
        "v2@1: 3 steps in 7.2 s, loss 2.000 -> 1.000, sha256 abcdefabcdef.",
        "  rank-16: validation loss 1.2500, n=12  kept",
        "  rank-8: validation loss 1.5000, n=12",
        "  100 tokens in 7 s, 1 start(s), 1 process(es)",
        "  9 CPU seconds, 0 GPU seconds on 0 GPU(s)",
        "  at most 0.50 GB of memory",
        "  cost: not known: no price_per_hour was stated",
    ]


def _estimate(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    reason = "" if low is not None else "one group only: it has no interval"
    return {"value": value, "low": low, "high": high, "n": 12, "groups": 6, "reason": reason}


def test_trials_are_told_with_intervals_and_with_what_the_rows_cannot_tell() -> None:
    trials = [
        {
            "name": name,
            "validation_loss": loss,
            "rows": 12,
            "loss": _estimate(loss, loss - 0.5, loss + 0.5),
            "behind": behind,
            "told_apart": apart,
        }
        for name, loss, behind, apart in (
            ("rank-8", 1.5, _estimate(0.25, -0.125, 0.625), False),
            ("rank-16", 1.25, None, None),
            ("rank-32", 2.25, _estimate(1.0, 0.5, 1.5), True),
            ("rank-64", 2.5, _estimate(1.25, None, None), False),
        )
    ]
    search = {
        "kept": "rank-16",
        "level": 0.95,
        "not_told_apart": ["rank-8", "rank-64"],
        "trials": trials,
    }
    validation = {
        "loss": _estimate(1.25, 0.75, 1.75),
        "accuracy": _estimate(0.75, 0.5, 0.9),
        "share": 0.1,
    }
    result = {"steps": 3, "seconds": 7.2, "search": search, "validation": validation}
    assert describe_result("v2@1", result, [])[1:] == [
        "  validation loss 1.2500 [0.7500, 1.7500], preference accuracy 0.7500 [0.5000, 0.9000], "
        "12 rows of 6 groups, kept out of training (10% of the groups asked)",
        "  rank-16: validation loss 1.2500 [0.7500, 1.7500], n=12  kept",
        "  rank-8: validation loss 1.5000 [1.0000, 2.0000], n=12, behind by +0.2500 [-0.1250, "
        "+0.6250], not told apart",
        "  rank-32: validation loss 2.2500 [1.7500, 2.7500], n=12, behind by +1.0000 [+0.5000, "
        "+1.5000]",
        "  rank-64: validation loss 2.5000 [2.0000, 3.0000], n=12, behind by +1.2500 (one group "
        "only: it has no interval), not told apart",
        "  Not told apart from the kept one, the lowest: rank-8, rank-64 (the intervals of the "
        "differences hold together at 95%). More validation rows would tell; the lowest loss is no "
        "proof. Being the lowest on these rows its loss looks better than it is; a test split "
        "tells.",
    ]
