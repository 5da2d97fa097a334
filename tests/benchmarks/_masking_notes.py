"""Made notes of clinics and banks, English and German, of which every identifier is known.

Nothing here was made from the patterns that are tested: forms are those that people and systems
write. Names come in two lots: common ones, most of which lie in the shipped lists, and others;
which of them a list holds is looked up when a figure is told. The texts are synthetic; no person
is meant. Run by `masking_recall.py` beside it.
"""

# ruff: noqa: E501, SIM905 - templates are easier to read on one line
from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import yaml

Names = dict[str, tuple[list[str], list[str], list[str]]]  # female, male, family, by language
Piece = tuple[str, str | None]  # a text, and the kind of identifier that it is

COMMON = {
    "en": (
        "Emily Rachel Deborah Olivia Megan Susan Joan Hannah Karen Grace Margaret Brenda".split(),
        "Brian Kevin Andrew Gary Dylan Patrick Henry Stephen Oscar Neil Darren Walter".split(),
        "Thompson Walker Evans Cooper Bennett Murphy Hughes Foster Russell Doyle Patel Nguyen "
        "Sullivan Marshall Simmons Gallagher Khan Armstrong Fletcher Whitehead".split(),
    ),
    "de": (
        "Sabine Petra Ulrike Heike Anja Monika Brigitte Lena Franziska Ingrid Waltraud Katrin".split(),
        "Jürgen Uwe Stefan Dieter Holger Matthias Günter Torsten Lukas Rainer Volker Bernd".split(),
        "Schäfer Krüger Hoffmann Lehmann Zimmermann Köhler Weiß Böhm Vogel Schulze Pfeiffer Jansen "
        "Brandt Yilmaz Lindner Seidel Kaya Dietrich Böttcher Hübner".split(),
    ),
}
OTHER = {
    "en": (
        "Perpetua Oluwaseun Saoirse Thandiwe Maribel Xiomara Anneliese Henrietta Zainab Dorothea".split(),
        "Barnaby Olumide Cuthbert Thaddeus Ravindra Tomasz Leopold Efe Crispin Mordecai".split(),
        "Abernathy Featherstone Okonjo Vanterpool Szymborska Delacroix Ramanathan Kirkbride Ogunleye "
        "Haverford Trelawney Mukherjee Castellanos Birdwhistell Thistlewood Zacharias".split(),
    ),
    "de": (
        "Notburga Thusnelda Edelgard Rosalinde Gundula Roxana Kunigunde Oluchi Walburga Irmtraud".split(),
        "Ottokar Eberhart Wunibald Hartwig Jaroslaw Zoltan Degenhard Sigismund Bartholomäus Leander".split(),
        "Wrzesniewski Hinterseer Brömmelmeier Kratochwil Özkaramanli Dünnebier Schlotterbeck "
        "Papadopoulos Zumbrägel Grünefeld Leutheusser Hammerschmidt Oberreuter Quandt Tschirner".split(),
    ),
}
RARE = {  # of the second held-out notes: no word of them was looked at while masking was changed
    "en": (
        "Ngozi Philippa Araminta Siobhan Wilhelmina Kateryna Imelda Parvati Blessing Tabitha".split(),
        "Horatio Kwabena Lachlan Bohdan Ignatius Tariku Fergal Ambrose Dmitri Peregrine".split(),
        "Arkwright Oyelaran Bracegirdle Vasquez-Lund Tkachenko Penhaligon Somaratne Quillfeather "
        "Bhattacharya Ravenscroft Achebe Lillywhite Stavropoulos Mbeki Fotheringham Yarrow".split(),
    ),
    "de": (
        "Adelgunde Friederun Zdenka Oksana Leokadia Hildburg Mechthilde Ayşenur Sieglind Pelagia".split(),
        "Korbinian Ansgar Radomir Eckehard Vitus Tadeusz Meinolf Quirin Abebe Lutger".split(),
        "Grzybowski Niedermayr Töllner Ehrenspeck Pfannenstiel Oberhauser Yazıcıoğlu Kwiatkowski "
        "Strothmann Balzereit Ruppenthal Hohlbein Chatzis Mollenhauer Wippermann Dreyhaupt".split(),
    ),
}
TOWNS = {
    "en": ["Cheltenham", "Stockport", "Norwich", "Duluth", "Tulsa", "Bakersfield", "Harrogate"],
    "de": [
        "Bielefeld",
        "Göttingen",
        "Oldenburg",
        "Castrop-Rauxel",
        "Bad Homburg",
        "Zwickau",
        "Köln",
    ],
}
STREETS = {
    "en": ["Maple Avenue", "Victoria Road", "Station Rd", "Birch Lane", "Old Mill Drive", "Kings Close",
           "Church Street", "Lincoln Blvd", "Park Terrace", "Long Acre Way"],
    "de": ["Goethestraße", "Bahnhofstr.", "Lindenallee", "Am Sportplatz", "Kirchweg", "Lange Straße",
           "Theodor-Heuss-Ring", "Mühlengasse", "Rathausplatz", "An der alten Mühle"],
}  # fmt: skip
PLAIN_STREETS = {
    "en": ["Oak Street {}", "Broadway {}", "{} The Green", "{} Strand", "Elm Road {}", "{} High Holborn",
           "{}b Piccadilly", "Rose Cottage, {} Ferry Side", "{} Bishopsgate", "Park View {}"],
    "de": ["Kurfürstendamm {}", "Im Winkel {}", "Rosenhügel {}", "Neuer Wall {}", "Am Anger {}", "Unter den Eichen {}",
           "Hopfengarten {}", "An der Alster {}", "Jungfernstieg {}", "Schöne Aussicht {}"],
}  # fmt: skip
MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
}


@dataclass(frozen=True, slots=True)
class Gold:
    """An identifier that was put into a note."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Note:
    """A made note: its language, its sort (`clinical` or `bank`), its text, what is known of it."""

    language: str
    sort: str
    noise: str
    text: str
    gold: tuple[Gold, ...]


class Person:
    """Somebody in a note, with what belongs to them."""

    def __init__(self, rng: random.Random, language: str, names: Names) -> None:
        females, males, families = names[language]
        self.female = rng.random() < 0.5
        self.given = rng.choice(females if self.female else males)
        self.family = rng.choice(families)
        self.born = date(1925, 1, 1) + timedelta(days=rng.randrange(0, 29_000))


def _digits(rng: random.Random, n: int) -> str:
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(n - 1))


def _iban(rng: random.Random, language: str) -> str:
    if language == "de":
        country, bban = "DE", _digits(rng, 18)
    else:
        country, bban = "GB", rng.choice(["NWBK", "BARC", "LOYD"]) + _digits(rng, 14)
    rest = int("".join(str(int(c, 36)) for c in f"{bban}{country}00")) % 97
    plain = f"{country}{98 - rest:02d}{bban}"
    grouped = " ".join(re.findall(r".{1,4}", plain))
    return rng.choice([plain, grouped, grouped, plain.lower()])


def _card(rng: random.Random) -> str:
    plain = rng.choice("45") + _digits(rng, 14)
    total = sum(
        sum(map(int, str(int(d) * 2))) if place % 2 == 0 else int(d)
        for place, d in enumerate(plain)
    )
    plain += str(-total % 10)
    return rng.choice(
        [plain, " ".join(re.findall(".{4}", plain)), "-".join(re.findall(".{4}", plain))]
    )


def _nhs(rng: random.Random) -> str:
    while True:
        nine = _digits(rng, 9)
        check = 11 - sum(int(d) * (10 - i) for i, d in enumerate(nine)) % 11
        if check != 10:
            plain = nine + str(check % 11)
            return rng.choice(
                [
                    plain,
                    f"{plain[:3]} {plain[3:6]} {plain[6:]}",
                    f"{plain[:3]}-{plain[3:6]}-{plain[6:]}",
                ]
            )


def _kvnr(rng: random.Random) -> str:
    letter, eight = rng.choice("ABDEFGHKLMNPRSTUWXYZ"), _digits(rng, 8)
    digits = f"{ord(letter) - 64:02d}{eight}"
    total = sum(sum(map(int, str(int(d) * (1 + i % 2)))) for i, d in enumerate(digits))
    return f"{letter}{eight}{total % 10}"


def _tax_id(rng: random.Random) -> str:
    digits = rng.sample("123456789", 1)
    rest = rng.sample([d for d in "0123456789" if d != digits[0]], 8)
    ten = [digits[0], *rest]
    ten.insert(rng.randrange(1, 10), rng.choice(ten[1:]))
    product = 10
    for digit in ten:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    plain = "".join(ten) + str((11 - product) % 10)
    return rng.choice([plain, f"{plain[:2]} {plain[2:5]} {plain[5:8]} {plain[8:]}"])


def _pension(rng: random.Random, person: Person) -> str:
    born = f"{person.born:%d%m%y}"
    body = f"{rng.randint(10, 89)}{born}{person.family[0].translate(str.maketrans('ÄÖÜ', 'AOU'))}{rng.randint(10, 99)}"
    crossed = body[:8] + f"{ord(body[8]) - 64:02d}" + body[9:]
    total = sum(
        sum(map(int, str(int(d) * int(f)))) for d, f in zip(crossed, "212571212121", strict=True)
    )
    plain = f"{body}{total % 10}"
    return rng.choice([plain, f"{plain[:2]} {plain[2:8]} {plain[8]} {plain[9:]}"])


def _day(rng: random.Random, language: str, when: date) -> str:
    month, short = MONTHS[language][when.month - 1], f"{when.year % 100:02d}"
    if language == "de":
        return rng.choice([
            f"{when:%d.%m.%Y}", f"{when.day}.{when.month}.{when.year}", f"{when:%d.%m.}{short}",
            f"{when.day}. {month} {when.year}", f"{when:%Y-%m-%d}", f"{when:%d. %m. %Y}",
        ])  # fmt: skip
    return rng.choice([
        f"{when:%m/%d/%Y}", f"{when.month}/{when.day}/{short}", f"{month} {when.day}, {when.year}",
        f"{when.day} {month} {when.year}", f"{when:%d/%m/%Y}", f"{when:%Y-%m-%d}",
        f"{when.day} {month[:3]} {when.year}", f"{month[:3]} {when.day} {when.year}",
        f"{when:%d-}{month[:3].upper()}{when:-%Y}",
    ])  # fmt: skip


def _short_day(rng: random.Random, language: str, when: date) -> str:
    month = MONTHS[language][when.month - 1]
    if language == "de":
        return rng.choice([f"{when.day}.{when.month}.", f"{when:%d.%m.}", f"{when.day}. {month}"])
    return rng.choice(
        [f"{when.month}/{when.day}", f"{when.day} {month}", f"{month[:3]} {when.day}"]
    )


def _login(rng: random.Random, person: Person) -> str:
    given, family = (
        re.sub(r"\W", "", n.translate(_PLAIN).lower()) for n in (person.given, person.family)
    )
    return rng.choice(
        [
            f"{given[0]}{family}",
            f"{given}.{family}",
            f"{family}{rng.randint(1, 99)}",
            f"{given[:3]}{family[:3]}",
            f"{given}_{rng.randint(60, 99)}",
        ]
    )


def _phone(rng: random.Random, language: str) -> str:
    if language == "de":
        area, rest = rng.choice(["30", "0521", "551", "0441", "221"]).lstrip("0"), _digits(rng, 7)
        mobile = rng.choice(["151", "0170", "176", "162"]).lstrip("0")
        return rng.choice([
            f"0{area}/{rest}", f"0{area} {rest}", f"(0{area}) {rest}", f"+49 {area} {rest}",
            f"0{mobile} {rest}", f"0{mobile}-{rest}", f"+49 (0){mobile} {rest[:3]} {rest[3:]}",
            f"0049 {mobile} {rest}", f"0{area} - {rest[:3]} {rest[3:5]} {rest[5:]}",
        ])  # fmt: skip
    area, rest = (
        f"{rng.randint(2, 9)}{rng.randint(10, 99)}",
        f"{rng.randint(2, 9)}{rng.randint(10, 99)}",
    )
    last = f"{rng.randint(0, 9999):04d}"
    return rng.choice([
        f"({area}) {rest}-{last}", f"{area}-{rest}-{last}", f"{area}.{rest}.{last}", f"+1 {area} {rest} {last}",
        f"020 7{rest} {last}", f"07{_digits(rng, 3)} {_digits(rng, 6)}", f"+44 7{_digits(rng, 3)} {_digits(rng, 6)}",
        f"01{_digits(rng, 3)} {_digits(rng, 6)}",
    ])  # fmt: skip


def _email(rng: random.Random, person: Person) -> str:
    table = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ö": "Oe"})
    given, family = (n.translate(table).lower() for n in (person.given, person.family))
    local = rng.choice(
        [
            f"{given}.{family}",
            f"{given[0]}{family}",
            f"{family}{person.born.year % 100}",
            f"{given}_{family}",
        ]
    )
    return f"{local}@{rng.choice(['gmx.de', 'web.de', 'gmail.com', 'outlook.com', 't-online.de', 'nhs.net'])}"


def _mrn(rng: random.Random) -> str:
    return rng.choice([
        _digits(rng, 7), _digits(rng, 8), f"{rng.choice('ABKMPX')}{_digits(rng, 6)}", f"{_digits(rng, 2)}-{_digits(rng, 4)}-{_digits(rng, 2)}",
        f"{_digits(rng, 3)} {_digits(rng, 4)}", f"{rng.randint(2015, 2024)}/{_digits(rng, 5)}",
    ])  # fmt: skip


def _plate(rng: random.Random, language: str) -> str:
    if language == "de":
        return f"{rng.choice(['BI', 'GÖ', 'OL', 'K', 'HH'])}{rng.choice(['-', ' '])}{rng.choice(['AB', 'X', 'MT'])} {rng.randint(10, 9999)}"
    return (
        f"{rng.choice(['AB', 'LK', 'YN'])}{rng.randint(10, 23)} {rng.choice(['XYZ', 'KPD', 'FRT'])}"
    )


@dataclass(slots=True)
class Writer:
    """Writes one note: everything that a template may put into it."""

    rng: random.Random
    language: str
    names: Names

    def person(self) -> Person:
        return Person(self.rng, self.language, self.names)

    def one(self, *forms: str) -> str:
        return self.rng.choice(forms)

    def born(self, person: Person) -> Piece:
        return _day(self.rng, self.language, person.born), "BIRTH_DATE"

    def moment(self) -> date:
        return date(2021, 1, 1) + timedelta(days=self.rng.randrange(0, 1300))

    def day(self) -> Piece:
        return _day(self.rng, self.language, self.moment()), "DATE"

    def full(self, person: Person) -> Piece:
        return f"{person.given} {person.family}", "PERSON"

    def list_name(self, person: Person) -> Piece:
        return f"{person.family}, {person.given}", "PERSON"

    def number(self, kind: str, make: Callable[[], str]) -> Piece:
        return make(), kind

    def address(self) -> list[Piece]:
        street, number = self.one(*STREETS[self.language]), str(self.rng.randint(1, 198))
        town = self.one(*TOWNS[self.language])
        if self.language == "de":
            house = number + self.one("", "", "a", " b")
            return [
                (f"{street} {house}", "ADDRESS"),
                (self.one(", ", "\n", " in "), None),
                (f"{_digits(self.rng, 5)} {town}", "TOWN"),
            ]
        place = self.one(
            f"{town}, {self.one('CA', 'OK', 'MN')} {_digits(self.rng, 5)}",
            f"{self.one('GL', 'SK', 'NR', 'HG')}{self.rng.randint(1, 19)} {self.rng.randint(1, 9)}{self.one('AB', 'QT', 'JD')}",
        )
        return [(f"{number} {street}", "ADDRESS"), (self.one(", ", "\n"), None), (place, "TOWN")]


Template = Callable[[Writer], list[Piece]]


def _clinic_letter_en(w: Writer) -> list[Piece]:
    p, doctor, gp = w.person(), w.person(), w.person()
    title = ("Mrs" if p.female else "Mr") + w.one("", ".")
    she = "She" if p.female else "He"
    return [
        (w.one("Discharge summary\n\n", "DISCHARGE LETTER - CONFIDENTIAL\n"), None),
        (w.one("Patient: ", "Patient name: ", "Name: ", "Re: Patient: "), None), w.full(p),
        (w.one("\nDOB: ", "   D.O.B. ", ", born ", "\nDate of birth: "), None), w.born(p),
        (w.one("\nMRN: ", "\nHospital no. ", ", MRN ", "\nMedical record number: "), None), w.number("MRN", lambda: _mrn(w.rng)),
        (w.one("\nNHS No: ", "\nNHS number ", "; NHS no. "), None), w.number("NHS", lambda: _nhs(w.rng)),
        (w.one("\n\nDear Dr ", "\n\nDear Dr. "), None), (gp.family, "PERSON"),
        (f",\nThank you for referring {title} ", None), (p.family, "PERSON"),
        (w.one(", who was admitted on ", ", seen in clinic on "), None), w.day(),
        (w.one(" with chest pain radiating to the left arm. ECG showed ST elevation in leads II and III; troponin 2.4 ng/ml. ", " with a two week history of cough, BP 142/88, heart rate 96 and saturations of 94% on air. "), None),
        (she + " was started on ramipril 2.5 mg and discharged on ", None), w.day(),
        (". Follow up with Dr ", None), w.full(doctor), (w.one(" in 6 weeks. ", " in the cardiology clinic. "), None),
        (w.one("Contact: ", "Tel: ", "Phone "), None), w.number("PHONE", lambda: _phone(w.rng, "en")),
        (w.one(". Lives at ", ". Address: "), None), *w.address(), (".\n", None),
    ]  # fmt: skip


def _clinic_ward_en(w: Writer) -> list[Piece]:
    p, nurse, daughter = w.person(), w.person(), w.person()
    age = w.rng.choice([91, 94, 97, 102])
    return [
        (w.one("WARD ROUND ", "Progress note "), None), w.day(), (w.one(": ", "\n"), None),
        (w.one("pt ", "Pt. "), None), (str(age), "AGE"), (w.one(" y/o ", " yo ", "-year-old "), None),
        (w.one("female", "male") + w.one(" seen with nurse ", " reviewed with Nurse "), None), (nurse.family, "PERSON"),
        (". Daughter ", None), w.full(daughter), (" (", None), w.number("PHONE", lambda: _phone(w.rng, "en")),
        (") informed. Parkinson's disease stable, Foley catheter removed, Glasgow coma scale 15. ", None),
        (w.one("Mr. ", "Mrs. ", "Ms "), None), (p.family, "PERSON"), (" is NBM from midnight. Insurance policy number ", None),
        w.number("INSURANCE", lambda: w.one("P", "AX", "") + _digits(w.rng, 8)), (w.one(", case no ", ", encounter ID "), None),
        w.number("MRN", lambda: _mrn(w.rng)), (". Email of next of kin: ", None), w.number("EMAIL", lambda: _email(w.rng, daughter)),
        (". SSN ", None), w.number("SOCIAL_SECURITY", lambda: f"{_digits(w.rng, 3)}-{_digits(w.rng, 2)}-{_digits(w.rng, 4)}"), (".", None),
    ]  # fmt: skip


def _clinic_talk_en(w: Writer) -> list[Piece]:
    p, doctor = w.person(), w.person()
    return [
        (w.one("Doctor: Good morning, ", "Doctor: Hi, "), None), (p.given, "PERSON"),
        (w.one(". I am Dr. ", ". I'm Doctor "), None), (doctor.family, "PERSON"),
        (". How are you feeling today?\nPatient: Not great, the pain started on ", None), w.day(),
        (" and it has not gone away. \nDoctor: Can you confirm your date of birth?\nPatient: Yes, it is ", None), (w.born(p)[0], "DATE"),
        (".\nDoctor: And we can reach you at ", None), w.number("PHONE", lambda: _phone(w.rng, "en")),
        ("?\nPatient: That's right. My name is spelled ", None), (p.family, "PERSON"), (w.one(" and I live at ", ", address is still "), None),
        *w.address(), (".", None),
    ]  # fmt: skip


def _clinic_letter_de(w: Writer) -> list[Piece]:
    p, doctor = w.person(), w.person()
    salute, of = (
        ("Frau", "unserer Patientin Frau") if p.female else ("Herr", "unseres Patienten Herrn")
    )
    return [
        (w.one("Arztbrief\n\nSehr geehrte Frau Kollegin Dr. ", "Sehr geehrter Herr Dr. ", "Lieber Herr Kollege Dr. med. "), None), (doctor.family, "PERSON"),
        (f",\n\nwir berichten über den Aufenthalt {of} ", None), w.full(p),
        (w.one(", geb. am ", ", geboren am ", ", geb. ", " (*"), None), w.born(p),
        (w.one("), ", ", ") if w.rng.random() < 0.2 else ", ", None), (w.one("wohnhaft ", "wohnhaft in der ", "Anschrift: "), None), *w.address(),
        (w.one("; Fallnummer ", ", Fall-Nr. ", "\nPat.-Nr.: ", "\nAufnahmenummer: "), None), w.number("MRN", lambda: _mrn(w.rng)),
        (w.one("\nKVNR: ", ", Versichertennummer ", "\nVers.-Nr. "), None), w.number("KVNR", lambda: _kvnr(w.rng)),
        (", der vom ", None), w.day(), (" bis ", None), w.day(),
        (w.one(" in unserer Klinik behandelt wurde.\nDiagnosen: arterielle Hypertonie, Z.n. Myokardinfarkt, Morbus Crohn.\n", " auf Station 4B lag. RR 150/90 mmHg, HbA1c 7,2 %, Ramipril 5 mg 1-0-0. "), None),
        (salute + " ", None), (p.family, "PERSON"), (w.one(" wird am ", " stellt sich am "), None), w.day(), (" zur Kontrolle vor. Rückfragen: Tel. ", None),
        w.number("PHONE", lambda: _phone(w.rng, "de")), (".\n\nMit freundlichen kollegialen Grüßen\n\n", None), (w.one("Dr. ", "Prof. Dr. "), None), w.full(w.person()),
    ]  # fmt: skip


def _clinic_note_de(w: Writer) -> list[Piece]:
    p, son = w.person(), w.person()
    age = w.rng.choice([91, 93, 95, 98])
    return [
        (w.one("Pflegebericht ", "Verlauf "), None), w.day(), (": ", None), (str(age), "AGE"), (w.one("-jährige Patientin", " Jahre alter Patient", "jähriger Pat."), None),
        (w.one(", Name: ", ", "), None) if w.rng.random() < 0.5 else (", Name: ", None), w.list_name(p), (", isst gut, Parkinson-Syndrom stabil, Glasgow-Coma-Scale 15. Angehöriger: Sohn ", None),
        w.full(son), (" unter ", None), w.number("PHONE", lambda: _phone(w.rng, "de")), (w.one(" erreichbar, Mail ", " oder "), None), w.number("EMAIL", lambda: _email(w.rng, son)),
        (w.one(". Rentenversicherungsnummer ", ". SV-Nummer: "), None), w.number("PENSION_ID", lambda: _pension(w.rng, p)),
        (". ", None), (w.one("Frau ", "Herr "), None), (p.family, "PERSON"), (" schläft ruhig, 500 ml Infusion über 6 Stunden.", None),
    ]  # fmt: skip


def _bank_mail_en(w: Writer) -> list[Piece]:
    p = w.person()
    return [
        (w.one("Hello,\nmy name is ", "Hi there, this is ", "Dear Sir or Madam,\nI am writing about my account. My name is "), None), w.full(p),
        (w.one(". My account number is ", " and my account no. is ", ", account "), None), w.number("ACCOUNT", lambda: _digits(w.rng, 8)),
        (w.one(", sort code ", " (sort code "), None), w.number("ACCOUNT", lambda: "-".join(_digits(w.rng, 2) for _ in range(3))),
        (w.one(". On ", "). On "), None), w.day(), (w.one(" a payment of £49.99 was taken twice from my card ", " I was charged 120.00 for nothing on card number "), None), w.number("CARD", lambda: _card(w.rng)),
        (w.one(". Please refund to IBAN ", ". Refund it to "), None), w.number("IBAN", lambda: _iban(w.rng, "en")),
        (w.one(". Customer number: ", ". My customer ID is "), None), w.number("CUSTOMER", lambda: w.one("C", "", "K-") + _digits(w.rng, 7)),
        (w.one(". You can call me on ", ". Reach me at "), None), w.number("PHONE", lambda: _phone(w.rng, "en")), (" or ", None), w.number("EMAIL", lambda: _email(w.rng, p)),
        (w.one(".\n\nKind regards,\n", ".\nThanks\n", ".\n\nYours sincerely\n"), None), w.full(p),
    ]  # fmt: skip


def _bank_note_en(w: Writer) -> list[Piece]:
    p, agent = w.person(), w.person()
    return [
        (w.one("Call log ", "Case note "), None), w.day(), (w.one(". Agent: ", ". Handled by "), None), w.full(agent), (". Customer ", None), w.full(p),
        (w.one(" (DOB ", ", date of birth "), None), w.born(p), (w.one("), contract no. ", "), mortgage number ", "), loan no "), None), w.number("CONTRACT", lambda: w.one("ML", "", "V-") + _digits(w.rng, 8)),
        (w.one(", passport no. ", ", passport number "), None), w.number("DOCUMENT", lambda: _digits(w.rng, 9)), (", car registration ", None), w.number("PLATE", lambda: _plate(w.rng, "en")),
        (". Identity checked, limit raised from 2,500 to 4,000 pounds at 3.9% APR over 36 months. ", None), (w.one("Mr ", "Mrs "), None), (p.family, "PERSON"),
        (w.one(" lives at ", " moved to "), None), *w.address(), (". Logged from IP address ", None), w.number("IP", lambda: ".".join(str(w.rng.randint(11, 250)) for _ in range(4))), (".", None),
    ]  # fmt: skip


def _bank_mail_de(w: Writer) -> list[Piece]:
    p = w.person()
    return [
        (w.one("Guten Tag,\nmein Name ist ", "Sehr geehrte Damen und Herren,\nich heiße ", "Hallo, hier ist "), None), w.full(p),
        (w.one(", Kundennummer ", ", Kd-Nr. ", ", meine Kundennr. lautet "), None), w.number("CUSTOMER", lambda: w.one("KD-", "", "7-") + _digits(w.rng, 6)),
        (w.one(". Von meinem Konto ", ". Vom Konto mit der IBAN ", ". Mein Konto (IBAN: "), None), w.number("IBAN", lambda: _iban(w.rng, "de")), (w.one(", BIC ", " / BIC: ", ", Swift-Code "), None),
        w.number("BIC", lambda: w.one("COBADEFFXXX", "GENODEM1GLS", "BELADEBEXXX", "NOLADE21GOE")), (w.one(" wurden am ", ") wurden am "), None), w.day(),
        (w.one(" zweimal 49,99 EUR abgebucht. Karte: ", " 1.250,00 € eingezogen, Kreditkarte "), None), w.number("CARD", lambda: _card(w.rng)),
        (w.one(". Bitte Rückruf unter ", ". Meine Telefonnummer ist "), None), w.number("PHONE", lambda: _phone(w.rng, "de")), (w.one(" oder per Mail an ", ", Mail: "), None), w.number("EMAIL", lambda: _email(w.rng, p)),
        (w.one(".\n\nMit freundlichen Grüßen\n", ".\nViele Grüße\n", ".\n\nMfG\n"), None), w.full(p), ("\n", None), *w.address(),
    ]  # fmt: skip


def _bank_note_de(w: Writer) -> list[Piece]:
    p, agent = w.person(), w.person()
    return [
        (w.one("Gesprächsnotiz vom ", "Vermerk, "), None), w.day(), (w.one(" (Sachbearbeiter: ", "; Bearbeiterin Frau "), None), w.full(agent), (w.one("). Kontoinhaber: ", "). Kundin: "), None), w.full(p),
        (w.one(", geb. ", ", Geburtsdatum: ", ", geboren "), None), w.born(p), (w.one(", Steuer-ID ", ", IdNr. ", ", Steueridentifikationsnummer: "), None), w.number("TAX_ID", lambda: _tax_id(w.rng)),
        (w.one(", Vertragsnummer ", ", Darlehensnr. ", ", Vertrags-Nr.: "), None), w.number("CONTRACT", lambda: w.one("V", "", "DL-") + _digits(w.rng, 8)),
        (w.one(", Kontonummer ", ", Kto. ", ", Kto-Nr. "), None), w.number("ACCOUNT", lambda: _digits(w.rng, w.rng.choice([7, 10]))), (w.one(", BLZ ", ", Bankleitzahl "), None), w.number("ACCOUNT", lambda: w.one("37040044", "500 105 17", "43060967")),
        (w.one(", Personalausweis ", ", Reisepass-Nr. ", ", Ausweisnummer: "), None), w.number("DOCUMENT", lambda: w.one("L01X00T47", "C4VMK3RT2", "T22000129")), (w.one(". Fahrzeug mit Kennzeichen ", ". Kfz-Kennzeichen: "), None), w.number("PLATE", lambda: _plate(w.rng, "de")),
        (". Der Dispo wurde von 2.500 auf 4.000 EUR erhöht, Zinssatz 9,75 % p. a. ", None), (w.one("Frau ", "Herr "), None), (p.family, "PERSON"), (" wünscht Rückruf ab 14 Uhr.", None),
    ]  # fmt: skip


TEMPLATES: dict[tuple[str, str], tuple[Template, ...]] = {
    ("en", "clinical"): (_clinic_letter_en, _clinic_ward_en, _clinic_talk_en),
    ("de", "clinical"): (_clinic_letter_de, _clinic_note_de),
    ("en", "bank"): (_bank_mail_en, _bank_note_en),
    ("de", "bank"): (_bank_mail_de, _bank_note_de),
}
_PLAIN = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"}
)


def _spaced(text: str, rng: random.Random) -> str:
    """As character recognition spaces numbers: a space within, here and there."""
    return re.sub(r"(?<=\d)(?=\d)", lambda _: " " if rng.random() < 0.12 else "", text)


def _worn(piece: Piece, noise: str, rng: random.Random) -> Piece:
    text, kind = piece
    if noise == "lower":
        return text.lower(), kind
    if noise == "upper":
        return text.upper().replace("SS", "SS"), kind
    if noise == "no umlauts":
        return text.translate(_PLAIN), kind
    if noise == "spaced" and kind in ("IBAN", "CARD", "MRN", "NHS", "TAX_ID", "ACCOUNT"):
        return _spaced(text, rng), kind
    return text, kind


NOISES = ("none", "none", "none", "lower", "upper", "no umlauts", "spaced", "wrapped")


def make_notes(n: int, *, seed: int, listed: bool) -> Iterator[Note]:
    """`n` notes in turn of every sort; `listed`: names of the common lot, else of the other."""
    rng = random.Random(seed)
    sorts = list(TEMPLATES)
    for number in range(n):
        language, sort = sorts[number % len(sorts)]
        pieces = rng.choice(TEMPLATES[language, sort])(
            Writer(rng, language, COMMON if listed else OTHER)
        )
        noise = rng.choice(NOISES)
        yield _assembled(language, sort, noise, [_worn(p, noise, rng) for p in pieces], rng)


def _assembled(
    language: str, sort: str, noise: str, pieces: list[Piece], rng: random.Random
) -> Note:
    text, gold = "", []
    for piece, kind in pieces:
        if kind is not None:
            gold.append(Gold(kind, len(text), len(text) + len(piece)))
        text += piece
    if noise == "wrapped":
        text = re.sub(" ", lambda _: "\n" if rng.random() < 0.1 else " ", text)
    return Note(language, sort, noise, text, tuple(gold))


HELD_OUT = Path(__file__).with_name("masking_held_out.yaml")
SECOND = Path(__file__).with_name("masking_held_out_second.yaml")
_TITLES = {("en", True): "Mrs", ("en", False): "Mr", ("de", True): "Frau", ("de", False): "Herr"}
_SLOT = re.compile(r"\{[a-z:]+\}|\[[^\]]*\]")


def held_out_notes(n: int, *, seed: int, listed: bool) -> Iterator[Note]:
    """`n` notes of the templates that nobody looked at while masking was made."""
    templates = yaml.safe_load(HELD_OUT.read_text(encoding="utf-8"))
    yield from _of_templates(templates, n, seed=seed, names=COMMON if listed else OTHER)


def second_notes(lot: str, n: int, *, seed: int, listed: bool) -> Iterator[Note]:
    """`n` notes of a lot of the second templates, `looked_at` or `unseen`; other names are RARE."""
    templates = yaml.safe_load(SECOND.read_text(encoding="utf-8"))[lot]
    yield from _of_templates(templates, n, seed=seed, names=COMMON if listed else RARE)


def _of_templates(
    templates: dict[str, list[str]], n: int, *, seed: int, names: Names
) -> Iterator[Note]:
    rng = random.Random(seed)
    kinds = [(language, one) for language, found in templates.items() for one in found]
    for number in range(n):
        language, template = kinds[number % len(kinds)]
        writer = Writer(rng, language, names)
        people = {letter: writer.person() for letter in "abcd"}
        pieces = list(_filled(template, writer, people))
        noise = rng.choice(NOISES)
        worn = [_worn(piece, noise, rng) for piece in pieces]
        yield _assembled(language, "held out", noise, worn, rng)


def _filled(template: str, w: Writer, people: dict[str, Person]) -> Iterator[Piece]:
    last = 0
    for match in _SLOT.finditer(template):
        yield template[last : match.start()], None
        last = match.end()
        if match[0].startswith("["):
            yield from _filled(w.one(*match[0][1:-1].split("|")), w, people)
        else:
            yield from _slot(match[0][1:-1], w, people)
    yield template[last:], None


def _slot(name: str, w: Writer, people: dict[str, Person]) -> list[Piece]:
    who, _, what = name.partition(":")
    if what:
        person = people[who]
        return [
            {
                "full": w.full(person),
                "list": w.list_name(person),
                "given": (person.given, "PERSON"),
                "family": (person.family, "PERSON"),
                "title": (_TITLES[w.language, person.female], None),
                "born": w.born(person),
                "email": (_email(w.rng, person), "EMAIL"),
                "init": (f"{person.given[0]}. {person.family}", "PERSON"),
                "login": (_login(w.rng, person), "LOGIN"),
            }[what]
        ]
    if name == "address":
        return w.address()
    made = {
        "day": lambda: w.day()[0],
        "compact": lambda: f"{w.moment():%Y%m%d}",
        "shortday": lambda: _short_day(w.rng, w.language, w.moment()),
        "street": lambda: w.one(*PLAIN_STREETS[w.language]).format(w.rng.randint(1, 198)),
        "town": lambda: w.address()[2][0],
        "age": lambda: str(w.rng.choice([91, 94, 98])),
        "phone": lambda: _phone(w.rng, w.language),
        "mrn": lambda: _mrn(w.rng),
        "nhs": lambda: _nhs(w.rng),
        "kvnr": lambda: _kvnr(w.rng),
        "tax": lambda: _tax_id(w.rng),
        "pension": lambda: _pension(w.rng, people["a"]),
        "ssn": lambda: f"{_digits(w.rng, 3)}-{_digits(w.rng, 2)}-{_digits(w.rng, 4)}",
        "insurance": lambda: w.one("P", "AX", "") + _digits(w.rng, 8),
        "card": lambda: _card(w.rng),
        "iban": lambda: _iban(w.rng, w.language),
        "account": lambda: _digits(w.rng, 8),
        "sort": lambda: "-".join(_digits(w.rng, 2) for _ in range(3)),
        "blz": lambda: w.one("37040044", "500 105 17"),
        "customer": lambda: w.one("C", "", "KD-") + _digits(w.rng, 7),
        "contract": lambda: w.one("V", "", "ML-") + _digits(w.rng, 8),
        "passport": lambda: w.one("L01X00T47", "C4VMK3RT2", _digits(w.rng, 9)),
        "plate": lambda: _plate(w.rng, w.language),
    }[name]
    kinds = {"day": "DATE", "compact": "DATE", "shortday": "DATE", "street": "ADDRESS",
             "tax": "TAX_ID", "pension": "PENSION_ID", "ssn": "SOCIAL_SECURITY",
             "sort": "ACCOUNT", "blz": "ACCOUNT", "passport": "DOCUMENT"}  # fmt: skip
    return [(made(), kinds.get(name, name.upper()))]
