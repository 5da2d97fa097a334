"""Runs: what models wrote, the scores of it, and the figures made of the scores."""
