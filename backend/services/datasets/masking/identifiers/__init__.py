"""Identifiers of people: how each kind is found, and its surrogates."""
