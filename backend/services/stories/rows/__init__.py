"""The examples of each story: `write(n, seed)` gives rows with id, input, context, reference, group
and slices, the same for the same arguments. References are true by construction: every fact in one
stands in its context. About every fifth row is hard on purpose, and its slice says so.
"""
