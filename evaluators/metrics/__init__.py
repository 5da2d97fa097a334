"""Metrics that compare an output with references, or measure the output alone."""
