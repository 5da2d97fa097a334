"""What engines on servers share: one server asked with patience, several kept busy."""
