"""The graph of a lineage is DOT, whatever the names are."""

from __future__ import annotations

import re

from dashboard.views.lineage import graph_of
from tests.dashboard.fake_client import HOSTILE, rounds_and_lineage

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def test_no_name_ends_its_quotes() -> None:
    dot = graph_of(rounds_and_lineage()["lineage"])
    bare = QUOTED.sub("", dot)
    assert "script" not in bare
    assert '"' not in bare
    assert bare.count("->") == 1
    assert HOSTILE[:8] in dot


def test_what_one_has_to_know_first_stands_in_the_node() -> None:
    assert "2 rows withdrawn since" in graph_of(rounds_and_lineage()["lineage"])
