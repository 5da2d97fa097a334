"""Replies of a bank's service desk from the record of the account; English and German.

A direct debit under a mandate is refunded without a reason within eight weeks of the booking, one
without a mandate within thirteen months (Directive (EU) 2015/2366, articles 71, 76 and 77).
"""

from __future__ import annotations

import random
from datetime import timedelta

from backend.services.stories.world import (
    TODAY,
    Person,
    day,
    masked_iban,
    people,
    say_day,
    say_euros,
)

EIGHT_WEEKS = timedelta(weeks=8)
PAYEES = ("Nordlicht Energie", "Stadtwerke Ufer", "FitPlus Studios", "Telora Mobil", "Aegis Auto")
MATTERS = ("direct debit", "card", "fee", "transfer")
ASK = "Answer this message from the record of the account."
ASK_DE = "Beantworten Sie diese Nachricht aus dem Kontovorgang."
Parts = tuple[str, str, str]


def write(n: int, seed: int) -> list[dict[str, object]]:
    """Three messages of each customer in turn; every second customer writes in German."""
    rng = random.Random(f"bank-{seed}")
    customers = people(rng, -(-n // 3))
    return [_row(number, customers[number // 3], rng) for number in range(n)]


def _row(number: int, person: Person, rng: random.Random) -> dict[str, object]:
    german = int(person.key[2:]) % 2 == 0
    matter, hard = MATTERS[number % len(MATTERS)], number % 5 == 3
    message, record, reply = _WRITERS[matter](rng, german, hard)
    head = f"{'Kunde' if german else 'Customer'}: {person.name}"
    greeting = person.formal_de if german else f"Dear {person.formal}"
    return {
        "id": f"bank-{number + 1:03d}",
        "input": f"{ASK_DE if german else ASK}\n\n{message}",
        "context": "\n".join([head, *record.split("\n")]),
        "reference": f"{greeting}, {reply}",
        "group": person.key,
        "slices": {
            "language": "de" if german else "en",
            "matter": matter,
            "gender": person.gender,
            "hard": "yes" if hard else "no",
        },
    }


def _direct_debit(rng: random.Random, german: bool, hard: bool) -> Parts:
    """Hard: the eight weeks are over."""
    iban, payee, cents = masked_iban(rng), rng.choice(PAYEES), rng.randrange(900, 48_000)
    booked = day(rng, ago=(60, 120) if hard else (3, 50))
    last = booked + EIGHT_WEEKS
    money, when, until = (
        say_euros(cents, german=german),
        say_day(booked, german=german),
        say_day(last, german=german),
    )
    back = say_day(TODAY + timedelta(days=2), german=german)
    if german:
        record = (
            f"Konto: {iban}\nLastschrift: {money} an {payee}, gebucht {when}, Mandat liegt vor\n"
            f"Rückgabe ohne Grund bis {until}\nGutschrift {'keine' if hard else f'am {back}'}"
        )
        told = (
            f"konnte bis {until} ohne Grund zurückgegeben werden. Die Frist ist vorbei; es folgt "
            "keine Gutschrift."
            if hard
            else f"geben wir zurück. Die Gutschrift folgt am {back} auf das Konto {iban}."
        )
        reply = f"die Lastschrift über {money} an {payee}, gebucht am {when}, {told}"
        return f"Ich widerspreche der Lastschrift von {payee}.", record, reply
    record = (
        f"Account: {iban}\nDirect debit: {money} to {payee}, booked {when}, under a mandate\n"
        f"Refund without a reason until: {until}\nCredit: {'none' if hard else back}"
    )
    told = (
        f"could be refunded without a reason until {until}. It is too late now; there is no credit."
        if hard
        else f"will be refunded. The credit follows on {back} to the account {iban}."
    )
    return (
        f"I object to the direct debit of {payee}.",
        record,
        f"the direct debit of {money} to {payee}, booked on {when}, {told}",
    )


def _card(rng: random.Random, german: bool, hard: bool) -> Parts:
    """Hard: the new card has no day yet."""
    last, when = f"{rng.randrange(1000, 9999)}", say_day(day(rng, ago=(0, 3)), german=german)
    comes = say_day(TODAY + timedelta(days=rng.randrange(4, 9)), german=german)
    if german:
        sent = "noch nicht bestellt" if hard else f"unterwegs, Zustellung {comes}"
        record = f"Karte: **** **** **** {last}\nGesperrt seit {when}\nErsatzkarte: {sent}"
        told = (
            "Eine Ersatzkarte ist noch nicht bestellt."
            if hard
            else f"Die Ersatzkarte ist unterwegs, Zustellung am {comes}."
        )
        reply = f"Ihre Karte mit den Endziffern {last} ist seit {when} gesperrt. {told}"
        return "Meine Karte ist weg. Ist sie gesperrt?", record, reply
    sent = "not ordered yet" if hard else f"on its way, delivery {comes}"
    record = f"Card: **** **** **** {last}\nBlocked: {when}\nNew card: {sent}"
    told = (
        "A new card is not ordered yet."
        if hard
        else f"The new card is on its way, delivery on {comes}."
    )
    reply = f"your card ending in {last} is blocked since {when}. {told}"
    return "I lost my card. Is it blocked?", record, reply


def _fee(rng: random.Random, german: bool, hard: bool) -> Parts:
    """Hard: the customer names another sum than was booked."""
    cents, when = rng.randrange(290, 1_990), say_day(day(rng, ago=(5, 40)), german=german)
    money = say_euros(cents, german=german)
    named = say_euros(cents + 200, german=german) if hard else money
    minimum = say_euros(rng.choice((70_000, 100_000, 120_000)), german=german)
    if german:
        record = f"Gebühr: {money}, gebucht {when}\nGrund: Geldeingang im Monat unter {minimum}"
        reply = (
            f"gebucht wurden am {when} {money}, weil der Geldeingang im Monat unter {minimum} lag."
        )
        return f"Warum wurden mir {named} berechnet?", record, reply
    record = f"Fee: {money}, booked {when}\nReason: money received in the month below {minimum}"
    reply = (
        f"{money} were booked on {when}, as the money received in the month was below {minimum}."
    )
    return f"Why was I charged {named}?", record, reply


def _transfer(rng: random.Random, german: bool, hard: bool) -> Parts:
    """Hard: the money has arrived, and only whoever received it can send it back."""
    iban, cents = masked_iban(rng), rng.randrange(2_000, 260_000)
    money, when = say_euros(cents, german=german), say_day(day(rng, ago=(0, 4)), german=german)
    if german:
        state = "gutgeschrieben, Rückruf nur mit Zustimmung" if hard else "noch nicht ausgeführt"
        record = f"Überweisung: {money} an {iban}, erteilt {when}\nStand: {state}"
        told = (
            "ist gutgeschrieben; ein Rückruf braucht die Zustimmung des Empfängers."
            if hard
            else "ist noch nicht ausgeführt; wir haben sie angehalten."
        )
        record += "" if hard else "\nMaßnahme: angehalten"
        reply = f"Ihre Überweisung über {money} an {iban}, erteilt am {when}, {told}"
        return f"Bitte stoppen Sie meine Überweisung über {money}.", record, reply
    state = "credited, recall only with consent" if hard else "not executed yet"
    record = f"Transfer: {money} to {iban}, ordered {when}\nState: {state}"
    record += "" if hard else "\nDone: stopped"
    told = (
        "is credited; a recall needs the consent of whoever received it."
        if hard
        else "is not executed yet; we have stopped it."
    )
    reply = f"your transfer of {money} to {iban}, ordered on {when}, {told}"
    return f"Please stop my transfer of {money}.", record, reply


_WRITERS = {"direct debit": _direct_debit, "card": _card, "fee": _fee, "transfer": _transfer}
