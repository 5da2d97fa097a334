"""Lineage: what a thing was made of, and what it went into."""
