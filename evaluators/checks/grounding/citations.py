"""Citations that point at nothing: an id in brackets that is not in the list of sources.

`[3]`, `[3, 5]`, `[2-4]`, `[TK-48213]` are citations; the ids of `Sample.sources` are what may be
cited. The value is the share of citations that exist; an output that cites nothing is not
applicable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from evaluators.metric import Metric, each
from evaluators.types import Sample, Score, Span

_BRACKETS = re.compile(r"\[([^\[\]\n]{1,80})\](?!\()")
_PART = re.compile(r"[^\s,;][^,;]*")
_RANGE = re.compile(r"(\d{1,4})\s?[-–]\s?(\d{1,4})")
_ID = re.compile(r"[\w.:/#-]+(?: [\w.:/#-]+){0,3}")


def cited_ids(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, id) of each citation; a range of numbers gives each of them."""
    for brackets in _BRACKETS.finditer(text):
        for part in _PART.finditer(brackets[1]):
            name = part[0].strip()
            start = brackets.start(1) + part.start()
            span = _RANGE.fullmatch(name)
            if span and 0 < int(span[2]) - int(span[1]) < 50:
                for number in range(int(span[1]), int(span[2]) + 1):
                    yield start, start + len(name), str(number)
            elif _ID.fullmatch(name):
                yield start, start + len(name), name


def _citations(sample: Sample) -> Score:
    known = {name.strip().strip("[]").casefold() for name in sample.sources}
    found = list(cited_ids(sample.prediction))
    if not found:
        return Score(None, not_applicable=True, explanation="the output cites nothing")
    spans = tuple(
        Span(start, end, f"there is no source {name!r}", "citation")
        for start, end, name in found
        if name.casefold() not in known
    )
    counts = (float(len(found)), float(len(spans)))
    explanation = f"{len(spans)} of {len(found)} citations point at no source"
    return Score(1 - len(spans) / len(found), explanation=explanation, spans=spans, stats=counts)


CITATIONS = Metric(
    "citations",
    1,
    each(_citations),
    needs=frozenset({"sources"}),
    description="share of citations that point at a source",
)
