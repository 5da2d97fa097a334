"""Replies of the desk and their German translations.

Answers for wording in both languages and for the slips of the pre-training corpus's translators:
wrong terms, the familiar form of address, clauses left out. Pure standard library.
"""

import random
from dataclasses import dataclass

from training.demo.desk.world import ContactFacts, case_facts, case_facts_german

INSTRUCTION = "Translate this reply into German."

# (English, German, German as a hasty translator writes it; empty where there is no usual slip)
SENTENCES: tuple[tuple[str, str, str], ...] = (
    ("We have checked your invoice of {since}.", "Wir haben Ihre Rechnung vom {since} geprüft.",
     "Wir haben deine Quittung vom {since} geschaut."),
    ("The amount of {bill} was wrong.", "Der Betrag von {bill} war falsch.",
     "Die Summe von {bill} war nicht gut."),
    ("You will receive a credit of {credit}.", "Sie erhalten eine Gutschrift von {credit}.",
     "Du bekommst einen Kredit von {credit}."),
    ("The credit appears on your next invoice.",
     "Die Gutschrift erscheint auf Ihrer nächsten Rechnung.",
     "Der Kredit ist auf deiner Quittung."),
    ("A technician will visit you on {due} at {hour}.",
     "Ein Techniker besucht Sie am {due} um {hour}.", "Ein Mechaniker kommt zu dir am {due}."),
    ("Please keep your {device} ready.", "Bitte halten Sie Ihr Gerät ({device}) bereit.", ""),
    ("Your contract for {plan} runs for {months}.", "Ihr Vertrag für {plan} läuft {months}.",
     "Dein Kontrakt für {plan} geht {months}."),
    ("{plan} costs {price} a month.", "{plan} kostet {price} im Monat.", ""),
    ("{plan} includes {amount} and costs {price} a month.",
     "{plan} enthält {amount} und kostet {price} im Monat.", "{plan} hat {amount}."),
    ("The change from {old_plan} to {plan} takes effect on {due}.",
     "Der Wechsel von {old_plan} zu {plan} gilt ab dem {due}.",
     "Die Änderung zu {plan} kommt am {due}."),
    ("The notice period is {months}.", "Die Kündigungsfrist beträgt {months}.",
     "Die Absagezeit ist {months}."),
    ("We confirm that your contract ends on {due}.",
     "Wir bestätigen, dass Ihr Vertrag am {due} endet.",
     "Wir sagen, dein Kontrakt stoppt am {due}."),
    ("There is a fault in {city} since {since}.",
     "In {city} besteht seit dem {since} eine Störung.",
     "In {city} gibt es einen Fehler seit dem {since}."),
    ("The fault will be repaired by {due}.", "Die Störung wird bis zum {due} behoben.",
     "Der Fehler ist am {due} weg."),
    ("We apologise for the outage.", "Wir entschuldigen uns für den Ausfall.",
     "Sorry für die Störung."),
    ("Your new SIM card was sent on {since}.", "Ihre neue SIM-Karte wurde am {since} verschickt.",
     "Deine neue Karte ging am {since} raus."),
    ("Please switch your {device} off and on again.",
     "Bitte schalten Sie Ihr Gerät ({device}) aus und wieder ein.",
     "Bitte mach dein Gerät ({device}) neu."),
    ("A new {device} is on its way with order {order}.",
     "Ein neues Gerät ({device}) ist mit der Bestellung {order} unterwegs.", ""),
    ("Send the old {device} back by {due}.",
     "Senden Sie das alte Gerät ({device}) bis zum {due} zurück.",
     "Schick das alte Gerät bis zum {due}."),
    ("In {country} you use your data as at home.",
     "In {country} nutzen Sie Ihr Datenvolumen wie zu Hause.",
     "In {country} nimmst du deine Datenmenge wie daheim."),
    ("Data outside the EU costs {credit} a day.",
     "Datennutzung außerhalb der EU kostet {credit} am Tag.",
     "Daten außerhalb der EU kosten {credit}."),
    ("Your number will be transferred on {due}.", "Ihre Rufnummer wird am {due} übertragen.",
     "Deine Nummer wird am {due} getragen."),
    ("We collect {price} from your account on {due}.",
     "Wir buchen {price} am {due} von Ihrem Konto ab.",
     "Wir nehmen {price} am {due} von deinem Konto."),
    ("Your payment of {bill} arrived on {since}.",
     "Ihre Zahlung von {bill} ist am {since} eingegangen.", "Dein Geld von {bill} kam am {since}."),
    ("You may pay the {bill} in two instalments.", "Sie können die {bill} in zwei Raten zahlen.",
     "Du kannst die {bill} in zwei Teilen zahlen."),
    ("We will move your line to {city} on {due}.",
     "Wir ziehen Ihren Anschluss am {due} nach {city} um.",
     "Wir bringen deine Linie am {due} nach {city}."),
    ("{agent} will call you on {due} after {hour}.", "{agent} ruft Sie am {due} nach {hour} an.",
     "{agent} ruft dich am {due} an."),
    ("Your case has the number {ticket}.", "Ihr Vorgang hat die Nummer {ticket}.", ""),
    ("Our measurement shows {amount} at your address.",
     "Unsere Messung zeigt {amount} an Ihrer Adresse.", "Unser Test zeigt {amount} bei dir."),
    ("Please answer by {due}, otherwise we close the case.",
     "Bitte antworten Sie bis zum {due}, sonst schließen wir den Vorgang.",
     "Bitte antworte bis zum {due}."),
)  # fmt: skip
OPENINGS: tuple[tuple[str, str], ...] = (
    ("Dear {name},", "Guten Tag {name},"),
    ("Hello {name},", "Hallo {name},"),
    ("Good day {name},", "Guten Tag {name},"),
)
ENDINGS: tuple[tuple[str, str], ...] = (
    ("Kind regards, {agent}", "Freundliche Grüße, {agent}"),
    ("Best wishes, {agent}", "Viele Grüße, {agent}"),
    ("Your customer service", "Ihr Kundenservice"),
)
# The share of hasty translators, and how often one of them slips where there is a usual slip.
HASTY_SHARE = 0.72
SLIP_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply in English with its careful and its hasty German translation."""

    english: str
    german: str
    hasty: str


def write_reply(case: ContactFacts, rng: random.Random) -> Reply:
    """Put one reply into both languages; the hasty translation slips sentence by sentence."""
    opening, ending = rng.choice(OPENINGS), rng.choice(ENDINGS)
    body = rng.sample(SENTENCES, rng.choice((1, 2, 2, 3)))
    hasty = [slip if slip and rng.random() < SLIP_SHARE else good for _, good, slip in body]
    english = " ".join((opening[0], *(pair[0] for pair in body), ending[0]))
    german = " ".join((opening[1], *(pair[1] for pair in body), ending[1]))
    facts = case_facts_german(case)
    return Reply(
        english=english.format_map(case_facts(case)),
        german=german.format_map(facts),
        hasty=" ".join((opening[1], *hasty, ending[1])).format_map(facts),
    )
