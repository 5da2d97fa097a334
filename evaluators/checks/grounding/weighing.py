"""What is to be held of the stretches in which an answer departs from the others to its source.

Six features, each summed over the departures (`departures`), with a stretch of this answer on one
side and what most others have there on the other:

- `departure_words`: how many words it has of its own;
- `departure_added`: content words more than the others have there, below 0 where it leaves out;
- `departure_novel`: content words that the source has neither itself nor by a synonym;
- `departure_misfit`: how badly the source has them where it speaks of the words around, 0 (there)
  to 1 (nowhere), on average, less the same of the others' words;
- `departure_turned`: stretches with a denial more or less, or a word for its opposite;
- `departure_exchanged`: stretches with one or two content words in place of one or two others that
  do not say the same.

What turns or exchanges one thing is seldom as true as what the others agree on; what is worded
anew in many words often is. Which sign and weight each has, the labels say: alone, none is a
finding. Synonyms and opposites are English (`lexicon`), opposites of our lists German too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from evaluators.checks.contradictions.opposites import OPPOSITES
from evaluators.checks.grounding.departures import (
    Departure,
    Tokens,
    find_departures,
    find_tokens,
    read_tokens,
    tokens_of,
)
from evaluators.checks.grounding.grounding import source_of
from evaluators.checks.grounding.others import MOST_OTHERS, NO_OTHER
from evaluators.checks.grounding.overlap import FUNCTION
from evaluators.checks.text.claims import word_set
from evaluators.checks.text.lexicon import opposites_of, plain_stem, synonyms_of
from evaluators.errors import UndefinedFigure
from evaluators.metric import Metric, each
from evaluators.types import Sample, Score, Span

VERSION = 2  # 1 knew no single digits, and took ö for two words where it is o and two dots
WINDOW, STEP = 40, 20  # tokens of a source that speak of one matter
AROUND = 14  # tokens on either side of a departure that say what it speaks of
FEW = 2  # content words that may be exchanged for as few
PREFIX = 5  # first letters by which longer words are alike
_DENYING = word_set(
    "not no never without none nobody nothing neither nor cannot hardly barely nowhere "
    "nicht kein keine keinen keiner nie niemals ohne"
)
_TURNING = ("un", "non", "in", "im", "ir", "il", "dis", "mis")


class DepartureWeight(NamedTuple):
    """What is said of one departure."""

    words: float
    added: float
    novel: float
    misfit: float
    turned: float
    exchanged: float


class _Matters(NamedTuple):
    """A source by windows that overlap: which hold a stem, and how many there are."""

    places: dict[str, list[int]]
    heads: frozenset[str]
    size: int


@lru_cache(maxsize=64)
def _matters(source: str) -> _Matters:
    stems = [plain_stem(word) for word in tokens_of(source)]
    starts = range(0, max(1, len(stems) - STEP), STEP)
    places: dict[str, list[int]] = {}
    for number, start in enumerate(starts):
        for stem in set(stems[start : start + WINDOW]):
            places.setdefault(stem, []).append(number)
    heads = frozenset(stem[:PREFIX] for stem in places if len(stem) > PREFIX)
    return _Matters(places, heads, len(starts))


@lru_cache(maxsize=1024)
def _weigh_all(
    text: str, others: tuple[str, ...], source: str
) -> tuple[tuple[Departure, ...], tuple[DepartureWeight, ...]]:
    """Remembered for the other metrics, which score the same chunk next."""
    other, found = find_departures(text, others)
    own, matters = read_tokens(text), _matters(source)
    return tuple(found), tuple(_weigh(one, own, other, matters) for one in found)


def _weigh(at: Departure, own: Tokens, other: Tokens, matters: _Matters) -> DepartureWeight:
    here, there = own[at.start : at.end], other[at.other_start : at.other_end]
    said, instead = _content(here), _content(there)
    in_both = set(said).intersection(instead)
    new = [stem for stem in said if stem not in in_both]
    gone = [stem for stem in instead if stem not in in_both]
    around = _content((*own[max(0, at.start - AROUND) : at.start], *own[at.end : at.end + AROUND]))
    fits = _fits(around, matters)
    turned = (_denials(here) - _denials(there)) % 2 or _any_opposite(new, frozenset(gone))
    few = 0 < len(new) <= FEW and 0 < len(gone) <= FEW
    return DepartureWeight(
        words=len(here),
        added=len(new) - len(gone),
        novel=sum(not _is_known(stem, matters) for stem in new),
        misfit=_misfit(new, fits, matters) - _misfit(gone, fits, matters),
        turned=bool(turned),
        exchanged=few and not any(_are_alike(one, other) for one in new for other in gone),
    )


def _content(words: Iterable[str]) -> list[str]:
    """Stems of numbers and of the words that carry meaning, denials left out."""
    return [
        plain_stem(word)
        for word in words
        if word not in FUNCTION and (len(word) > 1 or word.isdigit()) and not _is_denial(word)
    ]


def _is_denial(word: str) -> bool:
    return word in _DENYING or word.endswith("n't")


def _denials(words: Iterable[str]) -> int:
    return sum(map(_is_denial, words))


def _any_opposite(new: Iterable[str], gone: frozenset[str]) -> bool:
    """Whether one says the opposite of another, without holding each against each."""
    return any(not gone.isdisjoint(_opposites(stem)) for stem in new)


def _opposites(stem: str) -> Iterator[str]:
    """By the lexicon, by our lists, and by what stands before: `unpaid` and `paid`."""
    yield from opposites_of(stem)
    for pole in OPPOSITES.get(stem, ()):
        yield from pole.other
    for prefix in _TURNING:
        bare = stem.removeprefix(prefix)
        if len(stem) > 3:
            yield prefix + stem
        if 3 < len(bare) < len(stem):
            yield bare


def _are_alike(one: str, other: str) -> bool:
    """Synonyms, or longer words of one family: `announce` and `announcement`."""
    long = len(one) > PREFIX and len(other) > PREFIX
    return other in synonyms_of(one) or (long and one[:PREFIX] == other[:PREFIX])


def _is_known(stem: str, matters: _Matters) -> bool:
    return (
        stem in matters.places
        or stem[:PREFIX] in matters.heads
        or not synonyms_of(stem).isdisjoint(matters.places)
    )


def _fits(around: Iterable[str], matters: _Matters) -> Mapping[int, float]:
    """How much each window speaks of some stems, 1 for the one that does most; rare ones count."""
    found: dict[int, float] = defaultdict(float)
    for stem in dict.fromkeys(around):  # in order, so that every process adds up alike
        places = matters.places.get(stem, ())
        for number in places:
            found[number] += math.log((matters.size + 1) / (len(places) + 0.5))
    most = max(found.values(), default=0.0)
    return {number: value / most for number, value in found.items()} if most > 0 else {}


def _misfit(stems: Sequence[str], fits: Mapping[int, float], matters: _Matters) -> float:
    """Mean over stems of 1 less how well the best window that holds it fits; 0 of none."""
    best = []
    for stem in stems:
        forms = [stem] if stem in matters.places else synonyms_of(stem) & matters.places.keys()
        places = [number for form in forms for number in matters.places[form]]
        best.append(max((fits.get(number, 0.0) for number in places), default=0.0))
    return 1 - sum(best) / len(best) if best else 0.0


def _score(sample: Sample, *, name: str) -> Score:
    others = tuple([text for text in sample.others if text != sample.prediction])
    if not others:
        return Score(None, not_applicable=True, explanation=NO_OTHER)
    try:
        found, weights = _weigh_all(sample.prediction, others, source_of(sample))
    except UndefinedFigure as error:
        return Score(None, error=str(error))
    values = [float(getattr(weight, name)) for weight in weights]
    raised = any(value > 0 for value in values)
    spans = [token.span() for token in find_tokens(sample.prediction)] if raised else []
    reason = _REASONS[name]
    return Score(
        math.fsum(values),
        explanation=f"{len(found)} stretches differ from most other answers: {reason}",
        spans=tuple(
            Span(spans[at.start][0], spans[at.end - 1][1], f"{reason}, unlike most others", "own")
            for at, value in zip(found, values, strict=True)
            if value > 0 and at.end > at.start
        ),
    )


_REASONS = {
    "words": "words of its own",
    "added": "content words more than there",
    "novel": "words that the source has not",
    "misfit": "words that the source has elsewhere or nowhere",
    "turned": "a denial more or less, or an opposite",
    "exchanged": "one thing in place of another",
}
DEPARTURES = tuple(
    Metric(
        f"departure_{name}",
        VERSION,
        each(partial(_score, name=name)),
        needs=frozenset({"context"}),
        higher_is_better=False,
        scale=None,
        recipe=lambda scores: f"others:{MOST_OTHERS}|lexicon:wordnet3.0",
        description=f"{reason}, where most other answers to the source say otherwise",
        reads_others=True,
    )
    for name, reason in _REASONS.items()
)
