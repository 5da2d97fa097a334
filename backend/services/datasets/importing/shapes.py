"""The shapes in which rows of other tools hold a prompt and its answers, read into one.

A prompt is one of

    "messages" or "conversations"   turns, {"role", "content"} or ShareGPT's {"from", "value"}
    "instruction", "input"?         Alpaca, with "system" and "history" where they are
    "prompt"                        TRL: a text, or turns
    "input"                         plain

with "context" where it is, and its answer is the last turn, "chosen", "completion" or "output",
beside "correction", "rejected" and "label". Where "chosen" and "rejected" are whole conversations,
the turns that they share are the prompt, also in one text with `Human:` and `Assistant:` (HH-RLHF).
Contents in parts of text are joined; a last turn of weight 0, as OpenAI has it, is no answer to
learn. What cannot be carried is refused by its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.errors import InvalidInput
from backend.services.datasets.conversations import with_context
from evaluators.files.fields import number_text
from evaluators.files.mapping import nearest
from evaluators.files.readers import is_missing

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
}
_CALLS = ("tool_calls", "function_call")
_TURN_KEYS = frozenset({"role", "from", "content", "value", "weight", *_CALLS})
_NO_TOOLS = frozenset({"", "[]", "{}", "null"})
_LABELS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SPEAKERS = re.compile(r"\n\n(Human|Assistant):")
ANSWERS = ("chosen", "completion", "output")
TURNS = ("messages", "conversations")
PROMPTS = (*TURNS, "instruction", "prompt", "input")

Messages = list[dict[str, str]]


class CannotCarry(InvalidInput):
    """A row that says what no row here can say, such as a call of a tool; the message names it."""


@dataclass(frozen=True, slots=True)
class PlainRow:
    """What a row says, before a format is chosen.

    Attributes:
        asked_by, answered_by: the columns in which prompt and output stand; one where turns hold
            both.
        uncorrected: a correction was to be there, and is empty.
    """

    prompt: Messages
    output: str | None
    asked_by: str
    answered_by: str
    context: str | None = None
    correction: str | None = None
    rejected: str | None = None
    label: bool | None = None
    uncorrected: bool = False

    @property
    def asked(self) -> Messages:
        """The prompt with the context below its last message."""
        return with_context(self.prompt, self.context)

    @property
    def answer(self) -> str | None:
        """What should be answered; unknown where an output was to be corrected and was not."""
        if self.uncorrected and self.label is not True:
            return None
        return self.output if self.correction is None else self.correction


@dataclass(slots=True)
class RowValues:
    """The values of a row; remembers what was asked for.

    Attributes:
        spelled: lists and objects are spelled as JSON in texts.
        used: keys that were asked for and are there.
        unused: what turns hold beside role and content.
    """

    values: Mapping[str, Any]
    spelled: bool = False
    used: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)

    def has(self, key: str) -> bool:
        """Whether there is a value that is not missing."""
        return not is_missing(self.values.get(key))

    def get(self, key: str) -> Any:
        """The value, or None where it is missing."""
        if key not in self.values:
            return None
        self.used.add(key)
        value = self.values[key]
        if is_missing(value):
            return None
        if self.spelled and isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
            return _structure_in(value)
        return value

    def text(self, key: str) -> str | None:
        """A text; numbers, true and false as JSON has them."""
        value = self.get(key)
        match value:
            case None | str():
                return value
            case bool():
                return "true" if value else "false"
            case int() | float():
                return number_text(value)
            case _:
                raise InvalidInput(f"{key} is not text.")


def _structure_in(text: str) -> Any:
    """Turns in a cell; a text that merely begins like JSON stays a text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    turns = found if isinstance(found, list) else [found]
    return found if turns and all(isinstance(one, dict | list) for one in turns) else text


def renamed(values: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any]:
    """The values under the names of fields; a column that serves a field is nothing else."""
    if not columns:
        return values
    taken = set(columns.values())
    rest = {key: value for key, value in values.items() if key not in taken}
    found = {name: values[column] for name, column in columns.items() if column in values}
    return {**rest, **found}


def parse_row(values: RowValues) -> PlainRow:
    """What a row says.

    Raises:
        CannotCarry: it holds tools, calls of tools or parts that are not text.
        InvalidInput: it has none of the shapes above, a value of a wrong kind, or two answers.
    """
    for key in ("tools", "functions"):
        if (found := values.get(key)) and str(found).strip() not in _NO_TOOLS:
            raise CannotCarry(f"with {key}, which no format here carries")
    chosen, rejected = _dialogue(values, "chosen"), _dialogue(values, "rejected")
    if _is_conversation(chosen) and _is_conversation(rejected):
        return _preference(values, chosen, rejected)
    prompt, said, asked_by = _prompt(values)
    output, answered_by = _answer(values, said, asked_by)
    correction = values.text("correction")
    return PlainRow(
        prompt=prompt,
        output=output,
        asked_by=asked_by,
        answered_by=answered_by,
        context=values.text("context"),
        correction=correction,
        rejected=_said(values, "rejected"),
        label=_label(values),
        uncorrected=correction is None and "correction" in values.values,
    )


def _answer(values: RowValues, said: str | None, turns: str) -> tuple[str | None, str]:
    """The answer and where it stands: the last of the turns, or a column."""
    key = next((key for key in ANSWERS if values.has(key)), None)
    if key is None:
        return said, turns
    answer = _said(values, key)
    if said is not None and answer is not None and said.strip() != answer.strip():
        raise two_answers(turns, key)
    return answer, key


def two_answers(turns: str, column: str) -> InvalidInput:
    """The error of a row whose turns end with an answer that a column does not repeat."""
    return InvalidInput(
        f"{turns} end with an answer of the assistant, and {column} says another.",
        hint=f"Leave out the column {column}, or the last message.",
    )


def _dialogue(values: RowValues, key: str) -> Any:
    """The value; one text with turns of `Human:` and `Assistant:` (HH-RLHF) as turns."""
    value = values.get(key)
    if not isinstance(value, str) or not value.startswith("\n\nHuman:"):
        return value
    parts = _SPEAKERS.split(value)[1:]
    turns = zip(parts[::2], parts[1::2], strict=True)
    return [{"from": speaker.lower(), "value": said.strip()} for speaker, said in turns]


def _is_conversation(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1


def _preference(values: RowValues, chosen: Any, rejected: Any) -> PlainRow:
    *prompt, good = _turns(values, chosen, "chosen")
    *other, bad = _turns(values, rejected, "rejected")
    if prompt != other:
        raise CannotCarry("whose chosen and rejected answer different turns")
    if {good["role"], bad["role"]} != {"assistant"}:
        raise InvalidInput("chosen and rejected do not end with an answer of the assistant.")
    prompt = _with_system(values, prompt)
    if values.values.get("prompt") == prompt[-1]["content"]:
        values.used.add("prompt")
    return PlainRow(
        prompt,
        good["content"],
        asked_by="chosen",
        answered_by="chosen",
        context=values.text("context"),
        rejected=bad["content"] or None,
        label=_label(values),
    )


def _prompt(values: RowValues) -> tuple[Messages, str | None, str]:
    """The prompt of a row, the answer where its turns end with one, and where both stand."""
    key = next((key for key in PROMPTS if values.has(key)), "")
    match key:
        case _ if key in TURNS:
            return *_from_turns(values, key), key
        case "prompt" if not isinstance(values.get("prompt"), str | int | float):
            turns = _turns(values, values.get("prompt"), "prompt")
            return _with_system(values, turns), None, key
        case "prompt":
            return _asked(values, ("prompt",)), None, key
        case "instruction" | "input":
            return _asked(values, ("instruction", "input")), None, key
        case _:
            if empty := next((key for key in PROMPTS if key in values.values), None):
                raise _is_empty(empty)
            near = nearest("input", values.values)
            raise InvalidInput(
                f"it has no {', '.join(PROMPTS[:-1])} or {PROMPTS[-1]}"
                + (f": did you mean input by {near!r}?" if near else "."),
                hint=f"See `strop export --help`, or map columns: --map input={near or 'COLUMN'}.",
            )


def _from_turns(values: RowValues, key: str) -> tuple[Messages, str | None]:
    given = values.get(key)
    turns = _with_system(values, _turns(values, given, key))
    if all(turn["role"] != "user" for turn in turns):
        raise InvalidInput(f"{key} hold no question of the user.")
    if turns[-1]["role"] != "assistant":
        return turns, None
    learnt = given[-1].get("weight") != 0
    return turns[:-1], (turns[-1]["content"] or None) if learnt else None


def _asked(values: RowValues, keys: Sequence[str]) -> Messages:
    """One question of the user's, after the turns that went before it."""
    texts = [text for key in keys if (text := values.text(key)) is not None]
    return [*turns_before(values), {"role": "user", "content": "\n\n".join(texts)}]


def turns_before(values: RowValues) -> Messages:
    """The system message of a row that has one, and the turns of its `history`."""
    turns: Messages = []
    pairs = values.get("history") or []
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if not (
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair)
        ):
            raise InvalidInput("history is not a list of pairs, question and answer.")
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return _with_system(values, turns)


def _with_system(values: RowValues, turns: Messages) -> Messages:
    if not values.has("system") or [turn["role"] for turn in turns[:1]] == ["system"]:
        return turns
    return [{"role": "system", "content": values.text("system") or ""}, *turns]


def _said(values: RowValues, key: str) -> str | None:
    """An answer that is text, or one turn of the assistant."""
    value = values.get(key)
    if not isinstance(value, list | dict):
        return values.text(key)
    turns = _turns(values, value if isinstance(value, list) else [value], key)
    if [turn["role"] for turn in turns] != ["assistant"]:
        raise InvalidInput(f"{key} is not one message of the assistant.")
    return turns[0]["content"] or None


def _turns(values: RowValues, value: Any, key: str) -> Messages:
    if value == []:
        raise _is_empty(key)
    if not isinstance(value, list):
        raise _no_messages(key)
    return [_turn(values, turn, key) for turn in value]


def _is_empty(key: str) -> InvalidInput:
    return InvalidInput(f"{key} is empty.", hint="Fill it, or leave the row out.")


def _no_messages(key: str) -> InvalidInput:
    return InvalidInput(
        f"{key} is not a list of messages.", hint='A message is {"role", "content"}.'
    )


def _turn(values: RowValues, turn: Any, key: str) -> dict[str, str]:
    said = turn if isinstance(turn, dict) else {}
    name = said.get("role", said.get("from"))
    if any(said.get(call) for call in _CALLS) or name in _CALLS:
        raise CannotCarry("with calls of tools (tool_calls), which no format here carries")
    content = said.get("content", said.get("value"))
    if isinstance(content, list):
        content = "".join(map(_text_of_part, content))
    if not isinstance(name, str) or not isinstance(content, str | None):
        raise _no_messages(key)
    role = _ROLES.get(name.strip().lower())
    if role is None:
        known = ", ".join(dict.fromkeys(_ROLES.values()))
        raise InvalidInput(f"{key} has a turn of the role {name!r}.", hint=f"Roles are {known}.")
    if content is None:
        raise InvalidInput(f"{key} has a turn without text ({role}).", hint="Leave it out.")
    rest = {f"{one} in {key}" for one in said if one not in _TURN_KEYS and said[one] is not None}
    values.unused |= rest
    return {"role": role, "content": content}


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    if kind != "text" or not isinstance(part.get("text"), str):
        raise CannotCarry(f"with a part that is no text ({kind})")
    return str(part["text"])


def _label(values: RowValues) -> bool | None:
    said = values.text("label")
    if said is None:
        return None
    label = _LABELS.get(said.strip().lower())
    if label is None:
        raise InvalidInput(f"label {said!r} is neither true nor false.")
    return label
