"""The page that opens a queue."""
