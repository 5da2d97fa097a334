"""Opening a queue: frame, design, plan, assignment, storage."""
