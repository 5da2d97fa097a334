"""Fixtures of the job tests: a base model that is made in a second."""

from tests.fixtures_models import tiny_base

__all__ = ["tiny_base"]
