"""Services of checks."""
