"""A heat map as a table: every square carries its number, so that colour is never the only sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.components.frame import escape

DARKEST = 62  # per cent of the colour; text on it keeps a contrast of 4.5 in light and dark


@dataclass(frozen=True, slots=True)
class Square:
    """One square: how dark it is (0 to 1), the number in it, and a sentence about it."""

    heat: float | None
    text: str
    about: str


def heat_map_html(
    names: Sequence[str], squares: Mapping[tuple[str, str], Square], *, title: str
) -> str:
    """A square table of names against names; what is not known stays empty."""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>"
        + "".join(_square(squares.get((name, other)), same=name == other) for other in names)
        + "</tr>"
        for name in names
    )
    return (
        f"<div class='strop-scroll' tabindex='0' role='region' aria-label='{escape(title)}'>"
        f"<table class='strop-heat'><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _square(square: Square | None, *, same: bool) -> str:
    if square is None:
        return "<td class='same'></td>" if same else "<td class='none'>none shared</td>"
    share = 0.0 if square.heat is None else DARKEST * min(1.0, max(0.0, square.heat))
    paint = f"background-color:color-mix(in srgb,#2f8079 {share:.0f}%,transparent)"
    return f"<td style='{paint}' title='{escape(square.about)}'>{escape(square.text)}</td>"


def legend_html(entries: Sequence[tuple[str, str]]) -> str:
    """Colours with their names, in a line that wraps; colours are ours, names are text."""
    items = "".join(
        f"<li><span class='swatch' style='background-color:{colour}'></span>{escape(name)}</li>"
        for name, colour in entries
    )
    return f"<ul class='strop-legend'>{items}</ul>"
