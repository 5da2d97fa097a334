"""German words of one gender exchanged for those of the other, where it can be done safely.

Articles tell a noun's case and change with its gender. Where an adjective stands between the two,
where a relative clause follows, or where "sie" and "ihr" stand (she, they or you; her, their or
your), the words around would have to change as well: such rows are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from evaluators.fairness.gendered_en import TOKEN, Unsafe, WordEdit, as_written
from evaluators.fairness.lexicon import Lexicon

MALE_ARTICLES = {
    "der": (0, "die"), "den": (1, "die"), "dem": (2, "der"), "des": (3, "der"), "ein": (0, "eine"),
    "einen": (1, "eine"), "einem": (2, "einer"), "eines": (3, "einer"), "dieser": (0, "diese"),
    "diesen": (1, "diese"), "diesem": (2, "dieser"), "dieses": (3, "dieser"), "mein": (0, "meine"),
    "meinen": (1, "meine"), "meinem": (2, "meiner"), "meines": (3, "meiner"),
    "unser": (0, "unsere"), "unseren": (1, "unsere"), "unserem": (2, "unserer"),
}  # fmt: skip
"""Article of a masculine noun -> place of its case, and the article of the feminine."""
FEMALE_ARTICLES = {
    "der", "die", "einer", "eine", "dieser", "diese", "meine", "meiner", "unsere", "unserer",
}  # fmt: skip
MALE_PRONOUNS = {"er": "sie", "ihm": "ihr", "ihn": "sie"}
POSSESSIVES = {f"sein{end}": f"ihr{end}" for end in ("", "e", "en", "em", "er", "es")}
DOUBTFUL = {"sie", "ihr", "ihre", "ihren", "ihrem", "ihrer", "ihres"}
RELATIVE = {
    "der", "die", "den", "dem", "dessen", "deren", "welcher", "welche", "welchen", "welchem",
}  # fmt: skip
_SENTENCE = {".", "!", "?", ":", "\n"}


def edits(text: str, lexicon: Lexicon) -> Iterator[WordEdit]:
    """Every gendered word with its counterpart; articles go with their nouns.

    Raises:
        Unsafe: what has to change with the words cannot be told.
    """
    for phrase in lexicon.gender.get("both_named", ()):
        if phrase.lower() in text.lower():
            raise Unsafe("it names both genders in one phrase")
    males, females = _forms(lexicon)
    titles: Mapping[str, str] = lexicon.gender["titles"]
    tokens = list(TOKEN.finditer(text))
    for place, token in enumerate(tokens):
        word, lowered = token.group(), token.group().lower()
        if word in (titles["male"], titles["oblique"]) and _before_name(tokens, place):
            yield WordEdit(*token.span(), titles["female"], "male")
            yield from _greeting(tokens, place, "Geehrter", "geehrte")
        elif word == titles["female"] and _before_name(tokens, place):
            yield WordEdit(*token.span(), _title(tokens, place, lexicon), "female")
            yield from _greeting(tokens, place, "Geehrte", "geehrter")
        elif word in males:
            yield from _male_noun(tokens, place, males[word])
        elif word in females:
            raise Unsafe("German: the case of a feminine noun does not show")
        elif lowered in MALE_PRONOUNS:
            yield WordEdit(*token.span(), as_written(MALE_PRONOUNS[lowered], word), "male")
        elif lowered in POSSESSIVES and _is_possessive(tokens, place):
            yield WordEdit(*token.span(), as_written(POSSESSIVES[lowered], word), "male")
        elif lowered in DOUBTFUL:
            raise Unsafe('German: "sie" or "ihr" may be she, they or you')


def _forms(lexicon: Lexicon) -> tuple[dict[str, dict[str, Any]], set[str]]:
    males: dict[str, dict[str, Any]] = {}
    for noun in lexicon.gender["nouns"]:
        for form in noun["male"]:
            males[form] = noun
    return males, {noun["female"] for noun in lexicon.gender["nouns"]}


def _before_name(tokens: list[re.Match[str]], place: int) -> bool:
    return place + 1 < len(tokens) and tokens[place + 1].group()[:1].isupper()


def _greeting(tokens: list[re.Match[str]], place: int, was: str, now: str) -> Iterator[WordEdit]:
    """`Sehr geehrter` before the title changes with it; another adjective is refused."""
    if place == 0:
        return
    before = tokens[place - 1]
    lowered = before.group().lower()
    if lowered == was.lower():
        yield WordEdit(*before.span(), as_written(now, before.group()), "")
    elif lowered in ("lieber", "liebe", "werter", "werte"):
        other = lowered[:-1] if lowered.endswith("r") else f"{lowered}r"
        yield WordEdit(*before.span(), as_written(other, before.group()), "")


def _title(tokens: list[re.Match[str]], place: int, lexicon: Lexicon) -> str:
    """Herr at the beginning of a sentence and in a greeting, Herrn after what asks for it."""
    titles = lexicon.gender["titles"]
    before = tokens[place - 1].group().lower() if place else "."
    if before in _SENTENCE or before in ("geehrte", "liebe", "werte"):
        return str(titles["male"])
    if before in set(lexicon.gender["dative_or_accusative"]):
        return str(titles["oblique"])
    raise Unsafe("German: Herr or Herrn does not show")


def _male_noun(
    tokens: list[re.Match[str]], place: int, noun: Mapping[str, Any]
) -> Iterator[WordEdit]:
    token = tokens[place]
    before = tokens[place - 1].group().lower() if place else "."
    following = [token.group().lower() for token in tokens[place + 1 : place + 3]]
    if following[:1] == [","] and following[-1] in RELATIVE:
        raise Unsafe("German: a relative clause follows")
    if before in MALE_ARTICLES:
        case, article = MALE_ARTICLES[before]
        if noun["male"][case] != token.group():
            raise Unsafe("German: the article does not go with the noun, a plural perhaps")
        yield WordEdit(
            *tokens[place - 1].span(), as_written(article, tokens[place - 1].group()), "male"
        )
    elif before not in _SENTENCE or token.group() != noun["male"][0]:
        raise Unsafe("German: an adjective, a plural or another case before the noun")
    yield WordEdit(*token.span(), noun["female"], "male")


def _is_possessive(tokens: list[re.Match[str]], place: int) -> bool:
    """`sein` before a noun is his; before anything else it is to be, or cannot be told."""
    if place + 1 >= len(tokens):
        return False
    following = tokens[place + 1].group()
    if following[:1].isupper():
        return True
    if tokens[place].group().lower() == "sein" or not following[0].isalpha():
        return False
    raise Unsafe("German: an adjective after sein")
