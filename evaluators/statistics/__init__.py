"""Statistics over arrays: intervals, tests, agreement, preference, planning."""
