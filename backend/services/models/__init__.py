"""Model versions: the base and its adapters, their files, cards, servers and preflights."""
