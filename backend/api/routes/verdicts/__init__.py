"""Routes of verdicts: comparisons and promotions."""
