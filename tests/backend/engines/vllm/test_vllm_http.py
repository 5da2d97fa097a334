"""The vllm engine against a scripted server: retries, bounds, failover, errors; no model."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.remote.line import Line
from backend.engines.remote.server import Retries
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.server import VllmServer, read_answer
from backend.errors import EngineError, EngineUnavailable, UnknownAdapter
from tests.backend.engines.scripted_server import ScriptedServer, Step
from tests.fixtures_worker import wait_for

BASE = ServedModel("base", "/models/base")
QUICK = Retries(attempts=4, first_s=0.01, longest_s=0.03)
GREEDY = SamplingParams(max_tokens=8)

Open = Callable[..., VllmEngine]


@pytest.fixture
def open_engine() -> Iterator[Open]:
    """Opens engines on scripted servers with the base loaded; closes them at the end."""
    opened: list[VllmEngine] = []

    def open_on(*servers: ScriptedServer, in_flight: int = 4, **options: float) -> VllmEngine:
        urls = [server.url for server in servers]
        engine = VllmEngine(urls, in_flight=in_flight, retries=QUICK, **options)
        opened.append(engine)
        engine.load([BASE])
        return engine

    yield open_on
    for engine in opened:
        engine.close()


def requests(count: int, model: str = "base") -> list[GenerationRequest]:
    return [
        GenerationRequest(f"k{i}", model, [{"role": "user", "content": f"text {i}"}])
        for i in range(count)
    ]


@pytest.mark.parametrize("step", ["drop", "half", 429, 500, 502, 503, 504])
def test_one_stumble_is_tried_again(open_engine: Open, step: Step) -> None:
    with ScriptedServer([step]) as server:
        (result,) = open_engine(server).generate(requests(1), GREEDY)
    assert (result.text, server.calls["chat"]) == ("text 0", 2)


@pytest.mark.parametrize("step", ["drop", "half", 429, 503])
def test_attempts_are_bounded(open_engine: Open, step: Step) -> None:
    with (
        ScriptedServer(always=step) as server,
        pytest.raises(EngineUnavailable, match="4 attempts") as caught,
    ):
        list(open_engine(server, in_flight=1).generate(requests(1), GREEDY))
    assert server.calls["chat"] == QUICK.attempts
    assert "resume" in str(caught.value)


def test_a_silent_server_times_out_and_is_tried_again() -> None:
    async def ask(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            server = VllmServer(url, session, retries=QUICK, timeout_s=0.05)
            await server.post("/v1/chat/completions", {"model": "base"})

    calls = 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(EngineUnavailable, match="4 attempts; the last: Timeout"):
            asyncio.run(ask(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        silent.setblocking(False)
        with suppress(BlockingIOError):  # those that were taken off the line and never heard
            while True:
                silent.accept()[0].close()
                calls += 1
    assert calls == QUICK.attempts


def test_one_poisonous_prompt_does_not_stop_the_others(open_engine: Open) -> None:
    with ScriptedServer([500] * QUICK.attempts) as server:
        results = list(open_engine(server, in_flight=1).generate(requests(3), GREEDY))
    assert [result.text for result in results] == [None, "text 1", "text 2"]
    assert results[0].error is not None
    assert "500" in results[0].error


def test_a_sick_server_is_unavailable(open_engine: Open) -> None:
    with ScriptedServer(always=500, healthy=False) as server:
        engine = open_engine(server)
        with pytest.raises(EngineUnavailable):
            list(engine.generate(requests(1), GREEDY))


def test_a_refused_request_is_an_error_result(open_engine: Open) -> None:
    with ScriptedServer([400], error="maximum context length is 10") as server:
        results = list(open_engine(server, in_flight=1).generate(requests(2), GREEDY))
    assert results[0].error == "vLLM: maximum context length is 10"
    assert results[0].text is None
    assert results[1].text == "text 1"


def test_a_long_prompt_is_cut_at_its_start_when_asked(open_engine: Open) -> None:
    params = SamplingParams(max_tokens=8, truncate_prompt=True)
    with ScriptedServer([400], error="maximum context length is 40") as server:
        (result,) = open_engine(server).generate(requests(1), params)
    assert result.truncated_tokens == 50 - (40 - 8)
    assert server.asked[0]["truncate_prompt_tokens"] == 32
    assert server.asked[0]["truncation_side"] == "left"


def test_requests_in_flight_are_bounded_and_the_bound_is_used(open_engine: Open) -> None:
    with ScriptedServer() as server:
        server.gate = lambda: server.most_in_flight >= 5
        results = list(open_engine(server, in_flight=5).generate(requests(40), GREEDY))
    assert (len(results), server.most_in_flight) == (40, 5)


def test_every_request_is_answered_once_and_keeps_its_key(open_engine: Open) -> None:
    with ScriptedServer(["drop", None, 503, None, "half"]) as server:
        results = list(open_engine(server).generate(requests(700), GREEDY))
    assert {r.key: r.text for r in results} == {f"k{i}": f"text {i}" for i in range(700)}
    assert len(results) == 700


def test_where_no_server_failed_at_a_request_those_that_wait_are_not_gone_through(
    open_engine: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hundred may wait, and that was done twice for every answer."""
    gone_through: list[int] = []
    remove = Line.remove

    def counted(line: Line[Any], wanted: Callable[..., bool]) -> list[Any]:
        gone_through.append(len(line))
        return remove(line, wanted)

    monkeypatch.setattr(Line, "remove", counted)
    with ScriptedServer() as server:
        assert len(list(open_engine(server).generate(requests(200), GREEDY))) == 200
    assert gone_through == []


def test_text_of_any_script_survives(open_engine: Open) -> None:
    text = "Grüße, 日本, 👩‍⚕️, \u2028, zero\x00byte"
    request = GenerationRequest("k", "base", [{"role": "user", "content": text}])
    with ScriptedServer() as server:
        (result,) = open_engine(server).generate([request], GREEDY)
    assert result.text == text


def test_answers_carry_logprobs_and_counts(open_engine: Open) -> None:
    with ScriptedServer() as server:
        (result,) = open_engine(server).generate(requests(1), GREEDY)
    assert result.token_logprobs == (-0.25, -0.25)
    assert (result.prompt_tokens, result.completion_tokens) == (5, 2)
    assert result.finish_reason == "stop"


def test_an_early_stop_cancels_what_is_under_way(open_engine: Open) -> None:
    with ScriptedServer() as server:
        server.gate = lambda: not server.asked
        engine = open_engine(server, in_flight=4)
        stream = engine.generate(requests(100), GREEDY)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        wait_for(lambda: server.in_flight == 0)
        assert len(server.asked) <= server.calls["chat"] <= 8
        server.gate = lambda: True
        assert [r.text for r in engine.generate(requests(1), GREEDY)] == ["text 0"]


def test_answers_that_came_are_kept_when_the_server_dies(open_engine: Open) -> None:
    with ScriptedServer() as server:
        server.gate = lambda: len(server.asked) < 10
        engine = open_engine(server, in_flight=2)
        stream = engine.generate(requests(200), GREEDY)
        kept = [next(stream) for _ in range(10)]
        server.hang_up()
        with pytest.raises(EngineUnavailable):
            kept.extend(stream)
    assert len(kept) >= 10
    assert all(result.text for result in kept)


def test_two_servers_share_the_requests(open_engine: Open) -> None:
    with ScriptedServer() as one, ScriptedServer() as other:
        one.gate = lambda: len(one.asked) < 10 or len(other.asked) >= 10
        other.gate = lambda: len(other.asked) < 10 or len(one.asked) >= 10
        list(open_engine(one, other).generate(requests(60), GREEDY))
    assert len(one.asked) + len(other.asked) == 60
    assert min(len(one.asked), len(other.asked)) >= 10


def test_each_base_is_asked_of_the_servers_that_hold_it(open_engine: Open) -> None:
    """A fully trained model is a base of its own, on a server of its own."""
    with ScriptedServer() as one, ScriptedServer(base="v2@1") as other:
        engine = open_engine(one, other)
        assert engine.notes == (f"The server at {other.url} serves another base and is left out.",)
        list(engine.generate(requests(5), GREEDY))
        assert (len(one.asked), len(other.asked)) == (5, 0)
        engine.load([ServedModel("v2@1", "/models/v2@1")])
        list(engine.generate(requests(5, "v2@1"), GREEDY))
        assert (len(one.asked), len(other.asked)) == (5, 5)
        with pytest.raises(UnknownAdapter, match="does not serve the base"):
            engine.load([ServedModel("v3@1", "/models/v3@1")])


def test_a_living_server_takes_over_from_a_dead_one(open_engine: Open) -> None:
    with ScriptedServer() as living, ScriptedServer(always="drop") as dead:
        results = list(open_engine(living, dead).generate(requests(50), GREEDY))
    assert {r.key for r in results} == {f"k{i}" for i in range(50)}
    assert len(living.asked) == 50


def test_an_adapter_the_server_lost_is_loaded_again(open_engine: Open) -> None:
    adapter = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    with ScriptedServer() as server:
        engine = open_engine(server)
        engine.load([BASE, adapter])
        server.adapters.clear()
        results = list(engine.generate(requests(20, "v1@1"), GREEDY))
    assert sorted(r.text or "" for r in results) == sorted(f"text {i}" for i in range(20))


def test_an_adapter_the_server_lost_and_cannot_load_is_unknown(open_engine: Open) -> None:
    adapter = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    with ScriptedServer(adapters=["v1@1"], loads=False) as server:
        engine = open_engine(server)
        engine.load([BASE, adapter])
        server.adapters.clear()
        with pytest.raises(UnknownAdapter, match="v1@1"):
            list(engine.generate(requests(1, "v1@1"), GREEDY))


def test_a_model_that_was_not_loaded_is_unknown(open_engine: Open) -> None:
    with ScriptedServer() as server, pytest.raises(UnknownAdapter, match="Loaded: base"):
        list(open_engine(server).generate(requests(1, "ghost"), GREEDY))


def test_an_adapter_is_loaded_under_its_digest_and_only_once(open_engine: Open) -> None:
    adapter = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    with ScriptedServer() as server:
        engine = open_engine(server)
        engine.load([BASE, adapter])
        engine.load([BASE, adapter])
    assert server.adapters == {"v1@1#abababababab": "/a"}
    assert server.calls["load"] == 1


def test_changed_weights_are_loaded_under_another_name(open_engine: Open) -> None:
    with ScriptedServer() as server:
        engine = open_engine(server)
        for digest in ("ab" * 32, "cd" * 32):
            engine.load([BASE, ServedModel("v1@1", BASE.base_model, Path("/a"), digest)])
            list(engine.generate(requests(1, "v1@1"), GREEDY))
    assert [asked["model"] for asked in server.asked] == ["v1@1#abababababab", "v1@1#cdcdcdcdcdcd"]


def test_an_alias_moves_from_adapter_to_adapter_and_is_taken_away(open_engine: Open) -> None:
    one = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    two = ServedModel("v2@1", BASE.base_model, Path("/b"), "cd" * 32)
    seen = []
    with ScriptedServer() as server:
        engine = open_engine(server)
        engine.load([BASE, one, two])
        for model in (one, two):
            engine.serve_as("champion", model)
            list(engine.generate(requests(1, "champion"), GREEDY))
            seen.append(server.adapters["champion"])
        engine.serve_as("champion", BASE)
        engine.serve_as("champion", None)
    assert seen == ["/a", "/b"]
    assert "champion" not in server.adapters
    assert [asked["model"] for asked in server.asked] == ["champion", "champion"]


def test_an_alias_whose_adapter_does_not_load_means_what_it_meant(open_engine: Open) -> None:
    one = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    two = ServedModel("v2@1", BASE.base_model, Path("/b"), "cd" * 32)
    with ScriptedServer() as server:
        engine = open_engine(server)
        engine.load([BASE, one, two])
        engine.serve_as("champion", one)
        server.unloadable.add("/b")
        with pytest.raises(EngineError, match="does not fit"):
            engine.serve_as("champion", two)
        assert server.adapters["champion"] == "/a"


def test_a_request_while_an_alias_moves_is_asked_again(open_engine: Open) -> None:
    """Between taking a name away and giving it again a server knows no such model."""
    one = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    with ScriptedServer() as server:
        engine = open_engine(server)
        engine.load([BASE, one])
        engine.serve_as("champion", one)
        server.script = [404, 404]
        [answer] = engine.generate(requests(1, "champion"), GREEDY)
        assert answer.error is None
        server.script = [404, 404, 404]  # not under a name that does not move
        with pytest.raises(UnknownAdapter):
            list(engine.generate(requests(1, "v1@1"), GREEDY))


def test_an_alias_on_a_server_that_cannot_load_is_refused(open_engine: Open) -> None:
    one = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    with ScriptedServer(adapters=["v1@1"], loads=False) as server:
        engine = open_engine(server)
        engine.load([BASE, one])
        with pytest.raises(EngineError):
            engine.serve_as("champion", one)


def test_a_server_that_cannot_load_is_taken_at_its_word_with_a_note(open_engine: Open) -> None:
    adapter = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    with ScriptedServer(adapters=["v1@1"], loads=False) as server:
        engine = open_engine(server)
        engine.load([BASE, adapter])
        assert "cannot be proved" in engine.notes[0]


def test_a_server_that_cannot_load_and_has_no_such_adapter_is_refused(open_engine: Open) -> None:
    adapter = ServedModel("v1@1", BASE.base_model, Path("/a"), "ab" * 32)
    with ScriptedServer(loads=False) as server:
        engine = open_engine(server)
        with pytest.raises(UnknownAdapter, match="may load none"):
            engine.load([BASE, adapter])


def test_a_base_that_is_not_served_is_unknown(open_engine: Open) -> None:
    with ScriptedServer() as server, pytest.raises(UnknownAdapter, match="serves base"):
        open_engine(server).load([ServedModel("other", "/models/other")])


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_says_which_setting(open_engine: Open, status: int) -> None:
    with ScriptedServer([status]) as server, pytest.raises(EngineError, match="STROP_VLLM_API_KEY"):
        list(open_engine(server).generate(requests(1), GREEDY))


def test_nothing_listening_is_unavailable() -> None:
    with (
        VllmEngine(["http://127.0.0.1:9"], retries=QUICK) as engine,
        pytest.raises(EngineUnavailable, match="does not answer"),
    ):
        engine.load([BASE])


def test_equal_seeds_and_keys_ask_for_equal_draws(open_engine: Open) -> None:
    with ScriptedServer() as server:
        engine = open_engine(server)
        for seed, key in ((1, "a"), (1, "a"), (1, "b"), (2, "a")):
            request = GenerationRequest(key, "base", [{"role": "user", "content": "x"}])
            list(engine.generate([request], SamplingParams(temperature=1.0, seed=seed)))
    seeds = [asked["seed"] for asked in server.asked]
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3


@pytest.mark.parametrize("tried", [1, 2, 3, 10])
def test_pauses_grow_and_are_bounded(tried: int) -> None:
    retries = Retries(first_s=0.25, longest_s=2.0)
    pauses = [retries.pause(tried) for _ in range(200)]
    whole = min(0.25 * 2 ** (tried - 1), 2.0)
    assert min(pauses) >= whole / 2
    assert max(pauses) <= whole


def test_a_stream_is_asked_before_an_answer_is_taken_and_a_list_beside_it(
    open_engine: Open,
) -> None:
    """As a run is, whose preflight asks its probes meanwhile; two streams share what may be."""
    with ScriptedServer() as server:
        server.gate = lambda: server.most_in_flight == 4 + 3
        engine = open_engine(server, in_flight=4)
        streams = [engine.generate(iter(requests(9)), GREEDY) for _ in range(2)]
        wait_for(lambda: server.in_flight == 4)
        probes = list(engine.generate(requests(3), GREEDY))
        assert (len(probes), server.most_in_flight) == (3, 4 + 3)
        assert [len(list(stream)) for stream in streams] == [9, 9]


def test_requests_are_read_only_so_far_ahead(open_engine: Open) -> None:
    read = []

    def lazily() -> Iterator[GenerationRequest]:
        for request in requests(5000):
            read.append(request.key)
            yield request

    with ScriptedServer() as server:
        stream = open_engine(server).generate(lazily(), GREEDY)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert len(read) < 1000


def test_logprobs_that_are_no_numbers_are_an_error() -> None:
    body = {
        "choices": [
            {
                "message": {"content": "a"},
                "finish_reason": "stop",
                "logprobs": {"content": [{"logprob": float("nan")}]},
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    answer = read_answer("k", body, truncated=0, latency_s=0.0)
    assert (answer.text, "not finite" in str(answer.error)) == (None, True)
