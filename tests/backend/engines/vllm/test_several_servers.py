"""Several servers behind one engine: who gets work, who is taken out, who is let back; no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from aiohttp import web
from safetensors.numpy import save_file

from backend.engines.base import GenerationRequest, GenerationResult, SamplingParams, ServedModel
from backend.engines.remote.server import Retries
from backend.engines.remote.server_state import Patience
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.models import require_unchanged
from backend.errors import EngineError, EngineUnavailable
from tests.backend.engines.scripted_server import ScriptedServer, completion
from tests.fixtures_worker import wait_for
from training.weights.digest import adapter_sha256

BASE = ServedModel("base", "/models/base")
V1 = ServedModel("v1@1", "/models/base", Path("/a"), "ab" * 32)
JUDGE = ServedModel("judge@1", "/models/base", Path("/j"), "cd" * 32)
QUICK = Retries(attempts=4, first_s=0.01, longest_s=0.03)
EAGER = Patience(least_s=0.1, first_s=0.01, longest_s=0.05)
GREEDY = SamplingParams(max_tokens=8)
PROMPT = [{"role": "user", "content": "How are you?"}]

Open = Callable[..., VllmEngine]


@pytest.fixture
def open_engine() -> Iterator[Open]:
    """Opens engines on scripted servers with base and adapter loaded; closes them at the end."""
    opened: list[VllmEngine] = []

    def open_on(*servers: ScriptedServer, in_flight: int = 4) -> VllmEngine:
        urls = [server.url for server in servers]
        engine = VllmEngine(urls, in_flight=in_flight, retries=QUICK, patience=EAGER)
        opened.append(engine)
        engine.load([BASE, V1])
        engine._tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda ids: [*map(str, ids)])
        return engine

    yield open_on
    for engine in opened:
        engine.close()


def requests(count: int, model: str = "v1@1") -> list[GenerationRequest]:
    return [
        GenerationRequest(f"k{i}", model, [{"role": "user", "content": f"text {i}"}])
        for i in range(count)
    ]


def assert_each_once(results: list[GenerationResult], count: int) -> None:
    assert Counter(r.key for r in results) == Counter(f"k{i}" for i in range(count))
    assert all(r.text == f"text {r.key[1:]}" for r in results)


def test_a_server_that_dies_and_comes_back_without_its_adapters_gets_them_and_works(
    open_engine: Open,
) -> None:
    with ScriptedServer() as one, ScriptedServer() as other:
        engine = open_engine(one, other)
        engine.first_tokens("v1@1", [PROMPT])
        stream = engine.generate(requests(400), GREEDY)
        results = [next(stream) for _ in range(20)]
        other.hang_up()
        one.gate = lambda: len(one.asked) < 100 or bool(other.asked)
        results += [next(stream) for _ in range(40)]
        other.adapters.clear()
        other.asked.clear()
        other.come_back()
        results += stream
        assert other.adapters == {"v1@1#abababababab": "/a"}
        assert other.asked, "it got work again"
    assert_each_once(results, 400)


def test_a_server_that_comes_back_with_other_weights_gets_no_work(open_engine: Open) -> None:
    with ScriptedServer() as one, ScriptedServer() as other:
        engine = open_engine(one, other)
        engine.first_tokens("v1@1", [PROMPT, PROMPT])
        other.hang_up()
        results = list(engine.generate(requests(20), GREEDY))
        other.weights = 1.0
        other.asked.clear()
        other.come_back()
        one.gate = lambda: len(one.asked) < 60 or other.calls["load"] >= 1
        before = other.calls["chat"]
        one.delay_s = 0.005
        results = list(engine.generate(requests(200), GREEDY))
        assert other.calls["chat"] > before, "it was looked at"
        assert not other.asked
    assert_each_once(results, 200)


def test_a_server_that_comes_back_and_tells_nothing_is_gone_and_holds_nobody_up(
    open_engine: Open,
) -> None:
    """Its answers have no first tokens to know it by; when the other one dies the run ends."""
    with ScriptedServer() as one, ScriptedServer() as mute:
        engine = open_engine(one, mute)
        engine.first_tokens("v1@1", [PROMPT])
        mute.hang_up()
        results = list(engine.generate(requests(20), GREEDY))
        mute.always = lambda payload: web.json_response(completion(payload))
        mute.come_back()
        looked = mute.calls["chat"]
        one.gate = lambda: len(one.asked) < 40 or mute.calls["chat"] > looked
        stream = engine.generate(requests(200), GREEDY)
        kept = [next(stream) for _ in range(40)]
        one.hang_up()
        with pytest.raises(EngineError):
            kept.extend(stream)
    assert_each_once(results, 20)
    assert len({result.key for result in kept}) == len(kept) >= 40


def test_servers_that_say_different_things_are_refused_before_they_work(open_engine: Open) -> None:
    with ScriptedServer() as one, ScriptedServer() as other:
        engine = open_engine(one, other)
        engine.first_tokens("base", [PROMPT])
        other.weights = 1.0
        with pytest.raises(EngineError, match=f"{other.url} does not answer for base as the oth"):
            engine.first_tokens("base", [PROMPT])


def test_a_server_that_stands_still_is_taken_out_and_its_requests_asked_elsewhere(
    open_engine: Open,
) -> None:
    with ScriptedServer() as one, ScriptedServer() as still:
        engine = open_engine(one, still)
        still.gate = lambda: False
        results = list(engine.generate(requests(60), GREEDY))
        assert not still.asked
        assert still.cancelled >= 4
        still.gate = lambda: True
    assert_each_once(results, 60)


def test_the_first_of_two_answers_counts_and_no_other(open_engine: Open) -> None:
    """One request of many stands still; when it is asked elsewhere its server answers too."""
    with ScriptedServer() as one, ScriptedServer() as other:
        engine = open_engine(one, other)
        stuck: list[bool] = []
        other.gate = lambda: bool(stuck) or other.calls["chat"] != 1
        engine.load([BASE, V1])
        results = []
        for result in engine.generate(requests(80), GREEDY):
            results.append(result)
            if len(results) == 79:
                stuck.append(True)
    assert_each_once(results, 80)


def test_a_slow_server_is_taken_out_and_let_back_when_it_is_quick(
    open_engine: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedServer() as one, ScriptedServer() as slow:
        engine = open_engine(one, slow)
        slow.delay_s = 0.6
        stream = engine.generate(requests(900), GREEDY)
        results = [next(stream) for _ in range(300)]
        wait_for(lambda: f"{slow.url} is far slower" in caplog.text)
        slow.delay_s, before = 0.0, len(slow.asked)
        one.gate = lambda: len(one.asked) < 500 or len(slow.asked) > before + 50
        results += stream
        assert len(slow.asked) > before + 50
    assert_each_once(results, 900)


def test_a_slow_server_is_better_than_none(
    open_engine: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedServer() as one, ScriptedServer() as slow:
        engine = open_engine(one, slow)
        slow.delay_s = 0.6
        stream = engine.generate(requests(300), GREEDY)
        results = [next(stream) for _ in range(100)]
        wait_for(lambda: f"{slow.url} is far slower" in caplog.text)
        one.gate = lambda: False
        slow.delay_s = 0.0
        one.hang_up()
        results += stream
    assert_each_once(results, 300)


def test_files_that_changed_meanwhile_are_not_loaded_again(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    weights = tmp_path / "adapter_model.safetensors"
    save_file({"a": np.zeros(2, np.float32)}, weights)
    model = ServedModel("v1@1", "/models/base", tmp_path, adapter_sha256(tmp_path))
    require_unchanged(model)
    save_file({"a": np.ones(2, np.float32)}, weights)
    with pytest.raises(EngineError, match="v1@1 changed while it was in use"):
        require_unchanged(model)
    require_unchanged(V1)  # which only the server sees


def test_a_server_that_answers_with_errors_is_taken_out_though_it_says_it_is_healthy(
    open_engine: Open,
) -> None:
    with ScriptedServer() as one, ScriptedServer(always=500) as sick:
        one.delay_s = 0.002
        engine = open_engine(one, sick)
        results = list(engine.generate(requests(200), GREEDY))
        assert len(one.asked) == 200
        assert sick.calls["chat"] < 60
    assert_each_once(results, 200)


def test_a_prompt_that_every_server_fails_at_is_an_error_of_that_prompt(open_engine: Open) -> None:
    def poisonous(payload: dict[str, object]) -> bool:
        return payload["messages"][0]["content"] == "text 7"  # type: ignore[index]

    with ScriptedServer() as one, ScriptedServer() as other:
        one.poisonous = other.poisonous = poisonous
        results = list(open_engine(one, other).generate(requests(40), GREEDY))
    errors = [r for r in results if r.error is not None]
    assert [r.key for r in errors] == ["k7"]
    assert "500" in (errors[0].error or "")
    assert len({r.key for r in results}) == len(results) == 40


def test_when_all_are_gone_what_came_is_kept_and_the_error_says_how_to_go_on(
    open_engine: Open,
) -> None:
    with ScriptedServer() as one, ScriptedServer() as other:
        engine = open_engine(one, other)
        one.gate = other.gate = lambda: len(one.asked) + len(other.asked) < 30
        stream = engine.generate(requests(200), GREEDY)
        kept = [next(stream) for _ in range(20)]
        one.hang_up()
        other.hang_up()
        with pytest.raises(EngineUnavailable) as caught:
            kept.extend(stream)
    assert 20 <= len(kept) < 200
    assert caught.value.hint


def test_all_may_be_gone_for_a_moment(open_engine: Open) -> None:
    with ScriptedServer() as one, ScriptedServer() as other:
        engine = open_engine(one, other)
        stream = engine.generate(requests(100), GREEDY)
        results = [next(stream) for _ in range(10)]
        for server in (one, other):
            server.hang_up()
        one.come_back()
        results += stream
    assert_each_once(results, 100)


def test_a_server_that_is_gone_at_the_start_joins_when_it_comes(open_engine: Open) -> None:
    with ScriptedServer() as one, ScriptedServer() as late:
        late.hang_up()
        engine = open_engine(one, late)
        assert any(late.url in note and "does not answer" in note for note in engine.notes)
        late.come_back()
        one.gate = lambda: len(one.asked) < 20 or bool(late.asked)
        results = list(engine.generate(requests(100), GREEDY))
        assert late.asked
        assert not engine.notes
    assert_each_once(results, 100)


def test_a_standing_is_kept_from_one_run_to_the_next(open_engine: Open) -> None:
    """Runs come in leases of a few hundred: each must not find out again who is dead."""
    with ScriptedServer() as one, ScriptedServer() as dead:
        engine = open_engine(one, dead)
        dead.hang_up()
        list(engine.generate(requests(20), GREEDY))
        assert [place.service for place in engine._places] == ["in", "out"]
        results = list(engine.generate(requests(20), GREEDY))
    assert_each_once(results, 20)


def test_an_alias_is_pointed_again_at_a_server_that_comes_back(open_engine: Open) -> None:
    with ScriptedServer() as one, ScriptedServer() as other:
        engine = open_engine(one, other)
        engine.serve_as("champion", V1)
        other.hang_up()
        list(engine.generate(requests(20, "champion"), GREEDY))
        other.adapters.clear()
        other.come_back()
        one.gate = lambda: len(one.asked) < 40 or bool(other.asked)
        list(engine.generate(requests(100, "champion"), GREEDY))
        wait_for(lambda: other.adapters.get("champion") == "/a")


@pytest.mark.parametrize("reload_first", [False, True])
def test_two_jobs_get_their_adapters_of_a_server_that_lost_them(
    open_engine: Open, reload_first: bool
) -> None:
    """Whether the second job loads its models before the first one asks, or while it does."""
    with ScriptedServer() as one:
        engine = open_engine(one)
        if reload_first:
            engine.load([BASE, JUDGE])
        lost = False
        one.gate = lambda: lost or one.calls["chat"] <= 12
        with ThreadPoolExecutor(2) as both:
            written = both.submit(lambda: list(engine.generate(requests(60), GREEDY)))
            wait_for(lambda: one.calls["chat"] > 12 and one.in_flight == 4)  # they wait at the gate
            if not reload_first:
                engine.load([BASE, JUDGE])
            judged = both.submit(lambda: list(engine.generate(requests(60, "judge@1"), GREEDY)))
            wait_for(lambda: reload_first or one.in_flight > 4)
            one.adapters.clear()  # as when it was started anew between two requests
            lost = True
            assert_each_once(written.result(20), 60)
            assert_each_once(judged.result(20), 60)
        assert set(one.adapters.values()) == {"/a", "/j"}


def test_a_job_that_found_no_room_begins_when_another_one_ends(open_engine: Open) -> None:
    with ScriptedServer() as one:
        engine = open_engine(one)
        one.gate = lambda: one.calls["chat"] >= 4 and wanted
        wanted = False
        written = ThreadPoolExecutor(1).submit(lambda: list(engine.generate(requests(4), GREEDY)))
        wait_for(lambda: one.in_flight == 4)
        late = ThreadPoolExecutor(1).submit(lambda: list(engine.generate(requests(3), GREEDY)))
        wait_for(lambda: len(engine._places) == 1)
        wanted = True
        assert_each_once(written.result(20), 4)
        assert_each_once(late.result(20), 3)


def test_names_stay_known_while_another_job_loads(open_engine: Open) -> None:
    with ScriptedServer() as one:
        engine = open_engine(one)
        seen: list[str] = []

        def unchanged() -> bool:
            seen.append(engine._names.get("v1@1", "unknown"))
            return True

        one.gate = unchanged
        one.delay_s = 0.001
        written = ThreadPoolExecutor(1).submit(lambda: list(engine.generate(requests(80), GREEDY)))
        for _ in range(20):
            engine.load([BASE, V1])
        assert_each_once(written.result(20), 80)
        assert "unknown" not in seen
