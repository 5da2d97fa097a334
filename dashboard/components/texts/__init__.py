"""Texts as people read them: the turns of a conversation, Markdown and JSON as they are meant."""
