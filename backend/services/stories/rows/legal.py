"""Clauses of supply contracts, and what they bind whom to; an exception often stands last."""

from __future__ import annotations

import random
from dataclasses import dataclass

from backend.services.stories.world import say_euros

ASK = "Summarise this clause for a colleague who has not read it."
SUPPLIERS = (
    "Arden Pumps", "Corvin Paper", "Elder Optics", "Garrow Steel", "Ilmen Foods",
    "Kestrel Software", "Merrin Glass", "Orland Freight", "Quill Print", "Saltmarsh Energy",
)  # fmt: skip
CUSTOMERS = (
    "Bexley Water", "Dorn Verlag", "Fenwick Clinics", "Hale Bridges", "Jasper Hotels",
    "Lorne Insurance", "Norden Rail", "Penhill Schools", "Rusk Theatres", "Tarn Dairies",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Provision:
    """What a clause says, and what its summary says: {s} the supplier, {c} the customer, {n} a
    number, {m} another, {e} a sum."""

    clause: str
    summary: str


P = Provision
PROVISIONS: dict[str, tuple[Provision, ...]] = {
    "liability": (
        P("The aggregate liability of {s} in any contract year shall not exceed {e}.",
          "{s} is liable for at most {e} a contract year."),
        P("{c} shall bring claims within {n} years of the day on which they arose.",
          "{c} has {n} years from when a claim arose to bring it."),
        P("{s} shall not be liable for loss of profit of {c}.",
          "{s} does not answer for {c}'s loss of profit."),
        P("{s} shall insure its liability for at least {e} and prove it by {m} March each year.",
          "{s} has to be insured for at least {e}, with proof by {m} March each year."),
        P("{c} shall give notice of damage within {m} days of discovery.",
          "Damage has to be notified by {c} within {m} days of discovery."),
    ),
    "termination": (
        P("Either party may terminate by {n} months' written notice to the end of a quarter.",
          "Both may end it in writing, {n} months to the end of a quarter."),
        P("{c} may terminate where a material breach is not remedied within {m} days of notice.",
          "{c} may end it for a material breach not remedied {m} days after notice."),
        P("On termination {s} shall return all tools of {c} within {m} days.",
          "{s} returns {c}'s tools within {m} days after the end."),
        P("This Agreement begins on {m} May and runs for {n} years.",
          "It runs for {n} years from {m} May."),
        P("{s} may suspend deliveries while {e} or more are overdue.",
          "{s} may suspend while {e} or more are overdue."),
    ),
    "confidentiality": (
        P("{s} shall keep secret what {c} marks confidential, for {n} years after the end.",
          "What {c} marks confidential {s} keeps secret, until {n} years after the end."),
        P("{s} shall name to {c} each person with access, {m} at most.",
          "At most {m} people at {s} have access, each named to {c}."),
        P("For each breach {s} shall pay a penalty of {e}.", "Each breach costs {s} {e}."),
        P("{s} shall destroy copies within {m} days of a request in text form.",
          "Copies are destroyed by {s} within {m} days of a request in text form."),
        P("{c} may audit compliance at {s} {n} times in a year, with {m} days' notice.",
          "{c} may audit {s} {n} times a year after {m} days' notice."),
    ),
    "price": (
        P("{s} may raise prices once in a calendar year by at most {n} per cent.",
          "One rise a calendar year by {s}, of {n} per cent at most."),
        P("Invoices are due within {m} days of receipt.", "Payment is due {m} days after receipt."),
        P("{c} may deduct {n} per cent where it pays within {m} days.",
          "{c} gets {n} per cent off for paying within {m} days."),
        P("{s} shall grant a bonus of {n} per cent on purchases above {e} in a year.",
          "Above {e} a year {c} gets a bonus of {n} per cent."),
        P("{c} shall pay a deposit of {e} on signature.",
          "On signature {c} pays {e} as a deposit."),
    ),
    "delivery": (
        P("{s} shall deliver within {m} working days of each order.",
          "Delivery by {s} is due {m} working days after an order."),
        P("{c} may deduct {n} per cent of the price for each week of delay.",
          "Each week of delay lets {c} deduct {n} per cent of the price."),
        P("Risk shall pass to {c} on handover at its warehouse number {m}.",
          "The risk is {c}'s from handover at warehouse {m}."),
        P("{c} shall order goods of {e} at least in each quarter.",
          "{c} orders for at least {e} a quarter."),
        P("{c} shall inspect goods within {m} days; later complaints are excluded.",
          "{c} inspects within {m} days and cannot complain later."),
    ),
}  # fmt: skip
EXCEPTIONS: dict[str, tuple[Provision, ...]] = {
    "liability": (
        P("Nothing herein limits liability for death, injury or gross negligence.",
          "No limit for death, injury or gross negligence."),
        P("This does not apply where {s} acted with intent.", "Not where {s} acted with intent."),
    ),
    "termination": (
        P("{s} may not terminate in the first {n} months.",
          "But not by {s} in the first {n} months."),
        P("Open orders shall be performed in any case.", "Open orders are performed all the same."),
    ),
    "confidentiality": (
        P("Information that becomes public without breach is excepted.",
          "Except what becomes public without breach."),
        P("Disclosure ordered by a court is permitted.", "A court may order disclosure."),
    ),
    "price": (
        P("{c} may withdraw from open orders within {n} weeks of a rise.",
          "After a rise {c} may withdraw from open orders within {n} weeks."),
        P("Spare parts are excluded.", "Spare parts are left out."),
    ),
    "delivery": (
        P("This does not apply in cases of force majeure that {s} notified within {n} days.",
          "Not in force majeure notified by {s} within {n} days."),
        P("Goods made to order are excepted.", "Except goods made to order."),
    ),
}  # fmt: skip


def write(n: int, seed: int) -> list[dict[str, object]]:
    """Three clauses of each contract in turn; every second one has an exception."""
    rng = random.Random(f"legal-{seed}")
    return [_row(number, rng) for number in range(n)]


def _row(number: int, rng: random.Random) -> dict[str, object]:
    contract = number // 3
    kind = list(PROVISIONS)[number % len(PROVISIONS)]
    excepted = number // len(PROVISIONS) % 2 == 1
    parties = {
        "s": f"{SUPPLIERS[contract % 10]} Ltd",
        "c": f"{CUSTOMERS[(contract * 3 + contract // 10) % 10]} plc",
    }
    chosen = rng.sample(PROVISIONS[kind], 2)
    if excepted:
        chosen.append(rng.choice(EXCEPTIONS[kind]))
    clause, summary = [], []
    for one in chosen:
        facts = {
            **parties,
            "n": rng.randrange(2, 9),
            "m": rng.randrange(10, 29),
            "e": say_euros(rng.randrange(5, 900) * 10_000),
        }
        clause.append(one.clause.format(**facts))
        summary.append(one.summary.format(**facts))
    return {
        "id": f"legal-{number + 1:03d}",
        "input": ASK,
        "context": f"{number % 17 + 2}. {kind.capitalize()}. {' '.join(clause)}",
        "reference": " ".join(summary),
        "group": f"C-{contract + 1:03d}",
        "slices": {
            "clause": kind,
            "exception": "yes" if excepted else "no",
            "hard": "yes" if excepted else "no",
        },
    }
