"""A text as a reader sees it, whatever it is made of: what every comparison for leaks begins with.

HTML entities are resolved, compatibility forms composed (NFKC), characters that show nothing are
left out, letters that look like others in a Latin text are the Latin ones, case and white space are
folded. Plain lower-case ASCII stays as it is.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

# Letters of other scripts that look like Latin ones (after Unicode's confusables.txt, UTS #39).
_LOOK_ALIKES = str.maketrans(
    # Cyrillic
    "АВЕКМНОРСТУХІЈЅԚԜҮЗ" + "авекмнорстухіјѕһԁԛԝүґӏ"
    # Greek
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "αβεικνορτυχγηωϲϳ"
    # Armenian, Latin letters of phonetics, and others
    "օոսհցՕՍ" + "ɑɡɩıȷʟɴʀᴀᴄᴇᴍᴏᴘᴛᴜᴠᴡᴢꜱℓ",
    "abekmhopctyxijsqwy3" + "abekmhopctyxijshdqwyrl"
    "abezhikmnoptyx" + "abeikvoptyxynwcj"
    "onuhgou" + "agiijlnraceMoptuvwzsl".lower(),
)
_STRANGE = re.compile(f"[{re.escape(''.join(map(chr, _LOOK_ALIKES)))}]")
_MIXED = re.compile(r"\w+")
_LATIN = re.compile(r"[A-Za-z]")
_SHOWING_NOTHING = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800"
_LEFT_OVER = re.compile("(?<=[a-z])[\u0300-\u036f\u0489\u20d0-\u20f0]+")


@lru_cache(maxsize=16384)
def plain_text(text: str) -> str:
    """The text with one spelling for what looks the same, case folded, words parted by a space."""
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = _plain_letters(text)
    return " ".join(text.casefold().split())


def _plain_letters(text: str) -> str:
    shown = "".join(c for c in unicodedata.normalize("NFKC", text) if not _is_hidden(c))
    if _STRANGE.search(shown) is not None:
        latin, strange = len(_LATIN.findall(shown)), len(_STRANGE.findall(shown))
        mostly_latin = latin > strange
        shown = shown.translate(_LOOK_ALIKES) if mostly_latin else _MIXED.sub(_one_script, shown)
    # A mark that composes with no letter is put on it to make another word of it.
    return _LEFT_OVER.sub("", unicodedata.normalize("NFKC", shown).casefold())


def _is_hidden(character: str) -> bool:
    """Zero width, soft hyphens, direction marks, variation selectors, tags, blank fillers."""
    return (
        unicodedata.category(character) == "Cf"
        or character in _SHOWING_NOTHING
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def _one_script(word: re.Match[str]) -> str:
    """A word that mixes Latin letters with others that look like them is a Latin one."""
    return word[0].translate(_LOOK_ALIKES) if _LATIN.search(word[0]) else word[0]
