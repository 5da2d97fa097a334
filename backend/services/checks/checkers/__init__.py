"""Checkers of a project: how a base is asked, what one is taught with."""
