"""Checks that ask a model: judge, entailment, self-consistency, gain by the source."""
