"""The checker: how it is asked, what it answers, what it is taught and how it is judged."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from evaluators.checks.checker.checker import (
    LONGEST_SENTENCE,
    CheckerForm,
    ask,
    check_samples,
    form_of_record,
    judge_sentences,
    nearest_passages,
    sentences_of,
)
from evaluators.checks.checker.lessons import (
    MARKED,
    TAUGHT_KINDS,
    Lesson,
    MarkedText,
    RightText,
    teach,
    whole_texts,
)
from evaluators.checks.checker.report import JudgedSentence, JudgedText, report_checker
from evaluators.checks.models.interface import Continuation, Likelihood, ModelAnswer, Prompt, opened
from evaluators.errors import UndefinedFigure
from evaluators.registry import resolve_metrics
from evaluators.types import Sample

FORM = CheckerForm("yes", "no")
SOURCE = "Doctor: Any chest pain? Patient: No. I take 20 mg of Lisinopril since May 2019."
Likely = Callable[[str, str], float]  # question and answer -> natural logarithm


@dataclass
class FakeAsker:
    """Answers by a function of the question; remembers what it was asked."""

    likely: Likely
    error: str | None = None
    signature: str = "check-facts@1|adapter:0123"
    asked: list[Continuation] = field(default_factory=list)

    def write(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[ModelAnswer]:
        raise AssertionError("a checker is read, it writes nothing")

    def read(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        self.asked += asked
        if self.error is not None:
            return [Likelihood(error=self.error) for _ in asked]
        return [
            Likelihood((0, 1), (self.likely(one.messages[0]["content"], one.text), -9.0))
            for one in asked
        ]


def says_no_to(word: str, *, log_odds: float = 2.0) -> FakeAsker:
    """Finds a sentence with the word unsupported."""

    def likely(question: str, answer: str) -> float:
        wrong = word in question.split("Sentence:\n")[1]
        return math.log(0.4) + (log_odds if wrong == (answer == "no") else 0.0)

    return FakeAsker(likely)


def sample(prediction: str, context: str | None = SOURCE) -> Sample:
    return Sample(id="1", prediction=prediction, context=context)


def test_that_the_least_supported_sentence_counts_and_is_marked() -> None:
    text = "He takes 20 mg. He takes 50 mg. No pain."
    (score,) = check_samples([sample(text)], says_no_to("50"), FORM)
    assert score.value == pytest.approx(1 / (1 + math.exp(2)))
    (span,) = score.spans
    assert text[span.start : span.end] == "He takes 50 mg."
    assert span.reason == "the checker finds it supported with probability 0.12"
    assert span.kind == "not supported"
    assert score.explanation is not None
    assert score.explanation.startswith("1 of 3 sentences is not supported")


@pytest.mark.parametrize(("log_odds", "expected"), [(0.0, 0.5), (1000.0, 0.0), (-1000.0, 1.0)])
def test_that_a_probability_is_that_of_one_answer_against_the_other(
    log_odds: float, expected: float
) -> None:
    (score,) = check_samples([sample("He is ill.")], says_no_to("ill", log_odds=log_odds), FORM)
    assert score.value == pytest.approx(expected)
    assert bool(score.spans) == (expected < 0.5)


@pytest.mark.parametrize(
    ("asker", "said"),
    [
        (FakeAsker(lambda q, a: 0.0, error="The prompt has 9 tokens."), "The prompt has 9 tokens."),
        (FakeAsker(lambda q, a: math.nan), "no finite probability"),
        (FakeAsker(lambda q, a: -math.inf), "no finite probability"),
    ],
)
def test_that_what_cannot_be_judged_is_an_error_of_its_output(asker: FakeAsker, said: str) -> None:
    (score,) = check_samples([sample("He is ill. He is well.")], asker, FORM)
    assert score.value is None
    assert score.error is not None
    assert said in score.error


def test_that_one_failed_sentence_leaves_the_other_outputs_alone() -> None:
    asker = FakeAsker(lambda q, a: math.nan if "ill" in q else -1.0)
    scores = check_samples([sample("He is ill. Well."), sample("Fine.")], asker, FORM)
    assert [score.value for score in scores] == [None, 0.5]


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_that_an_empty_output_has_no_sentence_to_judge(text: str) -> None:
    asker = says_no_to("x")
    (score,) = check_samples([sample(text)], asker, FORM)
    assert score.not_applicable
    assert asker.asked == []


def test_that_an_output_without_a_source_cannot_be_checked() -> None:
    (declared,) = resolve_metrics(["check:facts@1"])
    metric = opened(declared, says_no_to("x"), lambda s, a: check_samples(s, a, FORM))
    assert metric.score([sample("Fine.", None)])[0].error == "no source to check against"
    assert metric.signature(()).endswith("model:check-facts@1|adapter:0123")
    assert (metric.higher_is_better, metric.scale) == (True, 1.0)


def test_that_the_same_question_is_asked_once() -> None:
    asker = says_no_to("50")
    judged = judge_sentences([(SOURCE, "a"), (SOURCE, "b"), (SOURCE, "a")], asker, FORM)
    assert len(asker.asked) == 4
    assert judged[0] == judged[2]
    assert [one.text for one in asker.asked] == ["yes", "no", "yes", "no"]


LONG = "Wort " * 4000
HOSTILE = [
    "x" * 20_000,
    LONG,
    "患者没有胸痛。" * 900,
    "Der Patient nimmt 20 mg. " * 800,
    "a\u0301\u202e\x00. ?! ... \n- \t\n",
    "😀" * 3000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_that_hostile_texts_are_cut_and_lose_nothing(text: str) -> None:
    places = sentences_of(text)
    assert all(0 < b - a <= LONGEST_SENTENCE for a, b in places)
    assert all(b <= c for (_, b), (c, _) in pairwise(places))
    kept = "".join(text[a:b] for a, b in places)
    assert "".join(kept.split()) == "".join(text.split())
    shown = nearest_passages(text, "Der Patient nimmt 20 mg", 1000)
    assert 0 < len(shown.encode()) <= 1000
    question = ask(text, text[:100], CheckerForm("yes", "no", 500))[0]["content"]
    assert len(question.encode()) < 1200
    (score,) = check_samples([sample(text[:3000], text)], says_no_to("zz"), FORM)
    assert score.value == pytest.approx(1 / (1 + math.exp(-2)))


def test_that_a_long_source_is_cut_to_what_speaks_of_the_sentence() -> None:
    filler = [f"Patient: My neighbour number {i} bought a garden chair." for i in range(80)]
    told = ["Doctor: Which dose of Lisinopril do you take?", "Patient: Two every morning."]
    source = "\n".join([*filler[:50], *told, *filler[50:]])
    shown = nearest_passages(source, "He takes Lisinopril.", 400)
    assert "Lisinopril do you take?\nPatient" not in shown  # passages are joined, not lines kept
    assert shown.index("Which dose of Lisinopril") < shown.index("Two every morning.")
    assert len(shown.encode()) <= 400
    assert nearest_passages("  short  ", "any", 400) == "short"
    assert nearest_passages("", "any", 400) == ""


def test_that_a_form_is_known_again_and_another_one_is_not() -> None:
    record = json.loads(json.dumps(FORM.as_record()))
    assert form_of_record(record) == FORM
    assert form_of_record({**record, "source_bytes": 999}) is None
    assert form_of_record({**record, "version": 2}) is None
    assert form_of_record({}) is None
    assert form_of_record({**record, "source_bytes": "many"}) is None
    assert (FORM.answer(True), FORM.answer(False)) == ("yes", "no")


RIGHT = [
    RightText(
        i,
        f"g{i}",
        f"Doctor: How old is {name}? Patient: {name} is {40 + i} years old and takes {i + 5} mg of "
        f"aspirin. Doctor: Any fever? Patient: No. The pain increased after the fall in March.",
        f"{name} is {40 + i} years old. She takes {i + 5} mg of aspirin. She has no fever. "
        "The pain increased after the fall in March.",
    )
    for i, name in enumerate(["Anna", "Berta", "Clara", "Doris", "Emma", "Frida", "Greta", "Hanna"])
]


def test_that_every_wrong_sentence_stands_after_a_right_one_and_kinds_take_turns() -> None:
    lessons = teach(RIGHT, [], most=24, seed=3)
    assert 12 <= len(lessons) <= 24
    for right, wrong in zip(lessons[::2], lessons[1::2], strict=True):
        assert (right.supported, right.kind) == (True, None)
        assert not wrong.supported
        assert wrong.kind in TAUGHT_KINDS
        assert wrong.sentence != right.sentence
        assert right.sentence in RIGHT[right.key].text
        assert wrong.sentence not in RIGHT[wrong.key].text
    kinds = Counter(lesson.kind for lesson in lessons if lesson.kind)
    assert len(kinds) >= 4
    assert max(kinds.values()) - min(kinds.values()) <= 3
    assert "omission" not in TAUGHT_KINDS
    assert teach(RIGHT, [], most=24, seed=3) == lessons
    assert teach(RIGHT, [], most=24, seed=4) != lessons


def test_that_marks_come_first_and_stand_beside_a_right_sentence() -> None:
    text = "Ilse is 50 years old. She takes morphine. She is well."
    start = text.index("morphine")
    marked = MarkedText(99, "g0", SOURCE, text, ((start, start + 8), (start, start + 2)))
    lessons = teach(RIGHT, [marked], most=2, seed=3)
    assert [lesson.supported for lesson in lessons] == [True, False]
    assert lessons[1] == Lesson(99, "She takes morphine.", False, MARKED)
    assert lessons[0].key == 0  # of the same group


@pytest.mark.parametrize("right", [[], [RightText(0, "g", "", "")], [RightText(0, "g", "?", "!")]])
def test_that_nothing_right_teaches_nothing(right: list[RightText]) -> None:
    marked = MarkedText(99, "g0", SOURCE, "It is wrong.", ((0, 3),))
    lessons = teach(right, [marked], most=10, seed=1)
    assert len(lessons) in (0, 2)
    assert sum(lesson.supported for lesson in lessons) * 2 == len(lessons)
    assert whole_texts([], seed=1) == []


def test_that_a_whole_text_holds_one_error() -> None:
    for one, wrong, kind in whole_texts(RIGHT, seed=2):
        assert wrong != one.text
        assert kind in TAUGHT_KINDS


def judged(n: int, *, good: float, bad: float, kind: str = "number") -> list[JudgedSentence]:
    right = [JudgedSentence(f"g{i}", True, None, good) for i in range(n)]
    wrong = [JudgedSentence(f"g{i}", False, kind, bad) for i in range(n)]
    return [*right, *wrong]


@pytest.mark.parametrize(
    ("good", "bad", "auroc", "accuracy", "found", "alarms"),
    [
        (0.9, 0.1, 1.0, 1.0, 1.0, 0.0),
        (0.1, 0.9, 0.0, 0.0, 0.0, 1.0),
        (0.7, 0.7, 0.5, 0.5, 0.0, 0.0),
        (0.5, 0.49, 1.0, 1.0, 1.0, 0.0),  # .5 itself is not below one half
    ],
)
def test_the_figures_of_a_checker(
    good: float, bad: float, auroc: float, accuracy: float, found: float, alarms: float
) -> None:
    figures = report_checker(judged(12, good=good, bad=bad), [])
    told = {one["metric"]: one["value"] for one in figures["sentences"]}
    assert told == {"auroc": auroc, "balanced_accuracy": accuracy}
    assert figures["found"]["number"]["value"] == found
    assert figures["found"]["number"]["n"] == 12
    assert figures["false_alarms"]["value"] == alarms
    assert figures["false_alarms"]["low"] <= alarms <= figures["false_alarms"]["high"]
    assert (figures["groups"], figures["failed"]) == (12, 0)
    json.dumps(figures, allow_nan=False)


def test_that_texts_are_judged_by_their_worst_sentence_beside_checks_without_a_model() -> None:
    texts = [
        text
        for i in range(10)
        for text in (
            JudgedText(f"g{i}", "She is 40.", "She is 40. Good.", None, (0.8, 0.9)),
            JudgedText(f"g{i}", "She is 40.", "She is 41. Good.", "number", (0.2, 0.9)),
        )
    ]
    figures = report_checker(judged(5, good=0.9, bad=0.1), [*texts, *_broken()])
    told: dict[str, Any] = {one["predictor"]: one for one in figures["texts"]}
    assert set(told) == {"check", "invented", "overlap"}
    assert told["check"]["value"] == 1.0
    assert told["invented"]["value"] == 1.0
    assert told["check"]["n"] == 20  # not those that could not be judged


def test_that_checks_without_a_model_stand_beside_it_on_the_same_sentences() -> None:
    """`invented` sees every other wrong sentence here, the checker all."""
    rows = [
        row
        for i in range(20)
        for row in (
            JudgedSentence(f"g{i}", True, None, 0.9, "She is 40, tall.", "She is 40."),
            JudgedSentence(
                f"g{i}", False, "x", 0.1, "She is 40, tall.", "She is 41." if i % 2 else "Is 40."
            ),
        )
    ]
    told = {(one["predictor"], one["metric"]): one for one in report_checker(rows, [])["beside"]}
    assert set(told) == {(n, m) for n in ("invented", "overlap") for m in ("auroc", "difference")}
    assert told["invented", "auroc"]["value"] == 0.75
    apart = told["invented", "difference"]
    assert apart["value"] == 0.25
    assert 0.05 < apart["low"] < 0.25 < apart["high"] < 0.45
    assert apart["n"] == 40
    assert report_checker(judged(12, good=0.9, bad=0.1), [])["beside"] == []


def _broken() -> list[JudgedText]:
    return [JudgedText("g", "s", "t", None, (None,)), JudgedText("g", "s", "", "number", ())]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [JudgedSentence("g", True, None, 0.5)],
        [JudgedSentence("g", True, None, 0.5), JudgedSentence("g", False, "date", None)],
    ],
)
def test_that_one_sided_judgements_are_no_figure(rows: list[JudgedSentence]) -> None:
    with pytest.raises(UndefinedFigure, match="not both right and wrong"):
        report_checker(rows, [])


def test_that_failed_sentences_are_counted() -> None:
    rows = [*judged(3, good=0.9, bad=0.1), JudgedSentence("g", True, None, None)]
    assert report_checker(rows, [])["failed"] == 1
