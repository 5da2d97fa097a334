"""Pages of runs: figures and outputs."""
