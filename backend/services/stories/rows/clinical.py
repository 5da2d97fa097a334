"""Lines of discharge summaries from charts; no patient behind them, and no advice for treatment."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from backend.services.stories.world import Person, day, people, say_day

ASK = "Write the lines of the discharge summary from this chart."


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay: what it was for, where, what was started, what is pending, who follows up."""

    ward: str
    diagnosis: str
    sites: tuple[str, ...]
    drug: str
    pending: str
    plan: str


CASES = (
    Stay("medicine", "community-acquired pneumonia", ("left lower lobe", "right lower lobe"),
         "doxycycline 100 mg PO BD for {n} days", "blood cultures", "chest X-ray in 6 weeks"),
    Stay("cardiology", "decompensated heart failure", ("LVEF 35%", "LVEF 40%"),
         "furosemide 40 mg PO OD", "NT-proBNP", "heart failure nurse in {n} days"),
    Stay("surgery", "inguinal hernia repair", ("left", "right"),
         "lactulose 15 mL PO BD for {n} days", "histology", "wound check in 10 days"),
    Stay("neurology", "transient ischaemic attack", ("left hemisphere", "right hemisphere"),
         "clopidogrel 75 mg PO OD", "24-hour ECG", "stroke clinic in {n} weeks"),
    Stay("orthopaedics", "distal radius fracture", ("left", "right"),
         "paracetamol 1 g PO QDS for {n} days", "none", "fracture clinic in 7 days"),
    Stay("medicine", "cellulitis", ("left lower leg", "right lower leg"),
         "flucloxacillin 1 g PO QDS for {n} days", "wound swab", "GP review in 3 days"),
    Stay("cardiology", "new atrial fibrillation", ("rate 110/min", "rate 128/min"),
         "edoxaban 60 mg PO OD", "thyroid function", "cardiology clinic in {n} weeks"),
    Stay("surgery", "laparoscopic cholecystectomy", ("gallstones", "polyp"),
         "ondansetron 4 mg PO PRN for {n} days", "liver enzymes", "surgical clinic in 2 weeks"),
    Stay("neurology", "first focal seizure", ("left arm", "right arm"),
         "levetiracetam 500 mg PO BD", "EEG", "first-fit clinic in {n} weeks"),
    Stay("orthopaedics", "hip replacement", ("left", "right"),
         "enoxaparin 40 mg SC OD for 2{n} days", "haemoglobin", "physiotherapy twice a week"),
)  # fmt: skip
ALLERGIES = ("aspirin (wheeze)", "none known", "latex (urticaria)", "codeine (vomiting)")
KEPT = (
    "metformin 1 g BD", "bisoprolol 2.5 mg OD", "levothyroxine 75 microgram OD",
    "atorvastatin 20 mg ON", "tiotropium inhaled OD", "alendronic acid 70 mg weekly",
    "omeprazole 20 mg OD", "folic acid 5 mg OD", "mirtazapine 15 mg ON",
)  # fmt: skip
PAUSED = (
    ("ramipril", "creatinine {} micromol/L", (140, 210)),
    ("candesartan", "blood pressure {}/50 mmHg", (84, 97)),
    ("spironolactone", "potassium 6.{} mmol/L", (0, 5)),
)
RELATIVES = ("mother", "father", "brother", "sister")
BANDS = ((24, 49, "18-49"), (50, 74, "50-74"), (75, 93, "75+"))


def write(n: int, seed: int) -> list[dict[str, object]]:
    """Three stays of each patient in turn."""
    rng = random.Random(f"clinical-{seed}")
    patients = people(rng, -(-n // 3))
    ages = {person.key: rng.choice(BANDS) for person in patients}
    return [_row(i, patients[i // 3], ages[patients[i // 3].key], rng) for i in range(n)]


def _facts(case: Stay, hard: bool, rng: random.Random) -> list[tuple[str, str, str]]:
    """Lines of a chart: what it calls them, what they say, and what the summary calls them."""
    kept = rng.sample(KEPT, 2)
    paused, why, values = rng.choice(PAUSED)
    crp = f"{rng.randrange(20, 240)} mg/L, now {rng.randrange(2, 19)} mg/L"
    number = rng.randrange(3, 9)
    facts = [
        ("Allergies", rng.choice(ALLERGIES), "Allergies"),
        ("Started", case.drug.format(n=number), rng.choice(("New", "Started"))),
        ("Continued", f"{kept[0]}; {kept[1]}", rng.choice(("Unchanged", "Continued as before"))),
        ("CRP", crp, rng.choice(("CRP", "CRP on admission"))),
        ("Pending", case.pending, "Pending"),
        ("Follow-up", case.plan.format(n=number), rng.choice(("Follow-up", "Plan"))),
    ]
    if hard:
        reason = why.format(rng.randrange(*values))
        facts.insert(2, ("Paused", f"{paused}, {reason}", rng.choice(("Paused", "On hold"))))
    rng.shuffle(facts)
    return facts


def _row(
    number: int, person: Person, band: tuple[int, int, str], rng: random.Random
) -> dict[str, object]:
    case, hard = CASES[number % len(CASES)], number % 5 in (1, 4)
    site, age = rng.choice(case.sites), band[0] + int(person.key[2:]) % (band[1] - band[0])
    came = day(rng, ago=(6, 120))
    left = came + timedelta(days=rng.randrange(2, 9))
    facts = _facts(case, hard, rng)
    relative = rng.choice(RELATIVES)
    chart = [
        f"{person.name}, {age} years, {'female' if person.gender == 'f' else 'male'}",
        f"{case.ward.capitalize()}: {say_day(came)} to {say_day(left)}",
        f"Diagnosis: {case.diagnosis}, {site}",
        *(f"{name}: {text}" for name, text, _ in facts),
        *([f"Family: {relative} had a pulmonary embolism; patient denies any"] if hard else []),
    ]
    said = [f"{name}: {text}." for _, text, name in facts]
    head = f"{case.diagnosis.capitalize()}, {site}, {say_day(came)} to {say_day(left)}."
    return {
        "id": f"clinical-{number + 1:03d}",
        "input": ASK,
        "context": "\n".join(chart),
        "reference": " ".join([head, *said]),
        "group": person.key,
        "slices": {
            "ward": case.ward,
            "gender": person.gender,
            "age_band": band[2],
            "hard": "yes" if hard else "no",
        },
    }
