"""Commands about verdicts: `strop compare`, `gate`, `promote`, `rollback`."""
