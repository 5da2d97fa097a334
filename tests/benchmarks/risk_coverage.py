"""Does the drift of a risk alarm as seldom as it says, and does calibration keep the order?

    python -m tests.benchmarks.risk_coverage [--data DIR] [--out FILE.json] [--repeats 1000]

Drift, simulated with seeds: random halves of one domain whose outputs come in groups that share
much of what they are must be refused at most once in a hundred, and shifted outputs nearly always.
The Kolmogorov-Smirnov test that takes every output for independent stands beside it, failing.
Calibration, on the claims of ExpertQA with experts' labels: AUROC of the scores out of fold, after
the curve that keeps their order, and after isotonic regression.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluators.checks.risk.drift import LEAST_SHIFT, LEVEL, Grouped, find_shifts
from evaluators.checks.risk.kinds import MODELS
from evaluators.checks.risk.report import auroc, brier, calibration_error
from evaluators.checks.risk.risk import fit_risk

Rows = list[dict[str, float | None]]
FEATURES = 4


class Domain(NamedTuple):
    """`labelled` and `new` groups of `size` outputs; `shared` is what a group has in common."""

    labelled: int
    new: int
    size: int
    shared: float
    shift: float = 0.0

    @property
    def name(self) -> str:
        """In words."""
        moved = f", one of {FEATURES} features shifted by {self.shift} sd" if self.shift else ""
        return (
            f"{self.labelled} labelled and {self.new} new groups of {self.size}, "
            f"{self.shared:.0%} shared{moved}"
        )


def draw_outputs(domain: Domain, groups: int, shift: float, rng: np.random.Generator) -> Grouped:
    """Features of outputs that share a part with their group; the second is a share of hits."""
    members = np.repeat(np.arange(groups), domain.size)
    common = rng.normal(size=(groups, FEATURES))[members] * math.sqrt(domain.shared)
    own = rng.normal(size=(len(members), FEATURES)) * math.sqrt(1 - domain.shared)
    values = common + own
    values[:, 0] += shift
    values[:, 1] = (values[:, 1] > 0).astype(float)
    values[rng.random(len(members)) < 0.2, 2] = np.nan
    return Grouped(values, members)


def alarms(domain: Domain, repeats: int, *, seed: int = 0) -> dict[str, float]:
    """How often the new outputs are refused, by groups and as if all were independent."""
    rng = np.random.default_rng(seed)
    names = [f"f{j}" for j in range(FEATURES)]
    refused = naive = 0
    for _ in range(repeats):
        before = draw_outputs(domain, domain.labelled, 0.0, rng)
        now = draw_outputs(domain, domain.new, domain.shift, rng)
        refused += bool(find_shifts(names, before, now))
        naive += alarms_by_row(before, now)
    share = refused / repeats
    return {
        "refused": share,
        "error": math.sqrt(share * (1 - share) / repeats),
        "refused by rows": naive / repeats,
        "repeats": repeats,
    }


def alarms_by_row(before: Grouped, now: Grouped) -> bool:
    """Kolmogorov-Smirnov on single outputs at the same level."""
    from scipy.stats import ks_2samp

    for j in range(FEATURES):
        old, new = (side.values[:, j][~np.isnan(side.values[:, j])] for side in (before, now))
        found = ks_2samp(old, new, method="asymp")
        if found.statistic > LEAST_SHIFT and found.pvalue < LEVEL / FEATURES:
            return True
    return False


DOMAINS = [
    *(
        Domain(labelled, new, size, shared)
        for labelled, new in ((17, 17), (40, 40), (40, 10), (200, 100))
        for size, shared in ((1, 0.0), (10, 0.3), (27, 0.6))
    ),
    Domain(17, 17, 27, 0.3, shift=1.5),
    Domain(40, 40, 10, 0.3, shift=1.0),
    Domain(100, 100, 3, 0.3, shift=0.7),
    Domain(400, 300, 1, 0.0, shift=0.5),
]


def calibrations(
    rows: Rows, bad: Sequence[bool], groups: Sequence[str | None], *, seed: int = 0
) -> dict[str, Any]:
    """Figures of the held-out risks of `fit_risk`, and of isotonic regression in its place."""
    labels = np.array(bad)
    fitted = fit_risk(rows, bad, groups, seed=seed, kinds=tuple(MODELS))
    raw, isotonic = _isotonic(rows, labels, groups, seed)
    weights = np.ones(len(labels))
    return {
        "n": len(labels),
        "bad": int(labels.sum()),
        "groups": len(set(groups)),
        "auroc of raw scores": auroc(raw, labels, weights),
        **{
            f"{measure.__name__} {name}": measure(risk, labels, weights)
            for measure in (auroc, brier, calibration_error)
            for name, risk in (("now", fitted.held_out), ("isotonic", isotonic))
        },
    }


def _isotonic(
    rows: Rows, bad: np.ndarray, groups: Sequence[str | None], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores out of fold of the kind that is chosen, and their cross-fitted isotonic risks."""
    from sklearn.isotonic import IsotonicRegression

    from evaluators.checks.risk import risk

    raw, _ = risk._matrix(rows)
    weights, folds = np.ones(len(bad)), risk._folds(groups, seed)
    x = risk._standardise(raw, *risk._moments(raw, weights))
    data = risk._Labelled(x, bad, weights, folds)
    scores = {kind: risk._out_of_fold(kind, data) for kind in MODELS}
    kind, _ = risk._better(scores, data)
    held = np.zeros(len(bad))
    for fold in np.unique(folds):
        kept = folds != fold
        curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        held[~kept] = curve.fit(scores[kind][kept], bad[kept]).predict(scores[kind][~kept])
    return scores[kind], held


def study_calibration(folder: Path, *, draws: int = 10) -> dict[str, Any]:
    """All claims of ExpertQA, and draws of 40 questions' claims: few labels."""
    from tests.benchmarks.evaluators_data import WITH_SOURCE, features, read_claims

    rows: Rows = []
    bad: list[bool] = []
    groups: list[str] = []
    for half in (1, 2):
        samples, labels, _ = read_claims(folder, half)
        rows += features(samples, WITH_SOURCE)
        bad += labels
        groups += [str(s.group) for s in samples]
    table = {"all": calibrations(rows, bad, groups)}
    rng, kinds = np.random.default_rng(0), sorted(set(groups))
    for k in range(draws):
        drawn = set(rng.choice(kinds, 40, replace=False))
        kept = [i for i, group in enumerate(groups) if group in drawn]
        part = ([rows[i] for i in kept], [bad[i] for i in kept], [groups[i] for i in kept])
        table[f"40 questions, draw {k}"] = calibrations(*part)
    return table


def main() -> None:
    """Run both, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=1000)
    arguments = parser.parse_args()
    tables: dict[str, Mapping[str, Any]] = {"drift (simulated)": {}, "calibration": {}}
    for domain in DOMAINS:
        found = alarms(domain, arguments.repeats)
        tables["drift (simulated)"] = {**tables["drift (simulated)"], domain.name: found}
        print(domain.name, json.dumps(found), flush=True)
    tables["calibration"] = study_calibration(arguments.data)
    print(json.dumps(tables["calibration"], indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
