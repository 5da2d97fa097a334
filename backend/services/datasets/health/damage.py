"""Texts that are not what somebody meant to write: residue of templates, cuts, damaged letters.

Every pattern is an entry with the words in which it is told. Few false alarms matter more than
finding all: a brace alone is code, an "Ã" alone may be Portuguese.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from backend.errors import CannotCompute
from backend.schemas.health import Gain
from backend.services.datasets.health.findings import (
    CONTEXT,
    INPUT,
    REFERENCE,
    Flagged,
    HealthMaterial,
    KindFindings,
    nothing_to_gain,
    share_words,
)
from backend.services.datasets.health.outliers import PARTS, texts_of
from backend.services.datasets.versions import ExampleRow

LEAST_ROWS, LEAST_WORDS = 20, 8
PILE_SHARE, PILE_ROWS = 0.01, 5
TAIL = 12  # characters at the end by which texts of one form are known
_DIGITS = re.compile(r"\d+")
ENDS = re.compile(r"[.!?…。！？।:;)\]}\"'”’»›`*>|]\s*$|https?://\S+\s*$")
ENDING_SHARE = 0.9
MOST_PREFIX_WORDS = 6
PREFIX_SHARE, PREFIX_MOST = 0.02, 0.9


class Residue(NamedTuple):
    """A pattern and the words in which it is told; `parts` are those in which it is no content."""

    words: str
    pattern: re.Pattern[str]
    parts: tuple[str, ...] = (INPUT, CONTEXT, REFERENCE)


def _any(*patterns: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), flags)


_BLANKS = (
    "INSERT|ADD|YOUR|ENTER|FILL|TODO|TBD|PLACEHOLDER|EINFÜGEN|HIER|NAME|DATE|DATUM|COMPANY|FIRMA"
    "|ADDRESS|PHONE"
)
_TAGS = "p|div|span|br|td|tr|table|li|ul|ol|a|b|i|em|strong|font|h[1-6]|script|style"
RESIDUE: tuple[Residue, ...] = (
    Residue("a placeholder in double braces", _any(r"\{\{\s*[\w.\- |]{1,60}\s*\}\}")),
    Residue(
        "a placeholder of a template language",
        _any(r"\{%-?\s*\w[^%]{0,80}%\}", r"<%=?[^%]{1,80}%>", r"\$\{\w{1,40}\}"),
    ),
    Residue(
        "a placeholder in brackets",
        _any(
            rf"\[\s*(?:{_BLANKS})[A-Z0-9ÄÖÜ _:,./'-]{{0,60}}\]",
            r"\[(?:insert|add|your|enter) [^\]\n]{1,60}\]",
            r"<(?:INSERT|YOUR|NAME|DATE)[A-Z _]{0,40}>",
        ),
    ),
    Residue("filler text", _any(r"\blorem ipsum\b", r"\bTODO:", r"\bX{6,}\b", flags=re.IGNORECASE)),
    Residue(
        "what a model says of itself",
        _any(
            r"\bas an? (?:AI|artificial intelligence)\b",
            r"\bI(?:'m| am) (?:just |only )?an? (?:AI|(?:large )?language model)\b",
            r"\bmy (?:knowledge|training)(?: data)? cut-?off\b",
            r"\bals (?:eine? )?(?:KI(?:-\w+)?|(?:großes )?Sprachmodell),? (?:kann|habe|bin|darf)\b",
            r"\ben tant qu(?:'|e )(?:IA|intelligence artificielle|modèle de langage)\b",
            flags=re.IGNORECASE,
        ),
        (REFERENCE,),
    ),
    Residue(
        "the opening that a model puts before its answer",
        _any(
            r"\A\s*(?:Sure|Certainly|Of course|Absolutely)[!,.]\s+(?:here|I)\b",
            r"\A\s*Here(?:'s| is) (?:a|the|your) (?:summary|response|answer|rewritten|revised|"
            r"corrected|translation)\b[^\n]{0,80}:",
            r"\A\s*(?:Natürlich|Gerne|Selbstverständlich)[!,]\s+hier (?:ist|sind)\b",
            flags=re.IGNORECASE,
        ),
        (REFERENCE,),
    ),
    Residue(
        "marks of a chat template",
        _any(
            r"<\|(?:im_start|im_end|endoftext|eot_id|begin_of_text|start_header_id|end_header_id"
            r"|user|assistant|system)\|>",
            r"\[/?INST\]",
            r"<</?SYS>>",
            r"<(?:start|end)_of_turn>",
            r"</s>",
            r"^### (?:Response|Instruction|Input|Antwort):",
            flags=re.MULTILINE,
        ),
    ),
    Residue(
        "left-overs of HTML",
        _any(
            rf"</(?:{_TAGS})\s*>",
            r"<br\s*/?>",
            rf"<(?:{_TAGS}|img)\s+[\w-]+\s*=\s*[\"'][^>]{{0,200}}>",
            r"&(?:nbsp|amp|lt|gt|quot|apos|#\d{2,6}|#x[0-9a-f]{2,5});",
            flags=re.IGNORECASE,
        ),
    ),
)
# UTF-8 that was read as Windows-1252 or Latin-1, once or twice.
_FOLLOWS = (
    "[\u0080-\u00bf\u0152\u0153\u0160\u0161\u017d\u017e\u0178\u0192\u02c6\u02dc\u2013\u2014"
    "\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
_MOJIBAKE = re.compile(
    f"[\u00c2-\u00c5]{_FOLLOWS}|[\u00e2\u00e3]{_FOLLOWS}{{2}}|\u00f0\u0178{_FOLLOWS}"
    "|\u00ef\u00bf\u00bd|\u00ef\u00bb\u00bf"
)
# Once in a text it is a space that lacks; twice, it stands for letters that were lost.
_MARKED = re.compile(r"(?<=[^\W\d_])\?+(?=[^\W\d_]).{0,200}?[^\W\d_]\?+[^\W\d_]", re.DOTALL)
ENCODING: Mapping[str, re.Pattern[str]] = {
    "letters of one encoding read as another (mojibake)": _MOJIBAKE,
    "the mark of a letter that was lost (U+FFFD)": re.compile("\ufffd+"),
    "control characters": re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+"),
    "question marks within words": _MARKED,
    "an escape written out": re.compile(r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}"),
}


def find_residue(material: HealthMaterial) -> KindFindings:
    """What a template, a chat model or a web page left in a text, and openings that many share."""
    texts = texts_of(material, free=True)
    rows = [
        Flagged(identity, part, f"Holds {kind.words}.", met.start(), met.end(), 1.0)
        for part, found in texts.items()
        for identity, text in found
        for kind in RESIDUE
        if part in kind.parts and (met := kind.pattern.search(text)) is not None
    ]
    rows += _prefixes(texts.get(REFERENCE, []))
    n = len(material.rows)
    flagged = len({row.id for row in rows})
    gain = nothing_to_gain("none is flagged.")
    if rows:
        gain = Gain(
            f"{share_words(flagged, n)} rows hold some: a model that learns them writes the "
            "like about as often. Strip it, or leave the rows out."
        )
    found = Counter(row.why for row in rows).most_common()
    details = tuple({"what": why, "rows": count} for why, count in found)
    return KindFindings(tuple(rows), n, gain, details=details)


def _prefixes(texts: Sequence[tuple[str, str]]) -> Iterator[Flagged]:
    """References that begin with the same six words: boilerplate, where others do not."""
    heads: dict[str, list[tuple[str, int]]] = {}
    for identity, text in texts:
        words = list(re.finditer(r"\S+", text))
        if len(words) > 2 * MOST_PREFIX_WORDS:
            end = words[MOST_PREFIX_WORDS - 1].end()
            heads.setdefault(" ".join(text[:end].lower().split()), []).append((identity, end))
    least = max(LEAST_ROWS, PREFIX_SHARE * len(texts))
    for found in heads.values():
        if least <= len(found) <= PREFIX_MOST * len(texts):
            others = len(found) - 1
            why = f"Begins with the same {MOST_PREFIX_WORDS} words as {others} other references."
            yield from (Flagged(i, REFERENCE, why, 0, end, 0.5) for i, end in found)


def find_empty(material: HealthMaterial) -> KindFindings:
    """Rows without input or reference, or with one that holds no letter and no digit."""
    with_context = sum(bool((row.context or "").strip()) for row in material.rows)
    rows = []
    for row in material.rows:
        if not _holds(row.input):
            rows.append(Flagged(row.external_id, INPUT, "Holds no letter and no digit.", score=1.0))
        if not row.references or not _holds(row.references[0]):
            why = "Holds no letter and no digit." if row.references else "There is no reference."
            rows.append(Flagged(row.external_id, REFERENCE, why, score=1.0))
        if 2 * with_context > len(material.rows) and not _holds(row.context or ""):
            why = "There is no source, and most rows have one."
            rows.append(Flagged(row.external_id, CONTEXT, why, score=1.0))
    n = len(material.rows)
    left = n - len({row.id for row in rows})
    sentence = f"{left} of {n} rows are whole: no more can be learned from or tested on."
    return KindFindings(tuple(rows), n, Gain(sentence, "rows that are whole", float(left), n=n))


def _holds(text: str) -> bool:
    return any(letter.isalnum() for letter in text)


def find_cut(material: HealthMaterial) -> KindFindings:
    """References and sources that end within a word or sentence, or all at one greatest length.

    Where nine of ten texts of a part end as sentences do, one that does not is cut; a pile-up of
    texts at the greatest length is a limit that somebody set.

    Raises:
        CannotCompute: no part has twenty texts of eight words.
    """
    rows: list[Flagged] = []
    notes, n = [], 0
    for part, texts in texts_of(material, free=True).items():
        long = [(i, t) for i, t in texts if len(t.split()) >= LEAST_WORDS]
        if len(long) < LEAST_ROWS:
            continue
        n = max(n, len(long))
        piled = _piled(long)
        most = max(len(text) for _, text in long)
        why = f"{len(piled)} texts are exactly {most} characters long, and none is longer."
        rows += [Flagged(i, part, why, most - 1, most, 1.0) for i, _ in long if i in piled]
        ended = sum(ENDS.search(text) is not None for _, text in long) / len(long)
        if ended >= ENDING_SHARE:
            rows += _without_mark(part, [(i, t) for i, t in long if i not in piled], ended)
        else:
            notes.append(f"{part}: only {ended:.0%} end with a mark, so that its lack says nothing")
    if not n:
        raise CannotCompute(f"It takes {LEAST_ROWS} texts of eight words to say which are cut.")
    gain = nothing_to_gain("a model learns to stop where its texts stop; get the whole texts.")
    return KindFindings(tuple(rows), n, gain, notes=tuple(notes))


def _without_mark(part: str, texts: Sequence[tuple[str, str]], ended: float) -> Iterator[Flagged]:
    for identity, text in texts:
        if ENDS.search(text) is None:
            why = f"Ends without a mark, as {1 - ended:.1%} of the texts do."
            end = len(text.rstrip())
            yield Flagged(identity, part, why, end - 1, end, round(ended, 3))


def _piled(texts: Sequence[tuple[str, str]]) -> set[str]:
    """Ids of texts at the greatest length, where so many share it that it is a limit.

    Most of them end without a mark then, and where a limit cuts, no two end alike: copies of one
    text, and sentences of one form, are as long as each other and end in the same words.
    """
    most = max(len(text) for _, text in texts)
    at = [(identity, text) for identity, text in texts if len(text) == most]
    different = {text for _, text in at}
    cut = sum(ENDS.search(text) is None for text in different)
    ends = {_DIGITS.sub("0", text[-TAIL:].casefold()) for text in different}
    enough = len(different) >= max(PILE_ROWS, PILE_SHARE * len({text for _, text in texts}))
    limit = enough and 2 * cut >= len(different) and 2 * len(ends) >= len(different)
    return {identity for identity, _ in at} if limit else set()


def find_encoding(material: HealthMaterial) -> KindFindings:
    """Texts with letters that were damaged on the way."""
    rows = [
        Flagged(identity, part, f"Holds {words}.", met.start(), met.end(), 1.0)
        for part, texts in texts_of(material, free=False).items()
        for identity, text in texts
        for words, pattern in ENCODING.items()
        if (met := pattern.search(text)) is not None
    ]
    by_id = {row.external_id: row for row in material.rows}
    mended = sum(_mendable(by_id[flag.id], flag) for flag in rows)
    gain = nothing_to_gain("none is flagged.")
    if rows:
        gain = Gain(
            f"{mended} of {len(rows)} places can be read back without loss by reading the file as "
            "UTF-8; the others need the original.",
            "places that can be read back",
            float(mended),
            n=len(rows),
        )
    return KindFindings(tuple(rows), len(material.rows), gain)


def _mendable(row: ExampleRow, flag: Flagged) -> bool:
    """Whether the text is UTF-8 that was read as Windows-1252 and nothing else."""
    if "mojibake" not in flag.why:
        return False
    text = PARTS[flag.part](row)
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8") != text
        except UnicodeError:
            continue
    return False
