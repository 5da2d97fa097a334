"""Planted errors: tables of what each kind makes of a text, and what is left alone."""

from __future__ import annotations

import pytest

from evaluators.checks.planting.plant import KINDS, Planted, plant_errors
from evaluators.errors import InvalidValues

SOURCE = (
    "Doctor: What brings you in? Patient: My right knee hurts, it started three weeks ago after a "
    "fall. Doctor: Any fever? Patient: No. Doctor: What do you take? Patient: Ibuprofen, 400 mg "
    "twice a day. Doctor: Allergies? Patient: Penicillin, and my mother has diabetes. "
    "I saw Dr. Miller on May 3, 2021. Dr. Baker called me on Friday."
)
DONORS = ("The invoice of 12 June was paid by bank transfer.", "Mrs. Carter lives in Boston.")


def _all(output: str, source: str, kind: str, seeds: int = 12) -> set[str]:
    """Every stretch that is planted over some seeds."""
    return {p.text for p in _planted(output, source, kind, seeds)}


def _planted(output: str, source: str, kind: str, seeds: int = 12) -> list[Planted]:
    found = []
    for seed in range(seeds):
        found += plant_errors(output, source, kinds=[kind], seed=seed, donors=DONORS)
    return found


ENGLISH = [
    ("entity", "She saw Dr. Miller.", "She saw Dr. Baker."),
    ("entity", "She has diabetes.", "She has hypertension."),
    ("number", "It started three weeks ago.", "It started six weeks ago."),
    ("unit", "It started three weeks ago.", "It started three months ago."),
    ("unit", "She takes 400 mg of ibuprofen.", "She takes 400 g of ibuprofen."),
    ("date", "She was seen on May 3, 2021.", "She was seen on May 3, 2020."),
    ("date", "He called on Friday.", "He called on Monday."),
    ("negation", "She denies fever.", "She reports fever."),
    ("negation", "No fever or chills.", "Fever and chills."),
    ("negation", "She did not take it.", "She took it."),
    ("negation", "She didn't take it.", "She took it."),
    ("negation", "She takes ibuprofen.", "She does not take ibuprofen."),
    ("negation", "She has a rash.", "She has no rash."),
    ("negation", "The knee was swollen.", "The knee was not swollen."),
    ("negation", "She has been seen by him.", "She has not been seen by him."),
    ("antonym", "The pain is mild.", "The pain is severe."),
    ("antonym", "It was an acute onset.", "It was a chronic onset."),
    ("direction", "Her right knee hurts.", "Her left knee hurts."),
    ("direction", "The dose was increased.", "The dose was decreased."),
    ("direction", "It hurt after the fall.", "It hurt before the fall."),
    ("role", "The patient called Dr. Miller.", "Dr. Miller called the patient."),
    ("role", "The patient has diabetes.", "The patient's father has diabetes."),
    ("omission", "She fell. Her knee hurts.", "She fell."),
    ("omission", "She has knee, weeks, and fall pain.", "She has knee, and fall pain."),
    ("insertion", "Her knee hurts.", f"Her knee hurts. {DONORS[0]}"),
]

GERMAN_SOURCE = (
    "Der Kunde Herr Müller hat am 3. Mai die Rechnung nicht bezahlt. Die Lieferung kam nach zwei "
    "Wochen. Frau Schmidt hat ihn informiert, dass der Vertrag gültig ist und 49,90 Euro kostet."
)
GERMAN = [
    ("negation", "Die Rechnung wurde bezahlt.", "Die Rechnung wurde nicht bezahlt."),
    ("negation", "Die Rechnung wurde nicht bezahlt.", "Die Rechnung wurde bezahlt."),
    ("negation", "Er hat keine Rechnung.", "Er hat eine Rechnung."),
    ("negation", "Er hat keinen Vertrag.", "Er hat einen Vertrag."),
    ("negation", "Das ist eine Kopie.", "Das ist keine Kopie."),
    ("antonym", "Der Vertrag ist gültig.", "Der Vertrag ist ungültig."),
    ("direction", "Die Kosten sind gestiegen.", "Die Kosten sind gefallen."),
    ("unit", "Sie kam nach zwei Wochen.", "Sie kam nach zwei Tagen."),
    ("number", "Der Preis ist 49,90 Euro.", "Der Preis ist 24,95 Euro."),
    ("date", "Das war am 3. Mai.", "Das war am 3. Juni."),
    ("role", "Herr Müller informiert Frau Schmidt.", "Frau Schmidt informiert Herrn Müller."),
    ("entity", "Den Betrag zahlte Herr Müller.", "Den Betrag zahlte Herr Schmidt."),
]


@pytest.mark.parametrize(("kind", "output", "planted"), ENGLISH)
def test_what_is_planted_in_english(kind: str, output: str, planted: str) -> None:
    assert planted in _all(output, SOURCE, kind, seeds=60)


@pytest.mark.parametrize(("kind", "output", "planted"), GERMAN)
def test_what_is_planted_in_german(kind: str, output: str, planted: str) -> None:
    assert planted in _all(output, GERMAN_SOURCE, kind, seeds=60)


# What would be no error, or no sentence: the kind must leave the text alone.
LEFT_ALONE = [
    ("antonym", "She is short of breath.", "the source"),
    ("direction", "She is a 26-year-old with low back pain.", "the source"),
    ("direction", "Doses were higher or lower.", "the source"),
    ("negation", "If it was swollen, she called.", "the source"),
    ("negation", "Was it swollen?", "the source"),
    ("negation", "It was not only swollen.", "the source"),
    ("negation", "Nobody is not in pain, and nothing is not well.", "the source"),
    ("number", "One tablet was taken.", "the source"),
    ("unit", "He is 45 years old.", "the source"),
    ("role", "Anna met Ben at the bank.", "the source"),
    ("role", "Anna paid Ben.", "Anna paid Ben, and Ben paid Anna at the store."),
    ("antonym", "The pain is mild.", "The pain is mild at first, and then the pain is severe."),
    ("direction", "The left knee hurts.", "The left knee hurts and the right knee hurts."),
    ("omission", "Unheard of words.", "The source is of another thing."),
]


@pytest.mark.parametrize(("kind", "output", "source"), LEFT_ALONE)
def test_what_is_left_alone(kind: str, output: str, source: str) -> None:
    source = (
        "The source is here and it was of this, but not of that."
        if source == "the source"
        else source
    )
    assert _all(output, source, kind) == set()


UNUSABLE = [
    ("", SOURCE),
    ("   \n", SOURCE),
    ("Her knee hurts.", ""),
    ("患者は膝が痛いと言った。三週間前に始まった。", "患者は膝が痛い。三週間前から。"),
    ("Le patient a mal au genou depuis trois semaines.", "Le patient dit que le genou est enflé."),
    ("Der Patient hat seit drei Wochen Schmerzen und ist nicht gesund.", SOURCE),
    ("The invoice was paid by the customer on time.", GERMAN_SOURCE),
    ("🙂🙂🙂 !!! ...", SOURCE),
    ("a. " * 30_000, SOURCE),
]


@pytest.mark.parametrize(("output", "source"), UNUSABLE)
def test_an_unusable_text_gives_nothing(output: str, source: str) -> None:
    assert plant_errors(output, source, seed=1, donors=DONORS) == []


OUTPUTS = [
    "The patient is a 34-year-old male with an acute injury to the right knee. No fever. He takes "
    "ibuprofen 400 mg twice a day, aspirin, and metformin. He saw Dr. Miller on May 3, 2021.",
    "The price rose 5% to $12.50 on Friday, and Anna Brown sent 3,500 units to Carl Smith.",
    "Order TK-48213 was not shipped, but the refund of 29.90 EUR was approved within 14 days.",
]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("seed", range(20))
def test_the_place_is_right_and_nothing_else_changed(output: str, seed: int) -> None:
    found = plant_errors(output, SOURCE, seed=seed, donors=DONORS)
    assert len({p.kind for p in found}) == len(found) >= 5
    for p in found:
        assert p.text[: p.start] + p.was + p.text[p.end :] == output
        assert p.text != output
        assert (p.start == p.end) == (p.kind == "omission")
        assert (p.was == "") == (p.kind == "insertion")
        assert " an male" not in p.text
        assert " a acute" not in p.text


def test_one_seed_gives_one_answer_whichever_kinds_are_asked() -> None:
    whole = plant_errors(OUTPUTS[0], SOURCE, seed=7, donors=DONORS)
    assert whole == plant_errors(OUTPUTS[0], SOURCE, seed=7, donors=DONORS)
    for p in whole:
        assert plant_errors(OUTPUTS[0], SOURCE, kinds=[p.kind], seed=7, donors=DONORS) == [p]
    others = {p.text for seed in range(8) for p in plant_errors(OUTPUTS[0], SOURCE, seed=seed)}
    assert len(others) > len(whole)


def test_a_name_of_the_source_is_preferred_to_one_of_elsewhere() -> None:
    assert _all("She saw Dr. Miller.", SOURCE, "entity") == {"She saw Dr. Baker."}


def test_an_article_fits_what_follows() -> None:
    numbers = _all("He is an 18-year-old man.", SOURCE, "number", seeds=60)
    assert any(" a " in text for text in numbers)
    for text in numbers:
        word = text.split()[2:4]
        assert (word[0] == "an") == word[1].startswith(("8", "11", "18"))


def test_a_number_is_none_that_the_source_gives_of_that_thing() -> None:
    source = "The doses of ibuprofen were 400 mg, 600 mg, 200 mg and 800 mg for the knee."
    for text in _all("Ibuprofen 400 mg for the knee.", source, "number", seeds=40):
        assert not any(f" {n} mg" in text for n in (400, 600, 200, 800))


def test_unknown_kinds_are_named() -> None:
    with pytest.raises(InvalidValues, match="colour"):
        plant_errors("Her knee hurts.", SOURCE, kinds=["colour"], seed=1)


def test_only_an_omission_misstates_nothing() -> None:
    assert [name for name, kind in KINDS.items() if not kind.misstates] == ["omission"]


HOSTILE = [
    "a" * 20_000,
    "1 " * 10_000,
    "and, " * 4_000,
    "no fever or any chills " * 400,
    "“" * 20_000,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.timeout(60)
def test_hostile_texts_end_soon_and_stay_whole(text: str) -> None:
    output = "It is the one. " + text
    for p in plant_errors(output, "It is the one that was. " + text, seed=1, donors=[text]):
        assert p.text[: p.start] + p.was + p.text[p.end :] == output
