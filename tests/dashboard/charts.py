"""What a plot would draw, read from its specification."""

from __future__ import annotations

from typing import Any


def rows_of(plot: Any, *, layer: int = 0) -> list[dict[str, Any]]:
    """The data of one layer, or of the plot where its layers share them or it has none."""
    spec = plot.to_dict()
    data = spec.get("data") or spec["layer"][layer]["data"]
    rows: list[dict[str, Any]] = spec["datasets"][data["name"]]
    return rows
