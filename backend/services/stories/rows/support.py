"""Replies of a shop for household appliances, from the record of the order; English and German."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta

from backend.services.stories.world import (
    TODAY,
    Person,
    day,
    people,
    say_day,
    say_euros,
)

GUARANTEE = timedelta(days=730)
PRODUCTS = {
    "dishwasher": "Geschirrspüler", "tumble dryer": "Wäschetrockner", "kettle": "Wasserkocher",
    "fridge": "Kühlschrank", "coffee machine": "Kaffeevollautomat", "vacuum cleaner": "Staubsauger",
}  # fmt: skip
RECORD = {
    False: ("Order", "Product", "Bought", "Guarantee until", "Message of", "Repair", "Technician"),
    True: (
        "Bestellung", "Produkt", "Gekauft", "Garantie bis", "Nachricht vom", "Reparatur",
        "Techniker",
    ),
}  # fmt: skip
"""What the lines of a record are called, by whether it is in German."""
DATE = re.compile(r"\d{1,2}\. ")
CASES = ("defect", "delivery", "return", "invoice")
ASK = "Answer this message from the record of the order."
ASK_DE = "Beantworten Sie diese Nachricht aus dem Bestellvorgang."


def write(n: int, seed: int) -> list[dict[str, object]]:
    """Three messages of each customer in turn; every third customer writes in German."""
    rng = random.Random(f"support-{seed}")
    customers = people(rng, -(-n // 3))
    return [_row(number, customers[number // 3], rng) for number in range(n)]


def _row(number: int, person: Person, rng: random.Random) -> dict[str, object]:
    german = int(person.key[2:]) % 3 == 0
    case = CASES[number % len(CASES)]
    hard = number % 5 == 4
    message, record, reply = _WRITERS[case](person, rng, german, hard)
    return {
        "id": f"support-{number + 1:03d}",
        "input": f"{ASK_DE if german else ASK}\n\n{message}",
        "context": record,
        "reference": reply,
        "group": person.key,
        "slices": {
            "language": "de" if german else "en",
            "case": case,
            "gender": person.gender,
            "hard": "yes" if hard else "no",
        },
    }


def _order(rng: random.Random) -> str:
    return f"HA-{rng.randrange(100_000, 999_999)}"


def _greeting(person: Person, german: bool) -> str:
    return f"{person.formal_de}," if german else f"Dear {person.formal},"


def _record(person: Person, lines: list[tuple[str, str]]) -> str:
    """A German date follows its word without a colon, after which "5." would read as a number."""
    told = [f"{key} {text}" if DATE.match(text) else f"{key}: {text}" for key, text in lines]
    return "\n".join([f"Customer: {person.name}", *told])


Parts = tuple[str, str, str]


def _defect(person: Person, rng: random.Random, german: bool, hard: bool) -> Parts:
    """Hard: the guarantee ended days before the message, and a repair has its price."""
    english, order = rng.choice(list(PRODUCTS)), _order(rng)
    ago = (732, 745) if hard else (40, 700)
    bought = day(rng, ago=ago)
    holds = bought + GUARANTEE >= TODAY
    until, price = bought + GUARANTEE, rng.randrange(49, 130) * 100
    visit = TODAY + timedelta(days=rng.randrange(3, 10))
    product = PRODUCTS[english] if german else english

    def said(when: date) -> str:
        return say_day(when, german=german)

    free = "kostenlos" if german else "free of charge"
    repair = free if holds else say_euros(price, german=german)
    days = [said(when) for when in (bought, until, TODAY)]
    told = zip(RECORD[german], [order, product, *days, repair, said(visit)], strict=True)
    record = _record(person, list(told))
    if german:
        message = f"Guten Tag, mein {product} aus Bestellung {order} läuft nicht mehr."
        state = f"gilt bis {said(until)}" if holds else f"endete am {said(until)}"
        cost = "ist kostenlos" if holds else f"kostet {say_euros(price, german=True)}"
        reply = (
            f"die Garantie für Ihren {product} aus Bestellung {order}, gekauft am {said(bought)}, "
            f"{state}. Die Reparatur {cost}. Der Techniker kommt am {said(visit)}."
        )
    else:
        message = f"Hello, my {product} from order {order} stopped working."
        state = f"holds until {said(until)}" if holds else f"ended on {said(until)}"
        cost = "is free of charge" if holds else f"costs {say_euros(price)}"
        reply = (
            f"the guarantee on your {product} from order {order}, bought on {said(bought)}, "
            f"{state}. The repair {cost}. The technician comes on {said(visit)}."
        )
    return message, record, f"{_greeting(person, german)} {reply}"


def _delivery(person: Person, rng: random.Random, german: bool, hard: bool) -> Parts:
    """Hard: the parcel came back, so that there is no day yet."""
    order, english = _order(rng), rng.choice(list(PRODUCTS))
    product = PRODUCTS[english] if german else english
    sent = day(rng, ago=(2, 9))
    due = TODAY + timedelta(days=rng.randrange(1, 5))
    sent_said, due_said = (say_day(when, german=german) for when in (sent, due))
    if german:
        state = "zurück an uns, kein neuer Termin" if hard else f"unterwegs, Zustellung {due_said}"
        record = _record(person, [("Bestellung", order), ("Produkt", product),
                                  ("Versandt", sent_said), ("Stand", state)])  # fmt: skip
        told = (
            "ist an uns zurückgegangen. Einen neuen Termin gibt es noch nicht."
            if hard
            else f"ist unterwegs und wird am {due_said} zugestellt."
        )
        reply = f"Ihr {product} aus Bestellung {order}, versandt am {sent_said}, {told}"
        return f"Wo bleibt mein Paket zu {order}?", record, f"{_greeting(person, True)} {reply}"
    state = "returned to us, no new day" if hard else f"on its way, delivery {due_said}"
    record = _record(person, [("Order", order), ("Product", product), ("Sent", sent_said),
                              ("State", state)])  # fmt: skip
    told = (
        "was returned to us. There is no new day yet."
        if hard
        else f"is on its way and will be delivered on {due_said}."
    )
    reply = f"your {product} from order {order}, sent on {sent_said}, {told}"
    return f"Where is my parcel, order {order}?", record, f"{_greeting(person, False)} {reply}"


def _return(person: Person, rng: random.Random, german: bool, hard: bool) -> Parts:
    """Hard: the fourteen days are over."""
    order = _order(rng)
    came = day(rng, ago=(16, 40) if hard else (1, 12))
    last, cents = came + timedelta(days=14), rng.randrange(3_900, 89_900)
    came_said, last_said = (say_day(when, german=german) for when in (came, last))
    sum_said = say_euros(cents, german=german)
    if german:
        record = _record(person, [("Bestellung", order), ("Geliefert", came_said),
                                  ("Rückgabe bis", last_said), ("Betrag", sum_said)])  # fmt: skip
        told = (
            f"war bis {last_said} möglich und ist nun nicht mehr möglich."
            if hard
            else f"ist bis {last_said} möglich. Wir erstatten {sum_said}."
        )
        reply = f"die Rückgabe zu Bestellung {order}, geliefert am {came_said}, {told}"
        return f"Ich möchte {order} zurückgeben.", record, f"{_greeting(person, True)} {reply}"
    record = _record(person, [("Order", order), ("Delivered", came_said),
                              ("Return until", last_said), ("Sum", sum_said)])  # fmt: skip
    told = (
        f"was possible until {last_said} and is no longer possible."
        if hard
        else f"is possible until {last_said}. We refund {sum_said}."
    )
    reply = f"the return of order {order}, delivered on {came_said}, {told}"
    return f"I want to send {order} back.", record, f"{_greeting(person, False)} {reply}"


def _invoice(person: Person, rng: random.Random, german: bool, hard: bool) -> Parts:
    """Hard: the customer names another sum than the record has."""
    order, cents = _order(rng), rng.randrange(3_900, 89_900)
    when = say_day(day(rng, ago=(5, 60)), german=german)
    sum_said = say_euros(cents, german=german)
    named = say_euros(cents + 1_000, german=german) if hard else sum_said
    if german:
        record = _record(person, [("Bestellung", order), ("Rechnung vom", when),
                                  ("Rechnungsbetrag", sum_said), ("Bezahlt", "ja")])  # fmt: skip
        reply = (
            f"die Rechnung zu Bestellung {order} vom {when} lautet über {sum_said} und ist bezahlt."
        )
        message = f"Bitte bestätigen Sie die Rechnung über {named} zu {order}."
        return message, record, f"{_greeting(person, True)} {reply}"
    record = _record(person, [("Order", order), ("Invoice of", when), ("Sum", sum_said),
                              ("Paid", "yes")])  # fmt: skip
    reply = f"the invoice of order {order} of {when} is for {sum_said} and is paid."
    message = f"Please confirm the invoice over {named} for {order}."
    return message, record, f"{_greeting(person, False)} {reply}"


_WRITERS = {"defect": _defect, "delivery": _delivery, "return": _return, "invoice": _invoice}
