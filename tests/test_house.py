"""What the house must not lose: no cycle, a short way to claim and submit, short functions."""

from __future__ import annotations

import ast
import builtins
import math
import re

import pytest

from tests.house import ROOT, hops, modules, unwanted

MOST_OF_README = 12_000

# The design's own bounds for claim and submit; for the others what they are.
WAYS = {
    "modules of a claim": 5,
    "hops of a claim": 4,
    "modules of a submit": 6,
    "hops of a submit": 4,
    "modules of a run": 20,
    "hops of a run": 8,
    "modules of correction to adapter": 27,
    "hops of correction to adapter": 5,
    "modules of a round step": 24,
    "hops of a round step": 7,
    "modules of a comparison figure": 9,
    "hops of a comparison figure": 5,
}


def test_there_is_none_of_what_is_unwanted_and_the_readme_is_short() -> None:
    assert {name: places for name, places in unwanted(ROOT).items() if places} == {}
    assert (ROOT / "README.md").stat().st_size <= MOST_OF_README


def test_no_way_through_the_house_grows() -> None:
    found = hops(ROOT)
    grown = {
        name: f"{found.get(name)} > {most}"
        for name, most in WAYS.items()
        if found.get(name, math.inf) > most
    }
    assert not grown
    assert found.keys() == WAYS.keys()


@pytest.mark.parametrize("package", ["evaluators", "training"])
def test_what_docstrings_say_is_raised_is_an_error_of_that_package(package: str) -> None:
    trees = [ast.parse(file.read_text("utf-8")) for file in modules(ROOT, package)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    known = {node.name for node in nodes if isinstance(node, ast.ClassDef)} | set(dir(builtins))
    told = {name for node in nodes for name in _raised(node)}
    assert told
    assert told - known == set()


def _raised(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return []
    _, _, raises = (ast.get_docstring(node) or "").partition("Raises:\n")
    return re.findall(r"^ {4}(\w+):", raises, flags=re.MULTILINE)
