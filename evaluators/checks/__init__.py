"""Hallucination checks: what an output says that its source does not support."""
