"""Each entry of ENGINES gives what is asked of an engine, before any server or model is there."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.engines import ELSEWHERE, ENGINES, FAKE, check_engine, open_engine
from backend.engines.base import (
    AliasEngine,
    Engine,
    GenerationRequest,
    ReadingEngine,
    ReadRequest,
    SamplingParams,
)
from backend.engines.fake import FakeEngine
from backend.engines.first_tokens import FirstTokensEngine
from backend.errors import StropError, UnknownName
from backend.settings import Settings

MESSAGES = [{"role": "user", "content": "say 1"}]
BLOCK = {"__enter__", "__exit__"}
OPTIONAL = (ReadingEngine, AliasEngine, FirstTokensEngine)


@pytest.fixture(params=[*ENGINES, FAKE])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each engine as it is opened, with no server where it looks for one; and the fake one."""
    nowhere = "http://127.0.0.1:9"
    settings = Settings(home=tmp_path, vllm_url=nowhere, openai_url=f"{nowhere}/v1")
    with FakeEngine() if request.param == FAKE else open_engine(request.param, settings) as opened:
        assert opened.name == request.param
        yield opened


def owed(protocol: type) -> dict[str, Callable[..., Any]]:
    """The methods that a protocol itself asks for."""
    return {
        name: made
        for name, made in vars(protocol).items()
        if inspect.isfunction(made) and (not name.startswith("_") or name in BLOCK)
    }


def parameters_of(method: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """Name, kind and default of each, but for `self`."""
    found = inspect.signature(method).parameters.values()
    return [(p.name, p.kind, p.default) for p in found if p.name != "self"]


def test_it_has_every_method_that_the_protocol_asks_for_with_the_same_parameters(
    engine: Engine,
) -> None:
    for protocol in (Engine, *OPTIONAL):
        for name, asked in owed(protocol).items():
            if protocol is Engine or hasattr(engine, name):
                assert parameters_of(getattr(type(engine), name)) == parameters_of(asked), name


def test_its_notes_are_sentences(engine: Engine) -> None:
    assert not isinstance(engine.notes, str)
    assert all(isinstance(note, str) for note in engine.notes)


def test_a_model_that_was_not_loaded_is_refused_and_not_waited_for(engine: Engine) -> None:
    request = GenerationRequest("1", "v1@1", MESSAGES)
    with pytest.raises(StropError):
        list(engine.generate(iter([request]), SamplingParams()))
    with pytest.raises(StropError):
        engine.next_token_logprobs("v1@1", MESSAGES)
    if isinstance(engine, ReadingEngine):
        with pytest.raises(StropError):
            list(engine.read(iter([ReadRequest("1", "v1@1", MESSAGES, "1")])))


def test_it_can_be_closed_twice(engine: Engine) -> None:
    engine.close()
    engine.close()


def test_each_name_is_known_and_told_where_an_engine_is_chosen(tmp_path: Path) -> None:
    said = str(Settings.model_fields["engine"].description)
    untold = [name for name in ENGINES if name not in said]
    assert not untold, f"`engine` in backend/settings.py does not say that there is {untold}"
    assert {ELSEWHERE, Settings.model_fields["engine"].default} <= set(ENGINES)
    assert FAKE not in ENGINES
    for name in (*ENGINES, FAKE):
        check_engine(name)
    for refuse in (check_engine, lambda name: open_engine(name, Settings(home=tmp_path))):
        with pytest.raises(UnknownName, match="vllm"):
            refuse("vlm")


def test_the_table_imports_nothing_heavy() -> None:
    code = (
        "import sys, backend.engines; print(*sorted({'torch', 'transformers', 'aiohttp'} & "
        "{name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
