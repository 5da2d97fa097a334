"""What a lead reads of a queue: agreement, estimates, A/B, effects, progress, reviewers."""
