"""What a model wrote, as an input and an answer."""

from __future__ import annotations

import pytest

from backend.services.synthetic.parsing import parse_answer, parse_pair

PAIRS = [
    ('{"input": "Why?", "answer": "So."}', ("Why?", "So.")),
    ('Sure!\n```json\n{"question": "Why?", "response": "So."}\n```\nDone.', ("Why?", "So.")),
    ('[{"input": "Why?", "answer": "So."}, {"input": "x", "answer": "y"}]', ("Why?", "So.")),
    ('{"input": "A {b} c", "answer": "d } e"}', ("A {b} c", "d } e")),
    ('{"input": "two\nlines", "answer": "So."}', ("two\nlines", "So.")),
    ('{ broken {"Input": "Why?", "Answer": "So."}', ("Why?", "So.")),
    ("Input: Why?\nAnswer: So.", ("Why?", "So.")),
    ("**Question:** Why is it so?\n**Answer:** It is.\n\nQuestion: more", None),
    ("", None),
    ("Why? So.", None),
    ('{"input": "Why?"}', None),
    ('{"input": 7, "answer": "So."}', None),
    ("{" * 5000, None),
    ('{"input": ["Why?"], "answer": {"a": 1}}', None),
]


@pytest.mark.parametrize(("text", "pair"), PAIRS)
def test_pairs(text: str, pair: tuple[str, str] | None) -> None:
    found = parse_pair(text)
    if text.startswith("**"):
        assert found is not None
        assert found.input.strip("* ") == "Why is it so?"
        assert found.answer.strip("* ") == "It is."
        return
    assert (None if found is None else (found.input, found.answer)) == pair


def test_an_empty_pair_is_read_as_empty() -> None:
    found = parse_pair('{"input": " ", "answer": ""}')
    assert found is not None
    assert (found.input, found.answer) == ("", "")


def test_an_answer_is_the_whole_text_or_what_an_object_says() -> None:
    plain, wrapped = parse_answer(" A {b}. ", "ask"), parse_answer('{"answer": "So."}', "ask")
    assert plain is not None
    assert wrapped is not None
    assert (plain.input, plain.answer, plain.form) == ("ask", "A {b}.", "text")
    assert (wrapped.input, wrapped.answer) == ("ask", "So.")
