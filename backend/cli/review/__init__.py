"""Commands about review: `strop review`, `strop rubric`."""
