"""Verdicts: a candidate compared with the baseline, judged by the bar, promoted or held."""
