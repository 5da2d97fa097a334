"""The vllm engine reads given answers on a scripted server: what it asks, and what goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from backend.engines.base import ReadingEngine, ReadRequest, ReadResult, ServedModel
from backend.engines.remote.server import Retries
from backend.engines.vllm.engine import VllmEngine
from backend.errors import EngineError, EngineUnavailable, InvalidInput, UnknownAdapter
from tests.backend.engines.scripted_server import ScriptedServer, Step

QUICK = Retries(attempts=3, first_s=0.01, longest_s=0.03)
PROMPT = 50  # tokens that the scripted server makes of every prompt

Open = Callable[[ScriptedServer], VllmEngine]


@pytest.fixture
def open_engine(models: dict[str, ServedModel]) -> Iterator[Open]:
    """Opens an engine whose base has a tokeniser at hand; closes it at the end."""
    opened: list[VllmEngine] = []

    def open_on(server: ScriptedServer) -> VllmEngine:
        engine = VllmEngine([server.url], in_flight=1, retries=QUICK)
        opened.append(engine)
        engine.load([models["base"]])
        return engine

    yield open_on
    for engine in opened:
        engine.close()


def ask(*answers: str) -> list[ReadRequest]:
    messages = [{"role": "user", "content": "text"}]
    return [ReadRequest(f"k{i}", "base", messages, text) for i, text in enumerate(answers)]


def test_the_tokens_of_the_answer_follow_those_of_the_prompt(
    open_engine: Open, models: dict[str, ServedModel]
) -> None:
    with ScriptedServer() as server:
        (result,) = open_engine(server).read(ask("aé"))
    told = (-float(PROMPT), -float(PROMPT + 1), -float(PROMPT + 2))
    assert result == ReadResult("k0", (0, 1, 1), told)
    (payload,) = server.asked
    assert payload["prompt"][:PROMPT] == list(range(PROMPT))
    assert len(payload["prompt"]) == PROMPT + 3
    assert (payload["max_tokens"], payload["prompt_logprobs"]) == (1, 0)
    assert "messages" not in payload


def test_an_adapter_of_the_output_layer_is_not_read(
    open_engine: Open, models: dict[str, ServedModel], tmp_path: Path
) -> None:
    """vLLM drops what it changes there without a word (vllm-project/vllm#51594)."""
    from safetensors.numpy import load_file, save_file

    adapter = models["v2"].adapter_path
    assert adapter is not None
    shutil.copytree(adapter, tmp_path / "head")
    weights = load_file(tmp_path / "head/adapter_model.safetensors")
    pair = [array for name, array in weights.items() if "q_proj" in name][:2]
    names = ("base_model.model.lm_head.lora_A.weight", "base_model.model.lm_head.lora_B.weight")
    weights |= dict(zip(names, pair, strict=True))
    save_file(weights, tmp_path / "head/adapter_model.safetensors", metadata={"format": "pt"})
    base = models["base"].base_model
    with ScriptedServer() as server:
        engine = open_engine(server)
        engine.load([ServedModel("head", base, tmp_path / "head"), models["v2"]])
        asked = [replace(one, model=name) for one in ask("a") for name in ("head", "v2")]
        results = {r.key: r for r in engine.read([replace(r, key=r.model) for r in asked])}
    assert "changes the output layer" in str(results["head"].error)
    assert results["v2"].error is None


def test_an_empty_answer_is_not_asked(open_engine: Open) -> None:
    with ScriptedServer() as server:
        (result,) = open_engine(server).read(ask(""))
    assert result == ReadResult("k0")
    assert server.calls["complete"] == 0


def test_a_refused_reading_is_an_error_and_the_others_go_on(open_engine: Open) -> None:
    with ScriptedServer([400], error="maximum context length is 10") as server:
        results = list(open_engine(server).read(ask("a", "b", "half \ud800")))
    assert results[0].error == "vLLM: maximum context length is 10"
    assert results[1].logprobs == (-float(PROMPT),)
    assert "cannot place" in str(results[2].error)


@pytest.mark.parametrize("step", ["drop", "half", 503])
def test_one_stumble_is_tried_again(open_engine: Open, step: Step) -> None:
    with ScriptedServer([step]) as server:
        (result,) = open_engine(server).read(ask("a"))
    assert result.error is None
    assert server.calls["complete"] == 2


def test_a_server_that_dies_is_unavailable_and_what_was_read_stays(open_engine: Open) -> None:
    with ScriptedServer([None, *["drop"] * QUICK.attempts]) as server:
        reading = open_engine(server).read(ask("a", "b"))
        assert next(reading).key == "k0"
        with pytest.raises(EngineUnavailable, match="resume"):
            next(reading)


def test_a_model_that_the_server_lost_is_unknown(open_engine: Open) -> None:
    with ScriptedServer([404] * 3) as server, pytest.raises(UnknownAdapter, match="base"):
        list(open_engine(server).read(ask("a")))


@pytest.mark.parametrize(
    "body",
    [
        {"choices": []},
        {"choices": [{"prompt_logprobs": None}]},
        {"choices": [{"prompt_logprobs": [None, {"7": {"logprob": -1.0}}]}]},
        {"choices": [{"prompt_logprobs": [None, {"70": {}}]}]},
    ],
)
def test_what_tells_nothing_of_the_prompt_is_no_vllm_server(
    open_engine: Open, body: dict[str, object]
) -> None:
    with (
        ScriptedServer([lambda payload: web.json_response(body)]) as server,
        pytest.raises(EngineError, match="how likely the tokens of a prompt are"),
    ):
        list(open_engine(server).read(ask("a")))


def test_no_number_is_an_error_on_the_result(open_engine: Open) -> None:
    def broken(payload: dict[str, list[int]]) -> web.Response:
        told = [{str(token): {"logprob": float("nan")}} for token in payload["prompt"]]
        return web.json_response({"choices": [{"prompt_logprobs": told}]})

    with ScriptedServer([broken]) as server:
        (result,) = open_engine(server).read(ask("a"))
    assert "not finite" in str(result.error)


def test_a_base_whose_tokeniser_is_elsewhere_is_refused() -> None:
    with ScriptedServer() as server, VllmEngine([server.url], retries=QUICK) as engine:
        engine.load([ServedModel("base", "/models/base")])
        with pytest.raises(InvalidInput, match="tokeniser"):
            list(engine.read(ask("a")))


def test_the_engine_openai_does_not_read() -> None:
    from backend.engines.fake import FakeEngine
    from backend.engines.local.engine import LocalEngine
    from backend.engines.openai.engine import OpenaiEngine

    assert not hasattr(OpenaiEngine, "read")
    assert isinstance(FakeEngine(), ReadingEngine)
    assert isinstance(LocalEngine(), ReadingEngine)
