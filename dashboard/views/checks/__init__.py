"""The page on checks."""
