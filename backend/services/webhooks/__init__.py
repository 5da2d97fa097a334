"""Webhooks: who is told of what, and the outbox of what is still to be told."""
