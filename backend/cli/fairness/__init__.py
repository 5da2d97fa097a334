"""`strop fairness`: gaps between groups, counterfactual pairs, mentions in training data."""
