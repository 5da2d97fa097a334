"""Shapes of checks: benches, risk, triage, judges."""
