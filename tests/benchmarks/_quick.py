"""The options of each benchmark in a short run, which shows that all works and measures little.

python -m tests.benchmarks --quick --out bench
"""

from __future__ import annotations

from collections.abc import Mapping

QUICK: Mapping[str, str | None] = {
    "active_errors": "--repeats 30",
    "alias_throughput": "--turns 2",
    "audit_cost": "--pairs 3 --claims 2",
    "banking77_curves": "--seeds 2 --rounds 2 --rows 1000",
    "check_proof": "--most 20 --only recall",
    "comparison_views": "--examples 200 --views 3",
    "counterfactual": "--reps 20",
    "desk_page": "--items 5",
    "edited_summaries": "",
    "estimate_coverage": "--repeats 20",
    "evaluators": "--repeats 50 --outputs 2000",
    "executors": "--turns 1 --outputs 300",
    "fairness_real": "",
    "forgetting_replay": None,
    "generation_one_server": "--count 20 --turns 1",
    "generation_throughput": "--count 60 --repetitions 2",
    "growth": "--n 400 800",
    "health_label_errors": "--seeds 1 --rows 1000",
    "judge_coverage": "--repeats 20",
    "judge_licence": "--repeats 20",
    "live_traffic": "--seeds 1",
    "masking_recall": "--notes 30",
    "meta_coverage": "--repeats 5",
    "model_checks": "",
    "parity": "--reps 20",
    "prefix_cache": "--documents 8 --turns 1",
    "qlora": None,
    "real_model": None,
    "review_load": "--clients 10 --items 200 --sizes 1000 4000 --seconds 4 --rate 10",
    "risk_coverage": "--repeats 10",
    "scoring_workers": "--outputs 300 --turns 1",
    "several_servers": "--count 60 --turns 1",
    "start_up": "--turns 2",
    "training_throughput": "--turns 1 --rows 16 --held-out 8",
    "triage_replay": "--repeats 10",
    "watched_ab": "--repeats 20",
}
"""None: it trains models, which takes long whatever its size."""
