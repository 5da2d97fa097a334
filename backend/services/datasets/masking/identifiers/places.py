"""Streets with their numbers, postcodes with their towns: how English and German write them.

A town alone is found where a word such as `lives in` stands before it; there is no list of towns.
"""

from __future__ import annotations

from collections.abc import Iterator

from backend.services.datasets.masking.identifiers.finders import Found, announced, shaped
from backend.services.datasets.masking.identifiers.names import shipped_words
from backend.services.datasets.masking.identifiers.shapes import compile_shape, stands_apart

_STREETS_EN = (
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|close|way|boulevard|blvd|terrace"
    r"|place|pl|square|sq|crescent|cres|gardens|gdns|hill|row|parkway|pkwy|circle|trail|grove|mews"
    r"|highway|hwy|walk)"
)
_STREETS_DE = (
    r"(?:straße|strasse|str\.?|weg|platz|pl\.|allee|gasse|gässchen|ring|damm|ufer|chaussee|steig"
    r"|stieg|pfad|promenade|graben|markt|hof|wall|kamp|redder|twiete|zeile)"
)
_HOUSE = r"\d{1,4}(?:\s?[a-hA-H])?(?:\s?[-/]\s?\d{1,4}(?:\s?[a-hA-H])?)?"
_NAME = r"\p{Lu}[\pL'’.-]*"
_TOWN = r"\p{Lu}[\pL-]+(?:[ -](?:an|am|im|bei|der|dem|ob|a\.|i\.|d\.|\p{Lu}[\pL.]+)){0,3}"
LIVES = r"(?:address|lives?|living|resid\w*|home|adresse|anschrift|wohn\w*|whft\.?|gemeldet|moved)"
_UK_POST = r"[A-Za-z]{1,2}\d[A-Za-z\d]?\s?\d[A-Za-z]{2}"
_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]"
    r"|T[NX]|UT|V[AT]|W[AIVY])"
)
_FLAT = r"(?:(?i:flat|apt\.?|apartment|unit|suite)\s\d{1,4}[a-zA-Z]?,?\s{1,2})?"
_ADJECTIVE = r"(?:lange|kurze|alte|neue|große|kleine|hohe|breite|obere|untere|mittlere|alter|neuer)"
_PREPOSITION = (
    r"(?i:am|an der|an den|an dem|im|in der|in den|auf dem|auf der|zum|zur|unter den|hinter der"
    r"|vor dem|beim|alte[rn]?|neue[rn]?|große[rn]?|kleine[rn]?)"
)
_ENDS_ADDRESS = r"(?:,|;|\)|\.|\s+(?:in\s)?\d{5}|\s*\n|$)"

_SMALL = r"(?:(?i:an|am|der|den|dem|im|in|auf|unter|the|of)[ ])"
_PLAIN_STREET = (
    rf"(?:(?:{_NAME}[ ])?{_NAME},[ ])?"
    rf"(?:\d{{1,4}}[a-h]?[ ](?:[Tt]he[ ])?{_NAME}(?:[ ]{_NAME}){{0,2}}"
    rf"|(?:{_SMALL}{{0,2}}{_NAME}[ ]){{1,3}}\d{{1,3}}(?:\s?[a-hA-H]\b)?)"
)
_PLAIN_SHAPES = (
    r"(?i:lives?|living|resid\w+|moved|address|home|adresse|anschrift|wohnung|wohn(?:t|en|haft)"
    r"|straße|street|gemeldet)(?:\s(?i:now|jetzt|alone|is|ist|still|noch|at|to|in)){0,3}"
    rf"[\s:.|=]{{1,4}}({_PLAIN_STREET})",
    r"(?i:address|anschrift|adresse|straße|strasse)[\s:.|=]{1,4}((?:\pL[\pL'’.-]+,?\s){1,4}\d{1,3}("
    r"?:\s?[a-hA-H])?|\d{1,3}[a-h]?(?:[ ]\pL[\pL'’.-]+){1,3})\s*(?:\n|$)",
    rf"(?:^|\n)[ \t]*({_PLAIN_STREET})[ \t]*(?:,[ ][^\n]{{3,40}})?(?:\n|$)",
    rf"[,|]\s({_PLAIN_STREET})(?:,\s|\n|\.?$)",
)
_BESIDE_ADDRESS = r"\d{5}\s\pL|(?:^|\D)\d[\d ()/-]{8,}|\S@\S|" + _UK_POST


def plain_streets(text: str) -> Iterator[Found]:
    """Streets of which no word says so: where somebody lives, or alone beside a postcode, a number
    to call or an address to write to."""
    barred = set(shipped_words()["no_street"].split())
    for place, shape in enumerate(_PLAIN_SHAPES):
        for match in compile_shape(shape).finditer(text):
            start, end = match.span(1)
            words = {word.strip(",.").lower() for word in text[start:end].split()}
            if words & barred or not stands_apart(text, start, end):
                continue
            around = text[max(0, start - 60) : start] + "\n" + text[end : end + 60]
            if place < 2 or compile_shape(_BESIDE_ADDRESS).search(around):
                yield start, end, 0.86


STREET_FINDERS = (
    plain_streets,
    shaped(
        rf"((?:{_NAME}\s){{1,2}}(?i:street|road|avenue|lane|crescent|boulevard|terrace|mews|gardens)"
        r"\s\d{1,3}[a-h]?)",
        weight=0.86,
    ),
    shaped(
        rf"({_FLAT}\d{{1,5}}[a-z]?,?\s(?:[NSEW]\.?\s)?(?:{_NAME}\s){{1,3}}(?i:{_STREETS_EN}))"
        r"(?:[^\pL]|$)",
        r"((?i)\d{1,5}[a-z]?\s(?:[a-z'’-]{3,20}\s){1,2}"
        r"(?:street|road|avenue|lane|drive|boulevard|crescent|terrace))(?:[^\pL]|$)",
        r"((?i)p\.?\s?o\.?\s?box\s\d{1,6}|postfach\s\d[\d ]{1,7})",
        weight=0.88,
    ),
    shaped(
        rf"((?i)\d{{1,5}}[a-z]?[ ](?:[a-z'’-]{{2,20}}\s){{1,3}}{_STREETS_EN})(?:[^\pL]|$)",
        weight=0.87,
        near=LIVES + r"|[,\n]\s?" + _UK_POST + r"|,\s" + _STATE + r"\s\d{5}",
    ),
    shaped(
        rf"((?:{_NAME}[ -])?\p{{Lu}}[\pL.-]*(?i:{_STREETS_DE})\s?{_HOUSE})",
        rf"({_NAME}\s(?i:str\.|straße|strasse|allee|platz|weg)\s{_HOUSE})",
        rf"((?i)[\pL.-]{{3,30}}(?:straße|strasse|str\.|gasse|allee)\s{_HOUSE})",
        weight=0.88,
    ),
    shaped(
        rf"((?i)(?:{_ADJECTIVE}\s)?[\pL.-]*{_STREETS_DE}\s{_HOUSE}){_ENDS_ADDRESS}",
        weight=0.87,
        near=LIVES + r"|\d{5}\s\pL",
    ),
    shaped(
        rf"({_PREPOSITION}\s(?:[\pL-]+\s){{1,2}}?{_HOUSE}){_ENDS_ADDRESS}",
        weight=0.88,
        near=LIVES + r"|\d{5}\s\pL",
    ),
)

TOWN_FINDERS = (
    shaped(
        rf"(?:^|[^\d/-])((?:D\s?-\s?|A\s?-\s?|CH\s?-\s?)?\d{{5}}(?:[ ]{{1,2}}|\n){_TOWN})",
        weight=0.84,
    ),
    shaped(
        r"((?i)\d{5}\s[\pL-]{3,30}(?:\s(?:am|an der|im|bei)\s\pL{3,20})?)",
        weight=0.6,
        near=LIVES + rf"|{_STREETS_DE}\s{_HOUSE}",
    ),
    shaped(
        rf"({_UK_POST})",
        weight=0.5,
        near=LIVES + r"|post\s?code|\b" + _STREETS_EN + r"\b",
    ),
    announced(
        r"(?:post\s?code|zip(?:\s?code)?|plz|postleitzahl)",
        value=r"([a-z\d]{2,5}(?:[ -][a-z\d]{3,4})?)",
        least=1,
    ),
    shaped(
        rf"((?:\p{{Lu}}[\pL.-]+[ ]){{0,2}}\p{{Lu}}[\pL.-]+,\s?{_STATE}"
        r"\s{1,2}\d{5}(?:-\d{4})?)",
        rf"((?i)[\pL.-]{{3,30}},\s{_STATE}\s\d{{5}}(?:-\d{{4}})?)",
        r"(\d{5}-\d{4})",
        weight=0.87,
    ),
    shaped(rf"{LIVES}\s?(?:in|:)\s(\p{{Lu}}[\pL-]{{2,}})", weight=0.55),
)
