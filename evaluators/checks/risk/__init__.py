"""The risk that an output is wrong, learned from labels; what may skip review by it."""
