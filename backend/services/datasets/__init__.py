"""Datasets: rows of files to examples, immutable versions, splits by group, near-duplicates."""
