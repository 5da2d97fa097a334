"""Words of any script, and which scripts a tokeniser of English makes nothing of.

`unicode_tokens` are runs of letters, marks and digits of the NFKC-normalised, case-folded text. In
scripts that are written without spaces (Han, kana, Thai, Lao, Khmer, Burmese, Tibetan) every
character with its marks is a token, as in sacrebleu's `zh` and `char`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

from evaluators.types import Score

LITTLE = 0.5
_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3040-\u30ff"
_HANGUL = "\uac00-\ud7af"
_OTHER = "\u0e01-\u0eff\u0f40-\u0fff\u1000-\u109f\u1780-\u17ff"
_UNSPACED = _HAN + _KANA + _OTHER


class Script(IntEnum):
    """A script of which a split at spaces makes too few words."""

    HAN = 1
    KANA = 2
    HANGUL = 3
    SOUTHEAST_ASIAN = 4


_SCRIPTS = {
    Script.KANA: re.compile(f"[{_KANA}]"),
    Script.HAN: re.compile(f"[{_HAN}]"),
    Script.HANGUL: re.compile(f"[{_HANGUL}]"),
    Script.SOUTHEAST_ASIAN: re.compile(f"[{_OTHER}]"),
}
_LETTER = re.compile(r"[^\W_]")
_ASCII_LETTER = re.compile(r"[a-z0-9]", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=1)
def _token_pattern() -> re.Pattern[str]:
    marks = [c for c in map(chr, range(0x300, 0x10000)) if unicodedata.category(c)[0] == "M"]
    mark = f"[{''.join(marks)}\u200c\u200d]"
    single = f"[{_UNSPACED}]"
    return re.compile(rf"(?:{single}{mark}*|(?:(?!{single})[^\W_])(?:(?!{single})[^\W_]|{mark})*)")


def unicode_tokens(text: str) -> list[str]:
    """The words of a text in any script."""
    return _token_pattern().findall(unicodedata.normalize("NFKC", text).casefold())


def has_letters(text: str) -> bool:
    """Whether a letter or a digit of any script is there."""
    return _LETTER.search(text) is not None


def ascii_share(text: str) -> float:
    """The share of a text's letters and digits that are a-z and 0-9; 1 where there are none."""
    if text.isascii():
        return 1.0
    kept, letters = len(_ASCII_LETTER.findall(text)), len(_LETTER.findall(text))
    return kept / letters if letters else 1.0


def script_of(text: str) -> Script | None:
    """The script in which a good part of a text is written without spaces (Korean: with few)."""
    if text.isascii():
        return None
    letters = len(_LETTER.findall(text))
    found = {script: len(pattern.findall(text)) for script, pattern in _SCRIPTS.items()}
    if sum(found.values()) < 0.3 * letters or not letters:
        return None
    if found[Script.KANA] >= 0.1 * letters:
        return Script.KANA
    return max(found, key=lambda script: found[script])


def unspaced_note(scores: Sequence[Score], place: int, instead: str) -> str:
    """A sentence on the scores of texts without spaces, whose script is kept as a statistic.

    Args:
        place: of the script among the statistics.
        instead: what splits such texts.
    """
    marked = sum(len(score.stats) > place for score in scores)
    if not marked:
        return ""
    return (
        f"{marked} of {len(scores)} are in a script without spaces, of which this makes a word a "
        f"sentence: {instead}"
    )
