"""The base model's README: figures are put in one place, the last ones replace those before."""

from __future__ import annotations

from pathlib import Path

from training.demo.card import add_figures

CARD = "# Base\n<!-- figures -->\nnone\n<!-- end of figures -->\n"


def test_figures_replace_those_before(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(CARD, encoding="utf-8")
    for value in (0.25, 0.5):
        add_figures(tmp_path, "Held out:", [{"rows": 0, "bleu": value}])
    assert card.read_text(encoding="utf-8") == (
        "# Base\n<!-- figures -->\nHeld out:\n\n"
        "| rows | bleu |\n| --- | --- |\n| 0 | 0.5 |\n<!-- end of figures -->\n"
    )
