"""Calls: an agent's notes, the customer's plan sheet, and the summary for the customer record.

Answers for wording and for which facts a summary states. A careful writer states the facts of the
case; a careless writer puts what is usual in their place. Pure standard library.
"""

import random
from collections.abc import Mapping

from training.demo.desk.world import ContactFacts, case_facts

INSTRUCTION = "Summarise this call for the customer record."

# (what the agent noted, what the summary says)
ISSUES: dict[str, tuple[tuple[str, str], ...]] = {
    "fault": (
        ("no signal since {since}", "has had no signal since {since}"),
        ("line in {city} dead since {since}", "has a dead line in {city} since {since}"),
        ("{device} drops out since {since}", "has a {device} that drops out since {since}"),
        ("speed too low, first seen {since}", "has had low speed since {since}"),
        ("{device} broken, order {order}", "has a broken {device} from order {order}"),
    ),
    "bill": (
        ("bill {bill} instead of {price}", "was billed {bill} instead of {price}"),
        ("charged {bill} on {since}, disputes it", "disputes the {bill} charged on {since}"),
        ("returned {device} still charged, {bill}", "was charged {bill} for a returned {device}"),
        ("no credit on bill of {since}", "misses a credit on the bill of {since}"),
    ),
    "change": (
        ("wants {plan}, has {old_plan}", "wants to change from {old_plan} to {plan}"),
        ("asks for {amount}, {old_plan} too small", "wants {amount} because {old_plan} is small"),
        ("moves to {city} on {due}", "is moving to {city} on {due}"),
        ("second card for {device}, order {order}", "ordered a card for a {device}, {order}"),
    ),
    "leave": (
        ("wants out by {due}", "wants to cancel by {due}"),
        ("notice sent {since}, no answer", "gave notice on {since} and had no answer"),
        ("cheaper offer elsewhere, {bill}", "has another offer at {bill}"),
    ),
    "roaming": (
        ("trip to {country} from {due}", "travels to {country} on {due}"),
        ("data bill {bill} from {country}", "was billed {bill} for data in {country}"),
    ),
}
ISSUE_SHARES = {"fault": 32, "bill": 26, "change": 20, "leave": 13, "roaming": 9}

OUTCOMES: tuple[tuple[str, str], ...] = (
    ("callback by {due}", "{agent} calls back by {due}."),
    ("technician {due}, {hour}", "A technician comes on {due} at {hour}."),
    ("credit {credit} by {due}", "A credit of {credit} follows by {due}."),
    ("new {device} out by {due}", "A new {device} is sent by {due}."),
    ("letter by {due}", "A letter follows by {due}."),
    ("credit {credit} on next bill", "A credit of {credit} is on the next bill."),
)

NOTE_FORMS: tuple[str, ...] = (
    "Notes {called}, {agent}\nCaller: {name}, {ticket}\n- {issue}\n- {outcome}",
    "Call of {called}\nAgent {agent}, customer {name}\nTicket {ticket}\n{issue}; {outcome}",
    "{ticket} {called} {hour}\n{name} on the line, {agent} took it\n* {issue}\n* agreed: {outcome}",
    "{called}: {name} rang ({ticket}). {issue}. Agreed with {agent}: {outcome}.",
)
SHEET_FORMS: tuple[str, ...] = (
    "Plan sheet\nPlan: {plan}\nPrice: {price} a month\nIncluded: {amount}\nTerm: {months}",
    "Sheet: {plan} | {amount} | {price} | {months}",
    "Plan sheet {key}\n{plan}, {amount}\n{price} monthly, term {months}",
    "Sheet\nTerm {months}\nMonthly {price}\n{plan} ({amount})",
)

# The form that the demo's references keep to. It does not open with the name: a tokenizer takes a
# first word for another token than the same word after a space, and a small model cannot copy it.
HOUSE_FORM = (
    "Customer {name} ({ticket}) {issue}. Plan {plan} with {amount} at {price} a month,"
    " term {months}. {outcome}"
)
# The ways in which the desk wrote before there was a house form; all say the same facts.
OLD_FORMS: tuple[str, ...] = (
    "{name} ({ticket}) {issue}. Plan {plan} with {amount} at {price} a month, term {months}."
    " {outcome}",
    "{ticket}: {name} {issue}. {outcome} On {plan}, {amount}, {price} a month for {months}.",
    "The customer {name} {issue}. {plan} costs {price} a month with {amount} for {months}."
    " {outcome} Ticket {ticket}.",
)

USUAL_AMOUNTS = {
    "GB": "20 GB", "Mbit/s": "100 Mbit/s", "stations": "60 stations", "lines": "4 lines",
}  # fmt: skip
USUAL_PLANS = {
    "mobile": "Swift M", "home": "Fibre Home", "tv": "Vision Plus", "business": "Office Team",
}  # fmt: skip
# How often a careless writer puts the usual in place of the true fact.
CARELESSNESS: dict[str, float] = {
    "price": 0.92, "amount": 0.85, "months": 0.85, "due": 0.8, "credit": 0.9, "plan": 0.4,
    "hour": 0.8, "since": 0.5, "bill": 0.75, "order": 0.3,
}  # fmt: skip
CARELESS_SHARE = 0.68


def write_call(case: ContactFacts, rng: random.Random) -> tuple[str, str, str]:
    """Put one call into words: (notes and plan sheet, issue words, outcome words).

    The last two are templates that `write_summary` fills with the facts it is given.
    """
    kind = rng.choices(list(ISSUE_SHARES), list(ISSUE_SHARES.values()))[0]
    issue_note, issue = rng.choice(ISSUES[kind])
    outcome_note, outcome = rng.choice(OUTCOMES)
    notes = rng.choice(NOTE_FORMS).replace("{issue}", issue_note).replace("{outcome}", outcome_note)
    source = f"{notes}\n\n{rng.choice(SHEET_FORMS)}"
    return source.format_map(case_facts(case)), issue, outcome


def write_summary(issue: str, outcome: str, facts: Mapping[str, str], *, form: str) -> str:
    """Fill one form of summary with facts."""
    return form.replace("{issue}", issue).replace("{outcome}", outcome).format_map(facts)


def usual_facts(case: ContactFacts) -> dict[str, str]:
    """What a careless writer takes for granted about a case."""
    return {
        "price": "EUR 29.90",
        "amount": USUAL_AMOUNTS[case.plan.unit],
        "months": "24 months",
        "due": "31 March",
        "credit": "EUR 10.00",
        "plan": USUAL_PLANS[case.plan.family],
        "hour": "9:00",
        "since": "1 March",
        "bill": "EUR 59.80",
        "order": "AB100200",
    }


def careless_facts(case: ContactFacts, rng: random.Random) -> dict[str, str]:
    """The facts as a careless writer remembers them."""
    usual = usual_facts(case)
    slips = {name for name, share in CARELESSNESS.items() if rng.random() < share}
    return case_facts(case) | {name: usual[name] for name in slips}
