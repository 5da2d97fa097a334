"""`support:MODEL` with a model made by hand: values, spans, prompts, refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from evaluators.checks.models.interface import Continuation, Likelihood, ModelAnswer, Prompt
from evaluators.checks.models.source_gain import NO_SOURCE, open_support, support
from evaluators.errors import UndefinedFigure
from evaluators.registry import asks_model, resolve_metrics
from evaluators.types import Sample, Score

SOURCE = "The cat sat on the mat. The dog ran."


class Reader:
    """Finds a word of the prompt likely (-1), another one not (-4); `told` overrules for a word."""

    signature = "reader|adapter:none"

    def __init__(self, told: dict[str, float] | None = None, error: str | None = None) -> None:
        self.told = told or {}
        self.error = error
        self.prompts: list[str] = []

    def write(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[ModelAnswer]:
        raise NotImplementedError

    def read(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        self.prompts += [one.messages[-1]["content"] for one in asked]
        return [self._read(one) for one in asked]

    def _read(self, one: Continuation) -> Likelihood:
        prompt = one.messages[-1]["content"]
        if self.error is not None and self.error in prompt:
            return Likelihood(error="The prompt has 9 tokens too many.")
        shown, words = set(prompt.split()), list(re.finditer(r"\s*\S+", one.text))
        told = tuple(
            -1.0 if w[0].strip() in shown else self.told.get(w[0].strip(), -4.0) for w in words
        )
        return Likelihood(tuple(w.start() for w in words), told)


def score(sample: Sample, reader: Reader | None = None) -> Score:
    (found,) = open_support("base")(reader or Reader()).score([sample])
    return found


def test_what_the_source_says_gains_and_what_it_does_not_say_gains_nothing() -> None:
    text = "The cat sat.\nThe bird flew away."
    found = score(Sample("1", text, context="The cat sat. The dog ran."))
    # Gains of 3 nats: The, cat, sat., The of seven words with a surprise of 4 each.
    assert found.value == pytest.approx(4 * 3 / (7 * 4))
    assert found.stats == (12.0, 28.0, 7.0)
    assert found.spans == ()
    assert found.explanation == "the source makes 2 of 2 sentences likelier"


def test_a_sentence_that_gains_nothing_is_marked() -> None:
    text = "  The cat sat on.  Birds fly far. The dog ran."
    found = score(Sample("1", text, context=SOURCE))
    (span,) = found.spans
    assert (text[span.start : span.end], span.kind) == ("Birds fly far.", "no gain")
    assert span.reason == "the source makes these words no likelier"
    assert found.explanation == "the source makes 2 of 3 sentences likelier"


def test_words_that_the_source_speaks_against_say_by_how_much() -> None:
    class Against(Reader):
        def _read(self, one: Continuation) -> Likelihood:
            far = -6.0 if SOURCE in one.messages[-1]["content"] else -3.5
            return Likelihood((0, 5), (far, far))

    found = score(Sample("1", "Birds fly.", context=SOURCE), Against())
    assert found.value == -5 / 7
    assert found.spans[0].reason == (
        "the source makes these words less likely, by 2.5 nats a token"
    )


def test_the_two_prompts_differ_by_the_source_alone() -> None:
    reader = Reader()
    score(Sample("1", "A b.", context=SOURCE, input="Sum up {this}."), reader)
    shown, hidden = reader.prompts
    assert hidden == "Sum up {this}."
    assert SOURCE in shown
    assert shown.endswith(hidden)


@pytest.mark.parametrize("context", [None, "", " \n"])
def test_an_input_without_context_is_the_source(context: str | None) -> None:
    reader = Reader()
    found = score(Sample("1", "The cat sat on", context=context, input=SOURCE), reader)
    assert found.value == 3 / 4
    assert SOURCE in reader.prompts[0]
    assert SOURCE not in reader.prompts[1]


def test_without_a_source_there_is_a_reason_and_the_others_go_on() -> None:
    samples = [
        Sample("1", "The cat."),
        Sample("2", "The dog.", context=SOURCE),
        Sample("3", " \n", context=SOURCE),
        Sample("4", "The mat.", context="", input=" "),
    ]
    none, found, empty, blank = open_support("base")(Reader()).score(samples)
    assert none.error == blank.error == NO_SOURCE
    assert found.value is not None
    assert empty.not_applicable


def test_a_prompt_that_is_too_long_is_an_error_of_its_own() -> None:
    reader = Reader(error="mat")
    long, short = open_support("base")(reader).score(
        [Sample("1", "A b.", context=SOURCE), Sample("2", "A b.", context="A dog.")]
    )
    assert long.error == "The prompt has 9 tokens too many."
    assert short.error is None


def test_readings_of_different_tokens_are_refused() -> None:
    class Torn(Reader):
        def _read(self, one: Continuation) -> Likelihood:
            return Likelihood((0, 1 + ("mat" in one.messages[-1]["content"])), (-1.0, -1.0))

    assert score(Sample("1", "Abc.", context=SOURCE), Torn()).error is not None


def test_an_output_that_is_certain_without_a_source_is_no_number() -> None:
    class Certain(Reader):
        def _read(self, one: Continuation) -> Likelihood:
            return Likelihood((0,), (0.0,))

    assert "certain" in str(score(Sample("1", "Yes.", context=SOURCE), Certain()).error)


def test_a_token_of_white_space_goes_with_the_next_sentence() -> None:
    class Spaces(Reader):
        def _read(self, one: Continuation) -> Likelihood:
            gain = 1.0 if SOURCE in one.messages[-1]["content"] else 0.0
            return Likelihood((0, 2, 3), (-5.0, -5.0 + 4 * gain, -5.0 - 2 * gain))

    found = score(Sample("1", "A.\n\nB.", context=SOURCE), Spaces())
    assert [(s.start, s.end) for s in found.spans] == [(0, 2)]
    assert found.value == pytest.approx(2 / 15)


@pytest.mark.parametrize("text", ["日本語。" * 500, "x " * 10_000, " " * 20_000 + "a", "👩‍⚕️"])
def test_odd_texts_are_scored(text: str) -> None:
    assert score(Sample("1", text, context=SOURCE)).value is not None


def test_by_name_alone_it_scores_nothing_and_says_who_does() -> None:
    (metric,) = resolve_metrics(["support:v1@2"])
    assert asks_model(metric.name)
    assert (metric.name, metric.higher_is_better, metric.scale) == ("support:v1@2", True, 1.0)
    with pytest.raises(UndefinedFigure, match="a model, which nobody serves here"):
        metric.score([Sample("1", "a", context="b")])


def test_the_recipe_names_the_model() -> None:
    metric = open_support("base")(Reader())
    assert metric.signature() == "support:base|strop:1|model:reader|adapter:none"
    assert metric.name == support("base").name
