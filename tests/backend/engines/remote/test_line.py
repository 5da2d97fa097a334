"""The order of requests: long common beginnings side by side, the models mixed, nothing lost."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from backend.engines.base import GenerationRequest
from backend.engines.remote.line import (
    _KNOWN,
    _LOOK_AHEAD,
    Line,
    Waiting,
    beginning,
    in_cache_order,
)


def request(key: str, model: str, *texts: str) -> GenerationRequest:
    roles = ["system", "user"] if len(texts) > 1 else ["user"]
    return GenerationRequest(
        key, model, [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]
    )


def documents(models: str, *, count: int = 6, questions: int = 5) -> list[GenerationRequest]:
    """Questions on documents, in no order: the document comes first in the prompt."""
    made = [
        request(f"{model}{d}{q}", model, "Be brief.", f"Document {d}: {'x' * 50}. Question {q}?")
        for q in range(questions)
        for d in range(count)
        for model in models
    ]
    random.Random(3).shuffle(made)
    return made


def test_prompts_with_one_beginning_are_side_by_side() -> None:
    ordered = in_cache_order(documents("a"))
    seen = [r.messages[-1]["content"].partition(":")[0] for r in ordered]
    assert sum(one != other for one, other in pairwise(seen)) == 5


def test_the_models_take_turns_with_the_same_document() -> None:
    ordered = in_cache_order(documents("abc"))
    for start in range(0, len(ordered), 3):
        turn = ordered[start : start + 3]
        assert {r.model for r in turn} == {"a", "b", "c"}
        assert len({r.messages[-1]["content"] for r in turn}) == 1


def test_a_model_with_less_to_do_is_spread_over_all() -> None:
    many = [request(f"a{i}", "a", f"{i:03}") for i in range(90)]
    few = [request(f"b{i}", "b", f"{i:03}") for i in range(9)]
    places = [i for i, r in enumerate(in_cache_order(many + few)) if r.model == "b"]
    assert all(8 <= after - before <= 14 for before, after in pairwise(places))


def test_equal_prompts_keep_their_order() -> None:
    samples = [request(f"k{i}", "a", "one prompt") for i in range(8)]
    assert [r.key for r in in_cache_order(samples)] == [f"k{i}" for i in range(8)]


@pytest.mark.parametrize("texts", [[], [""], ["\x00", "<b>", "日本", "x" * 100_000]])
def test_nothing_is_lost_whatever_the_text(texts: list[str]) -> None:
    asked = [request(f"k{i}", "m", text) for i, text in enumerate(texts)]
    assert sorted(r.key for r in in_cache_order(asked)) == sorted(r.key for r in asked)


def test_a_prompt_without_a_message_has_a_beginning() -> None:
    assert beginning(GenerationRequest("k", "m", [])) is not None
    assert in_cache_order([GenerationRequest("k", "m", [])])


def line_of(*begins: str) -> Line[str]:
    line: Line[str] = Line()
    line.put([Waiting(f"{b}{i}", b) for i, b in enumerate(begins)])
    return line


def taken(line: Line[str], *places: int, alone: bool = False) -> list[str]:
    found = [line.take(place, alone=alone) for place in places]
    return ["-" if item is None else item.asked for item in found]


def test_a_place_goes_on_with_what_it_knows() -> None:
    line = line_of("a", "b", "a", "b", "a", "c")
    assert taken(line, 0, 1, 1, 0, 1, 0) == ["a0", "b1", "b3", "a2", "c5", "a4"]


def test_one_place_alone_takes_them_in_order() -> None:
    line = line_of("a", "b", "a")
    assert taken(line, 0, 0, 0, 0, alone=True) == ["a0", "b1", "a2", "-"]


def test_nobody_waits_for_the_place_that_knows() -> None:
    line = line_of("a", "a", "a")
    assert taken(line, 0, 1, 1) == ["a0", "a1", "a2"]


def test_a_place_is_not_given_what_it_failed_at() -> None:
    line = line_of("a", "b")
    item = line.take(0, alone=False)
    assert item is not None
    item.refused.add(0)
    line.put_back(item)
    assert taken(line, 0, 0, 1) == ["b1", "-", "a0"]


def test_what_was_put_back_comes_first() -> None:
    line = line_of("a", "b", "c")
    item = line.take(0, alone=True)
    assert item is not None
    line.put_back(item)
    assert taken(line, 0, 0, 0, alone=True) == ["a0", "b1", "c2"]


def test_few_beginnings_are_remembered_and_first_forgotten_is_the_one_unused_longest() -> None:
    line: Line[str] = Line()
    names = [f"n{i}" for i in range(_KNOWN)]
    for name in [*names, names[0], "more"]:  # the first is used again before one too many comes
        line.put([Waiting(name, name)])
        assert line.take(0, alone=False) is not None
    assert len(line._known) == _KNOWN
    line.put([Waiting("first", names[0]), Waiting("second", names[1])])
    assert taken(line, 1) == ["second"], "nobody knows its beginning any more"


@pytest.mark.parametrize(
    ("others", "next_one"),
    [(_LOOK_AHEAD, f"known{_LOOK_AHEAD + 1}"), (_LOOK_AHEAD + 1, "other2")],
)
def test_a_place_looks_only_so_far_ahead_for_what_it_knows(others: int, next_one: str) -> None:
    line = line_of("known", *["other"] * others, "known")
    assert taken(line, 0, 1, 0) == ["known0", "other1", next_one]


def test_one_text_has_a_beginning_for_each_model() -> None:
    assert beginning(request("k", "one", "text")) != beginning(request("k", "other", "text"))


def test_the_only_request_of_a_model_comes_in_the_middle() -> None:
    asked = [*(request(f"k{i}", "much", f"{i}") for i in range(3)), request("x", "little", "x")]
    assert [one.key for one in in_cache_order(asked)] == ["k0", "k1", "x", "k2"]
