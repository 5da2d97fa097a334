"""Routes of review: the desk, queues, reports, quality, rubrics."""
