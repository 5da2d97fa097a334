"""Names of people, firms, products and places in a text, found by their capitals."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evaluators.checks.facts.dates import MONTHS, SHORT_DAYS, WEEKDAYS
from evaluators.checks.facts.known_names import BODIES, GIVEN, PLACES
from evaluators.checks.facts.numerals import is_german
from evaluators.checks.text.claims import word_set
from evaluators.checks.text.lettering import spellings
from evaluators.checks.text.memo import remembered

_CAPITAL = re.compile(r"[A-ZÀ-ÖØ-Þ](?<![\w@#&/-].)\w*(?:['’-][A-Za-zÀ-ÿ]+)*")
_TITLES = word_set("mr mrs ms miss dr prof professor sir herr herrn frau mx")
_GERMAN_CUE = re.compile(
    r"\b(?:Herrn?|Frau|Dr\.|Prof\.|Familie|Firma)[ \u00a0]+((?:(?:Dr|Prof)\.[ \u00a0]+)*"
    r"[A-ZÄÖÜ][\w-]+(?:[ \u00a0]+"
    r"(?!(?:Sie|Ihr\w*|Ihnen|Mit|Vielen|Wir|Bitte|Am|Im|Die|Der|Das|Es)\b)"
    r"[A-ZÄÖÜ][\w-]+)?)"
)
# A firm is the same with the form of its company and without.
_FORMS = word_set(
    "inc incorporated corp corporation co company ltd limited llc llp lp plc pty gmbh ag kg "
    "kgaa ohg gbr ug ev se sa sas sarl spa srl bv nv oy ab as aps holding holdings group"
)
_PLAIN = word_set(
    "i a an the and but or if no yes ok okay hi hello dear please thanks thank regards "
    "sincerely am pm us uk eu note summary customer agent patient doctor client caller "
    "reference subject re fyi faq id tv pc url pdf sms dna ceo it its he she they we you "
    # What a record calls its parts: `Plan Nomad Plus` names the plan, not its being one.
    "plan tariff ticket order invoice bill contract price term account number case call "
    "callback credit delivery item product section page table figure appendix chapter article "
    "clause paragraph schedule exhibit "
    # How a letter begins and ends.
    "best kind kindest warm warmest yours faithfully truly cordially greetings cheers "
    "respectfully grüße gruß grüßen grüsse freundliche freundlichen freundlicher herzliche "
    "herzlichen viele liebe lieber mit ihr ihre euer guten tag hallo sehr geehrte geehrter "
    "vielen dank "
    # What leads a sentence, or a name, and is none.
    "moreover furthermore additionally therefore thus hence however also overall finally "
    "president king queen minister senator judge captain "
    "mother father mom mum dad brother sister grandmother grandfather husband wife"
)
# Who signs a letter is whose name stands beside these.
_DESKS = word_set(
    "team support service services care desk helpdesk department office hotline staff sales "
    "billing kundenservice kundendienst kundenbetreuung serviceteam"
)
_COMPOUND = re.compile(r"-[a-zà-ÿ]")
_SENTENCE_END = frozenset('.!?:;\n•*-–—"“”„«»()[]|>#')


@dataclass(frozen=True, slots=True)
class Name:
    """A capitalised word, or several in a row, that stand for one thing."""

    start: int
    end: int
    words: tuple[str, ...]


def find_names(text: str, words: frozenset[str]) -> list[Name]:
    """Names in an English text, or those announced by Herr, Frau, Dr. and the like in a German one.

    A single capital at the head of a sentence is no sign of a name.
    """
    if is_german(words):
        return [
            Name(m.start(1), m.end(1), tuple(re.findall(r"[\w-]+", m[1])))
            for m in _GERMAN_CUE.finditer(text)
        ]
    runs = _runs(text)
    titled = _titled_lines(text)
    return [
        Name(run[0].start(), run[-1].end(), tuple(_bare(m[0]) for m in run))
        for run in runs
        if not any(a <= run[0].start() < b for a, b in titled)
        and not _is_heading(text, run[-1].end())
        and not all(
            (_is_acronym(m[0]) and m[0] not in BODIES) or m[0].lower() in _DESKS for m in run
        )
    ]


def _is_heading(text: str, end: int) -> bool:
    """Capitals before a colon head a field of a form: `Plan:`, `VITAL SIGNS:`."""
    return text[end : end + 2] in (": ", ":\n", ":")


def _is_acronym(word: str) -> bool:
    """To abbreviate is not to invent, so short words in capitals claim nothing: `AI-based` too."""
    letters = _bare(word).partition("-")[0] if _COMPOUND.search(word) else _bare(word)
    return len(letters) <= 4 and sum(map(str.isupper, letters)) >= max(1, len(letters) - 1)


def _runs(text: str) -> list[list[re.Match[str]]]:
    runs: list[list[re.Match[str]]] = []
    current: list[re.Match[str]] = []
    for m in _CAPITAL.finditer(text):
        if _is_plain(m[0]):
            continue
        opens = opens_sentence(text, m.start())
        if current and text[current[-1].end() : m.start()] in (" ", "\u00a0"):
            current.append(m)
            continue
        runs.append(current)
        named = not opens or _is_known(m[0]) or _leads_name(text, m) or _acts(text, m)
        current = [m] if named else []
    return [run for run in (*runs, current) if run]


def _is_known(word: str) -> bool:
    """A given name, a place, or a body that is known by its letters."""
    bare = _bare(word)
    return bare in BODIES or (lower := bare.lower()) in GIVEN or lower in PLACES


_DEEDS = re.compile(
    r"(?:['’]s)?(?:\sand\s[A-Z][a-z]+)?\s(?:wants|thinks|told|tells|asked|asks|likes|loves|hates|"
    r"invited|invites|reminds|apologi[sz]ed|promised|promises|suggests|wonders|agreed|agrees|"
    r"refuses|works|lives|lived|married|believes|feels|hopes|plans|knows)\b"
)
# Of these the same is told without a determiner before them.
_DOERS = word_set(
    "everyone everybody nobody someone somebody anyone mom mum dad mother father grandma "
    "grandpa police people management staff society nature science research evidence law "
    "policy parliament congress government opposition labour one another neither both none "
    "nothing everything something who what that which technology industry history today "
    "customer client patient user student teacher doctor narrator author speaker host guest "
    "caller agent manager company team counsel"
)


def _acts(text: str, match: re.Match[str]) -> bool:
    """`Mavronis wants to leave`: a lone word that wants, tells or lives is somebody."""
    if _DEEDS.match(text, match.end()) is None:
        return False
    lower = match[0].lower()
    return lower not in _DOERS and lower not in _OPENERS and not lower.endswith(("s", "ing", "ly"))


def _leads_name(text: str, match: re.Match[str]) -> bool:
    """At the head of a sentence only the first of two capitals in a row begins a name."""
    following = _CAPITAL.match(text, match.end() + 1)
    return (
        text[match.end() : match.end() + 1] == " "
        and following is not None
        and not _is_plain(following[0])
        and len(match[0]) > 2
        and match[0].lower() not in _OPENERS
    )


_OPENERS = word_set(
    "in on at for with from by to of as when while after before since during according both "
    "this that these those his her their our my your what where who why how also however and "
    "although because although per via under over then there here not one two all some any "
    "each every most many other another such only even if once until unless "
    "denied denies reported reports probable possible normal unremarkable positive negative"
)


@remembered
def _is_plain(word: str) -> bool:
    lower = _bare(word).lower()
    is_date = lower in MONTHS or lower in WEEKDAYS or word in SHORT_DAYS
    return is_date or lower in _PLAIN or lower in _TITLES


_ENDING = re.compile(r"['’](?:s|S|m|ll|re|ve|d|t)?$")


def _bare(word: str) -> str:
    return word if word.isalnum() else _ENDING.sub("", word)


def opens_sentence(text: str, position: int) -> bool:
    """Whether a word that starts here is the first of its sentence, line or quotation."""
    at = position - 1
    while at >= 0 and text[at] in " \t\u00a0":
        at -= 1
    if at < 0:
        return True
    if text[at] == "." and _is_title_dot(text, at):
        return False
    return text[at] in _SENTENCE_END


_LAST_WORD = re.compile(r"(\w+)$")


def _is_title_dot(text: str, at: int) -> bool:
    """The point of `Dr.` or of an initial ends no sentence."""
    found = _LAST_WORD.search(text, max(0, at - 6), at)
    if found is None:
        return False
    return found[1].lower() in _TITLES or (len(found[1]) == 1 and found[1].isalpha())


_LINE = re.compile(r"[^\n]+")
_LETTERS = re.compile(r"[^\W\d_]+")


def _titled_lines(text: str) -> list[tuple[int, int]]:
    """Lines that are headings: mostly capitalised words, no full stop."""
    spans = []
    for m in _LINE.finditer(text):
        line = m[0].strip()
        if line[-1:] in ".!?,":
            continue
        words = _LETTERS.findall(line)
        if len(words) > 2 and sum(word[0].isupper() for word in words) >= 0.7 * len(words):
            spans.append(m.span())
    return spans


def missing_words(name: tuple[str, ...], source: frozenset[str]) -> list[str]:
    """Words of a name that the source lacks; what kind of company a firm is may be added."""
    free = _FORMS | _DESKS
    named = any(word.casefold() not in free for word in name)
    missing = [word for word in name if not is_supported(word, source)]
    return [word for word in missing if not (named and word.casefold() in free)]


_HYPHEN = re.compile(r"[-'’]")


def is_supported(word: str, source: frozenset[str]) -> bool:
    """Whether a word of a name stands in the source, also inflected or with other letters."""
    parts = [p for p in _HYPHEN.split(word.casefold()) if p]
    return all(
        any(p in source or p.rstrip("s") in source or p + "s" in source for p in spellings(part))
        for part in parts
    )


def is_acronym_of(word: str, initials: str) -> bool:
    """Whether a word in capitals is made of the first letters of words in a row."""
    return word.isupper() and 1 < len(word) <= 6 and word.casefold() in initials


def is_spelled_out(words: tuple[str, ...], source: frozenset[str]) -> bool:
    """Whether a name in several words is what an abbreviation of the source stands for."""
    return len(words) > 2 and "".join(word[0] for word in words).casefold() in source
