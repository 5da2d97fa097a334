"""Which facts a text states, and which of them a source does not hold: the demo's own yardstick.

Answers for the closed world of the demo only, where every name is known. The platform's grounding
check is another piece of code, so the two can be held against each other. Pure standard library.
"""

import re

from training.demo.desk.world import (
    AGENTS,
    CITIES,
    COUNTRIES,
    FIRST_NAMES,
    LAST_NAMES,
    MONTHS,
    PLANS,
)

_NAMES = (*FIRST_NAMES, *LAST_NAMES, *AGENTS, *CITIES, *COUNTRIES, *(p.name for p in PLANS))
_FACT = re.compile(
    r"EUR \d+(?:\.\d+)?"
    r"|\bTK-\d+|\bAB\d+"
    rf"|\b\d+ (?:{'|'.join(MONTHS)})\b"
    r"|\b\d+ (?:GB|Mbit/s|stations|lines|months?)"
    r"|\b\d+:\d+"
    rf"|\b(?:{'|'.join(sorted(map(re.escape, _NAMES), key=len, reverse=True))})\b"
)


def list_facts(text: str) -> list[str]:
    """Money, identifiers, dates, amounts with a unit, times and names, in order of appearance."""
    return _FACT.findall(text)


def invented_facts(output: str, source: str) -> list[str]:
    """Facts of `output` that `source` does not state word for word."""
    known = set(list_facts(source))
    return [fact for fact in list_facts(output) if fact not in known]
