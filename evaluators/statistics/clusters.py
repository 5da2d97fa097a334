"""Clusters of samples that are not independent: one patient, one document, one rated item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def number_clusters(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Cluster of each sample as a number from 0; a sample without a group is one of its own."""
    numbers: dict[object, int] = {}
    keys = ((i,) if group is None else group for i, group in enumerate(groups))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def sum_clusters(rows: Any, members: NDArray[np.int64]) -> Any:
    """Rows of shape (n, k) summed within clusters: shape (clusters, k), dense or sparse."""
    n, clusters = len(members), int(members.max()) + 1
    if n == clusters and bool((members == np.arange(n)).all()):
        return rows
    if not hasattr(rows, "toarray"):  # the same sums, in the same order, without importing scipy
        columns = (np.bincount(members, column, minlength=clusters) for column in rows.T)
        return np.stack(list(columns), axis=1)
    from scipy.sparse import csr_array

    return csr_array((np.ones(n), (members, np.arange(n))), shape=(clusters, n)) @ rows


def ratio_variance(sums: NDArray[np.float64]) -> float:
    """Variance of a ratio of totals by linearisation over clusters (Cochran 1977, ch. 6).

    Args:
        sums: shape (clusters, 2), total and count of each; at least two clusters.
    """
    total, count = sums[:, 0], sums[:, 1]
    mean = total.sum() / count.sum()
    clusters = len(sums)
    scale = clusters / (clusters - 1)
    return float(scale * ((total - mean * count) ** 2).sum() / count.sum() ** 2)
