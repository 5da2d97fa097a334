"""Tables of checks: risk models, triage, judges, benches."""

from backend.tables.checks import judges

__all__ = ["judges"]
