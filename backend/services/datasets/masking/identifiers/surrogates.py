"""What stands in the place of an identifier: of the same kind and form, drawn by the project's key.

Digits become other digits and letters other letters, spaces and dashes stay, check digits are made
right. Names keep gender and role: every word of a name has one surrogate in a document, so that
`Anna Müller`, `Frau Müller` and `Müllers` stay one person. No surrogate is a word or a number that
the document holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from backend.errors import CannotCompute
from backend.services.datasets.masking.identifiers.checks import plain_of
from backend.services.datasets.masking.identifiers.dates import round_age, shift_date
from backend.services.datasets.masking.identifiers.draw import Draw
from backend.services.datasets.masking.identifiers.names import (
    PARTICLES,
    TITLES,
    NameLists,
    ascii_name,
    shipped_words,
    tokens_of,
)

TRIES = 200
_FEMALE, _MALE = (
    frozenset(["mrs", "ms", "miss", "frau", "fr", "sister", "schwester", "madam", "dame"]),
    frozenset(["mr", "mister", "herr", "herrn", "hr", "sir", "pfleger"]),
)
_KEPT = PARTICLES - {"vom"}


@dataclass(slots=True)
class Making:
    """What surrogates of one document are made with, and what was made so far.

    Attributes:
        draw: the choices of the document's key.
        language: `en` or `de`: whose names stand in.
        days: by how many days its dates move.
        words: every word of the document, in small letters: none becomes a surrogate.
        plain: every letter and digit of the document: no number in it becomes a surrogate.
        genders: what titles say of names that no list knows.
    """

    draw: Draw
    lists: NameLists
    language: str
    days: int
    day_first: bool
    words: frozenset[str]
    plain: str
    genders: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    made: dict[tuple[str, str], str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def once(self, kind: str, value: str, make: Callable[[int], str | None]) -> str:
        """The surrogate of a value: made once a document, and no other value's.

        Raises:
            CannotCompute: none could be made that the document does not hold.
        """
        if (kind, value) not in self.made:
            tries = (make(attempt) for attempt in range(TRIES))
            new = next((one for one in tries if one is not None and self._is_free(one)), None)
            if new is None:
                raise CannotCompute(
                    f"No surrogate is left for an identifier of the kind {kind}.",
                    hint="Use placeholders (replace: placeholder) for this project.",
                )
            self.made[kind, value] = new
            self.used.add(new.lower())
        return self.made[kind, value]

    def _is_free(self, new: str) -> bool:
        low = new.lower()
        if low in self.used or low in self.words:
            return False
        return not (len(new) > 3 and any(ch.isdecimal() for ch in new) and new in self.plain)


Surrogate = Callable[[str, str, Making], str]


def numbered(
    repair: Callable[[str], str] | None = None,
    *,
    keep: int = 0,
    keep_prefix: bool = False,
    only_if: Callable[[str], bool] | None = None,
) -> Surrogate:
    """A number of the same form.

    Args:
        repair: makes its check digits right.
        keep: letters and digits at its beginning that stay, as an IBAN's country.
        keep_prefix: a telephone number's country and leading zeros stay.
        only_if: repair only what passes this.
    """

    def make(kind: str, text: str, making: Making) -> str:
        plain = plain_of(text)
        kept = _prefix(text, plain) if keep_prefix else keep
        repairing = repair if repair is not None and (only_if is None or only_if(plain)) else None

        def attempt(number: int) -> str | None:
            head, tail = plain[:kept], plain[kept:]
            new = head + making.draw.scramble(tail, kind, plain, str(number))
            if repairing is not None:
                with suppress(ValueError, IndexError):  # of another length than the kind has
                    new = repairing(new)
            return None if new == plain else new

        return lay(text, making.once(kind, plain, attempt))

    return make


def _prefix(text: str, plain: str) -> int:
    if text.startswith("+"):
        return 1 if plain[:1] in ("1", "7") else 2
    return len(plain) - len(plain.lstrip("0"))


def lay(form: str, plain: str) -> str:
    """Letters and digits put into the places where a text has them, capitals as there."""
    letters = iter(plain)
    put = []
    for ch in form:
        new = next(letters, "") if ch.isalnum() else ch
        put.append(new.lower() if ch.islower() else new)
    return "".join(put)


def day(kind: str, text: str, making: Making) -> str:
    """A date, moved as all of the document are."""
    moved = shift_date(text, making.days, day_first=making.day_first)
    return moved if moved is not None else numbered()(kind, text, making)


def age(kind: str, text: str, making: Making) -> str:
    """90, for every higher age."""
    return round_age(text)


def bic(kind: str, text: str, making: Making) -> str:
    """The code of no bank, in the same country."""
    plain = plain_of(text)

    def attempt(number: int) -> str:
        rest = making.draw.scramble(plain[:4] + plain[6:], kind, plain, str(number))
        return rest[:4] + plain[4:6] + rest[4:]

    return lay(text, making.once(kind, plain, attempt))


def person(kind: str, text: str, making: Making) -> str:
    """A name: every word of it by its own surrogate; titles, particles and signs stay."""
    tokens = tokens_of(text)
    words = [t for t in tokens if t.folded not in TITLES and t.text not in _KEPT]
    put, last = [], 0
    for place, token in enumerate(words):
        ends = all(text[one.end : other.start] == "-" for one, other in pairwise(words[place:]))
        put += [text[last : token.start], _name_word(token.text, ends, making, len(words))]
        last = token.end
    return "".join([*put, text[last:]])


def _name_word(word: str, is_last: bool, making: Making, n: int) -> str:
    folded = word.lower()
    if len(word) == 1:
        return _initial(word, making)
    role = making.roles.setdefault(folded, _role(folded, is_last, n, making))
    new = making.once("name", folded, lambda n: _drawn_name(folded, role, n, making))
    return new.upper() if word.isupper() else new.lower() if word.islower() else new


def _initial(letter: str, making: Making) -> str:
    """The first letter of the surrogate of a given name that began with this one, if any did."""
    for (sort, name), new in making.made.items():
        if sort == "name" and name.startswith(letter.lower()) and making.roles[name] != "family":
            return new[0].upper()
    return making.draw.scramble(letter, "initial", letter)


def _role(folded: str, is_last: bool, n: int, making: Making) -> str:
    """f, m or n for a given name, `family` else: what stands last of several is a family name."""
    given = making.lists.given.get(folded)
    if n > 1 and is_last and (given is None or folded in making.lists.family):
        return "family"
    if given is not None and (n > 1 or folded not in making.lists.family):
        return given
    return making.genders.get(folded, "n") if n > 1 and not is_last else "family"


def _drawn_name(folded: str, role: str, number: int, making: Making) -> str | None:
    pool = _pool(making.language, role)
    name = making.draw.choose(pool, "name", role, folded, str(number))
    if number >= TRIES // 2:  # a long list of people: two names make more than there are of one
        other = making.draw.choose(pool, "second", role, folded, str(number))
        name = f"{name}-{other}"
    return None if name.lower() == folded else name


@lru_cache(maxsize=16)
def _pool(language: str, role: str) -> tuple[str, ...]:
    """Names that may stand in: of the lists, and none that is a word or a thing's too."""
    words = shipped_words()
    kinds = {"family": [f"family_{language}"], "n": [f"given_{language}_{g}" for g in "fm"]}
    names = {n for k in kinds.get(role, [f"given_{language}_{role}"]) for n in words[k].split()}
    barred = {w.lower() for k in ("ambiguous", "eponyms", "never") for w in words[k].split()}
    given = {n.lower() for g in "fmn" for n in words[f"given_{language}_{g}"].split()}
    barred |= given if role == "family" else set()
    return tuple(sorted(n for n in names if n.lower() not in barred and len(n) > 2))


def email(kind: str, text: str, making: Making) -> str:
    """An address at example.org, made of the surrogates of the names that it holds."""
    local = re.split(r"@|[(\[]\s?(?:at|ät)", text, maxsplit=1, flags=re.IGNORECASE)[0].strip()
    known = [making.made.get(("name", piece.lower())) for piece in re.split(r"[._-]", local)]
    if any(known):
        pieces = re.split(r"([._-])", local)
        made = "".join(
            ascii_name(making.made.get(("name", p.lower()), "")) or p[:1] for p in pieces
        )
        if ascii_name(local) != made:
            return f"{made}@example.org"
    plain = text.lower().replace(" ", "")
    pool = _pool(making.language, "family")
    return making.once(
        kind,
        plain,
        lambda n: (
            f"{ascii_name(making.draw.choose(pool, kind, plain, str(n)))}"
            f"{making.draw.number('digits', plain, str(n), below=90) + 10}@example.org"
        ),
    )


def login(kind: str, text: str, making: Making) -> str:
    """A user name made of the surrogate of the name that it holds, or of another name."""
    plain = text.lower()
    names = ((old, new) for (sort, old), new in making.made.items() if sort == "name")
    known = next((new for old, new in names if len(old) > 3 and ascii_name(old) in plain), None)
    pool = _pool(making.language, "family")

    def attempt(number: int) -> str:
        stem = known or making.draw.choose(pool, kind, plain, str(number))
        digits = making.draw.number("digits", kind, plain, str(number), below=90) + 10
        return f"{ascii_name(stem)}{digits}"

    return making.once(kind, plain, attempt)


def web_address(kind: str, text: str, making: Making) -> str:
    """A page of example.org."""

    def attempt(number: int) -> str:
        return "https://example.org/" + making.draw.stream(kind, text, str(number), n=4).hex()

    return making.once(kind, text, attempt)


def ip_address(kind: str, text: str, making: Making) -> str:
    """An address of the networks that are kept for documents (RFC 5737, RFC 3849)."""

    def attempt(number: int) -> str:
        last = making.draw.number(kind, text, str(number), below=254) + 1
        return f"2001:db8::{last:x}" if ":" in text else f"192.0.2.{last}"

    return making.once(kind, text, attempt)


_STREET_END = re.compile(
    r"(straße|strasse|str\.?|weg|platz|allee|gasse|ring|damm|ufer|chaussee|steig|pfad|markt|hof"
    r"|wall)\Z",
    re.IGNORECASE,
)
_HOUSE_EN = re.compile(
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|close|way|boulevard|blvd|terrace"
    r"|place|pl|square|sq|crescent|cres|gardens|gdns|hill|row|parkway|pkwy|circle|trail|grove|mews"
    r"|highway|hwy|walk|flat|apt|apartment|unit|suite|p|o|box|postfach|am|an|im|in|auf|zum|zur"
    r"|unter|der|den|dem|[a-h]|[nsew])\Z",
    re.IGNORECASE,
)


def address(kind: str, text: str, making: Making) -> str:
    """Another street of the same sort, another number."""
    return _with_places(kind, text, making, "street")


def town(kind: str, text: str, making: Making) -> str:
    """Another town, another postcode of the same form."""
    return _with_places(kind, text, making, "town")


_PIECE = re.compile(r"\d+|[^\W\d_]+(?:[-’'][^\W\d_]+)*\.?")


def _with_places(kind: str, text: str, making: Making, what: str) -> str:
    """Numbers scrambled, names of places drawn; words such as `Street` and `an der` stay."""
    postcode = any(ch.isdecimal() for ch in text) and not any(
        len(p) > 3 for p in re.findall(r"[^\W\d_]+", text)
    )
    if what == "town" and postcode:
        return numbered()(kind, text, making)

    def put(match: re.Match[str]) -> str:
        word = match[0]
        if word.isdecimal():
            return (
                making.once("house", word, lambda n: making.draw.scramble(word, what, word, str(n)))
                if len(word) > 2
                else making.draw.scramble(word, what, word)
            )
        return _place_word(word, making, what, pool)

    german = making.language == "de" or any(map(_STREET_END.search, text.split()))
    pool = shipped_words()[f"{'de' if german else 'en'}_{what}"].split()
    return _PIECE.sub(put, text)


def _place_word(word: str, making: Making, what: str, pool: list[str]) -> str:
    bare = word.rstrip(".")
    if len(bare) == 1 or (what == "town" and len(bare) == 2 and bare.isupper()):
        return word
    if _HOUSE_EN.match(bare) or _STREET_END.fullmatch(bare):
        return word
    end = _STREET_END.search(word)
    stem, tail = (word[: end.start()], end[0]) if end and end.start() > 2 else (word, "")
    new = making.once(what, stem.lower(), lambda n: _drawn_place(pool, stem, n, making)) + tail
    return new.upper() if word.isupper() else new.lower() if word.islower() else new


def _drawn_place(pool: list[str], stem: str, number: int, making: Making) -> str:
    name = making.draw.choose(pool, "place", stem.lower(), str(number))
    if number < TRIES // 2:
        return name
    return name + making.draw.choose(pool, "second place", stem.lower(), str(number)).lower()


def learn_genders(text: str, making: Making) -> None:
    """What `Frau Özdemir` says of a name that no list knows: kept for its given name."""
    tokens = tokens_of(text)
    for title, name in pairwise(tokens):
        gender = "f" if title.folded in _FEMALE else "m" if title.folded in _MALE else None
        if gender is not None and name.folded not in making.lists.family:
            making.genders.setdefault(name.folded, gender)
