"""Fairness: gaps between groups, counterfactual pairs, mentions in training data.

Everything is computed from rows that are there already (scores, reviews, outputs, training sets),
so that nothing shown can be stale; only counterfactual pairs are stored, as a dataset version.
"""
