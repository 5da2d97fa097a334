"""Colours that we mix ourselves keep the contrast of WCAG 2.1 AA in the light and the dark theme.

Text needs 4.5 to 1 against what it stands on, the marks of a plot 3 to 1. Formulas: WCAG 2.1,
"relative luminance" and "contrast ratio".
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dashboard.components.figures.heat import DARKEST
from dashboard.components.figures.plots import VOTE_COLOURS
from dashboard.components.figures.review_plots import GREY, ORANGE, TEAL

DASHBOARD = Path(__file__).parents[2] / "dashboard"
THEME = tomllib.loads((DASHBOARD / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
STYLE = (DASHBOARD / "components" / "strop.css").read_text("utf-8")
TAG = re.compile(r"color-mix\(in srgb, (#[0-9a-f]{6}) (\d+)%, currentColor\)")
THEMES = ["light", "dark"]
Colour = tuple[float, float, float]


def colour(code: str) -> Colour:
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (a * share + b * (1 - share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def luminance(of: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in of]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: Colour, second: Colour) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def ground_and_text(theme: str) -> tuple[Colour, Colour]:
    return colour(THEME[theme]["backgroundColor"]), colour(THEME[theme]["textColor"])


def test_black_on_white() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


@pytest.mark.parametrize("theme", THEMES)
def test_tags(theme: str) -> None:
    ground, text = ground_and_text(theme)
    found = TAG.findall(STYLE)
    assert len(found) >= 3
    for code, share in found:
        assert contrast(mixed(colour(code), text, int(share) / 100), ground) >= 4.5, code


@pytest.mark.parametrize("theme", THEMES)
def test_help_and_labels(theme: str) -> None:
    ground, text = ground_and_text(theme)
    assert contrast(mixed(text, ground, 0.68), ground) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_numbers_on_the_darkest_square(theme: str) -> None:
    ground, text = ground_and_text(theme)
    assert contrast(text, mixed(colour(TEAL), ground, DARKEST / 100)) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("code", sorted({TEAL, ORANGE, GREY, *VOTE_COLOURS}))
def test_marks_of_plots(code: str, theme: str) -> None:
    ground, _ = ground_and_text(theme)
    assert contrast(colour(code), ground) >= 3


@pytest.mark.parametrize("theme", THEMES)
def test_colours_of_the_theme(theme: str) -> None:
    ground, _ = ground_and_text(theme)
    codes = THEME[theme].get("chartCategoricalColors", THEME["chartCategoricalColors"])
    assert [code for code in codes if contrast(colour(code), ground) < 3] == []
