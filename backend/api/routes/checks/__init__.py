"""Routes of checks: benches, risk, triage, judges; `STAGES` is all of their modules."""

from types import ModuleType

STAGES: tuple[ModuleType, ...] = ()
