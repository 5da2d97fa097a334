"""Prompt files of the judges, each with its version in its name; an edit is a new file."""
