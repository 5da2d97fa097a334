"""How a base can be asked: answers that its tokeniser tells apart, and questions that have room.

Reads the files of a base, so no transaction should be open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from backend.engines.prompts import encode_prompt, load_tokenizer
from backend.errors import InvalidInput
from evaluators.checks.checker.checker import ANSWERS, CheckerForm, ask
from training.weights.digest import resolve_model

LEAST_SOURCE_BYTES = 300
ROOM_FOR_ANSWER = 16  # tokens: the answer, and what a template writes after it
_LONGEST_ROWS = 40  # by bytes, of which the tokens are counted
_STEP = 64
_UNKNOWN_ROOM = 2048


@dataclass(frozen=True, slots=True)
class Asking:
    """A base's tokeniser and how many tokens it reads."""

    tokenizer: Any
    room: int

    def fit(self, asked: Sequence[tuple[str, str]], form: CheckerForm) -> CheckerForm:
        """The form with as much of a source as leaves room, however long a source is.

        How many tokens a byte takes, and how long a sentence is, are the most found in `asked`.

        Args:
            asked: source and sentence of each question.

        Raises:
            InvalidInput: next to no source has room.
        """
        texts = [ask(source, sentence, form)[0]["content"] for source, sentence in asked]
        sample = sorted(texts, key=lambda text: -len(text.encode()))[:_LONGEST_ROWS]
        rate = max((self._tokens(text) / len(text.encode()) for text in sample), default=1.0)
        around = max((_bytes_around(sentence, form) for _, sentence in asked), default=0)
        room = int((self.room - ROOM_FOR_ANSWER) / rate) - around
        if room < LEAST_SOURCE_BYTES:
            raise InvalidInput(
                f"The base reads {self.room} tokens, which leaves room for {max(0, room)} bytes of "
                f"a source beside the question; {LEAST_SOURCE_BYTES} are the least.",
                hint="Take a base that reads more.",
            )
        return replace(form, source_bytes=min(form.source_bytes, room))

    def longest(self, asked: Sequence[tuple[str, str]], form: CheckerForm) -> int:
        """Tokens of the longest question."""
        asks = [ask(source, sentence, form) for source, sentence in asked]
        asks.sort(key=lambda one: -len(one[0]["content"].encode()))
        lengths = [len(encode_prompt(self.tokenizer, one)) for one in asks[:_LONGEST_ROWS]]
        return max(lengths, default=0)

    def _tokens(self, text: str) -> int:
        return len(encode_prompt(self.tokenizer, [{"role": "user", "content": text}]))

    def max_length(self, asked: Sequence[tuple[str, str]], form: CheckerForm) -> int:
        """Tokens of a row for the trainer, rounded up and no more than the base reads."""
        needed = self.longest(asked, form) + ROOM_FOR_ANSWER
        return min(self.room, -(-needed // _STEP) * _STEP)


def _bytes_around(sentence: str, form: CheckerForm) -> int:
    """Bytes of a question beside its source."""
    return len(ask("", sentence, form)[0]["content"].encode())


def read_asking(base_model: str) -> Asking:
    """The tokeniser and the room of a base; errors as of `load_tokenizer`."""
    folder = resolve_model(base_model)
    told = json.loads((folder / "config.json").read_text("utf-8"))
    room = told.get("max_position_embeddings") or told.get("n_positions") or _UNKNOWN_ROOM
    return Asking(load_tokenizer(str(folder)), int(room))


def choose_form(tokenizer: Any) -> CheckerForm:
    """The first pair of answers that begin with different tokens after a question.

    Raises:
        InvalidInput: there is none, so that the first token tells nothing.
    """
    for yes, no in ANSWERS:
        form = CheckerForm(yes, no)
        first = [_first_token(tokenizer, form, word) for word in (yes, no)]
        if None not in first and first[0] != first[1]:
            return form
    listed = ", ".join(f"{yes}/{no}" for yes, no in ANSWERS)
    raise InvalidInput(
        f"The base's tokeniser begins both answers with the same token, in every pair: {listed}.",
        hint="A checker needs a base whose first token tells yes from no.",
    )


def _first_token(tokenizer: Any, form: CheckerForm, word: str) -> int | None:
    """The token that an answer begins with; None where it grows together with the question."""
    question = ask("Anna is ill.", "Anna is ill.", form)
    prompt = encode_prompt(tokenizer, question)
    text = tokenizer.apply_chat_template(
        [dict(turn) for turn in question], tokenize=False, add_generation_prompt=True
    )
    whole = list(tokenizer(text + word, add_special_tokens=False)["input_ids"])
    grown = whole[: len(prompt)] != prompt or len(whole) <= len(prompt)
    return None if grown else int(whole[len(prompt)])
