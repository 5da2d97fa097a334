"""Judges of a project: their versions, licences, notes, and pairs before them."""
