"""Weights: loading a base, adapter folders, digests, tensors."""
