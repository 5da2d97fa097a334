"""Routes of checks: benches, risk, triage, judges; `STAGES` is all of their modules."""

from types import ModuleType

from backend.api.routes.checks import benches, checkers, judges, risk, triage

STAGES: tuple[ModuleType, ...] = (benches, checkers, risk, triage, judges)
