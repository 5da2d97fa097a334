"""The openai engine against a scripted server that misbehaves in every way we know of."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web

from backend.engines import open_engine as open_named
from backend.engines.base import GenerationRequest, GenerationResult, SamplingParams, ServedModel
from backend.engines.openai.engine import PAID, OpenaiEngine
from backend.engines.remote.server import Retries, seconds_asked_for
from backend.errors import CannotCompute, EngineError, EngineUnavailable, UnknownAdapter
from backend.settings import Settings
from tests.backend.engines.scripted_server import Say, ScriptedServer, Step, completion
from tests.fixtures_worker import wait_for

GPT = ServedModel("gpt@1", "gpt-4o")
QUICK = Retries(attempts=3, first_s=0.01, longest_s=0.03)
GREEDY = SamplingParams(max_tokens=8)
KEY = "sk-secret-0123456789"

Open = Callable[..., OpenaiEngine]


@pytest.fixture
def open_engine() -> Iterator[Open]:
    """Opens engines on scripted servers with the model loaded; closes them at the end."""
    opened: list[OpenaiEngine] = []

    def open_on(*servers: ScriptedServer, in_flight: int = 4, **options: Any) -> OpenaiEngine:
        settings = {"retries": QUICK, "keys": [KEY] * len(servers), **options}
        urls = [server.url for server in servers]
        engine = OpenaiEngine(urls, in_flight=in_flight, **settings)
        opened.append(engine)
        engine.load([GPT])
        return engine

    yield open_on
    for engine in opened:
        engine.close()


def vendor(script: list[Step] | None = None, **how: Any) -> ScriptedServer:
    return ScriptedServer(script, base="gpt-4o", loads=False, **how)


def requests(count: int, model: str = "gpt@1") -> list[GenerationRequest]:
    return [
        GenerationRequest(f"k{i}", model, [{"role": "user", "content": f"text {i}"}])
        for i in range(count)
    ]


def ask(engine: OpenaiEngine, count: int = 1, **params: Any) -> list[GenerationResult]:
    return list(engine.generate(requests(count), SamplingParams(max_tokens=8, **params)))


def says(body: object, *, status: int = 200, **headers: str) -> Say:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda payload: web.json_response(body, status=status, headers=named)


def altered(**fields: Any) -> Say:
    """A good answer with some of its fields replaced; None takes one away."""

    def say(payload: dict[str, Any]) -> web.Response:
        body = {**completion(payload), **fields}
        return web.json_response({k: v for k, v in body.items() if v is not None})

    return say


def choice(content: object, finish: str = "stop", **message: Any) -> Say:
    said = {"role": "assistant", "content": content, **message}
    return altered(choices=[{"message": said, "finish_reason": finish}])


def in_pieces(*deltas: object, between: object = ()) -> Say:
    """A stream of these pieces of the first choice, and before its end these choices."""
    choices: list[object] = [[{"index": 0, "delta": delta}] for delta in deltas]
    ended = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    parts = [{"model": "gpt-4o", "choices": one} for one in [*choices, between, ended]]
    text = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
    return lambda payload: web.Response(text=text, content_type="text/event-stream")


def error(message: str, **details: Any) -> dict[str, Any]:
    return {"error": {"message": message, **details}}


FAILED_PROMPTS: dict[str, tuple[Step, str]] = {
    "no choices": (altered(choices=[]), "without any choice"),
    "null content": (choice(None), "content is null"),
    "a refusal": (choice(None, refusal="I will not"), "declined: I will not"),
    "a refusal beside an empty text": (choice("", refusal="I will not"), "declined: I will not"),
    "a refusal half way": (choice("Take", refusal="I will not"), "declined: I will not"),
    "a streamed refusal": (in_pieces({"content": ""}, {"refusal": "I will not"}), "declined: I"),
    "a tool call beside an empty text": (choice("", tool_calls=[{"id": "1"}]), "asked for a tool"),
    "broken off in the middle": (choice("half of", "error"), "broke off (error)"),
    "a tool call": (choice(None, tool_calls=[{"id": "1"}]), "asked for a tool"),
    "all spent on thinking": (choice("", "length"), "All tokens were used up"),
    "filtered": (choice("half of", "content_filter"), "content filter"),
    "a choice that broke": (altered(choices=[{"error": {"message": "gone"}}]), "broke off: gone"),
    "half a surrogate pair": (choice("a\ud800"), "no database keeps"),
    "NUL": (choice("a\x00"), "no database keeps"),
    "too long": (
        says(error("This model's maximum context length is 9 tokens."), status=400),
        "maximum context length is 9",
    ),
    "too long for its limit": (
        says(error("max_tokens cannot be above the context length left"), status=400),
        "the context length left",
    ),
    "error with status 200": (says(error("quota of words")), "quota of words"),
    "error of another shape": (says({"object": "error", "message": "no"}), "The server: no."),
    "error under detail": (says({"detail": "none today"}), "none today"),
    "error as a text": (says({"error": "no such luck"}), "no such luck"),
    "logprobs that are no numbers": (
        lambda payload: web.Response(
            text=json.dumps(completion(payload)).replace("-0.25", "NaN"),
            content_type="application/json",
        ),
        "not finite",
    ),
}


@pytest.mark.parametrize("case", FAILED_PROMPTS)
def test_a_prompt_without_answer_fails_alone_and_says_why(open_engine: Open, case: str) -> None:
    step, reason = FAILED_PROMPTS[case]
    with vendor([step]) as server:
        results = ask(open_engine(server, in_flight=1), 2)
    assert results[0].text is None
    assert reason in str(results[0].error)
    assert (results[1].text, results[1].error) == ("text 1", None)


STOPPED_RUNS: dict[str, tuple[Step, type[EngineError], str]] = {
    "another model": (altered(model="gpt-4o-mini"), EngineError, "answered as 'gpt-4o-mini'"),
    "a wrong key": (says(error(f"Bad key {KEY}"), status=401), EngineError, "STROP_OPENAI_API_KEY"),
    "a key without rights": (says(error("no"), status=403), EngineError, "STROP_OPENAI_API_KEY"),
    "a wrong key with status 200": (
        says(error("Bad", code="invalid_api_key")),
        EngineError,
        "STROP_OPENAI_API_KEY",
    ),
    "no such model": (says(error("no such"), status=404), UnknownAdapter, "does not serve"),
    "no such model with status 400": (
        says(error("no such", code="model_not_found"), status=400),
        UnknownAdapter,
        "does not serve",
    ),
    "no money": (says(error("pay first"), status=402), EngineError, "pay first"),
    "a page": (
        lambda payload: web.Response(text="<html>", content_type="text/html"),
        EngineError,
        "is no server of the OpenAI protocol",
    ),
    "a temperature of its own": (
        says(error("Unsupported value: 'temperature' must be 1", param="temperature"), status=400),
        EngineError,
        "strop run --temperature 1",
    ),
}


@pytest.mark.parametrize("case", STOPPED_RUNS)
def test_what_concerns_every_prompt_stops_the_run_in_one_sentence(
    open_engine: Open, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    step, kind, reason = STOPPED_RUNS[case]
    caplog.set_level(logging.DEBUG)
    with vendor(always=step) as server:
        engine, came = open_engine(server, in_flight=1), []
        with pytest.raises(kind) as caught:
            came.extend(engine.generate(requests(3), GREEDY))
    assert (came, server.calls["chat"]) == ([], 1)
    assert reason in str(caught.value)
    assert KEY not in str(caught.value) + caplog.text


STUMBLES: dict[str, Step] = {
    "cut": "drop",
    "half": "half",
    "nothing": lambda payload: web.Response(status=200),
    "busy": says(error("slow down"), status=429, Retry_After="0.01"),
    "broken": 500,
    "overloaded": says(error("busy"), status=529),
    "busy with status 200": says(error("slow down", code=429)),
    "half a stream": lambda payload: web.Response(
        text='data: {"choices": [{"delta": {"content": "te"}}]}\n\ndata: {"cho',
        content_type="text/event-stream",
    ),
}


@pytest.mark.parametrize("case", STUMBLES)
def test_one_stumble_is_tried_again(open_engine: Open, case: str) -> None:
    with vendor([STUMBLES[case]]) as server:
        (result,) = ask(open_engine(server))
    assert (result.text, server.calls["chat"]) == ("text 0", 2)


@pytest.mark.parametrize("case", STUMBLES)
def test_attempts_are_bounded_and_the_run_can_be_resumed(open_engine: Open, case: str) -> None:
    with vendor(always=STUMBLES[case]) as server:
        engine = open_engine(server, in_flight=1)
        with pytest.raises(EngineUnavailable, match=f"{QUICK.attempts} attempts"):
            ask(engine)
        greeting = case == "broken"  # a server that breaks is greeted, to see whether it lives
        assert server.calls["chat"] == QUICK.attempts + greeting
        server.always = None
        assert [result.text for result in ask(engine)] == ["text 0"]


def test_a_server_that_asks_for_a_pause_gets_it_and_the_pause_is_no_latency_of_the_model(
    open_engine: Open,
) -> None:
    with vendor([says(error("slow down"), status=429, Retry_After="0.5")]) as server:
        engine = open_engine(server, retries=Retries(attempts=3, first_s=0.001, longest_s=1.0))
        began = time.perf_counter()
        (result,) = ask(engine)
    assert time.perf_counter() - began >= 0.5
    assert 0 < result.latency_s < 0.5


def test_one_poisonous_prompt_does_not_stop_the_others(open_engine: Open) -> None:
    with vendor([500] * QUICK.attempts) as server:
        results = ask(open_engine(server, in_flight=1), 3)
    assert [result.text for result in results] == [None, "text 1", "text 2"]
    assert "status 500" in str(results[0].error)


def test_a_slow_answer_is_given_up_and_asked_again(open_engine: Open) -> None:
    with vendor() as server:
        server.gate = lambda: server.calls["chat"] > 1
        (result,) = ask(open_engine(server, timeout_s=0.2))
        assert (result.text, server.calls["chat"]) == ("text 0", 2)


@pytest.mark.parametrize(
    ("asked_for", "least", "most"),
    [(0.0, 0.01, 0.02), (1.0, 1.0, 1.25), (60.0, 2.0, 2.0)],
)
def test_a_pause_is_as_long_as_the_server_asks_within_bounds(
    asked_for: float, least: float, most: float
) -> None:
    retries = Retries(first_s=0.02, longest_s=2.0)
    pauses = [retries.pause(1, asked_for_s=asked_for) for _ in range(100)]
    assert least <= min(pauses) <= max(pauses) <= most


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("2", 2, 2), ("0.5", 0.5, 0.5), ("-3", 0, 0), ("soon", 0, 0), ("", 0, 0)],
)
def test_a_wait_is_read_in_seconds_or_as_a_date(header: str, least: float, most: float) -> None:
    assert least <= seconds_asked_for(header) <= most
    due = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 <= seconds_asked_for(due) <= 30
    assert seconds_asked_for("Wed, 21 Oct 2015 07:28:00 GMT") == 0


REFUSED: dict[str, tuple[str, str, str]] = {
    # parameter: words of the refusal, what is asked instead, words of the note
    "logprobs": ("logprobs are not supported by this model", "", "gives no log-probabilities"),
    "seed": ("Unknown parameter: 'seed'", "", "takes no seed"),
    "max_tokens": (
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "max_completion_tokens",
        "",
    ),
    "top_p": ("`top_p` is deprecated for this model", "", "takes no top_p"),
}


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_parameter_is_left_out_once_and_remembered(
    open_engine: Open, name: str, status: int
) -> None:
    words, instead, note = REFUSED[name]

    def picky(payload: dict[str, Any]) -> web.Response:
        if name in payload:
            return web.json_response(error(words), status=status)
        return web.json_response(completion(payload))

    with vendor(always=picky) as server:
        engine = open_engine(server, in_flight=1)
        assert [result.text for result in ask(engine, 3)] == ["text 0", "text 1", "text 2"]
        assert server.calls["chat"] == 4
        assert not instead or server.asked[-1][instead] == 8
        assert any(note in said for said in engine.notes) or not note
        engine.load([GPT])
        assert engine.notes == ()


def test_a_refusal_that_leaving_out_does_not_cure_is_the_prompt_s(open_engine: Open) -> None:
    with vendor(always=says(error("seed is not supported"), status=400)) as server:
        engine = open_engine(server)
        (result,) = ask(engine)
    assert "seed is not supported" in str(result.error)
    assert engine.notes == ()


def test_a_temperature_that_is_the_server_s_own_can_be_left_out(open_engine: Open) -> None:
    def fixed(payload: dict[str, Any]) -> web.Response:
        if "temperature" in payload:
            return web.json_response(error("temperature is not supported"), status=400)
        return web.json_response(completion(payload))

    with vendor(always=fixed) as server:
        engine = open_engine(server)
        (result,) = ask(engine, temperature=1.0)
    assert result.text == "text 0"
    assert "takes no temperature" in engine.notes[0]


@pytest.mark.parametrize(
    ("asked", "said", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4", "gpt-4-0613", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("Org/Model", "org/model", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("gpt-4", "gpt-4.5", False),
        ("llama-3", "llama-3-70b", False),
        ("gpt-4o-2024-08-06", "gpt-4o", False),
    ],
)
def test_only_a_dated_snapshot_may_answer_for_a_model(
    open_engine: Open, asked: str, said: str, same: bool
) -> None:
    with ScriptedServer(always=altered(model=said), base=asked) as server:
        engine = open_engine(server)
        engine.load([ServedModel("gpt@1", asked)])
        if not same:
            with pytest.raises(EngineError, match="answered as"):
                ask(engine)
            return
        ask(engine)
    assert engine.notes == (() if asked == said else (f"{asked} answers as {said}.",))


def test_a_model_that_changes_in_the_middle_stops_the_run_and_is_known_anew(
    open_engine: Open,
) -> None:
    dated = [altered(model=f"gpt-4o-2024-0{month}-06") for month in (5, 8)]
    with vendor([dated[0], dated[1], dated[1]]) as server:
        engine = open_engine(server, in_flight=1)
        with pytest.raises(EngineError, match="two models in one run"):
            ask(engine, 2)
        engine.load([GPT])
        assert len(ask(engine)) == 1


MISSING: dict[str, tuple[Say, str]] = {
    "usage": (altered(usage=None), "reports no token counts"),
    "usage of the answer": (altered(usage={"prompt_tokens": 5}), "reports no token counts"),
    "usage of the prompt": (altered(usage={"completion_tokens": 2}), "reports no token counts"),
    "usage in words": (
        altered(usage={"prompt_tokens": 5, "completion_tokens": "2"}),
        "reports no token counts",
    ),
    "model": (altered(model=None), "does not say which model"),
}


@pytest.mark.parametrize("field", MISSING)
def test_what_a_server_does_not_say_is_noted(open_engine: Open, field: str) -> None:
    step, note = MISSING[field]
    with vendor([step]) as server:
        engine = open_engine(server)
        (result,) = ask(engine)
    assert result.text == "text 0"
    assert [said for said in engine.notes if note in said]
    counts = (0, 0) if field.startswith("usage") else (5, 2)
    assert (result.prompt_tokens, result.completion_tokens) == counts


def test_answers_carry_logprobs_and_counts_and_a_latency(open_engine: Open) -> None:
    with vendor() as server:
        engine = open_engine(server)
        (result,) = ask(engine)
    assert result.token_logprobs == (-0.25, -0.25)
    assert (result.prompt_tokens, result.completion_tokens, result.finish_reason) == (5, 2, "stop")
    assert 0 < result.latency_s < 5
    assert engine.notes == ()


def test_every_request_names_its_decoding_and_bears_the_key(open_engine: Open) -> None:
    with vendor() as server:
        ask(open_engine(server), 2, temperature=0.5, top_p=0.9, seed=3)
    asked = server.asked[0]
    assert {**asked, "seed": 0, "messages": 0} == {
        "model": "gpt-4o",
        "messages": 0,
        "max_tokens": 8,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 0,
        "logprobs": True,
    }
    assert server.asked[0]["seed"] != server.asked[1]["seed"] < 2**31
    assert server.keys == [f"Bearer {KEY}"] * 2


def test_text_of_any_script_survives(open_engine: Open) -> None:
    text = "Grüße, 日本, 👩‍⚕️, \u2028, \r\n\x1f"
    request = GenerationRequest("k", "gpt@1", [{"role": "user", "content": text}])
    for stream in (False, True):
        with vendor(always=streamed() if stream else None) as server:
            (result,) = open_engine(server, stream=stream).generate([request], GREEDY)
        assert (result.text, result.error) == (text, None)


def streamed(*, usage: bool = True, end: bool = True, ascii_only: bool = False) -> Say:
    """The answer in pieces of one character, with the odd things that servers put between."""

    def say(payload: dict[str, Any]) -> web.Response:
        whole = completion(payload)
        text, model = payload["messages"][-1]["content"], payload["model"]
        deltas: list[dict[str, Any]] = [{"role": "assistant"}, *({"content": c} for c in text), {}]
        chunks: list[dict[str, Any]] = [{"choices": [], "prompt_filter_results": []}]
        chunks += [{"model": model, "choices": [{"delta": delta}]} for delta in deltas]
        chunks[2]["choices"][0]["logprobs"] = whole["choices"][0]["logprobs"]
        chunks[-1]["choices"][0]["finish_reason"] = "stop"
        chunks += [{"choices": [], "usage": whole["usage"]}] if usage else []
        lines = [f"data: {json.dumps(chunk, ensure_ascii=ascii_only)}\n\n" for chunk in chunks]
        lines = [": WORKING\n\n", "event: message\n", *lines, *(["data: [DONE]\n\n"] * end)]
        return web.Response(text="".join(lines), content_type="text/event-stream")

    return say


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_stream_is_read_whether_it_was_asked_for_or_not(
    open_engine: Open, usage: bool, end: bool, wanted: bool
) -> None:
    with vendor(always=streamed(usage=usage, end=end)) as server:
        engine = open_engine(server, stream=wanted)
        (result,) = ask(engine)
    assert (result.text, result.finish_reason) == ("text 0", "stop")
    assert result.token_logprobs == (-0.25, -0.25)
    assert result.completion_tokens == (2 if usage else 0)
    assert bool(engine.notes) != usage
    assert server.asked[0].get("stream_options") == ({"include_usage": True} if wanted else None)


def test_an_error_in_the_middle_of_a_stream_is_the_prompt_s(open_engine: Open) -> None:
    def broken(payload: dict[str, Any]) -> web.Response:
        parts = [{"choices": [{"delta": {"content": "te"}}]}, error("out of memory")]
        text = "".join(f"data: {json.dumps(part)}\n\n" for part in parts)
        return web.Response(text=text, content_type="text/event-stream")

    with vendor([broken]) as server:
        (result,) = ask(open_engine(server, stream=True))
    assert "out of memory" in str(result.error)


def test_answers_that_came_are_kept_when_the_server_dies(open_engine: Open) -> None:
    with vendor() as server:
        server.gate = lambda: len(server.asked) < 5
        engine = open_engine(server, in_flight=2)
        stream = engine.generate(requests(50), GREEDY)
        kept = [next(stream) for _ in range(5)]
        server.hang_up()
        with pytest.raises(EngineUnavailable, match="does not answer"):
            kept.extend(stream)
    assert all(result.text for result in kept)


def test_requests_in_flight_are_bounded_and_the_bound_is_used(open_engine: Open) -> None:
    with vendor() as server:
        server.gate = lambda: server.most_in_flight >= 3
        assert len(ask(open_engine(server, in_flight=3), 20)) == 20
    assert server.most_in_flight == 3


def test_a_model_is_asked_of_the_servers_that_list_it(open_engine: Open) -> None:
    with vendor() as one, ScriptedServer(base="other") as other:
        engine = open_engine(one, other, keys=["key-one", "key-other"])
        assert engine.notes == ()
        ask(engine, 4)
    assert (len(one.asked), len(other.asked)) == (4, 0)
    assert set(one.keys) == {"Bearer key-one"}


def test_a_model_that_no_server_lists_is_asked_all_the_same_with_a_note(open_engine: Open) -> None:
    with vendor(always=altered(model="hidden")) as server:
        engine = open_engine(server)
        engine.load([ServedModel("gpt@1", "hidden")])
        ask(engine)
        assert engine.notes == (f"The server at {server.url}/v1 does not list hidden.",)


def test_a_server_without_a_list_is_asked_and_one_that_refuses_the_key_there_is_not(
    open_engine: Open,
) -> None:
    with vendor() as server:
        server.lists = 404
        engine = open_engine(server)
        assert [result.text for result in ask(engine)] == ["text 0"]
        assert engine.notes == (f"The server at {server.url}/v1 lists no models.",)
        server.lists = 401
        with pytest.raises(EngineError, match="STROP_OPENAI_API_KEY"):
            engine.load([GPT])


def test_first_tokens_are_the_server_s_own_or_cannot_be_had(open_engine: Open) -> None:
    token = {"token": "a", "logprob": -0.5}
    top = {"content": [{**token, "top_logprobs": [token, {"token": "b", "logprob": -1.5}]}]}
    with vendor([altered(choices=[{"message": {"content": "a"}, "logprobs": top}]), 422]) as server:
        engine = open_engine(server)
        found = engine.next_token_logprobs("gpt@1", requests(1)[0].messages)
        assert found == {"a": -0.5, "b": -1.5}
        with pytest.raises(CannotCompute, match="no log-probabilities"):
            engine.next_token_logprobs("gpt@1", requests(1)[0].messages)
    with pytest.raises(CannotCompute, match="does not show the prompt"):
        engine.render([])


def test_a_redirect_is_not_followed_and_neither_key_nor_text_goes_there(open_engine: Open) -> None:
    with vendor() as other:

        def away(payload: dict[str, Any]) -> web.Response:
            at = f"{other.url}/v1/chat/completions?token={KEY}"
            return web.Response(status=307, headers={"Location": at})

        points_away = pytest.raises(EngineError, match="points to another address")
        with vendor(always=away) as server, points_away as caught:
            ask(open_engine(server))
    assert other.url in str(caught.value)
    assert KEY not in str(caught.value)
    assert (other.calls["chat"], server.calls["chat"]) == (0, 1)


ODD_STREAMS: dict[str, tuple[Say, str | None]] = {
    "a delta that is a list": (in_pieces(["x"], {"content": "a"}), "a"),
    "log-probabilities of no kind": (
        in_pieces({"content": "a"}, between=[{"logprobs": {"content": "b"}}]),
        "a",
    ),
    "choices that are no list": (in_pieces({"content": "a"}, between={"index": 0}), "a"),
    "choices that are texts": (in_pieces({"content": "a"}, between=["x"]), "a"),
    "nested without end": (
        lambda payload: web.Response(text='{"choices": ' + "[" * 100_000),
        None,
    ),
}


@pytest.mark.parametrize("case", ODD_STREAMS)
def test_what_is_no_answer_of_the_protocol_ends_nothing(open_engine: Open, case: str) -> None:
    said, text = ODD_STREAMS[case]
    with vendor(always=said) as server:
        engine = open_engine(server)
        if text is None:
            with pytest.raises(EngineUnavailable, match="half-written"):
                ask(engine)
        else:
            assert [result.text for result in ask(engine)] == [text]


def test_a_second_choice_is_not_mixed_into_the_first(open_engine: Open) -> None:
    more = [{"index": 1, "delta": {"content": "of another choice"}}]
    with vendor([in_pieces({"content": "a"}, between=more)]) as server:
        assert [result.text for result in ask(open_engine(server))] == ["a"]


def test_an_answer_without_end_is_not_kept_in_memory(
    open_engine: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.engines.remote.server.MOST_BYTES", 2_000)
    endless = pytest.raises(EngineError, match="more than 2,000 bytes")
    with vendor(always=choice("a" * 4_000)) as server, endless:
        ask(open_engine(server))
    assert server.calls["chat"] == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://host/v1", "not one of http"),
        ("localhost:8000", "not one of http"),
        (f"https://me:{KEY}@host/v1", "more than host and path"),
        (f"https://host/v1?key={KEY}", "more than host and path"),
    ],
)
def test_an_address_that_is_none_or_holds_a_key_is_refused_without_repeating_it(
    url: str, reason: str
) -> None:
    with pytest.raises(EngineError, match=reason) as caught:
        OpenaiEngine([url])
    assert KEY not in str(caught.value)


def test_no_server_and_an_adapter_are_refused() -> None:
    from pathlib import Path

    with open_named("openai", Settings()) as engine:
        with pytest.raises(EngineError, match="STROP_OPENAI_URL"):
            engine.load([GPT])
        with pytest.raises(UnknownAdapter, match="cannot load the adapter"):
            engine.load([ServedModel("v1@1", "base", Path("/a"))])


def test_the_engine_is_opened_with_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_OPENAI_API_KEY", KEY)
    with vendor() as server:
        settings = Settings(openai_url=server.url)
        assert KEY not in repr(settings) + str(settings.model_dump())
        with open_named("openai", settings) as engine:
            engine.load([GPT])
            assert [r.text for r in engine.generate(requests(1), GREEDY)] == ["text 0"]
    assert server.keys == [f"Bearer {KEY}"]


def test_no_answer_that_may_be_paid_for_is_asked_twice(open_engine: Open) -> None:
    """A server that is slow gets nothing new, and is waited for with what it has."""
    opened: list[bool] = []
    eager = replace(PAID, least_s=0.5, first_s=0.01, longest_s=0.05)
    with vendor() as one, vendor() as slow:
        engine = open_engine(one, slow, patience=eager)
        slow.gate = lambda: bool(opened)
        stream = engine.generate(requests(60), GREEDY)
        results = [next(stream) for _ in range(56)]
        wait_for(lambda: len(engine._places[1].seconds) >= 4)  # all that it holds is late
        opened.append(True)
        results += stream
        told = [
            [text for said in server.asked if (text := said["messages"][-1]["content"]) != "Hello"]
            for server in (one, slow)
        ]
    assert [len(texts) for texts in told] == [56, 4]  # each by the server that was asked first
    assert sorted(told[0] + told[1]) == sorted(f"text {i}" for i in range(60))
    assert sorted(r.key for r in results) == sorted(f"k{i}" for i in range(60))


def test_a_model_may_think_for_as_long_as_an_attempt_may_take(open_engine: Open) -> None:
    with vendor() as server:
        engine = open_engine(server, timeout_s=345.0)
        assert [one.standstill_s for one in engine._servers] == [345.0]
