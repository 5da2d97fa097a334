"""`strop demo`: the whole loop on the demo project."""
