"""One HTML file that opens offline: tables and plots as inline SVG, no script, nothing fetched.

All text that comes from files is escaped. Plots are drawn here, since a plotting library would
bring its own scripts along.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from backend.cli.output import whole_file

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;
color:#1b1f24}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid #d8dee4;text-align:left}
td.number,th.number{text-align:right}.wide{overflow-x:auto}code{font-size:.8rem;color:#57606a;overflow-wrap:anywhere}
svg{max-width:100%;height:auto;font:12px system-ui,sans-serif}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}th,td{border-color:#30363d}
svg{background:#fff}}
"""
BLUE, GREY = "#1f6feb", "#8c959f"


def write_report(
    path: Path, title: str, sections: Sequence[tuple[str, str]], *, force: bool
) -> None:
    """Write the page; a section is a heading and HTML made by the functions below.

    A file that is there is written over only with `force`.
    """
    body = "".join(f"<h2>{escape(head)}</h2>\n{content}\n" for head, content in sections)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}</body></html>\n"
    )
    with whole_file(path, force=force) as file:
        file.write(page)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A table of the named columns."""
    head = "".join(_head(column, rows) for column in columns)
    lines = ["".join(_cell(row.get(column)) for column in columns) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{inner}</div>'


def _head(column: str, rows: Sequence[Mapping[str, Any]]) -> str:
    kind = ' class="number"' if any(_is_number(row.get(column)) for row in rows) else ""
    return f"<th{kind}>{escape(column)}</th>"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if not _is_number(value):
        return f"<td>{escape('' if value is None else str(value))}</td>"
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return f'<td class="number">{text}</td>'


def signatures(found: Sequence[str]) -> str:
    """The recipes, one a line."""
    return "".join(f"<div><code>{escape(text)}</code></div>" for text in dict.fromkeys(found))


def forest_plots(rows: Sequence[Mapping[str, Any]], *, zero: float | None = None) -> str:
    """One plot for figures of the unit 0 to 1 and one for larger ones, such as BLEU."""
    large = [row for row in rows if any(abs(end) > 1 for end in _ends(row))]
    small = [row for row in rows if row not in large]
    return "".join(forest_plot(part, zero=zero) for part in (small, large) if part)


def forest_plot(
    rows: Sequence[Mapping[str, Any]], *, label: str = "metric", zero: float | None = None
) -> str:
    """Points with their intervals, one row each; all rows share one axis.

    Args:
        rows: with value, low, high and n.
        zero: a line to compare with.
    """
    shown = [row for row in rows if "value" in row]
    if not shown:
        return "<p>Nothing could be computed.</p>"
    ends = [end for row in shown for end in _ends(row)]
    ends += [] if zero is None else [zero]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    width, left, step = 860, 220, 26
    height = step * len(shown) + 40

    def x(value: float) -> float:
        return float(left + (value - low) / span * (width - left - 230))

    parts = [_text(4, step * i + 22, str(row[label])) for i, row in enumerate(shown)]
    for i, row in enumerate(shown):
        y = step * i + 18
        if row["low"] is not None:
            parts.append(_line(x(row["low"]), y, x(row["high"]), y, BLUE, 2))
        parts.append(f'<circle cx="{x(row["value"]):.1f}" cy="{y}" r="4" fill="{BLUE}"/>')
        parts.append(_text(width - 215, y + 4, _in_words(row)))
    if zero is not None:
        parts.append(_line(x(zero), 6, x(zero), height - 30, GREY, 1))
    parts.append(_line(left, height - 28, width - 230, height - 28, GREY, 1))
    for tick in axis_ticks(low, high):
        parts.append(_line(x(tick), height - 28, x(tick), height - 24, GREY, 1))
        parts.append(_text(x(tick), height - 10, f"{tick:g}", anchor="middle"))
    return _svg(width, height, parts, "Values with their intervals")


def _ends(row: Mapping[str, Any]) -> list[float]:
    """The value and its bounds, so far as there are any."""
    found = [row.get(key) for key in ("value", "low", "high")]
    return [end for end in found if end is not None]


def _in_words(row: Mapping[str, Any]) -> str:
    if row["low"] is None:
        return f"{row['value']:.3g}, no interval, n={row['n']}"
    return f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}] n={row['n']}"


def axis_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Round numbers from low to high, at most so many; both ends where none is round enough."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span))
    for step in (power / 10, power / 5, power / 2, power, 2 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [round(i * step, 12) for i in range(first, last + 1)] or [low, high]


def matrix_plot(names: Sequence[str], cells: Mapping[tuple[str, str], float | None]) -> str:
    """A square of values from -1 or 0 to 1; empty where there is none."""
    size, left = 44, 24 + 7 * min(20, max(map(len, names), default=0))
    width, height = left + size * len(names) + 10, left + size * len(names) + 10
    parts = []
    for i, row in enumerate(names):
        parts.append(_text(left - 6, left + size * i + 26, row[:20], anchor="end"))
        turned = f'transform="rotate(-60 {left + size * i + 22} {left - 6})"'
        parts.append(_text(left + size * i + 22, left - 6, row[:20], extra=turned))
        for j, column in enumerate(names):
            value = cells.get((row, column), cells.get((column, row)))
            if value is None:
                continue
            shade = max(0.0, min(1.0, value))
            place = f'x="{left + size * j}" y="{left + size * i}" width="{size}" height="{size}"'
            parts.append(f'<rect {place} fill="{BLUE}" fill-opacity="{shade:.2f}"/>')
            middle = left + size * j + 22, left + size * i + 26
            parts.append(_text(*middle, f"{value:.2f}", anchor="middle"))
    return _svg(width, height, parts, "Agreement of pairs")


def reliability_plot(bins: Sequence[Mapping[str, Any]]) -> str:
    """Rate against risk with intervals, beside the diagonal of a perfect calibration."""
    size, left = 360, 50

    def place(risk: float, rate: float) -> tuple[float, float]:
        return left + risk * size, 10 + (1 - rate) * size

    parts = [_line(*place(0, 0), *place(1, 1), GREY, 1)]
    parts += [_line(*place(0, 0), *place(*end), GREY, 1) for end in ((1, 0), (0, 1))]
    for b in bins:
        (x, y), (_, top) = place(b["risk"], b["rate"]), place(b["risk"], b["high"])
        _, bottom = place(b["risk"], b["low"])
        parts.append(_line(x, top, x, bottom, BLUE, 2))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{BLUE}"/>')
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        (x, below), (_, y) = place(tick, 0), place(0, tick)
        parts.append(_text(x, below + 16, f"{tick:g}", anchor="middle"))
        parts.append(_text(left - 6, y + 4, f"{tick:g}", anchor="end"))
    parts.append(_text(left + size / 2, size + 44, "risk said", anchor="middle"))
    turned = f'transform="rotate(-90 12 {10 + size / 2})"'
    parts.append(_text(12, 10 + size / 2, "rate found", anchor="middle", extra=turned))
    return _svg(size + left + 20, size + 54, parts, "Reliability curve")


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">{"".join(parts)}</svg>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", extra: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}'
    return f'<text {place} fill="#1b1f24">{escape(text)}</text>'
