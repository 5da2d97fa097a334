"""The demo's support desk: its world, calls, tickets, replies, and facts of a text."""
