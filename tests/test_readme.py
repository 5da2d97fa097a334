"""The README says what the code says: tree, settings and commands cannot drift."""

from __future__ import annotations

import pytest

from tests.readme_blocks import BLOCKS, README


@pytest.mark.parametrize("name", BLOCKS)
def test_readme_block_is_what_the_code_says(name: str) -> None:
    text = README.read_text(encoding="utf-8")
    block = text.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]
    assert block == BLOCKS[name](), "run: python -m tests.readme_blocks"
