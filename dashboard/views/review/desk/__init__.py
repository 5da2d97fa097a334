"""The expert's page: one item at a time."""
