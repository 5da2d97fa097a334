"""Check digits: whether a number is right, and how a surrogate's is made right.

Every function takes letters and digits alone, in capitals (`plain_of`). Sources: ISO 13616 and ISO
7064 (IBAN, mod 97-10), ISO/IEC 7812-1 (cards, Luhn), NHS Data Dictionary (NHS NUMBER, mod 11), §
290 SGB V and its note on the check digit (health insurance), BZSt's note on the identification
number (mod 11,10), § 147 SGB VI and its regulation (pension insurance).
"""

from __future__ import annotations

from collections import Counter

_LENGTHS = (
    "AT20 BE16 BG22 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GR27 HR21 HU28 IE22 IS26 "
    "IT27 LI21 LT20 LU20 LV21 MC27 MT31 NL18 NO15 PL28 PT25 RO24 RS22 SE24 SI19 SK24 SM27 TR26 "
    "UA29 AE23 SA24 IL23"
)
IBAN_LENGTHS = {one[:2]: int(one[2:]) for one in _LENGTHS.split()}


def plain_of(text: str) -> str:
    """Letters and digits of an identifier, in capitals."""
    return "".join(ch for ch in text if ch.isalnum()).upper()


def _number_of(text: str) -> int:
    """Letters as two digits (A is 10), digits as they are."""
    return int("".join(str(int(ch, 36)) for ch in text))


def is_iban(plain: str) -> bool:
    """Whether length and check digits are those of an account of its country."""
    if len(plain) != IBAN_LENGTHS.get(plain[:2]) or not plain.isascii():
        return False
    return _number_of(plain[4:] + plain[:4]) % 97 == 1


def repair_iban(plain: str) -> str:
    """The same account number with the check digits that it has to have."""
    rest = 98 - _number_of(plain[4:] + plain[:2] + "00") % 97
    return f"{plain[:2]}{rest:02d}{plain[4:]}"


def _luhn_sum(digits: str) -> int:
    """Sum by Luhn of digits whose last one is the check digit."""
    doubled = [int(d) * 2 if place % 2 else int(d) for place, d in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled)


def is_card(plain: str) -> bool:
    """Whether 12 to 19 digits, not all the same, pass Luhn."""
    right = plain.isdecimal() and 12 <= len(plain) <= 19 and len(set(plain)) > 1
    return right and plain[0] in "23456" and _luhn_sum(plain) % 10 == 0


def repair_card(plain: str) -> str:
    """The same digits but for the last, which Luhn demands."""
    return plain[:-1] + str(-_luhn_sum(plain[:-1] + "0") % 10)


def _nhs_digit(nine: str) -> int:
    return -sum(int(d) * (10 - place) for place, d in enumerate(nine)) % 11


def is_nhs(plain: str) -> bool:
    """Whether ten digits, not all the same, are an NHS number."""
    right = len(plain) == 10 and plain.isdecimal() and len(set(plain)) > 1
    return right and _nhs_digit(plain[:9]) == int(plain[9])


def repair_nhs(plain: str) -> str:
    """A number near to these ten digits that is an NHS number; no digit serves for some."""
    nine = plain[:9]
    while _nhs_digit(nine) == 10:
        nine = nine[:-1] + str((int(nine[-1]) + 1) % 10)
    return nine + str(_nhs_digit(nine))


def _crossed(digits: str, factors: str) -> int:
    products = (int(d) * int(f) for d, f in zip(digits, factors, strict=True))
    return sum(sum(map(int, str(product))) for product in products)


def _kvnr_digit(letter: str, eight: str) -> int:
    return _crossed(f"{ord(letter) - 64:02d}{eight}", "1212121212") % 10


def is_kvnr(plain: str) -> bool:
    """Whether a letter and nine digits are a German number of a person insured (KVNR)."""
    right = len(plain) == 10 and "A" <= plain[0] <= "Z" and plain[1:].isdecimal()
    return right and _kvnr_digit(plain[0], plain[1:9]) == int(plain[9])


def repair_kvnr(plain: str) -> str:
    """The same letter and digits with the check digit that they have to have."""
    return plain[:9] + str(_kvnr_digit(plain[0], plain[1:9]))


def _tax_digit(ten: str) -> int:
    product = 10
    for digit in ten:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10


def is_tax_id(plain: str) -> bool:
    """Whether eleven digits are a German tax identification number: one digit two or three times
    among the first ten, no other more than once, and a right check digit.
    """
    if len(plain) != 11 or not plain.isdecimal() or plain[0] == "0":
        return False
    repeats = sorted(Counter(plain[:10]).values(), reverse=True)
    return (
        repeats[0] in (2, 3)
        and (len(repeats) == 1 or repeats[1] == 1)
        and _tax_digit(plain[:10]) == int(plain[10])
    )


def repair_tax_id(plain: str) -> str:
    """A number made of these digits that has the form of the real ones: nine digits, one of them
    twice."""
    seen = list(dict.fromkeys(plain[:10] + "1234567890"))[:9]
    if seen[0] == "0":
        seen[0], seen[1] = seen[1], seen[0]
    ten = "".join(seen) + seen[int(plain[10]) % 9]
    return ten + str(_tax_digit(ten))


def _pension_digit(plain: str) -> int:
    digits = plain[:8] + f"{ord(plain[8]) - 64:02d}" + plain[9:11]
    return _crossed(digits, "212571212121") % 10


def is_pension(plain: str) -> bool:
    """Whether the twelve characters are a German pension insurance number."""
    shaped = len(plain) == 12 and plain[:8].isdecimal() and plain[9:].isdecimal()
    if not shaped or not "A" <= plain[8] <= "Z":
        return False
    day, month = int(plain[2:4]), int(plain[4:6])
    return (
        day % 50 in range(1, 32)
        and month in range(1, 13)
        and _pension_digit(plain) == int(plain[11])
    )


def repair_pension(plain: str) -> str:
    """The same characters with a day and a month that exist and a right check digit."""
    day, month = int(plain[2:4]) % 28 + 1, int(plain[4:6]) % 12 + 1
    made = f"{plain[:2]}{day:02d}{month:02d}{plain[6:]}"
    return made[:11] + str(_pension_digit(made))
