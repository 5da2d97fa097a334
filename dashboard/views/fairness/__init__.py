"""Fairness: gaps between groups, pairs in which a person's group is exchanged, training data."""
