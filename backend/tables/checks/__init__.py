"""Tables of checks: risk models, triage, judges, benches."""

from backend.tables.checks import checkers, judges, risk, triage

__all__ = ["checkers", "judges", "risk", "triage"]
