"""Tables of checks: risk models, triage, judges, benches."""
