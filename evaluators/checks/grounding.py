"""Grounding: what an output states that its source does not support, by rules and without a model.

The claims of an output are its numbers with units, money, percentages, dates, times, identifiers,
names and quotations; what it or the source denies (`negation`); who did what to whom (`role`). A
claim is supported when the source (context and input together) says the same thing, however it is
spelled: 3,500 = 3.5k = three thousand five hundred, 29,90 € = EUR 29.90, 2 kg = 2000 g,
3 May 2026 = 2026-05-03. A total or a difference that follows from the source's numbers is supported
too, as the kind `derived`. Few false alarms matter more than finding all: what the rules cannot see
is named in `BLIND_SPOTS`.

`grounding` is the share of claims that are supported, 1 when all are; an output that makes no
claim is not applicable. `invented` is 1 when any claim is unsupported, else 0: lower is better.
Both keep (claims, unsupported) as statistics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from evaluators.checks.claims import Claim
from evaluators.checks.dates import WEEKDAYS
from evaluators.checks.derived import is_called_derived, is_derived
from evaluators.checks.facts import Dated, Facts, Identifier, Number, Timed, find_facts, squash
from evaluators.checks.kin import check_kin
from evaluators.checks.names import find_names, is_acronym_of, is_spelled_out, is_supported
from evaluators.checks.negation import check_negations
from evaluators.checks.roles import check_roles
from evaluators.checks.sources import Source, index_source, initials_of, number_key
from evaluators.checks.units import Unit
from evaluators.metric import Metric
from evaluators.types import Sample, Score, Span

VERSION = 3
BLIND_SPOTS = (
    "means, percentages and growth worked out from numbers, paraphrase, common nouns, names in "
    "lower case or at the head of a sentence, acronyms, negation by other words or in German, "
    "negations that are hedged, narrowed or of another time, roles told by other verbs"
)
_HEDGE = re.compile(
    r"\b(?:about|around|approximately|roughly|nearly|almost|over|some|circa|ca\.|etwa|rund|fast|"
    r"more than|less than|up to|at least)\s+(?:[€$£]\s?)?$",
    re.IGNORECASE,
)


def find_claims(output: str, source_text: str) -> list[Claim]:
    """Every claim of an output, in reading order, each checked against the source."""
    source = index_source(source_text)
    facts = find_facts(output)
    roles = [
        *check_roles(output, source_text),
        *check_kin(output, source_text, facts.words, source.words),
    ]
    found = [
        *_check_quotations(output, source),
        *(claim for claim in roles if claim.problem is not None),
        *(_check_number(output, n, source, facts) for n in facts.numbers if _is_claim(n)),
        *(_check_date(output, dated, source) for dated in facts.dates),
        *(_check_time(output, timed, source) for timed in facts.times),
        *(_check_identifier(output, i, source) for i in facts.identifiers),
        *_check_weekdays(output, facts, source),
        *_check_names(output, facts, source),
        *check_negations(output, source_text, facts.words, source.words),
        *(claim for claim in roles if claim.problem is None),
    ]
    return sorted(_without_overlap(found), key=lambda claim: claim.start)


def _without_overlap(claims: Sequence[Claim]) -> Iterator[Claim]:
    """One claim per stretch: several readings of a word run count once, best first."""
    best: dict[tuple[int, int], Claim] = {}
    for claim in claims:
        held = best.get((claim.start, claim.end))
        if held is None or (held.problem is None and claim.problem is not None):
            best[(claim.start, claim.end)] = claim
    covered = bytearray(max((c.end for c in claims), default=0))
    for claim in best.values():
        if not any(covered[claim.start : claim.end]):
            covered[claim.start : claim.end] = b"\x01" * (claim.end - claim.start)
            yield claim


def _is_claim(number: Number) -> bool:
    """Words such as `one` and `zero` alone claim nothing."""
    small = number.spelled and number.unit is None and number.values[0] in (0, 1)
    return not small


def _check_number(output: str, number: Number, source: Source, facts: Facts) -> Claim:
    kind = "number"
    if number.unit is not None:
        kind = "money" if number.unit.dimension.startswith("money") else "measure"
    problem = _number_problem(output, number, source)
    if problem is not None and is_called_derived(output, number):
        if is_derived(number, source.measures, facts.numbers):
            kind, problem = "derived", None
        else:
            problem += ", nor a sum or difference of its numbers"
    return Claim(number.start, number.end, kind, problem)


def _number_problem(output: str, number: Number, source: Source) -> str | None:
    said = output[number.start : number.end].strip()
    others: set[str] = set()
    for value in number.values:
        units = source.values.get(number_key(value))
        if units is None:
            continue
        if number.unit is None or None in units or number.unit.name in units:
            return None
        others |= {unit for unit in units if unit}
    if number.unit is not None and _is_converted(number.values, number.unit, source):
        return None
    if _HEDGE.search(output, max(0, number.start - 20), number.start) and _rounds(number, source):
        return None
    if others:
        return f"the source gives {said!r} in {', '.join(sorted(others))}"
    return f"{said!r} is not in the source"


def _is_converted(values: Sequence[float], unit: Unit, source: Source) -> bool:
    """The same quantity in another unit; 1% is allowed for rounding."""
    stated = source.measures.get(unit.dimension, ())
    return any(
        math.isclose(unit.to_base(value), base, rel_tol=0.01, abs_tol=1e-12)
        for value in values
        for base in stated
    )


def _rounds(number: Number, source: Source) -> bool:
    """Whether a number of the source, rounded as coarsely as this one is written, equals it."""
    for value in number.values:
        digits = len(f"{abs(value):.9g}".replace(".", "").strip("0")) or 1
        for known, units in source.values.items():
            fits = number.unit is None or None in units or number.unit.name in units
            if fits and known and float(f"{known:.{digits}g}") == value:
                return True
    return False


def _absent(output: str, start: int, end: int) -> str:
    return f"{output[start:end].strip()!r} is not in the source"


def _check_date(output: str, dated: Dated, source: Source) -> Claim:
    told = any(day.is_told_by(known) for day in dated.days for known in source.days)
    problem = None if told else _absent(output, dated.start, dated.end)
    return Claim(dated.start, dated.end, "date", problem)


def _check_time(output: str, timed: Timed, source: Source) -> Claim:
    said = output[timed.start : timed.end].strip()
    hour_said = timed.minutes & source.minutes
    return Claim(
        timed.start, timed.end, "time", None if hour_said else f"{said!r} is not in the source"
    )


def _check_identifier(output: str, found: Identifier, source: Source) -> Claim:
    said = output[found.start : found.end]
    known = found.key in source.identifiers or _stands_alone(said, found.key, source)
    problem = None if known else _absent(output, found.start, found.end)
    return Claim(found.start, found.end, "identifier", problem)


def _stands_alone(said: str, key: str, source: Source) -> bool:
    """The code is in the source with other spacing or case, and not as a part of a longer one."""
    if key not in source.squashed:
        return False
    spaced = r"[\W_]*".join(re.escape(c) for c in key)
    return re.search(rf"(?<![^\W_]){spaced}(?![^\W_])", source.text.casefold()) is not None


def _check_weekdays(output: str, facts: Facts, source: Source) -> Iterator[Claim]:
    for word in facts.words & WEEKDAYS.keys():
        known = WEEKDAYS[word] in source.weekdays
        for m in re.finditer(rf"(?i)\b{word}\b", output):
            problem = None if known else _absent(output, m.start(), m.end())
            yield Claim(m.start(), m.end(), "date", problem)


def _check_names(output: str, facts: Facts, source: Source) -> Iterator[Claim]:
    for name in find_names(output, facts.words):
        missing = [w for w in name.words if not is_supported(w, source.words)]
        missing = [w for w in missing if not is_acronym_of(w, initials_of(source.text))]
        if missing and is_spelled_out(name.words, source.words):
            missing = []
        problem = f"{' '.join(missing)!r} is not in the source" if missing else None
        yield Claim(name.start, name.end, "name", problem)


_QUOTED = re.compile(r"(?:(?<!\w)\"(?=\S)|[“„«])([^“”\"„«»\n]{8,400})[”\"“»]")


def _check_quotations(output: str, source: Source) -> Iterator[Claim]:
    """Words in quotation marks, three at least, must be words of the source in that order."""
    for m in _QUOTED.finditer(output):
        if len(m[1].split()) > 2:
            known = squash(m[1]) in source.squashed
            problem = None if known else f"{m[1]!r} is no quotation of the source"
            yield Claim(m.start(1), m.end(1), "quotation", problem)


def source_of(sample: Sample) -> str:
    """All that the model was given: the context, then the input."""
    return "\n".join(part for part in (sample.context, sample.input) if part)


def score_grounding(samples: Sequence[Sample]) -> list[Score]:
    """Share of claims that the source supports."""
    return [_grounding(sample) for sample in samples]


@lru_cache(maxsize=512)
def _claims_of(output: str, source: str) -> tuple[Claim, ...]:
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


def score_invented(samples: Sequence[Sample]) -> list[Score]:
    """1 if the output claims anything that the source does not support, else 0."""
    return [_invented(sample) for sample in samples]


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


def _spans(claims: Sequence[Claim]) -> tuple[Span, ...]:
    return tuple(Span(c.start, c.end, c.problem, c.kind) for c in claims if c.problem is not None)


def _explain(claims: Sequence[Claim]) -> str:
    bad = sum(claim.problem is not None for claim in claims)
    return f"{bad} of {len(claims)} claims are not in the source"


GROUNDING = Metric(
    "grounding",
    VERSION,
    score_grounding,
    needs=frozenset({"context"}),
    description="share of numbers, dates, names and codes that the source supports",
)
INVENTED = Metric(
    "invented",
    VERSION,
    score_invented,
    needs=frozenset({"context"}),
    higher_is_better=False,
    description="share of outputs with a fact that the source does not support",
)
