"""Shapes that services build and HTTP carries, one module per stage; no database, no rules."""
