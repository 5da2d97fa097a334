"""Planted errors of polarity: denials put in or taken out, opposites, directions."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from evaluators.checks.planting.plant_ground import Ground, TextEdit, with_case
from evaluators.checks.planting.plant_words import DIRECTIONS, FIXED, OPPOSITES, VERBS
from evaluators.checks.text.claims import listed
from evaluators.checks.text.lettering import plain_case


class _Verb(NamedTuple):
    base: str
    third: str
    past: str
    participle: str


Way = Callable[[str], Iterator[TextEdit]]
_FORMS = [_Verb(row[0], row[1], row[2], row[-1]) for row in VERBS]
_BY_BASE = {verb.base: verb for verb in _FORMS}
_BY_THIRD = {verb.third: verb for verb in _FORMS}
_BY_PAST = {verb.past: verb for verb in _FORMS if verb.past != verb.base}

# A sentence with one of these is left as it is: a denial in it might deny nothing.
_SHAKY = {
    "en": re.compile(
        r"\?|[\"“”]|\b(?:if|whether|unless|until|without|neither|nor|nobody|nothing|none|hardly|"
        r"barely|rarely|only|too|already|instead|rather|either|not only|no longer|no doubt|"
        r"no more|why|so that)\b",
        re.IGNORECASE,
    ),
    "de": re.compile(
        r"\?|[\"“”„]|\b(?:wenn|falls|ob|ohne|weder|noch|niemand|nichts|kaum|selten|nur|sondern|"
        r"nicht nur|nicht mehr|mehr)\b",
        re.IGNORECASE,
    ),
}
_DENIES = {
    "en": re.compile(r"\b(?:no|not|never|cannot|den(?:y|ies|ied|ying))\b|n['’]t\b", re.IGNORECASE),
    "de": re.compile(r"\b(?:nicht|nie|niemals|kein\w*)\b", re.IGNORECASE),
}


def find_negations(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """Denials taken out where a sentence has one, and put in where it has none."""
    language = ground.language
    for start, end in ground.sentences:
        sentence = ground.output[start:end]
        if _SHAKY[language].search(sentence):
            continue
        denied = len(_DENIES[language].findall(sentence))
        if denied > 1:
            continue
        for find in (_REMOVE if denied else _INSERT)[language]:
            for edit in find(sentence):
                yield TextEdit(start + edit.start, start + edit.end, edit.new)


_AUX = (
    "is are was were can could will would should must has have had does do did may might shall am"
)
_AUXILIARY = "|".join(_AUX.split())
_ADVERBS = r"(?:also |currently |recently |ever |actually |really |yet |still |just )?"


def _remove_not(sentence: str) -> Iterator[TextEdit]:
    """`was not ill` is `was ill`; `did not smoke` is `smoked`."""
    pattern = rf"\b({_AUXILIARY}|ca|wo)(?:\s(not|never)|(n['’]t)|(not))\s({_ADVERBS})(\w+)"
    for m in re.finditer(pattern, sentence, re.IGNORECASE):
        lead, verb = m[1].lower(), m[6].lower()
        if (m[3] or m[4]) and lead not in (*_AUX.split(), "ca", "wo"):
            continue
        lead = {"ca": "can", "wo": "will"}.get(lead, lead)
        if lead in ("do", "does", "did"):
            known = _BY_BASE.get(verb)
            if known is None:
                continue
            new = {"do": known.base, "does": known.third, "did": known.past}[lead]
            stretch = m[5].replace("ever ", "").replace("yet ", "") + new
        else:
            stretch = f"{lead} {m[5]}{m[6]}".replace(" ever ", " ").replace(" yet ", " ")
        yield from _freed(sentence, m.start(), m.end(), with_case(stretch, m[1]))


def _remove_never(sentence: str) -> Iterator[TextEdit]:
    for m in re.finditer(r"\bnever\s(\w+)", sentence):
        if m[1].lower() in _BY_PAST or m[1].lower() in _BY_THIRD:
            yield from _freed(sentence, m.start(), m.end(), m[1])


def _remove_no(sentence: str) -> Iterator[TextEdit]:
    """`No fever or chills` is `Fever and chills`."""
    for m in re.finditer(r"\b([Nn]o)\s(?:(?:known|evidence of|signs? of)\s)?([a-z]\w+)", sentence):
        if m[2] in ("one", "way", "matter", "idea", "need", "issue", "problem", "change", "less"):
            continue
        rest = m[0][len("no ") :]
        yield from _freed(sentence, m.start(), m.end(), with_case(rest, m[1]))


_ADMITS = {"denies": "reports", "denied": "reported", "deny": "report", "denying": "reporting"}


def _remove_denial(sentence: str) -> Iterator[TextEdit]:
    """`denies chest pain` is `reports chest pain`."""
    pattern = r"\b(denies|denied|deny|denying)\s(?!the\b|a\b|his\b|her\b|their\b|by\b)(any\s)?(\w+)"
    for m in re.finditer(pattern, sentence, re.IGNORECASE):
        before = sentence[max(0, m.start() - 8) : m.start()].lower()
        if not before.endswith(("was ", "were ", "been ", "is ", "be ")):
            new = f"{_ADMITS[plain_case(m[1]).lower()]} {m[3]}"
            yield from _freed(sentence, m.start(), m.end(), with_case(new, m[1]))


_CLAUSE_END = re.compile(r"[.;:]|,?\s(?:but|although|though|however|except)\b|$")


def _freed(sentence: str, start: int, end: int, new: str) -> Iterator[TextEdit]:
    """The edit with what a denial asks for in its clause made plain: `or` and `any`."""
    stop = _CLAUSE_END.search(sentence, end)
    rest = sentence[end : stop.start() if stop else len(sentence)]
    plain = re.sub(r"\bor\b", "and", re.sub(r"\bany\s", "", rest))
    if re.search(r"\b(?:anymore|at all|yet|ever|much)\b", rest):
        return
    if plain != rest:
        cut = len(rest) - len(_common_tail(rest, plain))
        changed = plain[: len(plain) - (len(rest) - cut)]
        yield TextEdit(start, end + cut, new + changed)
    else:
        yield TextEdit(start, end, new)


def _common_tail(one: str, other: str) -> str:
    size = 0
    while size < min(len(one), len(other)) and one[-1 - size] == other[-1 - size]:
        size += 1
    return one[len(one) - size :]


def _rule(pattern: str, new: str, *, group: int = 0) -> Way:
    """A group of every match of a pattern for others, as `re.Match.expand` writes them."""
    compiled = re.compile(pattern)

    def find(sentence: str) -> Iterator[TextEdit]:
        for m in compiled.finditer(sentence):
            yield TextEdit(*m.span(group), m.expand(new))

    return find


def _insert_did_not(sentence: str) -> Iterator[TextEdit]:
    """`takes aspirin` is `does not take aspirin`, `took` is `did not take`."""
    lead = r"(?:^|[Hh]e|[Ss]he|[Ii]t|[Tt]hey|[Ww]ho|[Tt]he \w+|[A-Z]\w+)\s"
    for m in re.finditer(rf"{lead}(?:(?:also|currently|then)\s)?(\w+)\s(?=[a-z\d])", sentence):
        word = m[1]
        if (verb := _BY_THIRD.get(word)) is not None and word != "has":
            yield TextEdit(m.start(1), m.end(1), f"does not {verb.base}")
        elif (verb := _BY_PAST.get(word)) is not None and word not in ("had", "left", "saw"):
            yield TextEdit(m.start(1), m.end(1), f"did not {verb.base}")


_TO_DENIAL = {"reports": "denies", "reported": "denied", "endorses": "denies", "notes": "denies",
              "confirmed": "denied", "confirms": "denies", "states": "denies"}  # fmt: skip


def _insert_denial(sentence: str) -> Iterator[TextEdit]:
    """`reports chest pain` is `denies chest pain`; and `Fever.` alone is `No fever.`"""
    for m in re.finditer(
        r"\b(reports|reported|endorses|notes|confirmed|confirms)\s(?!no)(?=[a-z])", sentence
    ):
        if not sentence[m.end() :].startswith(("that ", "to ", "by ", "in ", "on ")):
            yield TextEdit(m.start(1), m.end(1), _TO_DENIAL[m[1]])
    found = re.fullmatch(r"([A-Z][a-z]+)((?:\s[a-z]+){0,2})\.?", sentence)
    if found is not None and not re.search(
        r"(?:ed|ing|s|ly|able|ible|al|ic|ive|ous|y)$", found[1] + found[2]
    ):
        yield TextEdit(0, found.end(1), f"No {found[1][0].lower()}{found[1][1:]}")


_GERMAN_AUX = (
    r"ist|sind|war|waren|wird|werden|wurde|wurden|kann|können|konnte|konnten|darf|dürfen|muss|"
    r"müssen|soll|sollen|hat|haben|hatte|hatten"
)
_FEMININE = re.compile(r"(?:ung|heit|keit|ion|ie|tät|schaft|ei|ik|enz|anz|ur)$")
_PLURAL = re.compile(r"(?:en|ern|eln|s)$")


def _remove_nicht(sentence: str) -> Iterator[TextEdit]:
    for m in re.finditer(r"(\w+)\snicht\s(?=[a-zäöüß\d])|(\w+)\snicht(?=[.,;]|$)", sentence):
        word = m[1] or m[2]
        new = f"{word} " if m[1] else word
        yield TextEdit(m.start(), m.end(), new)


def _remove_kein(sentence: str) -> Iterator[TextEdit]:
    """`keinen Hund` is `einen Hund`, `keine Schmerzen` is `Schmerzen`; unclear endings are left."""
    for m in re.finditer(r"\b([Kk])ein(e|en|em|er|es)\s((?:[a-zäöüß]+\s)?)([A-ZÄÖÜ]\w+)", sentence):
        if m[2] != "e" or _FEMININE.search(m[4]):
            new = f"ein{m[2]} {m[3]}{m[4]}"
        elif _PLURAL.search(m[4]) and not m[3]:
            new = m[4]
        else:
            continue
        yield TextEdit(m.start(), m.end(), with_case(new, m[0]))


_REMOVE: Mapping[str, Sequence[Way]] = {
    "en": (_remove_not, _remove_never, _remove_no, _remove_denial),
    "de": (_remove_nicht, _rule(r"\b(?:nie|niemals)\s", "immer "), _remove_kein),
}
_INSERT: Mapping[str, Sequence[Way]] = {
    "en": (
        # `was ill` is `was not ill`, `has been ill` `has not been ill`, `a fever` `no fever`
        _rule(
            r"\b(is|are|was|were|can|could|will|would|should|must)\s(?!to\b|there\b|it\b)(?=[a-z])",
            r"\1 not ",
        ),
        _rule(r"\b(has|have|had)\s(?=(?:been|\w{2,}ed)\s)", r"\1 not "),
        _rule(r"\b(has|have|had)\s(?:an?|some)\s(?!lot|few|little|bit|number)", r"\1 no "),
        *(_insert_did_not, _insert_denial),
    ),
    "de": (
        # before the participle, infinitive or adjective that ends the clause of an auxiliary
        _rule(
            rf"\b(?:{_GERMAN_AUX})\s(?:[^,;.:]*\s)?([a-zäöüß]{{3,}}(?:t|en|ig|lich|bar))(?=[.,;]|$)",
            r"nicht \1",
            group=1,
        ),
        # `eine Kopie` is `keine Kopie`
        _rule(
            r"\b(ein(?:e|en|em|er|es)?)\s(?!paar\b|wenig\b|bisschen\b)(?=[a-zA-ZÄÖÜ])",
            r"k\1",
            group=1,
        ),
    ),
}


def _pairs(rows: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in listed(rows):
        one, other = (word.replace("_", " ") for word in pair.split("/"))
        found.setdefault(one, other)
        found.setdefault(other, one)
    return found


_ANTONYMS = {language: _pairs(rows) for language, rows in OPPOSITES.items()}
_DIRECTIONS = {language: _pairs(rows) for language, rows in DIRECTIONS.items()}
_FIXED = {language: re.compile(rf"(?i)\b(?:{phrases})\b") for language, phrases in FIXED.items()}


def _matcher(pairs: Mapping[str, str]) -> re.Pattern[str]:
    words = "|".join(map(re.escape, sorted(pairs, key=len, reverse=True)))
    return re.compile(rf"(?i)(?<![\w-])({words})(?![\w-])")


_MATCHERS = {
    id(pairs): _matcher(pairs) for table in (_ANTONYMS, _DIRECTIONS) for pairs in table.values()
}


def find_antonyms(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """Words of our list of opposites, in the form in which they stand."""
    yield from _swaps(ground, _ANTONYMS[ground.language])


def find_directions(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """Words that say which way, how much more, or what came first."""
    yield from _swaps(ground, _DIRECTIONS[ground.language])


def _swaps(ground: Ground, pairs: Mapping[str, str]) -> Iterator[TextEdit]:
    kept = [m.span() for m in _FIXED[ground.language].finditer(ground.output)]
    for m in _MATCHERS[id(pairs)].finditer(ground.output):
        word = m[1]
        new = _partner(ground.output, m, pairs)
        whole = " " in m[1]
        if new is None or (not whole and any(a <= m.start() < b for a, b in kept)):
            continue
        start, end = ground.sentence_at(m.start())
        clause = ground.output[start:end]
        if ground.output[start:end].endswith("?") or _says(clause, new):
            continue
        yield TextEdit(*m.span(), with_case(new, word), near=(new,))


_PART = re.compile(
    r"\s(?:extremit|back|lobe|quadrant|abdom|lip|leg|arm|jaw|body|half|floor|limb|resp|gi\b|end\b|"
    r"teeth|eyelid|lid|lung|chest|deck|level|house)",
    re.IGNORECASE,
)


def _partner(text: str, found: re.Match[str], pairs: Mapping[str, str]) -> str | None:
    """The other word of a pair; `lower` is one of several, told by what follows."""
    if found[1].lower() == "lower" and "upper" in pairs:
        return "upper" if _PART.match(text, found.end()) else "higher"
    return pairs.get(found[1]) or pairs.get(found[1].lower())


def _says(clause: str, word: str) -> bool:
    """`higher or lower`: both stand there, so that a swap changes nothing."""
    return re.search(rf"(?i)(?<!\w){re.escape(word)}(?!\w)", clause) is not None
