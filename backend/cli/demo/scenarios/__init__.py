"""`strop demo --scenario NAME`: published stories, played with the demo model in minutes.

Each scenario is a module with BAR, a manifest that is set before anything is trained, and
`play(demo)`, which goes through the services that a team uses for its own data and ends with claims
that either hold or do not. The experts are simulated, and everything that rests on them says so.

    steps       data, sets, trainings, runs, reviews and rounds, each found again if it was done
    claims      what is claimed, its figure with n and interval, and whether it was shown
    show        the tables and the JSON

This module knows their names and what each sets out to show.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from backend.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.cli.demo.scenarios.claims import ScenarioOutcome
    from backend.cli.demo.steps import Demo


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story by name: its module and the sentence that it sets out to show."""

    name: str
    module: str
    promise: str

    @property
    def bar(self) -> str:
        """The manifest that is set first, as YAML."""
        return str(self._load().BAR)

    @property
    def play(self) -> Callable[[Demo], ScenarioOutcome]:
        """Plays it in an open project with a worker at hand."""
        played: Callable[[Demo], ScenarioOutcome] = self._load().play
        return played

    def _load(self) -> Any:
        return import_module(self.module)


SCENARIOS: dict[str, Scenario] = {
    name: Scenario(name, f"backend.cli.demo.scenarios.{name.replace('-', '_')}", promise)
    for name, promise in {
        "invented-facts": "Two rounds of corrections cut invented facts by three quarters.",
        "labels": "Correcting labels lifts macro-F1 from about .6 to above .85; more rows do not.",
        "failures": "A second round fed by 150 failures as negative examples beats the first.",
        "lora-or-full": "LoRA keeps nine tenths of the gain of full fine-tuning; what each costs.",
    }.items()
}


def find_scenario(name: str) -> Scenario:
    """The scenario of that name; UnknownName lists the nearest."""
    if name not in SCENARIOS:
        raise UnknownName("scenario", name, list(SCENARIOS))
    return SCENARIOS[name]
