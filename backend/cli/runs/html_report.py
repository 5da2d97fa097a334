"""One HTML file that opens offline: tables and plots as inline SVG, no script, nothing fetched.

All text that comes from files is escaped by Jinja and Markup. Plots are drawn here, since a
plotting library would bring its own scripts along.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from backend.cli.terminal.output import whole_file

TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
BLUE, GREY = "#1f6feb", "#8c959f"
LINE = Markup(
    '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{}"/>'
)
CIRCLE = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}"/>')
SQUARE = Markup('<rect x="{0}" y="{1}" width="{2}" height="{2}" fill="{3}" fill-opacity="{4}"/>')


def write_report(
    path: Path, title: str, sections: Sequence[tuple[str, Markup]], *, force: bool
) -> None:
    """Write the page; a section is a heading and what the functions below made.

    A file that is there is written over only with `force`.
    """
    page = TEMPLATES.get_template("html_report.html").render(title=title, sections=sections)
    with whole_file(path, force=force) as file:
        file.write(page)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Markup:
    """A table of the named columns."""
    cells = [[row.get(column) for column in columns] for row in rows]
    numeric = [any(map(_is_number, column)) for column in zip(*cells, strict=True)]
    template = TEMPLATES.get_template("html_table.html")
    return Markup(template.render(columns=columns, cells=cells, numeric=numeric))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def signatures(found: Sequence[str]) -> Markup:
    """The recipes, one a line."""
    line = Markup("<div><code>{}</code></div>")
    return Markup().join(line.format(text) for text in dict.fromkeys(found))


def forest_plots(rows: Sequence[Mapping[str, Any]], *, zero: float | None = None) -> Markup:
    """One plot for figures of the unit 0 to 1 and one for larger ones, such as BLEU."""
    large = [row for row in rows if any(abs(end) > 1 for end in _ends(row))]
    small = [row for row in rows if row not in large]
    return Markup().join(forest_plot(part, zero=zero) for part in (small, large) if part)


def forest_plot(
    rows: Sequence[Mapping[str, Any]], *, label: str = "metric", zero: float | None = None
) -> Markup:
    """Points with their intervals, one row each; all rows share one axis.

    Args:
        rows: with value, low, high and n.
        zero: a line to compare with.
    """
    shown = [row for row in rows if "value" in row]
    if not shown:
        return Markup("<p>Nothing could be computed.</p>")
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
            parts.append(LINE.format(x(row["low"]), y, x(row["high"]), y, BLUE, 2))
        parts.append(CIRCLE.format(x(row["value"]), y, BLUE))
        parts.append(_text(width - 215, y + 4, _in_words(row)))
    if zero is not None:
        parts.append(LINE.format(x(zero), 6, x(zero), height - 30, GREY, 1))
    parts.append(LINE.format(left, height - 28, width - 230, height - 28, GREY, 1))
    for tick in axis_ticks(low, high):
        parts.append(LINE.format(x(tick), height - 28, x(tick), height - 24, GREY, 1))
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


def matrix_plot(names: Sequence[str], cells: Mapping[tuple[str, str], float | None]) -> Markup:
    """A square of values from -1 or 0 to 1; empty where there is none."""
    size, left = 44, 24 + 7 * min(20, max(map(len, names), default=0))
    width, height = left + size * len(names) + 10, left + size * len(names) + 10
    parts = []
    for i, row in enumerate(names):
        parts.append(_text(left - 6, left + size * i + 26, row[:20], anchor="end"))
        parts.append(_text(left + size * i + 22, left - 6, row[:20], turned=-60))
        for j, column in enumerate(names):
            value = cells.get((row, column), cells.get((column, row)))
            if value is None:
                continue
            shade = round(max(0.0, min(1.0, value)), 2)
            parts.append(SQUARE.format(left + size * j, left + size * i, size, BLUE, shade))
            middle = left + size * j + 22, left + size * i + 26
            parts.append(_text(*middle, f"{value:.2f}", anchor="middle"))
    return _svg(width, height, parts, "Agreement of pairs")


def reliability_plot(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """Rate against risk with intervals, beside the diagonal of a perfect calibration."""
    size, left = 360, 50

    def place(risk: float, rate: float) -> tuple[float, float]:
        return left + risk * size, 10 + (1 - rate) * size

    parts = [LINE.format(*place(0, 0), *place(1, 1), GREY, 1)]
    parts += [LINE.format(*place(0, 0), *place(*end), GREY, 1) for end in ((1, 0), (0, 1))]
    for b in bins:
        (x, y), (_, top) = place(b["risk"], b["rate"]), place(b["risk"], b["high"])
        _, bottom = place(b["risk"], b["low"])
        parts.append(LINE.format(x, top, x, bottom, BLUE, 2))
        parts.append(CIRCLE.format(x, y, BLUE))
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        (x, below), (_, y) = place(tick, 0), place(0, tick)
        parts.append(_text(x, below + 16, f"{tick:g}", anchor="middle"))
        parts.append(_text(left - 6, y + 4, f"{tick:g}", anchor="end"))
    parts.append(_text(left + size / 2, size + 44, "risk said", anchor="middle"))
    parts.append(_text(12, 10 + size / 2, "rate found", anchor="middle", turned=-90))
    return _svg(size + left + 20, size + 54, parts, "Reliability curve")


def _svg(width: float, height: float, parts: Sequence[Markup], title: str) -> Markup:
    return Markup(
        '<svg role="img" aria-label="{0}" viewBox="0 0 {1} {2}" width="{1}" height="{2}">{3}</svg>'
    ).format(title, width, height, Markup().join(parts))


def _text(x: float, y: float, text: str, *, anchor: str = "start", turned: int = 0) -> Markup:
    return Markup(
        '<text x="{0:.1f}" y="{1:.1f}" text-anchor="{2}" transform="rotate({3} {0:.1f} {1:.1f})" '
        'fill="#1b1f24">{4}</text>'
    ).format(x, y, anchor, turned, text)
