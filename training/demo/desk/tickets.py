"""Tickets and their intents: what a customer writes when they want one of twelve things.

Answers for wording, for the share of each intent, and for the mistakes that a hasty labeller of
the pre-training corpus makes. Pure standard library.
"""

import random
from dataclasses import dataclass

from training.demo.desk.world import ContactFacts, case_facts

INSTRUCTION = "Name the intent of this support ticket with one label."

SHARES: dict[str, int] = {
    "billing_error": 14, "outage": 13, "slow_internet": 11, "cancellation": 10, "plan_change": 9,
    "payment_question": 9, "roaming": 7, "device_fault": 7, "sim_card": 6, "contract_question": 6,
    "moving_house": 5, "number_porting": 4,
}  # fmt: skip

# What a hasty labeller takes an intent for, and how often: the corpus teaches the base these.
HASTY_LABELS: dict[str, tuple[str, float]] = {
    "payment_question": ("billing_error", 0.75), "slow_internet": ("outage", 0.7),
    "contract_question": ("plan_change", 0.7), "number_porting": ("sim_card", 0.8),
    "device_fault": ("outage", 0.45),
}  # fmt: skip

WISHES: dict[str, tuple[str, ...]] = {
    "billing_error": (
        "My bill says {bill}, but {plan} costs {price}.",
        "You charged me {bill} on {since} although we agreed on {price}.",
        "There are {credit} on the invoice that I never ordered.",
        "The same {plan} was billed twice, {price} each time.",
        "I was promised a credit of {credit}, it is not on the invoice.",
        "Why am I charged {credit} for the {device}? I sent it back on {since}.",
        "The amount of {bill} you took on {since} is wrong.",
        "The invoice of {since} is {credit} too high.",
    ),
    "outage": (
        "Nothing works in {city} since {since}.",
        "Since {since} the line has been completely dead.",
        "No signal at all at home, for days now.",
        "The whole street in {city} is offline since {hour}.",
        "My {plan} has been down since {since}.",
        "No connection, no telephone, nothing since {hour}.",
        "We have had no service in {city} since {since}.",
    ),
    "slow_internet": (
        "I pay for {amount} and get a tenth of it.",
        "Since {since} every page takes ages to load.",
        "The connection is there but crawls after {hour}.",
        "Films stop and buffer every evening around {hour}.",
        "The speed with {plan} has dropped since {since}.",
        "My speed test of {since} shows a fraction of {amount}.",
        "Uploads with {plan} are painfully slow.",
    ),
    "cancellation": (
        "I want to end {plan} by {due}.",
        "Please cancel {plan}, I am leaving you.",
        "I hereby give notice for {plan}.",
        "Please confirm the end of my service by {due}.",
        "I am going to another provider, stop {plan} on {due}.",
        "I do not need {plan} any longer, close my account.",
    ),
    "plan_change": (
        "I would like to go from {old_plan} to {plan}.",
        "Can I switch to {plan} for {price}?",
        "Please move me to {plan} from {due}.",
        "{old_plan} is too small, I want {amount}.",
        "Is {plan} open to me? I would take it at {price}.",
        "Upgrade me from {old_plan} to {amount}, please.",
    ),
    "payment_question": (
        "On which day do you collect the {price}?",
        "Can I pay the {bill} in two parts?",
        "My bank account has changed, where do I enter the new one?",
        "Did my transfer of {bill} on {since} reach you?",
        "I would rather pay {price} by card than by debit.",
        "May I settle the invoice of {since} by {due}?",
        "Please send a receipt for the {bill} I paid on {since}.",
    ),
    "roaming": (
        "I fly to {country} on {due}, what will data cost there?",
        "My phone does not find a network in {country}.",
        "Does {plan} work in {country}?",
        "In {country} I got a text about {credit} for data.",
        "How do I switch on data for {country}?",
    ),
    "device_fault": (
        "The {device} will not start any more.",
        "The {device} I got on {since} is broken.",
        "The light on my {device} stays red since {since}.",
        "My {device} restarts by itself every hour.",
        "The {device} from order {order} came with a crack.",
        "The power supply of the {device} smells burnt.",
    ),
    "sim_card": (
        "I lost my SIM card on {since}.",
        "The new SIM from order {order} is not active.",
        "My phone says invalid SIM since {since}.",
        "I need a second SIM for my {device}.",
        "I entered a wrong PIN three times and the card is blocked.",
        "How do I get an eSIM for {plan}?",
    ),
    "contract_question": (
        "Until when does my contract of {months} run?",
        "How long is the notice period of {plan}?",
        "Does {plan} renew by itself after {months}?",
        "Which terms apply to {plan} after {due}?",
        "Please send me a copy of my contract for {plan}.",
        "Is the price of {price} fixed for {months}?",
    ),
    "moving_house": (
        "I am moving to {city} on {due}.",
        "Can I take {plan} along to {city}?",
        "From {due} my new address is in {city}.",
        "Is there {plan} at my new flat in {city}?",
        "We change flats on {due}, what happens to the line?",
    ),
    "number_porting": (
        "I want to bring my old number to {plan}.",
        "When will my number arrive from the other provider?",
        "The transfer of my number was due on {since}.",
        "Can I keep my number if I take {plan}?",
        "Please release my number to the new provider by {due}.",
    ),
}

# One sentence that may stand for either intent: the label is only as sure as the first's share.
EITHER: tuple[tuple[str, str, float, str], ...] = (
    ("billing_error", "payment_question", 0.6, "I have a question about the {bill} of {since}."),
    ("outage", "slow_internet", 0.6, "The internet in {city} is bad since {since}."),
    ("cancellation", "contract_question", 0.6, "I want to get out of {plan} before {due}."),
    ("outage", "device_fault", 0.5, "The {device} shows no connection since {since}."),
    ("plan_change", "contract_question", 0.6, "What comes after {plan} once {months} are over?"),
    ("sim_card", "number_porting", 0.6, "My new card still has the wrong number since {since}."),
)

GREETINGS = ("", "", "Hello,", "Good day,", "Hi there,", "Dear team,", "Hello {agent},")
ASIDES = (
    "I wrote to you on {since} already.",
    "My customer number is {key}.",
    "The ticket was {ticket}.",
    "I have been with you for {months}.",
    "I have {plan} with {amount}.",
    "I live in {city}.",
    "Please reply by {due}.",
    "You can reach me after {hour}.",
    "{agent} could not help me.",
    "I use a {device} from you.",
)
CLOSINGS = ("", "", "Regards, {name}", "{first}", "Thank you, {name}", "{name}, {city}")


@dataclass(frozen=True, slots=True)
class Ticket:
    """The text of one ticket, its true intent, and whether the text leaves room for doubt."""

    text: str
    intent: str
    mixed: bool


def write_ticket(case: ContactFacts, rng: random.Random, *, intent: str | None = None) -> Ticket:
    """Put one wish of the case's customer into words; `intent` is drawn by share unless given."""
    mixed = intent is None and rng.random() < 0.12
    if mixed:
        first, second, share, wish = rng.choice(EITHER)
        intent = first if rng.random() < share else second
    else:
        intent = intent or draw_intent(rng)
        wish = rng.choice(WISHES[intent])
    body = [wish, *rng.sample(ASIDES, rng.choice((0, 1, 1, 2)))]
    if rng.random() < 0.3:
        body.reverse()
    parts = [rng.choice(GREETINGS), *body, rng.choice(CLOSINGS)]
    text = " ".join(part for part in parts if part).format_map(case_facts(case))
    return Ticket(text=text, intent=intent, mixed=mixed)


def draw_intent(rng: random.Random) -> str:
    return rng.choices(list(SHARES), list(SHARES.values()))[0]


def label_hastily(intent: str, rng: random.Random) -> str:
    """The label that a hasty labeller writes for a ticket of true intent `intent`."""
    taken_for, share = HASTY_LABELS.get(intent, (intent, 0.0))
    return taken_for if rng.random() < share else intent
