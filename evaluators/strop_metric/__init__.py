"""Strop's metrics as a module of the Hugging Face library `evaluate`."""
