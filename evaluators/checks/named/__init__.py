"""Checkers that a user names: models made to say whether a source supports a text."""
