"""Does what skips review keep its promise, and does the audit see when it does not?

    python -m tests.benchmarks.triage_replay [--data DIR] [--out FILE.json] [--repeats 1000]

Every figure is simulated. A world is a population of outputs with a risk and a label, in groups. In
a replay, labelled groups are drawn from it, a threshold is certified on them, and a new batch of
groups is drawn, of which what lies under the threshold skips and is audited in random order.

    violated       replays whose certified threshold has a true rate above epsilon (at most delta)
    share skipped  of the new batch, over all replays (nought where nothing was certified)
    false alarms   withdrawals among batches of which at most epsilon of what skipped is wrong, and
                   where labels are changed at random until epsilon of it is, no more; the audit
                   looks at every output in turn (at most delta)
    alarms of a    withdrawals, and the median number of looks until then, where so many right
    doubled rate   outputs of what skipped are made wrong that 2 epsilon of it are

Worlds: made-up outputs of known calibration, like intents (one group each, a tenth of them wrong);
the claims of ExpertQA, bad where experts call the support incomplete or partial, in the groups of
their questions: by their overlap with the evidence, and by a made-up risk of an AUROC of .9.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.executors.spread import spreading
from backend.settings import load_settings
from evaluators.checks.risk.audit import audit_state
from evaluators.checks.risk.triage import triage
from evaluators.spread import cut
from evaluators.statistics.intervals import wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class World:
    """A population: of each output its risk, whether it is wrong, and its group from 0 up."""

    risk: Floats
    wrong: Bools
    group: Ints

    def rate_below(self, threshold: float) -> float:
        """Of an output drawn from a group drawn at random, the rate up to the threshold."""
        weight = 1 / np.bincount(self.group)[self.group] * (self.risk <= threshold)
        return float((weight * self.wrong).sum() / weight.sum()) if weight.any() else 0.0

    def draw(self, n_groups: int, rng: np.random.Generator) -> World:
        """Whole groups, with replacement; one that is drawn twice is two."""
        order = np.argsort(self.group, kind="stable")
        ends = np.cumsum(np.bincount(self.group))
        starts = ends - np.bincount(self.group)
        drawn = rng.integers(len(ends), size=n_groups)
        places = np.concatenate([order[starts[g] : ends[g]] for g in drawn])
        sizes = (ends - starts)[drawn]
        return World(self.risk[places], self.wrong[places], np.repeat(np.arange(n_groups), sizes))


@dataclass(frozen=True, slots=True)
class Study:
    """A world, and how it is replayed."""

    world: World
    labelled: int
    new: int
    epsilon: float
    delta: float


def made_up(n: int, *, rate: float, seed: int, concentration: float = 2.0) -> World:
    """Outputs whose risk is exactly the chance of being wrong; each its own group."""
    rng = np.random.default_rng(seed)
    risk = rng.beta(rate * concentration, (1 - rate) * concentration, size=n)
    return World(risk, rng.random(n) < risk, np.arange(n))


def with_risk(wrong: Bools, group: Ints, *, auroc: float, seed: int) -> World:
    """Labels with a made-up risk of this AUROC: two normal distributions."""
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    apart = math.sqrt(2) * norm.ppf(auroc)
    return World(rng.normal(size=len(wrong)) + apart * wrong, wrong, group)


def read_expertqa(folder: Path) -> tuple[Floats, Bools, Ints]:
    """Of each claim with evidence 1 - overlap, whether it is bad, and its question."""
    from tests.benchmarks.evaluators_data import features, read_claims

    risk: list[float] = []
    wrong: list[bool] = []
    names: list[str] = []
    for half in (1, 2):
        samples, bad, _ = read_claims(folder, half)
        risk += [1 - (row["overlap"] or 0.0) for row in features(samples, ["overlap"])]
        wrong += bad
        names += [str(sample.group) for sample in samples]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array(risk), np.array(wrong), np.array([numbers[name] for name in names])


def replay(study: Study, rng: np.random.Generator, seed: int) -> dict[str, float]:
    """One replay; figures that it says nothing of are left out."""
    labelled = study.world.draw(study.labelled, rng)
    found = triage(
        list(labelled.risk),
        [bool(x) for x in labelled.wrong],
        [str(g) for g in labelled.group],
        epsilon=study.epsilon,
        delta=study.delta,
        seed=seed,
    )
    if found.threshold is None:
        return {"certified": 0.0, "violated": 0.0, "skipped": 0.0}
    batch = study.world.draw(study.new, rng)
    wrong = batch.wrong[batch.risk <= found.threshold]
    told = {
        "certified": 1.0,
        "violated": float(study.world.rate_below(found.threshold) > study.epsilon),
        "skipped": len(wrong) / len(batch.wrong),
    }
    if not len(wrong):
        return told
    share = float(wrong.mean())
    looks = looks_until_withdrawn(rng.permutation(wrong), study)
    told["alarm where the share is kept" if share <= study.epsilon else "alarm where not"] = float(
        looks is not None
    )
    bound = math.floor(study.epsilon * len(wrong) + 1e-9)
    looks = looks_until_withdrawn(rng.permutation(with_errors(wrong, bound, rng)), study)
    told["alarm at the very bound"] = float(looks is not None)
    twice = math.ceil(2 * study.epsilon * len(wrong))
    looks = looks_until_withdrawn(rng.permutation(with_errors(wrong, twice, rng)), study)
    told["alarm of a doubled rate"] = float(looks is not None)
    told["looks"] = math.inf if looks is None else float(looks)
    return told


def with_errors(wrong: Bools, wanted: int, rng: np.random.Generator) -> Bools:
    """As many made wrong, or right, at random that so many are wrong."""
    there, changed = np.flatnonzero(wrong), wrong.copy()
    if len(there) < wanted:
        right = np.flatnonzero(~wrong)
        changed[rng.choice(right, wanted - len(there), replace=False)] = True
    else:
        changed[rng.choice(there, len(there) - wanted, replace=False)] = False
    return changed


def looks_until_withdrawn(wrong: Bools, study: Study) -> int | None:
    """Audited outputs, in this order, until the guarantee falls; None where all leave it standing.

    Evidence grows by a wrong output alone, and is below 1 while no more than epsilon were wrong.
    """
    for k, n in enumerate(np.flatnonzero(wrong) + 1, start=1):
        if k <= study.epsilon * n:
            continue
        state = audit_state(int(n), k, len(wrong), epsilon=study.epsilon, delta=study.delta)
        if state.refuted:
            return int(n)
    return None


def run_study(study: Study, repeats: int, *, seed: int = 0) -> dict[str, Any]:
    """All replays together: shares with Wilson's intervals, and medians."""
    rng = np.random.default_rng(seed)
    replays = [replay(study, rng, k) for k in range(repeats)]
    out: dict[str, Any] = {
        "simulated": True,
        "replays": repeats,
        "epsilon": study.epsilon,
        "delta": study.delta,
        "labelled groups": study.labelled,
        "new groups": study.new,
    }
    for name in (
        "certified",
        "violated",
        "alarm where the share is kept",
        "alarm at the very bound",
        "alarm where not",
        "alarm of a doubled rate",
    ):
        out[name] = _share([one[name] for one in replays if name in one])
    skipped = [one["skipped"] for one in replays]
    looks = [one["looks"] for one in replays if "looks" in one]
    out["share skipped"] = {
        "mean": float(np.mean(skipped)),
        "error": float(np.std(skipped) / math.sqrt(len(skipped))),
    }
    out["looks until a doubled rate is seen, quartiles"] = (
        [
            float(x) if np.isfinite(x) else None
            for x in np.quantile(looks, [0.25, 0.5, 0.75], method="higher")
        ]
        if looks
        else None
    )
    return out


def _run(repeats: int, some: Sequence[Study]) -> list[dict[str, Any]]:
    return [run_study(study, repeats) for study in some]


def _share(hits: list[float]) -> dict[str, float] | None:
    if not hits:
        return None
    low, high = wilson(int(sum(hits)), len(hits))
    return {"value": sum(hits) / len(hits), "low": low, "high": high, "n": len(hits)}


def studies(folder: Path | None) -> Mapping[str, Study]:
    """The worlds by name; those of public data where it is there."""
    found = {
        "made up, like intents: a tenth wrong, 300 labelled": Study(
            made_up(200_000, rate=0.1, seed=1), 300, 1000, 0.05, 0.1
        ),
        "made up, like intents: a tenth wrong, 1,000 labelled": Study(
            made_up(200_000, rate=0.1, seed=1), 1000, 1000, 0.05, 0.1
        ),
        "made up: a third wrong, 1,000 labelled": Study(
            made_up(200_000, rate=1 / 3, seed=2), 1000, 1000, 0.05, 0.1
        ),
    }
    if folder is not None and (folder / "expertqa/rand_val.jsonl").exists():
        risk, wrong, group = read_expertqa(folder)
        sharp = with_risk(wrong, group, auroc=0.9, seed=3)
        found |= {
            "ExpertQA by overlap": Study(World(risk, wrong, group), 200, 200, 0.05, 0.1),
            "ExpertQA by overlap, at most 0.25": Study(
                World(risk, wrong, group), 200, 200, 0.25, 0.1
            ),
            "ExpertQA by a made-up risk of AUROC .9": Study(sharp, 200, 200, 0.05, 0.1),
            "ExpertQA by a made-up risk of AUROC .9, at most 0.1": Study(sharp, 200, 200, 0.1, 0.1),
        }
    return found


def main() -> None:
    """Run all, print and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=1000)
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    named = studies(arguments.data)
    with spreading(load_settings()) as spread:
        blocks = cut(list(named.values()), 1)
        rows = chain.from_iterable(spread(partial(_run, arguments.repeats), blocks))
        for name, row in zip(named, rows, strict=True):
            found[name] = row
            print(name, json.dumps(row), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    from tests.benchmarks import triage_replay  # other processes know the work by this name

    triage_replay.main()
