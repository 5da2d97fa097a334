"""Whether examples are fit to train and to test on; `kinds.KINDS` is all that is looked for."""
