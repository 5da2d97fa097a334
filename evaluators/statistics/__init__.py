"""Statistics over arrays: intervals, tests, agreement, preference, planning."""

RESAMPLES = 1000
"""Draws of a bootstrap where nobody asks for another number. Loads nothing."""
