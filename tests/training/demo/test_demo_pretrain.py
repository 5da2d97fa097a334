"""The pre-training loop: batches repeat, a run that was cut off ends with the same weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from training.demo.corpus import stream_documents
from training.demo.pretrain import PretrainRecipe, pretrain, rate_at, stream_batches
from training.demo.tokenizer import render_turns, train_tokenizer

SMALL = PretrainRecipe(seed=3, steps=4, cooldown=2, batch_tokens=256, long_row=200, warmup=2)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    documents = islice(stream_documents(seed=3), 400)
    return train_tokenizer(text for d in documents for _, text in d.turns)


@pytest.mark.parametrize(
    "text", ["", "Straße 12.50", "日本語 🙂 \u202e\x00", "a\r\n\tb", "Größe: 40 GB  "]
)
def test_any_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_every_digit_is_a_token(tokenizer: Any) -> None:
    ids = tokenizer("48213")["input_ids"]
    assert [tokenizer.decode([i]) for i in ids] == list("48213")


def test_a_document_is_rendered_as_the_chat_template_renders_it(tokenizer: Any) -> None:
    turns = [("system", "S"), ("user", "Frage\n\n12"), ("assistant", "Antwort")]
    given, learnt = render_turns(turns)
    messages = [{"role": role, "content": content} for role, content in turns]
    assert given + "".join(learnt) == tokenizer.apply_chat_template(messages, tokenize=False)
    assert given == tokenizer.apply_chat_template(
        messages[:2], tokenize=False, add_generation_prompt=True
    )


def test_batches_from_a_place_are_those_after_it(tokenizer: Any) -> None:
    batches = list(islice(stream_batches(tokenizer, SMALL), 6))
    later = list(islice(stream_batches(tokenizer, SMALL, start=batches[2][0]), 3))
    assert later == batches[3:]


@pytest.mark.parametrize(("step", "share"), [(0, 0.5), (1, 1.0), (2, 1.0), (3, 0.5)])
def test_the_rate_rises_stays_and_falls(step: int, share: float) -> None:
    assert rate_at(step, SMALL) == pytest.approx(share * SMALL.learning_rate)


def test_a_run_cut_off_ends_like_one_that_was_not(tokenizer: Any, tmp_path: Path) -> None:
    import torch

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = pretrain(tokenizer, SMALL, work=whole).state_dict()
    pretrain(tokenizer, replace(SMALL, steps=2, cooldown=0.5), work=cut)
    actual = pretrain(tokenizer, SMALL, work=cut).state_dict()
    apart = {n for n, w in expected.items() if not torch.equal(w, actual[n])}
    assert apart == set()
