"""The vllm engine on a real server: base and adapters in one run, and agreement with PEFT."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest

from backend.engines.base import GenerationRequest, GenerationResult, Message, SamplingParams
from backend.engines.base import ServedModel as Model
from backend.engines.local.engine import LocalEngine
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import RunningServer
from backend.errors import EngineError, UnknownAdapter

pytestmark = pytest.mark.vllm

GREEDY = SamplingParams(max_tokens=24)
MODELS = ("base", "one", "two")

Answers = dict[str, GenerationResult]


@pytest.fixture(scope="module")
def together(engine: VllmEngine, mixed_requests: list[GenerationRequest]) -> Answers:
    """The answers of all models, asked in one run."""
    return {result.key: result for result in engine.generate(mixed_requests, GREEDY)}


@pytest.fixture(scope="module")
def in_process(local: LocalEngine, mixed_requests: list[GenerationRequest]) -> Answers:
    """The same by transformers and PEFT."""
    return {result.key: result for result in local.generate(mixed_requests, GREEDY)}


def texts(answers: Answers, model: str) -> list[str | None]:
    return [answers[key].text for key in sorted(answers) if key.startswith(f"{model}/")]


def test_every_request_is_answered(together: Answers, mixed_requests: object) -> None:
    assert isinstance(mixed_requests, list)
    assert set(together) == {request.key for request in mixed_requests}
    assert all(result.error is None for result in together.values())


def test_every_written_token_has_its_logprob(together: Answers) -> None:
    for result in together.values():
        assert len(result.token_logprobs) == result.completion_tokens
        assert all(value <= 0 for value in result.token_logprobs)


def test_each_model_writes_its_own_answers(together: Answers) -> None:
    written = [texts(together, model) for model in MODELS]
    for index, one in enumerate(written):
        for other in written[index + 1 :]:
            assert sum(a == b for a, b in zip(one, other, strict=True)) <= len(one) // 2


def test_the_base_beside_adapters_is_the_base_alone(
    engine: VllmEngine, mixed_requests: list[GenerationRequest], together: Answers
) -> None:
    """vLLM on CPUs gave the base the last adapter's weights here (vllm-project/vllm#48421)."""
    only = [request for request in mixed_requests if request.model == "base"]
    alone = {result.key: result for result in engine.generate(only, GREEDY)}
    assert agreement(alone, together, "base") >= 0.8


def test_greedy_answers_agree_with_the_local_engine(together: Answers, in_process: Answers) -> None:
    shares = {model: agreement(together, in_process, model) for model in MODELS}
    nearness = {model: near_first_tokens(together, in_process, model) for model in MODELS}
    print(f"\nequal greedy answers, vllm against local: {shares}")
    print(f"first token's logprob within 0.25 nats: {nearness}")
    assert statistics.mean(shares.values()) >= 0.6
    assert min(nearness.values()) >= 0.75


def agreement(one: Answers, other: Answers, model: str) -> float:
    pairs = list(zip(texts(one, model), texts(other, model), strict=True))
    return round(sum(a == b for a, b in pairs) / len(pairs), 3)


def near_first_tokens(one: Answers, other: Answers, model: str) -> float:
    keys = [key for key in one if key.startswith(f"{model}/")]
    near = [abs(one[k].token_logprobs[0] - other[k].token_logprobs[0]) < 0.25 for k in keys]
    return round(sum(near) / len(near), 3)


@pytest.mark.parametrize("model", MODELS)
def test_first_token_logprobs_agree_with_the_local_engine(
    engine: VllmEngine, local: LocalEngine, prompts: Sequence[Sequence[Message]], model: str
) -> None:
    gaps = []
    for messages in prompts[:4]:
        served = engine.next_token_logprobs(model, messages)
        meant = local.next_token_logprobs(model, messages)
        gaps += [abs(served[token] - meant[token]) for token in served if token in meant]
    print(f"\n{model}: median first-token gap {statistics.median(gaps):.4f} nats, n={len(gaps)}")
    assert len(gaps) >= 40
    assert statistics.median(gaps) < 0.1


def test_the_server_renders_what_the_base_template_says(
    engine: VllmEngine, local: LocalEngine, prompts: Sequence[Sequence[Message]]
) -> None:
    messages = [{"role": "system", "content": "Grüße, 日本 👩‍⚕️"}, *prompts[0]]
    assert engine.render(messages) == local.render(messages)


def test_sampling_with_a_seed_repeats(
    engine: VllmEngine, mixed_requests: list[GenerationRequest]
) -> None:
    params = SamplingParams(max_tokens=12, temperature=1.0, seed=5)
    asked = mixed_requests[:8]
    first = {r.key: r.text for r in engine.generate(asked, params)}
    again = {r.key: r.text for r in engine.generate(asked, params)}
    assert sum(first[key] == again[key] for key in first) >= 6


def test_a_long_prompt_is_an_error_and_the_others_go_on(engine: VllmEngine) -> None:
    long = GenerationRequest("long", "base", [{"role": "user", "content": "bill 7 " * 4000}])
    short = GenerationRequest("short", "base", [{"role": "user", "content": "bill"}])
    results = {r.key: r for r in engine.generate([long, short], GREEDY)}
    assert "context length" in (results["long"].error or "")
    assert results["short"].error is None


def test_a_long_prompt_can_be_cut(engine: VllmEngine, local: LocalEngine) -> None:
    long = GenerationRequest("long", "base", [{"role": "user", "content": "bill 7 " * 4000}])
    params = SamplingParams(max_tokens=4, truncate_prompt=True)
    (served,), (meant,) = (
        list(engine.generate([long], params)),
        list(local.generate([long], params)),
    )
    assert served.error is None
    assert served.truncated_tokens == meant.truncated_tokens > 0


def test_a_name_the_server_does_not_have_is_unknown(server: RunningServer, base: Model) -> None:
    with VllmEngine([server.url]) as engine:
        engine.load([base])
        engine._names["ghost"] = "ghost"
        request = GenerationRequest("k", "ghost", [{"role": "user", "content": "x"}])
        with pytest.raises(UnknownAdapter, match="ghost"):
            list(engine.generate([request], GREEDY))


def test_a_folder_the_server_does_not_see_is_unknown(
    server: RunningServer, base: Model, tmp_path: Path
) -> None:
    missing = Model("missing", base.base_model, tmp_path / "nowhere", "ef" * 32)
    with VllmEngine([server.url]) as engine, pytest.raises(UnknownAdapter, match="visible"):
        engine.load([base, missing])


def test_an_adapter_of_too_large_a_rank_is_refused(
    server: RunningServer, base: Model, tmp_path: Path
) -> None:
    from tests.fixtures_models import tiny_adapter

    folder = tiny_adapter(tmp_path / "wide", Path(base.base_model), rank=64)
    wide = Model("wide", base.base_model, folder, "aa" * 32)
    with VllmEngine([server.url]) as engine, pytest.raises(EngineError, match="rank"):
        engine.load([base, wide])


def test_new_weights_under_an_old_name_answer_at_once(
    server: RunningServer, base: Model, tmp_path: Path, prompts: Sequence[Sequence[Message]]
) -> None:
    from tests.fixtures_models import tiny_adapter
    from training.weights.digest import adapter_sha256

    folder, seen = tmp_path / "again", []
    with VllmEngine([server.url]) as engine:
        for seed in (11, 12):
            tiny_adapter(folder, Path(base.base_model), rank=8, seed=seed, spread=0.02)
            engine.load([base, Model("again", base.base_model, folder, adapter_sha256(folder))])
            seen.append(engine.next_token_logprobs("again", prompts[0]))
    assert max(abs(seen[0][token] - seen[1].get(token, -99.0)) for token in seen[0]) > 0.05


def test_the_server_runs_in_a_group_of_its_own(server: RunningServer) -> None:
    assert os.getpgid(server.pid) == server.pid != os.getpgid(0)
