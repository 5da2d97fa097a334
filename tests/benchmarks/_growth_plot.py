"""The plot of growth: cost of each stage by n, as a ratio to the smallest, as SVG by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, LEGEND = 720, 400, 60, 40, 120
HUES = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#16a085", "#555555", "#d2691e")
ALLOWED = 1.3
"""How much dearer an output may be at the largest size."""


def draw_growth(figures: Sequence[Mapping[str, Any]], file: Path, *, title: str) -> None:
    """One line a stage, n on a logarithmic axis; the broken line is the bound of 1.3 times."""
    sizes = sorted({one["n"] for one in figures})
    top = max([2.0, *(one["ratio"] for one in figures)]) * 1.05
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(n: float) -> float:
        share = (math.log10(n) - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - LEGEND - 20)

    def y(ratio: float) -> float:
        return HEIGHT - TOP - ratio / top * (HEIGHT - 2 * TOP)

    parts = [_text(LEFT, 20, title), _text(4, TOP - 6, "times the smallest")]
    for n in sizes:
        parts.append(_line([(x(n), y(0)), (x(n), y(top))], "#dddddd"))
        parts.append(_text(x(n) - 20, HEIGHT - TOP + 18, f"{n:,}"))
    for ratio in range(math.ceil(top)):
        parts.append(_text(LEFT - 24, y(ratio) + 4, str(ratio)))
    ends = (x(sizes[0]), y(ALLOWED)), (x(sizes[-1]), y(ALLOWED))
    parts.append(_line(ends, "#999999", dashes="6 4"))
    stages = list(dict.fromkeys(one["stage"] for one in figures))
    for place, stage in enumerate(stages):
        hue = HUES[place % len(HUES)]
        mine = sorted((one["n"], one["ratio"]) for one in figures if one["stage"] == stage)
        parts.append(_line([(x(n), y(ratio)) for n, ratio in mine], hue, width=2))
        parts.append(_text(WIDTH - LEGEND, TOP + 20 * place, f"{stage} {mine[-1][1]:.2f}", hue))
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _line(
    points: Sequence[tuple[float, float]], hue: str, *, width: int = 1, dashes: str = ""
) -> str:
    said = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{said}" fill="none" stroke="{hue}" stroke-width="{width}" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _text(x: float, y: float, said: str, hue: str = "#222222") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{hue}">{escape(said)}</text>'
