"""Commands of synthetic candidates."""
