"""Input files: one reader for all, and what their rows mean."""
