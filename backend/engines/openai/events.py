"""A streamed chat completion, put together to the body that an unstreamed one has.

Servers differ: some send the usage only when asked, some in a last event without choices, some put
comments or empty events between. An error may come in the middle of it, with status 200.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_END = "[DONE]"


def is_stream(raw: bytes) -> bool:
    """Whether these bytes are server-sent events and no JSON."""
    return raw.lstrip()[:6].startswith((b"data:", b"event:", b":"))


def assemble(raw: bytes) -> dict[str, Any] | None:
    """The completion that the events make up, or their error; None where the stream was cut."""
    whole: dict[str, Any] = {}
    message: dict[str, Any] = {"content": None}
    choice: dict[str, Any] = {"message": message, "finish_reason": None}
    logprobs: list[Any] = []
    ended = False
    for event in _events(raw):
        if event is None:
            ended = True
            break
        if event.get("error") or event.get("object") == "error":
            return dict(event)
        whole.update({k: event[k] for k in ("model", "usage") if event.get(k)})
        for part in _first_choices(event):
            whole["choices"] = [choice]
            _add_delta(message, as_mapping(part.get("delta")))
            tokens = as_mapping(part.get("logprobs")).get("content")
            logprobs += tokens if isinstance(tokens, list) else ()
            choice |= {k: part[k] for k in ("finish_reason", "error") if part.get(k)}
    choice["logprobs"] = {"content": logprobs}
    return whole if ended or choice["finish_reason"] else None


def _first_choices(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What an event says of the first choice, the only one that is asked for."""
    found = event.get("choices")
    parts = [part for part in found if isinstance(part, Mapping)] if isinstance(found, list) else []
    return [part for part in parts if part.get("index") in (0, None)][:1]


def as_mapping(value: object) -> Mapping[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def _add_delta(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name in ("content", "refusal"):
        if isinstance(piece := delta.get(name), str):
            message[name] = (message.get(name) or "") + piece
    if delta.get("tool_calls"):
        message["tool_calls"] = True


def _events(raw: bytes) -> Iterator[dict[str, Any] | None]:
    """The JSON objects of the events; None for the one that says that all is said.

    What is half an event ends them: the connection was cut there.
    """
    lines = raw.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")  # not at U+2028
    for line in lines:
        name, _, value = line.partition(":")
        if name != "data" or not value.strip():
            continue
        if value.strip() == _END:
            yield None
            return
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return
        if isinstance(found, dict):
            yield found
