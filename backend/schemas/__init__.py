"""Shapes that go in and out over HTTP, one module per stage; no database, no rules."""
