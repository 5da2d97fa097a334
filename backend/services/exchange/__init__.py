"""What enters and leaves in the formats of other tools."""
