"""The shapes of review: the desk, queues, designs, items, reports, quality."""
