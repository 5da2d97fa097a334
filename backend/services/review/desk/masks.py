"""Masking what gives a model away in an output, and taking the masks off a correction again.

Pure functions. A masked stretch keeps its length, one block for each code point, so that marks and
links made on the shown text fit the text as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from backend.errors import InvalidInput

BLOCK = "▇"
SHORTEST_NAME = 4
_NO_WORD = re.compile(r"[\d./_@:-]")


def names_that_tell(names: Iterable[str]) -> list[str]:
    """Names of models, and the last parts of paths, that can be no ordinary word.

    `base` or `legal` in an output is most likely no model, and to mask it would spoil the text;
    a name with a digit or a dash is one. A lead masks others by the queue's own list.
    """
    parts = chain.from_iterable((name, name.rpartition("/")[2]) for name in names)
    return sorted({part for part in parts if len(part) >= SHORTEST_NAME and _NO_WORD.search(part)})


def mask_text(text: str, terms: Collection[str]) -> str:
    """The text with every whole occurrence of a term, in any case, made of blocks."""
    if not terms:
        return text
    return _pattern(terms).sub(lambda found: BLOCK * len(found[0]), text)


def unmask_text(written: str, sources: Sequence[str], terms: Collection[str]) -> str:
    """What a person made of masked texts, with the masked stretches as they were.

    Masked stretches that were kept are found again by their length, in order.

    Args:
        sources: the texts that the person was shown masked, in which a stretch is looked for; the
            likeliest first.

    Raises:
        InvalidInput: a stretch of blocks is in none of them.
    """
    hidden = [list(_stretches(source, terms)) for source in sources]

    def back(found: re.Match[str]) -> str:
        for stretches in hidden:
            for n, stretch in enumerate(stretches):
                if len(stretch) == len(found[0]):
                    del stretches[: n + 1]
                    return stretch
        raise InvalidInput(
            "The correction has a masked stretch that the output has not there.",
            hint=f"Leave {BLOCK} as it is, or replace it by what should stand there.",
        )

    return re.sub(f"{BLOCK}+", back, written)


def _stretches(output: str, terms: Collection[str]) -> Sequence[str]:
    """What each run of blocks in the masked output hides; touching names make one run."""
    masked = mask_text(output, terms)
    return [output[run.start() : run.end()] for run in re.finditer(f"{BLOCK}+", masked)]


def _pattern(terms: Collection[str]) -> re.Pattern[str]:
    longest_first = sorted({term.strip() for term in terms if term.strip()}, key=len, reverse=True)
    return re.compile("|".join(_whole(term) for term in longest_first), re.IGNORECASE)


def _whole(term: str) -> str:
    before = r"(?<!\w)" if re.match(r"\w", term) else ""
    after = r"(?!\w)" if re.search(r"\w$", term) else ""
    return f"{before}{re.escape(term)}{after}"
