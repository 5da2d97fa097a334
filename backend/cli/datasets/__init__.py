"""`strop dataset`, `mask` and `prompt`: data and what is asked of it."""
