"""Pages of review: the desk, queues, and what a lead reads of them."""
