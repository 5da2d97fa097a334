"""Training runs: a frozen set and a configuration under a bar that was set before."""
