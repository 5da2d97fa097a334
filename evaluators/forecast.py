"""What a figure comes to with more training rows: a power law of the error.

error = a * rows^-b (Hestness et al. 2017, arXiv:1712.00409), where the error is the distance from
the best value of a metric. The power b is that of a straight line through the logarithms of the
sizes that were measured (least squares), and the law starts from the figure at the largest size.

The interval comes from redrawing the test rows, the same for all sizes. Where the curve is a power
law, 95% intervals held the truth in .93 to .97 of simulated draws (60 to 400 test rows, two sizes).
It holds no other doubt (other training rows, another seed, another law), and so is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.metric import Metric
from evaluators.types import Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

RESAMPLES = 2000
LEVEL = 0.95
ONLY_TEST_ROWS = (
    "the interval holds the doubt of the test rows alone, not that of other training rows, of "
    "another seed, or of the law"
)


@dataclass(frozen=True, slots=True)
class Forecast:
    """A figure at a size that nobody measured; n counts test rows, `clusters` their groups."""

    metric: str
    target: int
    value: float
    low: float
    high: float
    n: int
    clusters: int
    level: float
    signature: str
    note: str = ONLY_TEST_ROWS

    def as_dict(self) -> dict[str, Any]:
        """Flat and JSON-serialisable."""
        return asdict(self)


def extrapolate(figures: Floats, sizes: Sequence[int], target: int, *, least: float) -> Floats:
    """A figure of which 1 is the best, at another size, by a power law of 1 minus it.

    An error that grew with the rows is taken to stay as it is; one below `least` counts as that.

    Args:
        figures: shape (sizes, ...), at least two different sizes.

    Returns:
        Shape (...).
    """
    import numpy as np

    errors = np.maximum(1 - np.asarray(figures, dtype=np.float64), least)
    rows = np.log(np.asarray(sizes, dtype=np.float64))
    apart = rows - rows.mean()
    power = np.maximum(0.0, -np.tensordot(apart, np.log(errors), axes=1) / (apart @ apart))
    largest = np.asarray(sizes) == max(sizes)
    told: Floats = 1 - errors[largest].mean(axis=0) * (target / max(sizes)) ** -power
    return told


def forecast_figure(
    metric: Metric,
    scored: Sequence[Sequence[Score]],
    sizes: Sequence[int],
    target: int,
    groups: Sequence[str | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Forecast:
    """What a metric comes to at `target` training rows.

    Args:
        scored: of the model of each size, the scores of the same test rows in the same order, all
            of them with a value.
        groups: of the test rows.

    Raises:
        UndefinedFigure: the metric has no best value, there are not two sizes, two groups of test
            rows, or two resamples that differ.
        InvalidValues: a row has no value, or the lengths differ.
    """
    import numpy as np

    from evaluators.statistics import bootstrap as boot
    from evaluators.statistics import draws
    from evaluators.statistics.clusters import number_clusters, sum_clusters

    _check(metric, scored, sizes, groups)
    n, members, scale = len(groups), number_clusters(groups), float(metric.scale or 1.0)
    rows = metric.summary.rows([score for scores in scored for score in scores])
    sides = [sum_clusters(rows[i * n : (i + 1) * n], members) for i in range(len(scored))]
    clusters = sides[0].shape[0]
    if clusters < 2:
        raise UndefinedFigure(f"A forecast needs test rows of two groups; there are {clusters}.")
    whole = np.array([float(metric.summary.figure(_total(side))[0]) for side in sides])
    drawn = boot.resampled_figures(metric.summary.figure, sides, seed=seed, resamples=resamples)
    value, spread = (
        _mirrored(metric, extrapolate(_mirrored(metric, found), sizes, target, least=0.5 / n))
        * scale
        for found in (whole / scale, np.stack(drawn) / scale)
    )
    low, high = boot.percentile_interval(spread, level=boot.expanded_level(level, clusters))
    _require_spread(value, low, high)
    signature = metric.signature(
        [score for scores in scored for score in scores],
        rows=",".join(map(str, sizes)),
        to=target,
        forecast="power-law",
        bootstrap=resamples,
        draws=draws.VERSION,
        seed=seed,
        level=level,
    )
    return Forecast(
        metric.name, target, float(value), float(low), float(high), n, clusters, level, signature
    )


def _total(side: Any) -> Any:
    import numpy as np

    return np.asarray(side.sum(axis=0), dtype=np.float64).reshape(1, -1)


def _require_spread(value: Floats, low: float, high: float) -> None:
    if high - low <= 1e-12 * max(1.0, abs(float(value))):
        raise UndefinedFigure("All resamples are alike: nothing is known of the forecast's doubt.")


def _mirrored(metric: Metric, shares: Floats) -> Floats:
    """Shares of a scale as ones of which 1 is the best, and back again."""
    return shares if metric.higher_is_better else 1 - shares


def _check(
    metric: Metric,
    scored: Sequence[Sequence[Score]],
    sizes: Sequence[int],
    groups: Sequence[str | None],
) -> None:
    if metric.scale is None:
        raise UndefinedFigure(f"{metric.name} has no bound, so that nobody knows its best value.")
    if len(set(sizes)) < 2 or min(sizes) < 1:
        raise UndefinedFigure("A forecast needs models of two sizes of training.")
    if not groups:
        raise UndefinedFigure("No test row has a score of every model.")
    if len(scored) != len(sizes) or any(len(scores) != len(groups) for scores in scored):
        raise InvalidValues("Scores, sizes and groups differ in length.")
    if any(score.value is None for scores in scored for score in scores):
        raise InvalidValues("A forecast needs a score of every test row.")
