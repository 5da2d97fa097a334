"""Commands that need nothing but a file."""
