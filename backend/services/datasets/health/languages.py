"""Which language a text is in, told without a model: by its script, else by its small words.

Twelve languages of Latin script are told apart by the words that hold sentences together, and by
letters that only they have; eight scripts by themselves. A text of fewer than four words, or one
for which two languages speak about equally, is not called anything: a wrong guess would flag a
right row. How often the guess is right is measured in tests/benchmarks/health_label_errors.py and
told in the guide.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

LEAST_WORDS = 4
LEAST_HITS = 2
LEAD = 1.34
MOST_CHARACTERS = 3_000

SMALL_WORDS: dict[str, str] = {
    "en": "the a no and of to in is was that it for you he she with on are his her this "
    "have has had not but from they we an as at by which or what will would there "
    "their been if can my your me do does i did how why when where could should "
    "please am about after be so need want get got been don't can't i'm it's",
    "de": "der die das und ist nicht ich zu den mit ein eine einen einem einer sich auf für "
    "von dem des im auch es an werden aus er hat dass daß sie nach bei wird noch wie "
    "oder aber wenn nur war sind hatte haben wir mein meine meinen kann man ihr ihre "
    "bitte kein keine über am zum zur vom durch wurde mir mich habe unter",
    "fr": "le la de les des est et un une dans que qui pour pas sur au aux ce cette il elle "
    "je vous nous ne se son sa ses avec par plus mais sont ont été du à où je mon ma "
    "mes votre c'est j'ai être fait sans comme très même leur leurs",
    "es": "el la de los las que y en un una por con no para su al lo como más pero sus le "
    "ya o este sí porque esta entre cuando muy sin sobre también me hasta hay donde "
    "quien desde todo nos es son está mi del tengo ha han fue era cómo qué puedo "
    "usted se",
    "it": "il di che è e la un una per non in sono con del della dei delle gli le lo si da "
    "come più ma anche questo questa al alla ha ho mi ti ci nel nella dal mio mia "
    "perché quando dove cosa posso essere stato hanno era",
    "pt": "o os as de que e do da dos das em um uma para com não por mais no na se como mas "
    "ao ele ela seu sua ou quando muito já eu também pelo pela até isso está são tem "
    "meu minha você foi à nos nas é ser",
    "nl": "de het een en van ik te dat die in is niet zijn op aan met als voor er maar om "
    "hem dan zou of wat mijn men dit zo door over ze zich bij ook tot je mij uit der "
    "daar haar naar heb hoe heeft hebben kan wordt geen werd deze",
    "pl": "nie to się na w i z że do jest a jak o po co tak za dla czy ale od przez przy ma "
    "już tylko był była są ten ta te które który jego jej oraz mnie moje",
    "sv": "och att det som en på är av för med den till inte jag har de ett om var men sig "
    "så vi man hon han från vid kan när nu eller hade skulle mitt min du ska mycket",
    "da": "og at det som en på er af for med den til ikke jeg har de et om var men sig så "
    "vi man hun han fra ved kan når nu eller havde skulle mit min du skal meget hvad "
    "efter blev",
    "fi": "ja on ei se että oli hän mutta en minä niin kun mitä tämä ovat olen joka kuin "
    "jos myös sitä minun ole vain kanssa voi miten tai sen",
    "tr": "ve bir bu da de için ile çok ne o ben mi var daha gibi olarak ama değil kadar "
    "sonra en olan benim nasıl her ki bana şey ise",
}
LETTERS: dict[str, str] = {
    "de": "ß",
    "es": "ñ¿¡",
    "pt": "ãõ",
    "pl": "łąęśźżćń",
    "tr": "ğış",
    "da": "æø",
    "fr": "œêèç",
}
SCRIPTS: dict[str, str] = {
    "zh": "\u4e00-\u9fff",
    "ja": "\u3040-\u30ff",
    "ko": "\uac00-\ud7af",
    "ru": "\u0400-\u04ff",
    "el": "\u0370-\u03ff",
    "ar": "\u0600-\u06ff",
    "he": "\u0590-\u05ff",
    "hi": "\u0900-\u097f",
    "th": "\u0e00-\u0e7f",
}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SCRIPT = {code: re.compile(f"[{ranges}]") for code, ranges in SCRIPTS.items()}
_LETTER = re.compile(r"[^\W\d_]")


@cache
def _speakers() -> dict[str, tuple[tuple[str, float], ...]]:
    """Of each small word the languages that have it, each by how much of the word is its own."""
    spoken: dict[str, list[str]] = {}
    for code, words in SMALL_WORDS.items():
        for word in set(words.split()):
            spoken.setdefault(word, []).append(code)
    return {word: tuple((c, 1 / len(codes)) for c in codes) for word, codes in spoken.items()}


def guess_language(text: str) -> str | None:
    """ISO 639-1 code of the language of a text; None where it is too short or not plain."""
    text = text[:MOST_CHARACTERS]
    if (script := _script_of(text)) is not None:
        return script
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    if len(words) < LEAST_WORDS:
        return None
    said, hits = Counter[str](), Counter[str]()
    for word, times in Counter(words).items():
        for code, weight in _speakers().get(word, ()):
            said[code] += weight * times  # type: ignore[assignment]
            hits[code] += 1
    lowered = text.lower()
    for code, letters in LETTERS.items():
        own = sum(letter in lowered for letter in letters)
        said[code] += own
        hits[code] += own
    (first, most), (_, second) = said.most_common(2)
    return first if hits[first] >= LEAST_HITS and most >= LEAD * second else None


def _script_of(text: str) -> str | None:
    """The language of a script in which a third of the letters are written."""
    if text.isascii():
        return None
    letters = len(_LETTER.findall(text))
    found = {code: len(pattern.findall(text)) for code, pattern in _SCRIPT.items()}
    if found["ja"] * 10 > letters > 0:  # Japanese is written with Chinese characters, too
        return "ja"
    code = max(found, key=lambda one: found[one])
    return code if letters and found[code] * 3 >= letters else None
