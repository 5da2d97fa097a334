"""Grounding: what an output states that its source does not support, by rules and without a model.

The claims of an output are its numbers with units, money, percentages, dates, times, identifiers,
names and quotations; what it or the source denies (`negation`); who did what to whom (`role`);
what the source says the opposite of (`direction`, `polarity`, `antonym`), or another of its kind
(`entity`); how many (`quantity`); and stretches that the source has no words of (`addition`). A
claim is supported when the source (context and input together) says the same thing, however it is
spelled: 3,500 = 3.5k = three thousand five hundred, 29,90 € = EUR 29.90, 2 kg = 2000 g,
3 May 2026 = 2026-05-03, Müller = Mueller. What a quantity is told per is a part of it: 39 EUR a
month is no 39 EUR a year, and 5 mg twice daily no 5 mg three times daily; but a period may be left
out. A total or a difference that follows from the source's numbers is supported too, as the kind
`derived`. Few false alarms matter more than finding all: what the rules cannot see is named in
`BLIND_SPOTS`.

`grounding` is the share of claims that are supported, 1 when all are; an output that makes no
claim is not applicable. `invented` is 1 when any claim is unsupported, else 0: lower is better.
Both keep (claims, unsupported) as statistics.

Totals and differences: numbers that the source does not write, but that follow from it.

Where the output calls a number a total, a sum, a difference or a remainder, it is supported if it
is the sum of a run of the source's or of the output's own numbers of that unit, or the sum,
difference or (count times quantity) product of two; such a claim is of the kind `derived`. Without
such a word a number must stand in the source: with enough numbers anything is a sum of some. Means,
percentages and growth are not derived, and a source with very many numbers derives nothing.

Counts of what is listed: `two friends, Anna and Ben`, and three friends where three are named.

Counting is no invention, so a small number is supported by a list of so many, in the output itself
or, under the same noun, in the source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from evaluators.checks.contradictions.alternatives import speaks_of_people
from evaluators.checks.contradictions.contrasts import check_contrasts
from evaluators.checks.contradictions.lone_denials import check_lone_denials
from evaluators.checks.contradictions.negation import check_negations
from evaluators.checks.contradictions.roles import check_kin, check_roles
from evaluators.checks.facts.dates import Weekday
from evaluators.checks.facts.facts import Dated, Facts, Identifier, NumberFact, Timed, find_facts
from evaluators.checks.facts.names import find_names, is_acronym_of, is_spelled_out, missing_words
from evaluators.checks.facts.quantities import check_bounds, check_counts
from evaluators.checks.facts.sources import Source, expanded, index_source, initials_of, number_key
from evaluators.checks.facts.units import DECADE, Unit, agree
from evaluators.checks.grounding.additions import check_additions
from evaluators.checks.text.claims import OutputClaim
from evaluators.checks.text.lettering import expand_contractions, squash
from evaluators.metric import Metric, each
from evaluators.types import Sample, Score, Span

MOST_IN_RUN = 30
MOST_IN_PAIR = 12
_CUE = re.compile(
    r"\b(?:total(?:s|ing|l?ed)?|in\sall|altogether|sums?|combined|together|remaining|remainder|"
    r"balance|difference|adds?\sup|insgesamt|gesamt\w*|summe|zusammen|differenz|restbetrag)\b",
    re.IGNORECASE,
)
_NEAR = 60


def is_called_derived(output: str, number: NumberFact) -> bool:
    """Whether the words around a number, in its sentence, call it a total or a difference."""
    before = re.split(r"[.!?]\s|\n", output[max(0, number.start - _NEAR) : number.start])[-1]
    after = re.split(r"[.!?](?:\s|$)|\n", output[number.end : number.end + _NEAR])[0]
    return _CUE.search(before) is not None or _CUE.search(after) is not None


def is_derived(
    number: NumberFact,
    measures: Mapping[str, Sequence[tuple[float, str]]],
    beside: Sequence[NumberFact],
) -> bool:
    """Whether the number follows from those of the source.

    Args:
        measures: quantities of the source in base units, with the name of their unit, by dimension;
            "" holds bare numbers.
        beside: the output's own numbers, this one among them.
    """
    counts = [value for value, _ in measures.get("", ())]
    dimensions = [number.unit.dimension] if number.unit else list(measures)
    for dimension in dimensions:
        own = [
            other.unit.to_base(other.values[0]) if other.unit else other.values[0]
            for other in beside
            if other is not number and (other.unit.dimension if other.unit else "") == dimension
        ]
        told = [base for base, _ in measures.get(dimension, ())]
        for value in number.values:
            wanted = number.unit.to_base(value) if number.unit else value
            if any(_is_run(wanted, run) for run in (told, own)):
                return True
            if _is_pair(wanted, told, counts):
                return True
    return False


def _is_run(wanted: float, values: Sequence[float]) -> bool:
    """Whether two or more values in a row add up to it."""
    if len(values) > MOST_IN_RUN:
        return False
    return any(_same(wanted, total) for total in _runs(values))


def _runs(values: Sequence[float]) -> Iterator[float]:
    for start in range(len(values)):
        total = values[start]
        for value in values[start + 1 :]:
            total += value
            yield total


def _is_pair(wanted: float, values: Sequence[float], counts: Sequence[float]) -> bool:
    distinct = list(dict.fromkeys(values))
    if len(distinct) > MOST_IN_PAIR:
        return False
    pairs = [(a, b) for i, a in enumerate(distinct) for b in distinct[i + 1 :]]
    if any(_same(wanted, a + b) or _same(wanted, abs(a - b)) for a, b in pairs):
        return True
    few = list(dict.fromkeys(counts))[: MOST_IN_PAIR + 1]
    if len(few) > MOST_IN_PAIR:
        return False
    return any(_same(wanted, a * b) for a in distinct for b in few if b > 1 and a != b)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


MOST_LISTED = 12
_AND = r"\s(?:and|or|&|und|oder|sowie)\s"
_ITEM = r"[^\n,;:.!?()]{1,60}?"
_LIST = re.compile(rf"({_ITEM}(?:[,;]\s{_ITEM})*),?{_AND}[^\n,;:.!?()]{{1,60}}")
_BETWEEN = re.compile(rf"[,;]\s(?:(?:and|or|und|oder)\s)?|{_AND}")
_OPENS = re.compile(rf"{_ITEM}(?:,|:|\s[-–—]|\s?\()\s?(?:namely\s|nämlich\s)?")
_NOUN = re.compile(r"(?:\s[^\W\d_]+){0,2}?\s([^\W\d_]{3,})")
_BULLET = re.compile(r"(?m)^[ \t]*(?:[-*•–]|\(?\d{1,2}[.)])\s")


def counts_its_list(output: str, number: NumberFact) -> bool:
    """Whether so many things are listed right after the number, or in lines of their own."""
    wanted = _small(number)
    if wanted is None:
        return False
    opening = _OPENS.match(output, number.end)
    if opening is not None and (found := _LIST.match(output, opening.end())) is not None:
        return size_of(found[0]) == wanted
    rest = output[number.end :]
    return ":" in rest[:80] and len(_BULLET.findall(rest)) == wanted


def is_counted_in(output: str, number: NumberFact, source: str) -> bool:
    """Whether the source lists so many of the noun that the number counts."""
    wanted, noun = _small(number), _NOUN.match(output, number.end)
    if wanted is None or noun is None:
        return False
    stem = re.escape(noun[1].rstrip("s").casefold())
    named = rf"(?i)\b{stem}(?:s|es|e|en|n)?\b(?:,|:|\s(?:are|were|is|was|sind))?\s"
    for m in re.finditer(named, source):
        found = _LIST.match(source, m.end())
        if found is not None and size_of(found[0]) == wanted:
            return True
    return False


def size_of(listed: str) -> int:
    """Items of a list in one sentence."""
    return len(_BETWEEN.split(listed))


def _small(number: NumberFact) -> int | None:
    value = number.values[0]
    return int(value) if value.is_integer() and 2 <= value <= MOST_LISTED else None


VERSION = 8
BLIND_SPOTS = (
    "means, percentages and growth worked out from numbers, paraphrase, common nouns that are on "
    "no list of alternatives, rare names in lower case or at the head of a sentence, acronyms, "
    "opposites that are on no list or that the source says of other words, quantities in other "
    "words, negation by other words, negations that are hedged, narrowed or of another time, roles "
    "told by other verbs, additions in few words or where the rest is worded otherwise too"
)
_HEDGE = re.compile(
    r"\b(?:about|around|approximately|roughly|nearly|almost|over|some|circa|ca\.|etwa|rund|fast|"
    r"more than|less than|up to|at least)\s+(?:[€$£]\s?)?$",
    re.IGNORECASE,
)


def find_claims(output: str, source_text: str) -> list[OutputClaim]:
    """Every claim of an output, in reading order, each checked against the source."""
    source = index_source(source_text)
    facts = find_facts(output)
    roles = [
        *check_roles(output, source_text, source.words),
        *check_kin(output, source_text, facts.words, source.words),
    ]
    found = [
        *_check_quotations(output, source),
        *(claim for claim in roles if claim.problem is not None),
        *check_bounds(output, facts.numbers, source_text, facts.words),
        *check_counts(output, facts.numbers, source_text),
        *(_check_number(output, n, source, facts) for n in facts.numbers if _is_claim(n)),
        *(_held(output, one, "date", known=_knows_date(one, source)) for one in facts.dates),
        *(
            _held(output, one, "time", known=bool(one.minutes & source.figures.minutes))
            for one in facts.times
        ),
        *(_held(output, i, "identifier", known=_knows_code(i, source)) for i in facts.identifiers),
        *(
            _held(output, one, "date", known=one.day in source.figures.weekdays)
            for one in facts.weekdays
        ),
        *_check_names(output, facts, source),
        *check_negations(output, source_text, facts.words, source.words),
        *check_contrasts(output, source_text, facts.words, source.words),
        *check_lone_denials(output, source_text, facts.words, source.words),
        *check_additions(output, facts.words, source.words),
        *(claim for claim in roles if claim.problem is None),
    ]
    return sorted(_without_overlap(found), key=lambda claim: claim.start)


def _without_overlap(claims: Sequence[OutputClaim]) -> Iterator[OutputClaim]:
    """One claim per stretch: several readings of a word run count once, best first."""
    best: dict[tuple[int, int], OutputClaim] = {}
    for claim in claims:
        held = best.get((claim.start, claim.end))
        if held is None or (held.problem is None and claim.problem is not None):
            best[(claim.start, claim.end)] = claim
    covered = bytearray(max((c.end for c in claims), default=0))
    for claim in best.values():
        if not any(covered[claim.start : claim.end]):
            covered[claim.start : claim.end] = b"\x01" * (claim.end - claim.start)
            yield claim


def _is_claim(number: NumberFact) -> bool:
    """Words such as `one` and `zero` alone claim nothing."""
    return not (number.spelled and number.unit is None and number.values[0] in (0, 1))


def _check_number(output: str, number: NumberFact, source: Source, facts: Facts) -> OutputClaim:
    kind = "number"
    if number.unit is not None:
        kind = "money" if number.unit.dimension.startswith("money") else "measure"
    problem = _number_problem(output, number, source)
    if problem is not None and is_called_derived(output, number):
        if is_derived(number, source.figures.measures, facts.numbers):
            kind, problem = "derived", None
        else:
            problem += ", nor a sum or difference of its numbers"
    return OutputClaim(number.start, number.end, kind, problem)


def _number_problem(output: str, number: NumberFact, source: Source) -> str | None:
    if number.often:
        return _often_problem(output, number, source)
    if number.unit is DECADE and _is_decade(number.values[0], source):
        return None
    others: set[str] = set()
    for value in number.values:
        units = source.figures.values.get(number_key(value), ())
        if any(agree(number.unit, unit, source.mentions) for unit in units):
            return None
        others |= {unit.name for unit in units if unit}
    if number.unit is not None and _is_told(number.values, number.unit, source.figures.measures):
        return None
    if number.parts and all(_number_problem(output, p, source) is None for p in number.parts):
        return None
    if any(_number_problem(output, other, source) is None for other in number.others):
        return None
    if _HEDGE.search(output, max(0, number.start - 20), number.start) and _rounds(number, source):
        return None
    if number.unit is None and (
        counts_its_list(output, number) or is_counted_in(output, number, source.text)
    ):
        return None
    if others:
        said = output[number.start : number.end].strip()
        return f"the source gives {said!r} in {', '.join(sorted(others))}"
    return _absent(output, number.start, number.end)


def _often_problem(output: str, number: NumberFact, source: Source) -> str | None:
    """How often: as a source that says so says it; where it says nothing, by its words alone."""
    if number.unit is None or _is_told(number.values, number.unit, source.figures.often):
        return None
    if source.figures.often:
        return _absent(output, number.start, number.end)
    told = [_number_problem(output, part, source) for part in number.parts]
    return next((problem for problem in told if problem is not None), None)


def _is_decade(value: float, source: Source) -> bool:
    """The nineties are those of any century."""
    return any(
        value == known if value > 99 < known else value == known % 100
        for known in source.figures.decades
    )


def _is_told(
    values: Sequence[float], unit: Unit, measures: Mapping[str, Sequence[tuple[float, str]]]
) -> bool:
    """Whether the quantity stands there; in another unit 1% is allowed for rounding."""
    stated = measures.get(unit.dimension, ())
    return any(
        math.isclose(
            unit.to_base(value), base, rel_tol=1e-9 if name == unit.name else 0.01, abs_tol=1e-12
        )
        for value in values
        for base, name in stated
    )


def _rounds(number: NumberFact, source: Source) -> bool:
    """Whether a number of the source, rounded as coarsely as this one is written, equals it."""
    for value in number.values:
        digits = len(f"{abs(value):.9g}".replace(".", "").strip("0")) or 1
        for known, units in source.figures.values.items():
            fits = any(agree(number.unit, unit, source.mentions) for unit in units)
            if fits and known and float(f"{known:.{digits}g}") == value:
                return True
    return False


def _absent(output: str, start: int, end: int) -> str:
    return f"{output[start:end].strip()!r} is not in the source"


def _held(
    output: str, fact: Dated | Timed | Weekday | Identifier, kind: str, *, known: bool
) -> OutputClaim:
    problem = None if known else _absent(output, fact.start, fact.end)
    return OutputClaim(fact.start, fact.end, kind, problem)


def _knows_date(dated: Dated, source: Source) -> bool:
    return any(day.is_told_by(known) for day in dated.days for known in source.figures.days)


def _knows_code(found: Identifier, source: Source) -> bool:
    return (
        found.key in source.figures.identifiers
        or _stands_alone(found.key, source)
        or any(_is_same_telephone(found.key, other) for other in source.figures.identifiers)
        or (_VERSION.fullmatch(found.said) is not None and _has_version(found.said[1:], source))
    )


_VERSION = re.compile(r"[vV]\d+(?:\.\d+)*")
LEAST_TELEPHONE, MOST_OF_COUNTRY = 7, 5


def _has_version(number: str, source: Source) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(number)}(?![\w]|\.\d)", source.text) is not None


def _is_same_telephone(one: str, other: str) -> bool:
    """+49 30 123456 and 030/123456: one is the other behind a country's number."""
    if not (one.isdecimal() and other.isdecimal()):
        return False
    short, long = sorted((one.lstrip("0"), other.lstrip("0")), key=len)
    near = len(long) - len(short) <= MOST_OF_COUNTRY
    return len(short) >= LEAST_TELEPHONE and near and long.endswith(short)


def _stands_alone(key: str, source: Source) -> bool:
    """The code is in the source with other spacing or case, and not as a part of a longer one."""
    if key not in source.squashed:
        return False
    spaced = r"[\W_]*".join(re.escape(c) for c in key)
    return re.search(rf"(?<![^\W_]){spaced}(?![^\W_])", source.both.casefold()) is not None


def _check_names(output: str, facts: Facts, source: Source) -> Iterator[OutputClaim]:
    for name in find_names(output, facts.words):
        missing = missing_words(name.words, source.words)
        missing = [w for w in missing if not is_acronym_of(w, initials_of(source.text))]
        missing = [w for w in missing if not speaks_of_people(w, source.words)]
        if missing and is_spelled_out(name.words, source.words):
            missing = []
        problem = f"{' '.join(missing)!r} is not in the source" if missing else None
        yield OutputClaim(name.start, name.end, "name", problem)


_QUOTED = re.compile(r"(?:(?<!\w)\"(?=\S)|[“„«])([^“”\"„«»\n]{8,400})[”\"“»]")


def _check_quotations(output: str, source: Source) -> Iterator[OutputClaim]:
    """Words in quotation marks, three at least, must be words of the source in that order."""
    for m in _QUOTED.finditer(output) if any(map(output.__contains__, '"“„«')) else ():
        if len(m[1].split()) > 2:
            known = squash(m[1]) in source.squashed or (
                squash(expand_contractions(m[1])) in expanded(source.text)
            )
            problem = None if known else f"{m[1]!r} is no quotation of the source"
            yield OutputClaim(m.start(1), m.end(1), "quotation", problem)


def source_of(sample: Sample) -> str:
    """All that the model was given: the context, then the input."""
    return "\n".join(part for part in (sample.context, sample.input) if part)


@lru_cache(maxsize=512)
def _claims_of(output: str, source: str) -> tuple[OutputClaim, ...]:
    """Remembered for the other of the two metrics, which scores the same chunk next."""
    return tuple(find_claims(output, source))


def _grounding(sample: Sample) -> Score:
    claims = _claims_of(sample.prediction, source_of(sample))
    if not claims:
        return Score(None, not_applicable=True, explanation="the output makes no checkable claim")
    spans = _spans(claims)
    counts = (float(len(claims)), float(len(spans)))
    return Score(
        1 - len(spans) / len(claims), explanation=_explain(claims), spans=spans, stats=counts
    )


def _invented(sample: Sample) -> Score:
    claims = _claims_of(sample.prediction, source_of(sample))
    spans = _spans(claims)
    return Score(
        float(bool(spans)),
        label="invented" if spans else "supported",
        explanation=_explain(claims),
        spans=spans,
        stats=(float(len(claims)), float(len(spans))),
    )


def _spans(claims: Sequence[OutputClaim]) -> tuple[Span, ...]:
    return tuple(Span(c.start, c.end, c.problem, c.kind) for c in claims if c.problem is not None)


def _explain(claims: Sequence[OutputClaim]) -> str:
    bad = sum(claim.problem is not None for claim in claims)
    return f"{bad} of {len(claims)} claims are not in the source"


GROUNDING = Metric(
    "grounding",
    VERSION,
    each(_grounding),
    needs=frozenset({"context"}),
    description="share of numbers, dates, names and codes that the source supports",
)
INVENTED = Metric(
    "invented",
    VERSION,
    each(_invented),
    needs=frozenset({"context"}),
    higher_is_better=False,
    description="share of outputs with a fact that the source does not support",
)
