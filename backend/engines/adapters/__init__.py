"""Adapter folders: what is in them, what is refused, and which base they fit."""
