"""The table of what only the deep suite runs names tests that are there, and quicker ones."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.depth import DEEP, ONCE_ON_POSTGRES, WHOLE_ON_POSTGRES, mark_depth

ROOT = Path(__file__).parents[1]


class Item:
    """As much of a collected test as depth is told by."""

    def __init__(self, nodeid: str, *, deep: bool = False) -> None:
        self.nodeid = nodeid
        self.deep = deep
        found = re.search(r"\[(sqlite|postgresql)", nodeid)
        if found:
            self.callspec = SimpleNamespace(params={"database_url": found[1]})

    def get_closest_marker(self, name: str) -> bool:
        return self.deep and name == "deep"

    def add_marker(self, mark: Any) -> None:
        self.deep = self.deep or mark.name == "deep"


def is_there(place: str) -> bool:
    """Whether a place holds tests of which an id begins with this."""
    path, _, name = place.partition("::")
    if not name:
        return bool(list(ROOT.glob(f"{path}*")))
    wanted = name.partition("[")[0].rpartition("::")[2]
    return re.search(rf"def {wanted}", (ROOT / path).read_text("utf-8")) is not None


def marked(*nodeids: str, deep: tuple[str, ...] = ()) -> list[str]:
    """Those of these tests that every run leaves out."""
    items = [Item(nodeid, deep=nodeid in deep) for nodeid in nodeids]
    mark_depth(items)  # type: ignore[arg-type]
    return [item.nodeid for item in items if item.deep]


@pytest.mark.parametrize("place", [*DEEP, *ONCE_ON_POSTGRES, *WHOLE_ON_POSTGRES])
def test_what_is_named_is_there(place: str) -> None:
    assert is_there(place)


@pytest.mark.parametrize("deep", DEEP)
def test_a_quicker_test_is_there_and_is_run(deep: str) -> None:
    quicker = DEEP[deep]
    if quicker.startswith("tests/"):
        assert is_there(quicker)
        assert not quicker.startswith(tuple(DEEP))


def test_of_a_family_one_case_is_run_on_postgresql() -> None:
    path = "tests/backend/services/runs/test_x.py"
    cases = [f"{path}::test_a[{db}-{n}]" for db in ("sqlite", "postgresql") for n in range(3)]
    assert marked(*cases, f"{path}::test_b[postgresql]") == cases[4:]


def test_a_case_that_is_deep_anyway_is_not_the_one() -> None:
    path = "tests/backend/services/runs/test_x.py"
    cases = [f"{path}::test_a[postgresql-{n}]" for n in range(2)]
    assert marked(*cases, deep=(cases[0],)) == [cases[0]]


def test_a_file_of_plain_statements_is_begun_on_postgresql() -> None:
    path = "tests/backend/services/checks/test_x.py"
    cases = [f"{path}::test_{n}[postgresql]" for n in "ab"]
    assert marked(*cases, f"{path}::test_b[sqlite]", f"{path}::test_c") == [cases[1]]


def test_what_waits_for_locks_has_all_its_cases() -> None:
    path = "tests/backend/services/review/desk/test_concurrency.py"
    assert marked(*(f"{path}::test_a[postgresql-{n}]" for n in range(3))) == []
