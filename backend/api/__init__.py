"""The HTTP API: parse, call a service, return. No rules of the field and no SQL."""
