"""Routes of runs: generation and scoring."""
