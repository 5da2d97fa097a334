"""How jobs run: the job engine, parts, sharing between workers, reconciliation."""
