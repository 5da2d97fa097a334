"""Tables of checks: risk models, triage, judges, benches."""

from backend.tables.checks import benches, checkers, judges, risk, triage  # noqa: F401
