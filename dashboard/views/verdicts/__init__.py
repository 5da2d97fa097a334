"""Pages of verdicts: comparisons, the bar, decisions."""
