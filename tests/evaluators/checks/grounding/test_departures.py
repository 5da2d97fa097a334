"""Where an answer departs from the others to its source, and what is held of it."""

from __future__ import annotations

import math
import time
import tracemalloc
from string import ascii_letters

import pytest

from evaluators.checks.grounding import departures, weighing
from evaluators.checks.grounding.departures import find_departures, read_tokens, tokens_of
from evaluators.checks.grounding.others import NO_OTHER, with_others
from evaluators.checks.text.lexicon import opposites_of, plain_stem, synonyms_of
from evaluators.registry import METRICS, resolve_metrics
from evaluators.types import Sample

NAMES = [name for name in METRICS if name.startswith("departure_")]
SOURCE = (
    "The council of Pellam voted on Tuesday to close the ferry terminal by March. Doreen Askew, "
    "its president, said that repairs would cost 14 million. A floating dock was rejected. "
    + "The library opened a new reading room for children and their parents last year. " * 4
    + "Ray Mbeki, who runs a grocery, said that his deliveries would take a long road."
)
SEED = "Pellam decided to close the ferry terminal by March, and a floating dock was rejected."


def parts(text: str, *others: str) -> list[tuple[str, str]]:
    other, found = find_departures(text, others)
    own = read_tokens(text)
    return [
        (" ".join(own[d.start : d.end]), " ".join(other[d.other_start : d.other_end]))
        for d in found
    ]


@pytest.mark.parametrize(
    ("text", "others", "found"),
    [
        ("He takes aspirin daily.", ["He takes zinc daily."], [("aspirin", "zinc")]),
        ("He takes aspirin.", ["He takes aspirin daily."], [("", "daily")]),
        ("He takes aspirin daily.", ["He takes aspirin."], [("daily", "")]),
        ("Anna paid Ben.", ["Ben paid Anna."], [("anna paid ben", "ben paid anna")]),
        ("", ["He slept."], [("", "he slept")]),
        ("He slept.", [""], [("he slept", "")]),
        ("Das Cafe\u0301 o\u0308ffnet bald.", ["Das Café öffnet spa\u0308t."], [("bald", "spät")]),
        ("er o\u0308ffnet's", ["er öffnet’s"], []),
        ("他服用阿司匹林", ["他服用布洛芬"], [("他服用阿司匹林", "他服用布洛芬")]),
        ("a b c q e", ["w x y z", "a b c d e", "a b c d e f"], [("q", "d")]),
        ("a b c d e f", ["x b y d e z"], [("a b c", "x b y"), ("f", "z")]),  # parted by two words
        # Which of the others is central: what agrees most, not what comes first or is longest.
        ("d b", ["b d", "d e"], [("b", "e")]),
        ("b c", ["e c", "b d e"], [("b", "e")]),
        ("go go go", ["no no", "go go"], []),  # what half of the others have is no departure
        # What is odd in one of the others alone is no departure of this one.
        ("a b c d e f g h", ["a x c d e f g h", "a b c d x f g h", "a b c d e f g x"], []),
        (
            "a b c d e f g q",
            ["a x c d e f g h", "a b c d x f g h", "a b c d e f g h"],
            [("q", "h")],
        ),
    ],
)
def test_a_departure_is_what_most_others_lack(
    text: str, others: list[str], found: list[tuple[str, str]]
) -> None:
    assert parts(text, *others) == found


def beside(text: str, *others: str) -> dict[str, float | None]:
    [sample, *_] = with_others(
        [Sample(str(i), t, context=SOURCE) for i, t in enumerate((text, *(others or (SEED,))))]
    )
    scores = {name.removeprefix("departure_"): METRICS[name].score([sample])[0] for name in NAMES}
    return {name: score.value for name, score in scores.items()}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rejected", "approved", {"turned": 1, "exchanged": 1, "words": 1, "added": 0}),
        ("was rejected", "was not rejected", {"turned": 1, "exchanged": 0, "words": 1, "added": 0}),
        ("rejected", "turned down", {"turned": 0, "words": 2}),
        ("close", "shut", {"turned": 0, "exchanged": 0, "novel": 0, "words": 1, "misfit": 0}),
        ("was rejected", "was never rejected", {"turned": 1, "added": 0}),
        ("was rejected", "was not rejected without reason", {"turned": 0, "words": 4}),
        ("ferry terminal", "bus station", {"exchanged": 1, "novel": 2}),
        ("Pellam decided", "Harlow council voted", {"exchanged": 0}),  # three for two
        ("dock", "presidency", {"novel": 0}),  # a president is in the source
        ("dock", "grocery", {"novel": 0, "exchanged": 1}),  # far behind in the source
        ("March", "5 March", {"added": 1, "novel": 1, "exchanged": 0}),
        ("March", "July", {"exchanged": 1, "novel": 1, "misfit": 1}),
        ("decided", "pondered", {"novel": 1, "misfit": 0}),  # the source has neither
        ("by March", "", {"words": 0, "added": -1, "novel": 0}),
        ("ferry", "red ferry", {"added": 1, "novel": 1, "misfit": 1, "exchanged": 0}),
        ("decided", "has decided", {"words": 1, "added": 0, "novel": 0}),
    ],
)
def test_what_is_held_of_one_edit(old: str, new: str, expected: dict[str, float]) -> None:
    found = beside(SEED.replace(old, new))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_what_the_source_says_elsewhere_fits_worse() -> None:
    """A grocery is in the source, but not where it speaks of a dock that was rejected."""
    here, elsewhere, nowhere = (
        beside(SEED.replace("dock", word))["misfit"]
        for word in ("president", "grocery", "zeppelin")
    )
    assert (here, nowhere) == (0, 1)
    assert elsewhere is not None
    assert 0 < elsewhere <= 1


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("He takes 4 tablets.", "He takes 2 tablets.", {"exchanged": 1, "novel": 1}),
        ("Es kostet 5 €.", "Es kostet 5 Euro.", {"exchanged": 0}),
        ("Der Umsatz ist gestiegen.", "Der Umsatz ist gesunken.", {"turned": 1}),
        ("Der Umsatz ist nicht gestiegen.", "Der Umsatz ist gestiegen.", {"turned": 1}),
        ("The visit was unauthorised.", "The visit was authorised.", {"turned": 1}),
        ("The visit was authorised.", "The visit was unauthorised.", {"turned": 1}),
        ("The bill was unmet.", "The bill was met.", {"turned": 0}),  # too short to tell
        ("It was an announcement.", "It was announced.", {"exchanged": 0, "turned": 0}),
    ],
)
def test_what_is_held_of_one_word_of_two_answers(
    text: str, other: str, expected: dict[str, float]
) -> None:
    sample = Sample("1", text, context="The source is silent.", others=(other,))
    found = {name: METRICS[f"departure_{name}"].score([sample])[0].value for name in expected}
    assert found == expected


def test_scores_by_other_rules_are_of_another_version() -> None:
    """With single digits and marked letters told, signatures are no longer those of before."""
    assert weighing.VERSION == 2
    assert METRICS["departure_words"].signature().startswith("departure_words|strop:2|")


def test_what_stands_alone_departs_from_nothing() -> None:
    for others in ((), (SEED,)):  # the same text is no other answer
        sample = Sample("1", SEED, context=SOURCE, others=others)
        scores = [METRICS[name].score([sample])[0] for name in NAMES]
        assert {score.explanation for score in scores} == {NO_OTHER}


def test_marks_stand_where_the_answer_departs() -> None:
    text = SEED.replace("March", "July")
    sample = Sample("1", text, context=SOURCE, others=(SEED,))
    [score] = METRICS["departure_exchanged"].score([sample])
    assert [text[s.start : s.end] for s in score.spans] == ["July"]
    assert METRICS["departure_turned"].score([sample])[0].spans == ()
    spread = text.replace("decided", "de\u0301cide\u0301d")
    sample = Sample("1", spread, context=SOURCE, others=(SEED.replace("decided", "décidéd"),))
    [score] = METRICS["departure_exchanged"].score([sample])
    assert [spread[s.start : s.end] for s in score.spans] == ["July"], "accents apart are no shift"


@pytest.mark.parametrize(
    "text", ["", "?", "\ud800 x", "a " * 3000, "ﬁne İstanbul", "か\u3099き x\u0323 \u212a 5 %"]
)
def test_any_texts_can_be_compared(text: str) -> None:
    for pair in ((text, SEED), (SEED, text)):
        sample = Sample("1", pair[0], context=SOURCE, others=(pair[1],))
        assert all(METRICS[name].score([sample])[0].error is None for name in NAMES)


def test_no_order_of_a_set_is_in_a_score() -> None:
    """It differs from process to process, and with it the last digits of a sum, and which of two
    answers is the more central."""
    matters = weighing._matters(
        " ".join(c * 3 + f" {c * 4}" * i for i, c in enumerate(ascii_letters))
    )
    fits = dict[int, float]()
    for places in matters.places.values():
        for place in places:
            rare = math.log((matters.size + 1) / (len(places) + 0.5))
            fits[place] = fits.get(place, 0.0) + rare
    most = max(fits.values())
    assert weighing._fits(list(matters.places), matters) == {
        place: fit / most for place, fit in fits.items()
    }


def test_texts_too_long_to_be_compared_have_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "MOST_CELLS", 30)
    sample = Sample("1", "a b c d e f", context=SOURCE, others=("a b c d e g",))
    [score] = METRICS["departure_words"].score([sample])
    assert (score.value, score.error) == (None, "answers of 6 and 6 words are not compared")


def test_what_is_remembered_of_answers_is_small() -> None:
    """A worker keeps thousands of them: a word is kept once, however many answers have it."""
    words = [f"remembered{i}" for i in range(500)]
    answers = [" ".join(words[i:] + words[:i]) for i in range(60)]
    tracemalloc.start()
    kept = [tokens_of(answer) for answer in answers]
    per_word = tracemalloc.get_traced_memory()[0] / sum(map(len, kept))
    tracemalloc.stop()
    assert per_word < 20  # bytes: its place in a tuple, and a share of the words


def test_many_long_answers_take_little_time() -> None:
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join(words[i:] + words[:i]) for i in range(0, 300, 10)]
    samples = with_others([Sample(str(i), t, context=SOURCE) for i, t in enumerate(texts)])
    began = time.process_time()
    for metric in resolve_metrics(NAMES):
        metric.score(samples)
    assert time.process_time() - began < 1.5


def test_long_answers_without_a_word_in_common_take_little_time() -> None:
    ends = [c + d for c in ascii_letters for d in ascii_letters[:40]]
    texts = [" ".join(f"{start}-{start}{end}" for end in ends) for start in ("zq", "xv")]
    samples = with_others([Sample(text[:2], text, context=SOURCE) for text in texts])
    begun = time.process_time()
    METRICS["departure_turned"].score(samples)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("rose", "fell", "opposite"),
        ("approved", "rejected", "opposite"),
        ("tiny", "large", "opposite"),
        ("shut", "closed", "alike"),
        ("wrecked", "destroyed", "neither"),
        ("table", "ferry", "neither"),
    ],
)
def test_the_lexicon_knows(one: str, other: str, how: str) -> None:
    a, b = plain_stem(one), plain_stem(other)
    assert (b in opposites_of(a), a in opposites_of(b)) == (how == "opposite",) * 2
    assert (b in synonyms_of(a), a in synonyms_of(b)) == (how == "alike",) * 2
