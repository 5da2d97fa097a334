"""Whether a source supports an output: facts, wording, citations, other answers."""
