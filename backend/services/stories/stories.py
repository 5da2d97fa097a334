"""The five stories: one entry each, and the folder that holds what a team would write first.

To add one, add its line here, its folder with the four files, and its module in `rows/`; the tests
walk the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.resources import files
from typing import Any

import yaml

from backend.errors import UnknownName
from backend.services.datasets.versions import ExampleRow

SEED = 7
PARTS = ("story", "bar", "rubric", "prompt", "masking")


@dataclass(frozen=True)
class Story:
    """A story by name.

    Attributes:
        promise: one sentence, as it is listed.
        rows: how many examples it begins with.
    """

    name: str
    promise: str
    rows: int = 90

    def source(self, part: str) -> str:
        """One of its files as it lies in the folder; the names are PARTS."""
        folder = files("backend.services.stories").joinpath(self.name)
        return folder.joinpath(f"{part}.yaml").read_text("utf-8")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What `story.yaml` says: about, languages, checks, health, fairness."""
        found: dict[str, Any] = yaml.safe_load(self.source("story"))
        return found

    def write_rows(self, *, n: int | None = None, seed: int = SEED) -> list[ExampleRow]:
        """Its examples, which name no split; the same arguments give the same rows."""
        module = import_module(f"backend.services.stories.rows.{self.name}")
        return [
            ExampleRow(
                external_id=row["id"],
                input=row["input"],
                context=row["context"],
                references=(row["reference"],),
                group=row["group"],
                slices=row["slices"],
                split=None,
            )
            for row in module.write(n or self.rows, seed)
        ]


STORIES: dict[str, Story] = {
    name: Story(name, promise)
    for name, promise in {
        "support": "replies of a shop for household appliances, English and German",
        "legal": "summaries of contract clauses, with every exception",
        "clinical": "lines of a discharge summary from the chart",
        "bank": "replies of a bank's service desk, English and German",
        "product": "product descriptions from sheets of attributes",
    }.items()
}


def find_story(name: str) -> Story:
    """The story of that name; UnknownName lists the five."""
    if name not in STORIES:
        raise UnknownName("story", name, list(STORIES))
    return STORIES[name]
