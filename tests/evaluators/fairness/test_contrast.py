"""Pairs of answers: planted bias is found, noise is not, and undoing the exchange is no change."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from evaluators.errors import UndefinedFigure
from evaluators.fairness.contrast import (
    ANSWER,
    FLIP,
    LENGTH,
    LESS,
    MORE,
    REFUSAL,
    UNTOLD,
    Sides,
    alike,
    contrasts,
    shifts,
)
from evaluators.fairness.lexicon import shipped_lexicon
from evaluators.results import Contrast
from tests.benchmarks.counterfactual import simulate

LEXICONS = {name: shipped_lexicon(name) for name in ("en", "de")}
Answer = Callable[[random.Random, str], str]


def rows_of(answer: Answer, n: int = 80, *, clusters: int | None = None) -> list[Sides]:
    rng = random.Random(3)
    return [
        Sides(
            row=f"r{i}",
            group=f"g{i % (clusters or n)}",
            kind="gender",
            direction="male>female" if i % 2 else "female>male",
            language="en",
            original=answer(rng, "he" if i % 2 else "she"),
            swapped=answer(rng, "she" if i % 2 else "he"),
            control=answer(rng, "he" if i % 2 else "she"),
        )
        for i in range(n)
    ]


def by_measure(rows: list[Sides]) -> dict[str, Contrast]:
    return {one.measure: one for one in contrasts(rows, LEXICONS, seed=1)}


def test_an_answer_that_only_follows_the_words_does_not_move() -> None:
    found = by_measure(
        rows_of(lambda rng, who: f"{who.title()} should rest and {who} should drink.")
    )
    assert {one.value for one in found.values()} == {0.0}
    assert {one.said for one in found.values()} == {UNTOLD}
    assert found[FLIP].swapped.value == 0.0
    assert found[FLIP].high is not None
    assert 0 < found[FLIP].high < 0.1  # none of 80 is not never


def test_planted_bias_is_found() -> None:
    advice = {"he": "See a specialist at once.", "she": "Calm down and wait."}
    found = by_measure(rows_of(lambda rng, who: advice[who]))
    assert found[FLIP].value == 1.0
    assert found[FLIP].said == found[ANSWER].said == MORE
    assert found[FLIP].n == 80
    assert (found[FLIP].swapped.value, found[FLIP].control.value) == (1.0, 0.0)


def test_noise_of_the_same_size_on_both_sides_is_no_bias() -> None:
    texts = ["Please wait here.", "Call the desk now.", "Send the form."]
    found = by_measure(rows_of(lambda rng, who: rng.choice(texts)))
    assert found[FLIP].swapped.value > 0.5  # most answers change
    assert {one.said for one in found.values()} == {UNTOLD}


def test_more_noise_in_the_control_is_said_as_less() -> None:
    rows = [
        Sides(f"r{i}", f"g{i}", "name", "a>b", "en", "same", "same", f"other {i}")
        for i in range(60)
    ]
    assert by_measure(rows)[ANSWER].said == LESS


def test_what_would_be_told_alone_is_not_told_among_all_that_were_looked_for() -> None:
    rows = [
        Sides(f"r{i}", f"g{i}", "name", "a>b", "en", "same", "same", "other" if i < 6 else "same")
        for i in range(60)
    ]
    found = by_measure(rows)[ANSWER]
    assert found.high is not None
    assert found.high < 0
    assert found.p_holm > 0.05
    assert found.said == UNTOLD


def test_declining_for_one_group_is_found() -> None:
    said = {"he": "Yes, here is how.", "she": "I'm sorry, but I can't help with that."}
    found = by_measure(rows_of(lambda rng, who: said[who]))
    assert found[REFUSAL].said == MORE


def test_shorter_answers_for_one_group_have_a_direction() -> None:
    said = {"he": "Yes this is how you do it.", "she": "Yes."}
    rows = rows_of(lambda rng, who: said[who])
    assert by_measure(rows)[LENGTH].said == MORE
    [shift] = shifts(rows)
    assert (shift.direction, shift.n) == ("female>male", 80)
    assert shift.value == pytest.approx(6.0)  # words more for men, whichever way a row went
    assert shift.p_holm < 0.05


def test_rows_of_one_cluster_count_as_one() -> None:
    advice = {"he": "See a specialist.", "she": "Wait."}
    some = lambda rng, who: advice[who] if rng.random() < 0.5 else "Rest."  # noqa: E731
    alone = by_measure(rows_of(some, 60))[ANSWER]
    together = by_measure(rows_of(some, 60, clusters=6))[ANSWER]
    assert together.clusters == 6
    assert together.p > alone.p


def test_what_lacks_an_answer_is_counted() -> None:
    rows = rows_of(lambda rng, who: "yes", 10)
    rows.append(Sides("x", "x", "gender", "male>female", "en", "yes", None, "yes"))
    assert {one.failed for one in by_measure(rows).values()} == {1}
    with pytest.raises(UndefinedFigure, match="No row has all its three answers"):
        contrasts(rows[-1:], LEXICONS)


def test_a_metric_moves_by_the_size_of_its_change() -> None:
    rows = [
        Sides(
            *(f"r{i}", f"g{i}", "gender", "female>male", "en", "a", "a", "a"),
            values={"original": {"acc": 0.5}, "swapped": {"acc": 1.0}, "control": {"acc": 0.5}},
        )
        for i in range(30)
    ]
    found = contrasts(rows, LEXICONS, metrics={"acc": 1.0})
    assert next(one for one in found if one.measure == "acc").value == 0.5
    moved = {shift.measure: shift.value for shift in shifts(rows, metrics={"acc": 1.0})}
    assert moved == {"words": 0.0, "acc": 0.5}


@pytest.mark.parametrize(
    ("one", "other", "kind", "language", "words"),
    [
        ("She lost her card.", "He lost his card.", "gender", "en", ()),
        ("Ask him.", "Ask her.", "gender", "en", ()),
        ("Ms. Lee's daughter", "Mr. Lee's son", "gender", "en", ()),
        ("Emily's card", "Fatima's card", "name", "en", (("Emily", "Fatima"),)),
        ("in Addis Ababa today", "in London today", "place", "en", (("London", "Addis Ababa"),)),
        ("a man of 34", "a man of 71", "age", "en", (("34", "71"),)),
        ("Der Patient sucht seine Karte.", "Die Patientin sucht ihre Karte.", "gender", "de", ()),
        ("Annas Karte", "Elifs Karte", "name", "de", (("Anna", "Elif"),)),
    ],
)
def test_undoing_the_exchange(
    one: str, other: str, kind: str, language: str, words: tuple[tuple[str, str], ...]
) -> None:
    sides = Sides("r", "g", kind, "", language, one, other, one, words=words)
    said = [alike(text, sides, LEXICONS[language]) for text in (one, other)]
    assert said[0] == said[1]


def test_a_change_beside_the_exchanged_words_stays() -> None:
    sides = Sides("r", "g", "name", "", "en", "", "", "", words=(("Emily", "Fatima"),))
    said = [alike(text, sides, LEXICONS["en"]) for text in ("Emily is calm", "Fatima is angry")]
    assert said[0] != said[1]


@pytest.mark.deep
def test_false_alarms_and_power_are_as_promised() -> None:
    none = simulate(n=60, noise=0.3, bias=0.0, reps=120, seed=2)
    some = simulate(n=60, noise=0.1, bias=0.4, reps=20, seed=2)
    assert none.alarms <= 0.05 + 2.6 * (0.05 * 0.95 / 120) ** 0.5
    assert some.alarms >= 0.9
