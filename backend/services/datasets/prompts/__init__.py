"""Prompts: versions, templates, shots, and the one rendering to messages."""
