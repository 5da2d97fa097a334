"""Strength of models from paired votes: Bradley-Terry, with ties, side and length.

Bradley and Terry 1952 (Biometrika 39:324); ties by Davidson 1970 (JASA 65:317):

    P(a wins) = e^{x/2} / D,  P(b wins) = e^{-x/2} / D,  P(tie) = v / D,
    x = strength(a) - strength(b) + side + length * (length of a - length of b),

D being the sum of the three. Strengths have mean 0, on the log-odds scale. Intervals are normal,
with the sandwich variance clustered by item (Huber 1967; Liang and Zeger 1986). Where the items are
all alike, which shows no variance between them, an item counts as one vote of the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics.intervals import normal_quantile
from evaluators.statistics.votes import Vote

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LogOddsEstimate:
    """A coefficient on the log-odds scale with its interval."""

    name: str
    value: float
    low: float
    high: float
    error: float


@dataclass(frozen=True, slots=True)
class Strengths:
    """A fitted model: strengths by falling value, then side, length and tie coefficients."""

    strengths: tuple[LogOddsEstimate, ...]
    effects: tuple[LogOddsEstimate, ...]
    n: int
    items: int
    log_likelihood: float
    signature: str


@dataclass(frozen=True, slots=True)
class _Data:
    """Votes as arrays: design (n, p) of x, outcome 1, -1 or 0 for a tie, item and weight."""

    design: Floats
    outcome: Floats
    items: NDArray[np.int64]
    weight: Floats
    ties: bool


def bradley_terry(
    votes: Sequence[Vote],
    *,
    side: bool = False,
    length: bool = False,
    weights: Sequence[float] | None = None,
    clustered: bool = True,
    level: float = 0.95,
) -> Strengths:
    """Fit the model by maximum likelihood.

    Args:
        side: also estimate the advantage of being shown first (as model_a).
        length: also estimate the effect of the difference in length, per standard deviation.
        weights: how often each vote occurred.
        clustered: sandwich variance by item; else the model's own.

    Raises:
        UndefinedFigure: no votes, one model, or no finite estimate (every vote is a tie, a model or
            group of models that never lost, or never met the others, a side that always won, a
            covariate that cannot be told from the models).
        InvalidValues: lengths asked for and not given.
    """
    models = sorted({model for vote in votes for model in vote.pair})
    if len(models) < 2:
        raise UndefinedFigure("Strengths need votes between at least two models.")
    _check_connected(votes, models)
    data = _arrays(votes, models, side=side, length=length, weights=weights)
    if not data.outcome.any():
        raise UndefinedFigure(
            f"Every one of the {len(votes)} votes is a tie, so the strengths are not identified.",
            hint="Read the win rates; strengths need votes that decide.",
        )
    found, likelihood = _maximise(data)
    free = len(models) - 1
    names = [*(["side"] if side else []), *(["length"] if length else [])]
    names += ["log tie"] if data.ties else []
    _check_identified(data, found, [*models[:-1], *names])
    items = len({vote.item for vote in votes})
    covariance, variance = _covariance(data, found, clustered=clustered and items > 1)
    spread = np.vstack([np.eye(free), -np.ones(free)])
    strengths = _estimates(
        models, spread @ found[:free], spread @ covariance[:free, :free] @ spread.T, level
    )
    effects = _estimates(names, found[free:], covariance[free:, free:], level)
    return Strengths(
        strengths=tuple(sorted(strengths, key=lambda e: -e.value)),
        effects=tuple(effects),
        n=len(votes),
        items=items,
        log_likelihood=likelihood,
        signature=(
            f"bradley_terry|strop:1|ties:{'davidson' if data.ties else 'none'}"
            f"|side:{'yes' if side else 'no'}|length:{'yes' if length else 'no'}"
            f"|ci:{variance}|level:{level}"
        ),
    )


def _estimates(
    names: Sequence[str], values: Floats, covariance: Floats, level: float
) -> list[LogOddsEstimate]:
    z = normal_quantile(level)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return [
        LogOddsEstimate(name, float(v), float(v - z * e), float(v + z * e), float(e))
        for name, v, e in zip(names, values, errors, strict=True)
    ]


def _check_connected(votes: Sequence[Vote], models: list[str]) -> None:
    """A finite estimate needs a way of wins from every model to every other (Ford 1957)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    index = {model: i for i, model in enumerate(models)}
    beats = np.zeros((len(models), len(models)))
    for vote in votes:
        a, b = index[vote.model_a], index[vote.model_b]
        if vote.better != vote.model_b:
            beats[a, b] = 1
        if vote.better != vote.model_a:
            beats[b, a] = 1
    count, part = connected_components(csr_array(beats), connection="strong")
    if count > 1:
        sizes = np.bincount(part)
        small = [m for m, p in zip(models, part, strict=True) if p == int(sizes.argmin())]
        raise UndefinedFigure(
            f"{', '.join(small)}: won or lost every vote against the rest, or never met it, so "
            "the strength has no finite estimate.",
            hint="Collect more votes, or leave the model out.",
        )


def _arrays(
    votes: Sequence[Vote],
    models: list[str],
    *,
    side: bool,
    length: bool,
    weights: Sequence[float] | None,
) -> _Data:
    index, n = {model: i for i, model in enumerate(models)}, len(votes)
    full = np.zeros((n, len(models)))
    rows = np.arange(n)
    full[rows, [index[v.model_a] for v in votes]] = 1.0
    full[rows, [index[v.model_b] for v in votes]] = -1.0
    columns = [full[:, :-1] - full[:, -1:]]
    if side:
        columns.append(np.ones((n, 1)))
    if length:
        columns.append(_length_column(votes))
    outcome = np.array(
        [0.0 if v.better is None else 1.0 - 2.0 * (v.better == v.model_b) for v in votes]
    )
    numbers: dict[str, int] = {}
    items = np.array([numbers.setdefault(v.item, len(numbers)) for v in votes])
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    return _Data(np.hstack(columns), outcome, items, weight, bool((outcome == 0).any()))


def _length_column(votes: Sequence[Vote]) -> Floats:
    known = [v.length_a is not None and v.length_b is not None for v in votes]
    if not all(known):
        raise InvalidValues(
            f"{known.count(False)} votes lack a length.", hint="Give length_a and length_b."
        )
    apart = np.array([(v.length_a or 0.0) - (v.length_b or 0.0) for v in votes])
    spread = float(np.sqrt((apart**2).mean()))
    if spread == 0:
        raise UndefinedFigure("All pairs have equal lengths: their effect is not defined.")
    column: Floats = (apart / spread)[:, None]
    return column


def _probabilities(data: _Data, parameters: Floats) -> tuple[Floats, Floats, Floats]:
    """P(a), P(b) and P(tie) of each vote."""
    p = data.design.shape[1]
    x = data.design @ parameters[:p]
    tie = parameters[p] if data.ties else -np.inf
    logits = np.column_stack([x / 2, -x / 2, np.full(len(x), tie)])
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return share[:, 0], share[:, 1], share[:, 2]


def _scores(data: _Data, parameters: Floats) -> Floats:
    """Gradient of the log likelihood of each vote, shape (n, parameters)."""
    a, b, tie = _probabilities(data, parameters)
    slope = data.design * ((data.outcome - (a - b)) / 2)[:, None]
    if not data.ties:
        return slope
    return np.column_stack([slope, (data.outcome == 0) - tie])


def _information(data: _Data, parameters: Floats) -> Floats:
    """Fisher information, shape (parameters, parameters)."""
    a, b, tie = _probabilities(data, parameters)
    x, w = data.design, data.weight
    along = w * ((a + b) - (a - b) ** 2) / 4
    core = (x * along[:, None]).T @ x
    if not data.ties:
        return core
    cross = x.T @ (-w * tie * (a - b) / 2)
    corner = np.array([[float((w * tie * (1 - tie)).sum())]])
    return np.block([[core, cross[:, None]], [cross[None, :], corner]])


def _likelihood(data: _Data, parameters: Floats) -> float:
    a, b, tie = _probabilities(data, parameters)
    chosen = np.where(data.outcome > 0, a, np.where(data.outcome < 0, b, tie))
    return float((data.weight * np.log(np.maximum(chosen, 1e-300))).sum())


def _maximise(data: _Data, *, max_steps: int = 200) -> tuple[Floats, float]:
    """Fisher scoring with step halving."""
    parameters = np.zeros(data.design.shape[1] + data.ties)
    best = _likelihood(data, parameters)
    for _ in range(max_steps):
        gradient = data.weight @ _scores(data, parameters)
        step = np.linalg.lstsq(_information(data, parameters), gradient, rcond=None)[0]
        size = 1.0
        while size > 1e-10 and _likelihood(data, parameters + size * step) < best:
            size /= 2
        parameters = parameters + size * step
        reached = _likelihood(data, parameters)
        if np.abs(size * step).max() < 1e-10 or reached - best < 1e-13 * abs(best):
            return parameters, reached
        best = reached
    raise UndefinedFigure(
        "The fit has not settled.", hint="Is a covariate a mixture of the others?"
    )


def _check_identified(data: _Data, parameters: Floats, names: Sequence[str]) -> None:
    """Raise UndefinedFigure where the likelihood is flat in some direction: it has no one peak."""
    information = _information(data, parameters) / data.weight.sum()
    values, directions = np.linalg.eigh(information)
    if values[0] > FLAT:
        return
    moved = np.abs(directions[:, values <= FLAT]).max(axis=1)
    mixed = [name for name, share in zip(names, moved, strict=True) if share > 0.1]
    raise UndefinedFigure(
        f"{', '.join(mixed)}: no finite estimate. The votes fit ever better as it grows, or it "
        "cannot be told from the rest.",
        hint="Show each model on both sides, leave the covariate out, or collect more votes.",
    )


FLAT = 1e-9  # information of a vote, against up to 1/4 where outcomes are open


def _covariance(data: _Data, parameters: Floats, *, clustered: bool) -> tuple[Floats, str]:
    """Covariance of the parameters, and whose it is."""
    bread: Floats = np.linalg.inv(_information(data, parameters)).astype(np.float64)
    if not clustered:
        return bread, "model"
    scores = data.weight[:, None] * _scores(data, parameters)
    clusters = int(data.items.max()) + 1
    summed = np.zeros((clusters, scores.shape[1]))
    np.add.at(summed, data.items, scores)
    covariance: Floats = clusters / (clusters - 1) * bread @ (summed.T @ summed) @ bread
    if bool((np.diag(covariance) > ALIKE * np.diag(bread)).all()):
        return covariance, "sandwich-item"
    return bread * max(1.0, float(data.weight.sum()) / clusters), "model, an item as one vote"


ALIKE = 1e-6  # a variance between items that small against the model's is none
