"""A model that an engine holds, as checks ask it: in order, whatever the engine does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from backend.engines.base import ReadRequest, ReadResult, ServedModel
from backend.engines.fake import FakeEngine
from backend.errors import EngineError, EngineUnavailable, UnknownAdapter
from backend.services.checks.asker import EngineAsker, first_questions
from evaluators.checks.models.interface import Asker, Continuation, Likelihood

BASE = ServedModel("base", "/models/base")
PROMPT = ({"role": "user", "content": "the bill of 40 was paid"},)
ASKED = [Continuation(PROMPT, text) for text in ("the bill", "a  debt of 40", "")]


def asker(engine: FakeEngine, model: ServedModel = BASE) -> EngineAsker:
    engine.load([BASE])
    return EngineAsker(engine, model)


def test_texts_are_read_in_order_word_by_word() -> None:
    assert asker(FakeEngine()).read(ASKED) == [
        Likelihood((0, 4), (-0.5, -0.5)),
        Likelihood((0, 3, 8, 11), (-3.0, -3.0, -0.5, -0.5)),
        Likelihood(),
    ]


@dataclass(slots=True)
class Backwards(FakeEngine):
    """Answers in the other order, and leaves some out."""

    left_out: set[str] = field(default_factory=set)

    def read(self, requests: Iterable[ReadRequest]) -> Iterator[ReadResult]:
        kept = [request for request in requests if request.key not in self.left_out]
        yield from FakeEngine.read(self, kept[::-1])


def test_the_order_of_the_engine_does_not_matter() -> None:
    assert asker(Backwards()).read(ASKED) == asker(FakeEngine()).read(ASKED)


def test_an_engine_that_leaves_answers_out_is_an_error() -> None:
    with pytest.raises(EngineError, match="left out 1 of 3"):
        asker(Backwards(left_out={"1"})).read(ASKED)


def test_one_that_cannot_be_read_says_why_and_the_others_go_on() -> None:
    found = asker(FakeEngine(failing={"1": "too long"})).read(ASKED)
    assert [one.error for one in found] == [None, "too long", None]


def test_a_server_that_dies_in_the_middle_is_unavailable() -> None:
    with pytest.raises(EngineUnavailable):
        asker(FakeEngine(dies_after=2)).read(ASKED)


def test_a_model_that_is_not_served_is_unknown() -> None:
    with pytest.raises(UnknownAdapter):
        asker(FakeEngine(), ServedModel("ghost", "/models/base")).read(ASKED)


class Mute:
    """An engine that tells nothing of given texts."""

    name = "mute"


def test_an_engine_that_does_not_read_is_named() -> None:
    with pytest.raises(EngineError, match="engine mute does not tell") as caught:
        EngineAsker(Mute(), BASE).read(ASKED)  # type: ignore[arg-type]
    assert "local or vllm" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("silent", "looks"),
    [
        (0, [8]),
        (8, [8, 16]),
        (16, [8, 16]),
        (17, [8, 16, 32]),
        (1000, [8, 16, 32, 64, 128, 256, 256, 240]),  # nothing is asked of any
    ],
)
def test_so_many_outputs_are_looked_at_as_it_takes(silent: int, looks: list[int]) -> None:
    seen: list[int] = []

    def ask(some: Sequence[int], asked: Asker) -> None:
        seen.append(len(some))
        asked.write([PROMPT for one in some if one >= silent], max_tokens=1)

    found = first_questions(range(1000), ask)
    assert seen == looks
    assert len(found) == max(0, sum(looks) - silent)
