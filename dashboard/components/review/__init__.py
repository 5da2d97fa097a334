"""Words about an item and a queue of reviews."""
