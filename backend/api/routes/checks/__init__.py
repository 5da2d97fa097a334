"""Routes of checks: benches, risk, triage, judges; `STAGES` is all of their modules."""

from types import ModuleType

from backend.api.routes.checks import benches, judges, risk, triage

STAGES: tuple[ModuleType, ...] = (benches, risk, triage, judges)
