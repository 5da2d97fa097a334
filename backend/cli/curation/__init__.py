"""Commands about training sets: `strop set`."""
