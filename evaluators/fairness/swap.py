"""Texts in which only a person's name, gender, age or place is exchanged, or that they are left.

What a kind exchanges, it exchanges everywhere in a row: prompt, source and references. What cannot
be done safely is refused with a reason (`Unsafe`), and so is a row with a word on which the right
answer may depend (lists/words_*.yaml). Beside each exchange there is a control: an exchange that
changes as little and says nothing of a group (another name of the same group, one year older).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from evaluators.checks.text.lettering import plain_case
from evaluators.fairness import gendered_de, gendered_en
from evaluators.fairness.gendered_en import Unsafe, WordEdit, as_written
from evaluators.fairness.lexicon import Group, Lexicon

ADULT, OLD, OLDEST = 18, 65, 95
_EDITS: Mapping[str, Callable[[str, Lexicon], Iterator[WordEdit]]] = {
    "en": gendered_en.edits,
    "de": gendered_de.edits,
}


@dataclass(frozen=True, slots=True)
class RowTexts:
    """The texts of a row: what is asked, and what the answer ought to be.

    Attributes:
        key: of the row, so that the choice of words is the same in every run.
    """

    key: str
    prompt: tuple[str, ...]
    answers: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them."""
        return self.prompt + self.answers


@dataclass(frozen=True, slots=True)
class SwappedRow:
    """The row with other words.

    Attributes:
        direction: from which group to which: `male>female`.
        words: what was exchanged for what, each once.
    """

    prompt: tuple[str, ...]
    answers: tuple[str, ...]
    direction: str
    words: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SwapKind:
    """A way in which two rows may differ.

    Attributes:
        exchange, control: how a row is changed; Unsafe where it cannot be.
        about: in words, for lists and reports.
    """

    exchange: Callable[[RowTexts, Lexicon, int], SwappedRow]
    control: Callable[[RowTexts, Lexicon, int], SwappedRow]
    about: str
    control_about: str


def make_pair(
    asked: RowTexts, kind: str, lexicon: Lexicon, *, seed: int
) -> tuple[SwappedRow, SwappedRow]:
    """A row's exchange and its control.

    Raises:
        Unsafe: one of them cannot be made, with the reason.
    """
    refuse_relevant(asked, kind, lexicon)
    made = KINDS[kind].exchange(asked, lexicon, seed)
    return made, KINDS[kind].control(asked, lexicon, seed)


def make_exchange(asked: RowTexts, kind: str, lexicon: Lexicon, *, seed: int) -> SwappedRow:
    """A row's exchange without a control; errors as of `make_pair`."""
    refuse_relevant(asked, kind, lexicon)
    return KINDS[kind].exchange(asked, lexicon, seed)


def refuse_relevant(asked: RowTexts, kind: str, lexicon: Lexicon) -> None:
    """Raise Unsafe where a word stands on which the right answer may depend.

    A gender is exchanged with the first names, so that what forbids these forbids it, too.
    """
    beginnings = lexicon.relevant.get(kind, ())
    if kind == "gender" and find_words(lexicon.names, asked.texts).found:
        beginnings += lexicon.relevant.get("name", ())
    if not beginnings:
        return
    for text in asked.texts:
        if (found := _relevant(beginnings).search(text)) is not None:
            raise Unsafe(f"the answer may depend on it: {found.group().lower()!r}")


@lru_cache(maxsize=16)
def _relevant(beginnings: tuple[str, ...]) -> re.Pattern[str]:
    longest = sorted(set(beginnings), key=len, reverse=True)
    parts = [rf"(?<!\w){re.escape(b)}" if b[0].isalnum() else re.escape(b) for b in longest]
    return re.compile("|".join(parts), re.IGNORECASE)


def _pick(options: Sequence[str], *parts: object) -> str:
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).digest()
    return options[int.from_bytes(digest[:8], "big") % len(options)]


@dataclass(frozen=True, slots=True)
class _Named:
    """Which groups' words stand in a row: word -> its group."""

    found: Mapping[str, Group]

    @property
    def groups(self) -> list[str]:
        return sorted({group.group for group in self.found.values()})

    @property
    def origin(self) -> str:
        return self.groups[0] if len(self.groups) == 1 else "several"


@lru_cache(maxsize=16)
def _matcher(groups: tuple[Group, ...]) -> tuple[re.Pattern[str], dict[str, Group]]:
    table = {word: group for group in groups for word in group.words}
    longest = sorted(table, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, longest))})(s?)(?![\w-])"), table


def find_words(groups: tuple[Group, ...], texts: Iterable[str]) -> _Named:
    """The listed words in the texts, in order; case counts, since names are capitalised."""
    if not groups:
        return _Named({})
    pattern, table = _matcher(groups)
    return _Named({m.group(1): table[m.group(1)] for text in texts for m in pattern.finditer(text)})


def _exchange_listed(
    asked: RowTexts, lexicon: Lexicon, seed: int, *, what: str, same_group: bool
) -> SwappedRow:
    """Listed words of a row for others of the same group, or of one other group for all."""
    groups = lexicon.places if what == "place" else lexicon.names
    if not find_words(groups, asked.prompt).found:
        raise Unsafe(f"it names no listed {what}")
    named = find_words(groups, asked.texts)
    kinds = sorted({group.group for group in groups} - set(named.groups))
    target = _pick(kinds, seed, asked.key, what) if kinds else ""
    mapping: dict[str, str] = {}
    for word, group in named.found.items():
        wanted = group.group if same_group else target
        free = _free(groups, wanted, group.gender, asked, mapping)
        mapping[word] = _pick(free, seed, asked.key, word, same_group)
    direction = named.origin if same_group else f"{named.origin}>{target}"
    return _replaced(asked, groups, mapping, direction)


_exchange_name = partial(_exchange_listed, what="first name", same_group=False)
_control_name = partial(_exchange_listed, what="first name", same_group=True)
_exchange_place = partial(_exchange_listed, what="place", same_group=False)
_control_place = partial(_exchange_listed, what="place", same_group=True)


def _free(
    groups: tuple[Group, ...], wanted: str, gender: str, asked: RowTexts, taken: Mapping[str, str]
) -> list[str]:
    """Words of a group that stand nowhere in the row and were not chosen yet."""
    free = [
        word
        for group in groups
        if group.group == wanted and group.gender == gender
        for word in group.words
        if word not in taken.values() and not any(word in text for text in asked.texts)
    ]
    if not free:
        raise Unsafe("no other listed word of the group is free")
    return free


def _replaced(
    asked: RowTexts, groups: tuple[Group, ...], mapping: Mapping[str, str], direction: str
) -> SwappedRow:
    pattern, _ = _matcher(groups)
    _require_everywhere(groups, asked, mapping)

    def change(text: str) -> str:
        return pattern.sub(lambda m: mapping.get(m.group(1), m.group(1)) + m.group(2), text)

    return SwappedRow(
        tuple(map(change, asked.prompt)),
        tuple(map(change, asked.answers)),
        direction,
        tuple(mapping.items()),
    )


def _require_everywhere(groups: tuple[Group, ...], asked: RowTexts, words: Iterable[str]) -> None:
    """Raise Unsafe where a word would be left: in capitals, within an address, beside a hyphen."""
    listed, _ = _matcher(groups)
    for word in words:
        any_form = re.compile(rf"(?<![^\W\d_]){re.escape(word)}s?(?![^\W\d_])", re.IGNORECASE)
        for text in asked.texts:
            exchanged = sum(m.group(1) == word for m in listed.finditer(text))
            if len(any_form.findall(text)) > exchanged:
                raise Unsafe("a name to exchange stands in another form, too")


def _exchange_gender(asked: RowTexts, lexicon: Lexicon, seed: int) -> SwappedRow:
    named = find_words(lexicon.names, asked.texts)
    _require_everywhere(lexicon.names, asked, named.found)
    names: dict[str, str] = {}
    for word, group in named.found.items():
        other = "male" if group.gender == "female" else "female"
        free = _free(lexicon.names, group.group, other, asked, names)
        names[word] = _pick(free, seed, asked.key, word, "gender")
    changed: list[str] = []
    words: dict[str, str] = dict(names)
    genders = {group.gender for group in named.found.values()}
    in_prompt = bool(find_words(lexicon.names, asked.prompt).found)
    for place, text in enumerate(asked.texts):
        found = list(_EDITS[lexicon.language](text, lexicon))
        in_prompt |= bool(found) and place < len(asked.prompt)
        genders |= {edit.gender for edit in found if edit.gender}
        words |= {text[e.start : e.end]: e.now for e in found}
        changed.append(_apply(text, [*found, *_name_edits(text, lexicon, names)]))
    if not in_prompt:
        raise Unsafe("it names no gender")
    was = genders.pop() if len(genders) == 1 else "both"
    direction = "both" if was == "both" else f"{was}>{'female' if was == 'male' else 'male'}"
    cut = len(asked.prompt)
    return SwappedRow(tuple(changed[:cut]), tuple(changed[cut:]), direction, tuple(words.items()))


def _name_edits(text: str, lexicon: Lexicon, names: Mapping[str, str]) -> Iterator[WordEdit]:
    if not names:
        return
    pattern, _ = _matcher(lexicon.names)
    for found in pattern.finditer(text):
        yield WordEdit(*found.span(), names[found.group(1)] + found.group(2), "")


def _apply(text: str, found: Sequence[WordEdit]) -> str:
    parts, end = [], 0
    for edit in sorted(found, key=lambda e: e.start):
        if edit.start < end:
            raise Unsafe("two words to exchange overlap")
        parts += [text[end : edit.start], edit.now]
        end = edit.end
    return "".join([*parts, text[end:]])


def _control_gender(asked: RowTexts, lexicon: Lexicon, seed: int) -> SwappedRow:
    """Other names of the same gender and group; without names, words that mean the same."""
    if find_words(lexicon.names, asked.prompt).found:
        return _control_name(asked, lexicon, seed)
    return exchange_neutral(asked, lexicon)


def exchange_neutral(asked: RowTexts, lexicon: Lexicon) -> SwappedRow:
    """Every listed neutral word for its other; errors as of `make_pair`."""
    table: dict[str, str] = {}
    for one, other in lexicon.neutral:
        table.setdefault(one, other)
        table.setdefault(other, one)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, table))})(?![\w-])", re.IGNORECASE)
    words: dict[str, str] = {}

    def change(found: re.Match[str]) -> str:
        now = as_written(table[plain_case(found.group()).lower()], found.group())
        words[found.group()] = now
        return now

    prompt = tuple(pattern.sub(change, text) for text in asked.prompt)
    if not words:
        raise Unsafe("there is no neutral word for a control")
    return SwappedRow(prompt, asked.answers, "neutral", tuple(words.items()))


def _age_of(asked: RowTexts, lexicon: Lexicon) -> int:
    found = [m for text in asked.texts for p in lexicon.ages for m in p.finditer(text)]
    ages = {int(match["age"]) for match in found}
    if not any(p.search(text) for text in asked.prompt for p in lexicon.ages):
        raise Unsafe("it names no age")
    if len(ages) > 1:
        raise Unsafe("it names several ages")
    [age] = ages
    if age < ADULT or age > OLDEST:
        raise Unsafe("a child's age, or none of a person")
    standing = sum(len(re.findall(rf"(?<![\d.,]){age}(?![\d.,]?\d)", t)) for t in asked.texts)
    if standing > len(found):
        raise Unsafe("the number of the age stands elsewhere, too")
    return age


def _band(age: int) -> str:
    return "young" if age < 40 else "old" if age >= OLD else "middle"


def _exchange_age(asked: RowTexts, lexicon: Lexicon, seed: int) -> SwappedRow:
    age = _age_of(asked, lexicon)
    now = 20 + (age - OLD) % 20 if age >= OLD else OLD + (age - ADULT) % 25
    return _aged(asked, lexicon, age, now, f"{_band(age)}>{_band(now)}")


def _control_age(asked: RowTexts, lexicon: Lexicon, seed: int) -> SwappedRow:
    age = _age_of(asked, lexicon)
    now = age + 1 if _band(age + 1) == _band(age) and age < OLDEST else age - 1
    return _aged(asked, lexicon, age, now, _band(age))


def _aged(asked: RowTexts, lexicon: Lexicon, age: int, now: int, direction: str) -> SwappedRow:
    def put(found: re.Match[str]) -> str:
        article = found["article"] or ""
        if not article:
            return str(now)
        right = "an" if now in (11, 18) or 80 <= now <= 89 or now == 8 else "a"
        return f"{as_written(right, article.strip())} {now}"

    def change(text: str) -> str:
        for pattern in lexicon.ages:
            text = pattern.sub(put, text)
        return text

    prompt, answers = tuple(map(change, asked.prompt)), tuple(map(change, asked.answers))
    return SwappedRow(prompt, answers, direction, ((str(age), str(now)),))


KINDS: dict[str, SwapKind] = {
    "name": SwapKind(
        *(_exchange_name, _control_name),
        "first names by those of another origin and the same gender",
        "other first names of the same origin and gender",
    ),
    "gender": SwapKind(
        *(_exchange_gender, _control_gender),
        "gendered words, pronouns and first names by those of the other gender",
        "other first names of the same gender, else words that mean the same",
    ),
    "age": SwapKind(
        *(_exchange_age, _control_age),
        "an adult's age by one of another time of life",
        "an age a year beside",
    ),
    "place": SwapKind(
        *(_exchange_place, _control_place),
        "places by those of another part of the world",
        "other places of the same part of the world",
    ),
}
"""By name; `counterfactual:NAME` is a line of the bar."""
