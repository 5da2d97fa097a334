"""How well checks tell small edits of summaries apart: SIMULATED, written by a language model.

    python -m tests.benchmarks.edited_summaries [--held-out] [--out FILE]
        [--model FOLDER [--checker ADAPTER] [--kept FILE]]

Each document has one summary and ten or so edits of it, of one phrase each; an edit is right
(worded anew, vaguer, something left out or added that the document says) or wrong (another name or
number, an opposite, a denial, an addition, another relation or role). The features were made with
`edited_summaries_dev.yaml` at hand; `edited_summaries_held_out.yaml` is by another writer.

In each turn thresholds and risks are fitted on four domains and applied to the other four; a domain
is among the others in four of eight turns. (A risk wants ten documents, which two domains do not
have here.) Balanced accuracy and AUROC are those of each domain, averaged over domains and turns;
intervals draw documents anew. The summary itself is no answer here: there are the edits alone.

With `--model` a base reads every edit with its document and without (`support`), and an adapter on
it says of each sentence whether the document supports it (`check`): alone, less the mean of the
other edits, and among the features of a risk, whose differences are paired with the same risk
without them. One thread; what was read is kept in a file, so that it can be broken off.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from evaluators.checks.checker.checker import CheckerForm, check_samples
from evaluators.checks.grounding.others import with_others
from evaluators.checks.grounding.relative import (
    answered,
    base_name,
    is_relative,
    relative_name,
    relative_rows,
)
from evaluators.checks.models.interface import Asker, Continuation, Likelihood
from evaluators.checks.models.source_gain import score_support
from evaluators.checks.risk.report import auroc, balanced_accuracy
from evaluators.checks.risk.risk import fit_risk, risk_of
from evaluators.registry import METRICS, resolve_metrics
from evaluators.statistics.bootstrap import draw_weights
from evaluators.statistics.clusters import number_clusters
from evaluators.statistics.correlations import choose_threshold, said_yes
from evaluators.types import Sample

FOLDER = Path(__file__).parent
RESAMPLES = 300
SINGLE = ("invented", "grounding", "overlap", "overlap_pairs", "source_rouge", "novel_stretch",
          "length", "own_words", "others_overlap")  # fmt: skip
ASKED = ("support", "check")
READ_TOGETHER = 32
Values = np.ndarray[Any, np.dtype[np.float64]]
Row = Mapping[str, float | None]


class Edits(NamedTuple):
    """Edited summaries in one order: which are wrong, in which way, and of which domain."""

    samples: list[Sample]
    wrong: np.ndarray[Any, np.dtype[np.bool_]]
    kinds: list[str]
    domains: np.ndarray[Any, np.dtype[np.str_]]


def read_edits(path: Path) -> Edits:
    """All edits of a file, each beside the other edits of its document."""
    rows = [
        (document, number, edit)
        for document in yaml.safe_load(path.read_text(encoding="utf-8"))
        for number, edit in enumerate(document["edits"])
    ]
    samples = [
        Sample(f"{d['id']}#{n}", e["text"], context=d["document"], group=d["id"])
        for d, n, e in rows
    ]
    wrong = np.array([edit["label"] == "inconsistent" for _, _, edit in rows])
    kinds = [f"{'wrong' if bad else 'right'}: {e['kind']}"
             for bad, (_, _, e) in zip(wrong, rows, strict=True)]  # fmt: skip
    domains = np.array([document["domain"] for document, _, _ in rows])
    return Edits(with_others(samples), wrong, kinds, domains)


def features(data: Edits, asked: Mapping[str, Sequence[float | None]]) -> list[Row]:
    """The values of all checks, and each less its mean over the other edits of the document.

    Args:
        asked: by name the values of the checks that ask a model.
    """
    names = dict.fromkeys([*SINGLE, *(metric.name for metric in resolve_metrics(["checks"]))])
    columns = {name: [s.value for s in METRICS[name].score(data.samples)] for name in names}
    columns |= {name: list(column) for name, column in asked.items()}
    rows = [{name: column[i] for name, column in columns.items()} for i in range(len(data.wrong))]
    return [*relative_rows(rows, [answered(sample) for sample in data.samples])]


class KeptAsker:
    """Reads what a file does not hold yet, and keeps it there: reading takes minutes.

    Args:
        model: which one is asked, in words that tell it from any other.
    """

    def __init__(self, asker: Asker, path: Path | None, model: str) -> None:
        self._asker, self._path, self._model = asker, path, model
        self.signature, self.write = asker.signature, asker.write
        there = path is not None and path.exists()
        self._kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path and there else {}

    def read(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        """As an engine's, in order."""
        keys = [self._key(one) for one in asked]
        lacking = [i for i, key in enumerate(keys) if key not in self._kept]
        for start in range(0, len(lacking), READ_TOGETHER):
            some = lacking[start : start + READ_TOGETHER]
            found = self._asker.read([asked[i] for i in some])
            self._kept |= {keys[i]: asdict(one) for i, one in zip(some, found, strict=True)}
            if self._path is not None:
                self._path.write_text(json.dumps(self._kept), encoding="utf-8")
            print(f"  {start + len(some)} of {len(lacking)} read", flush=True)
        kept = [self._kept[key] for key in keys]
        return [
            Likelihood(tuple(one["starts"]), tuple(one["logprobs"]), one["error"]) for one in kept
        ]

    def _key(self, asked: Continuation) -> str:
        said = json.dumps([self._model, list(asked.messages), asked.text])
        return hashlib.sha256(said.encode()).hexdigest()


def ask_models(
    data: Edits, base: Path, checker: Path | None, kept: Path | None
) -> dict[str, list[float | None]]:
    """The share of surprise that the document takes away, and the least supported sentence."""
    from tests.benchmarks.model_checks import asked_models

    with asked_models(base, checker) as askers:
        scores = {
            "support": score_support(data.samples, KeptAsker(askers["base"], kept, str(base)))
        }
        if checker is not None:
            asker = KeptAsker(askers["checker"], kept, f"{checker} on {base}")
            scores["check"] = check_samples(data.samples, asker, form_of(checker))
    return {name: [score.value for score in column] for name, column in scores.items()}


def form_of(checker: Path) -> CheckerForm:
    """How the adapter of a checker was taught to be asked."""
    form = json.loads((checker / "strop.json").read_text(encoding="utf-8"))["config"]["check"]
    return CheckerForm(form["yes"], form["no"], int(form["source_bytes"]))


def turns(domains: Sequence[str]) -> list[set[str]]:
    """Which half of the domains each turn is fitted on."""
    n = len(domains)
    return [{domains[(start + step) % n] for step in range(n // 2)} for start in range(n)]


# What says how bad each row is, and which it calls wrong; fitted on rows, labels and documents.
Say = Callable[[Sequence[Row]], tuple[Values, Values]]
Fit = Callable[[Sequence[Row], Sequence[bool], Sequence[str]], Say]


def single(name: str) -> Fit:
    """One check, the larger the worse, or the other way about where that is so on what it sees."""

    def value(rows: Sequence[Row], sign: float = 1.0) -> Values:
        found = [row.get(name) for row in rows]
        return np.array([-1e6 if value is None else sign * value for value in found])

    def fit(rows: Sequence[Row], wrong: Sequence[bool], groups: Sequence[str]) -> Say:
        labels = np.array(wrong)
        area = auroc(value(rows), labels, np.ones(len(rows)))
        sign = 1.0 if area >= 0.5 else -1.0
        threshold = choose_threshold(value(rows, sign), labels.astype(np.float64))
        return lambda some: (value(some, sign), said_yes(value(some, sign), threshold))

    return fit


def risk(taken: Callable[[str], bool], *, asked: bool = False) -> Fit:
    """What `strop calibrate` fits of some of the features, called wrong from the usual rate on.

    Args:
        asked: whether those of models are among them.
    """

    def only(rows: Sequence[Row]) -> list[dict[str, float | None]]:
        return [
            {k: v for k, v in row.items() if taken(k) and (asked or base_name(k) not in ASKED)}
            for row in rows
        ]

    def fit(rows: Sequence[Row], wrong: Sequence[bool], groups: Sequence[str]) -> Say:
        model, rate = fit_risk(only(rows), wrong, groups).model, float(np.mean(wrong))

        def say(some: Sequence[Row]) -> tuple[Values, Values]:
            found = risk_of(model, only(some))
            return found, found >= rate

        return say

    return fit


def _alone(name: str) -> bool:
    return not is_relative(name) and (name in ASKED or not METRICS[name].reads_others)


def _is_departure(name: str) -> bool:
    return name.startswith("departure_")


ALONE, ALL = "risk, each answer alone", "risk of all (the default)"
CHECKS: Mapping[str, Fit] = {
    **{name: single(name) for name in SINGLE},
    **{m.name: single(m.name) for m in resolve_metrics(["checks"]) if _is_departure(m.name)},
    ALONE: risk(_alone),
    "risk without departures": risk(lambda name: not _is_departure(name)),
    "risk of departures alone": risk(lambda name: _is_departure(name) and not is_relative(name)),
    "risk of all but their sizes": risk(
        lambda name: not name.startswith(("departure_words", "others_overlap", "own_words"))
    ),
    ALL: risk(lambda name: True),
}
WITH_MODEL = ", with the model"
MODEL_RISKS: Mapping[str, Fit] = {
    ALONE + WITH_MODEL: risk(_alone, asked=True),
    ALL + WITH_MODEL: risk(lambda name: True, asked=True),
}


def checks_of(asked: Sequence[str]) -> dict[str, Fit]:
    """What is measured where these checks have asked a model."""
    both = [name for check in asked for name in (check, relative_name(check))]
    found = {**CHECKS, **{name: single(name) for name in both}}
    return {**found, **MODEL_RISKS} if asked else found


def study(data: Edits, rows: Sequence[Row], checks: Mapping[str, Fit]) -> list[dict[str, Any]]:
    """Both figures of each check with their intervals, and what a model adds to a risk, paired."""
    members = number_clusters([sample.group for sample in data.samples])
    weights = [np.ones(len(rows))]
    for draws in draw_weights(int(members.max()) + 1, seed=0, resamples=RESAMPLES):
        weights += [draw[members].astype(np.float64) for draw in draws]
    found = {name: _means(fit, data, rows, weights) for name, fit in checks.items()}
    found |= {
        f"{name} less without": found[name] - found[name.removesuffix(WITH_MODEL)]
        for name in checks
        if name in MODEL_RISKS
    }
    return [{"check": name, **_figures(means)} for name, means in found.items()]


def _means(fit: Fit, data: Edits, rows: Sequence[Row], weights: Sequence[Values]) -> Values:
    """Both figures, of shape (weights, 2), by each of some weights of the rows."""
    parts = []
    domains = sorted(set(data.domains.tolist()))
    for seen in turns(domains):
        inside = np.flatnonzero(np.isin(data.domains, sorted(seen)))
        groups = [str(data.samples[i].group) for i in inside]
        values, said = fit([rows[i] for i in inside], data.wrong[inside].tolist(), groups)(rows)
        parts += [
            (np.flatnonzero(data.domains == other), values, said.astype(np.float64))
            for other in domains
            if other not in seen
        ]
    found = np.array([[_both(data.wrong, *part, own) for part in parts] for own in weights])
    means: Values = np.nanmean(found, axis=1)  # a resample may have no document of a domain
    return means


def _figures(means: Values) -> dict[str, list[float]]:
    """The first row with the interval of the others."""
    low, high = np.quantile(means[1:], [0.025, 0.975], axis=0)
    return {
        name: [float(means[0, k]), float(low[k]), float(high[k])]
        for k, name in enumerate(("balanced_accuracy", "auroc"))
    }


def _both(
    wrong: Any, places: Any, values: Values, said: Values, weights: Values
) -> tuple[float, float]:
    bad, own = wrong[places], weights[places]
    if not own.sum():
        return float("nan"), float("nan")
    return (
        balanced_accuracy(said[places], bad, own, threshold=0.5),
        auroc(values[places], bad, own),
    )


def by_kind(data: Edits, rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """For each kind of edit how many, and the share that `invented` marks."""
    n = Counter(data.kinds)
    marked = Counter(k for k, row in zip(data.kinds, rows, strict=True) if row["invented"])
    return {kind: {"n": n[kind], "invented": marked[kind] / n[kind]} for kind in sorted(n)}


def main() -> None:
    """Print the tables, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--model", type=Path, help="Folder of a base that reads them.")
    parser.add_argument("--checker", type=Path, help="Adapter on it that `check train` made.")
    parser.add_argument("--kept", type=Path, help="File of what was read.")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    name = f"edited_summaries_{'held_out' if args.held_out else 'dev'}.yaml"
    data = read_edits(FOLDER / name)
    asked = ask_models(data, args.model, args.checker, args.kept) if args.model else {}
    rows = features(data, asked)
    checks = study(data, rows, checks_of(list(asked)))
    found = {"file": name, "checks": checks, "kinds": by_kind(data, rows)}
    documents = len({sample.group for sample in data.samples})
    print(
        f"{name}: SIMULATED, {len(rows)} edits of {documents} documents, {data.wrong.sum()} wrong"
    )
    for row in checks:
        shown = ["{:.3f} [{:.3f}, {:.3f}]".format(*row[k]) for k in ("balanced_accuracy", "auroc")]
        print(f"  {row['check']:56} {shown[0]:24} {shown[1]}")
    for kind, one in found["kinds"].items():
        print(f"  {kind:20} n {one['n']:3}  invented {one['invented']:.2f}")
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
