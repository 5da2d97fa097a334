"""Checks of a project: models that check, the risk that is learned of reviews, judges."""
