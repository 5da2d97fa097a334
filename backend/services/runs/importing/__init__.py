"""Outputs that were made elsewhere, read and checked into a run."""
