"""Every phase of a round has its entry; only the end has nothing to do."""

from __future__ import annotations

from backend.services.rounds.steps import PHASES
from backend.tables.rounds import Phase


def test_each_phase_has_an_entry() -> None:
    assert list(PHASES) == list(Phase)  # the order in which pages show them
    assert [phase for phase, entry in PHASES.items() if entry.step is None] == [Phase.END]
    assert all(entry.following for entry in PHASES.values())
