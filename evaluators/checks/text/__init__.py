"""How the checks read a text: claims, statements, words that carry meaning, spellings."""
