"""Erasing examples and people wherever their texts stand, and keeping things for a while only.

columns      what an erasure does with every column that can hold a text
requests     what a person means by an id, a row or a group, and what hangs on it
passages     finding the texts of an erased example in other texts
rows         the rows of the database, with seals in place of digests
files        the files of trainings and artifacts
people       a person who leaves
acts         one erasure from beginning to end, taken up again after a crash
scrub        freed pages of the database file
retention    days for which things are kept
"""
