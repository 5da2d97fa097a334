"""Contrast of text as a browser computes it, by WCAG 2.1 AA; axe-core cannot read mixed colours.

axe-core 4 gives its contrast rule up on a page where any computed colour is `color(srgb ...)`, as
`color-mix` makes them. This reads both ways of writing a colour, and lays half-transparent
backgrounds and faded text over each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = """(within) => {
  const read = (text) => {
    const parts = text.match(/[-\\d.]+/g).map(Number);
    const scale = text.startsWith('color(srgb') ? 255 : 1;
    return { rgb: parts.slice(0, 3).map((c) => c * scale), a: parts[3] ?? 1 };
  };
  const over = (top, under) => top.rgb.map((c, i) => c * top.a + under[i] * (1 - top.a));
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const layer = read(getComputedStyle(e).backgroundColor);
      if (layer.a > 0) layers.push(layer);
      if (layer.a === 1) break;
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) =>
      c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && !e.closest('[aria-hidden=true], [disabled], [aria-disabled=true], svg, canvas,'
      + '[data-testid=stSliderThumbValue]');  // it stands beside the thumb that holds it
  for (const change of document.getAnimations()) try { change.finish(); } catch {}  // or endless
  const found = [];
  for (const element of document.querySelectorAll(`${within} *`)) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3)
      .map((n) => n.data.trim()).join('');
    if (!text || !shown(element)) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const under = ground(element);
    const colour = read(style.color);
    for (let e = element; e; e = e.parentElement) colour.a *= getComputedStyle(e).opacity;
    const contrast = ratio(over(colour, under), under);
    if (contrast < (large ? 3 : 4.5)) found.push(`${contrast.toFixed(2)}: ${text.slice(0, 60)}`);
  }
  return found;
}"""


def texts_too_faint(page: Page, *, within: str = "[data-testid=stMain]") -> list[str]:
    """Texts whose contrast with what they stand on is below AA, each with its ratio."""
    found: list[str] = page.evaluate(SCRIPT, within)
    return found
