"""Commands about the formats of other tools: `strop export`."""
