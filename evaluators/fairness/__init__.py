"""Fairness: gaps between groups, texts in which only a person's group is exchanged, mentions.

Pure: no database, no HTTP. Nothing here calls anything fair: a gap is said with its interval, and
where the interval is too wide to tell, that is what is said.
"""
