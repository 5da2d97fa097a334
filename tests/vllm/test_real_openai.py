"""The openai engine on a real server: the same answers as the vllm engine gets there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.engines.base import GenerationRequest, Message, SamplingParams
from backend.engines.base import ServedModel as Model
from backend.engines.openai.engine import OpenaiEngine
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import RunningServer
from backend.errors import UnknownAdapter
from backend.services.models.preflight.elsewhere import run_served_preflight

pytestmark = pytest.mark.vllm

GREEDY = SamplingParams(max_tokens=16)


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def elsewhere(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[OpenaiEngine]:
    """The engine under test, which knows the server's base by its name there."""
    with OpenaiEngine([server.url], stream=request.param) as engine:
        engine.load([Model("gpt@1", "base", elsewhere=True)])
        yield engine


def test_answers_counts_and_logprobs_are_those_of_the_vllm_engine(
    elsewhere: OpenaiEngine, engine: VllmEngine, prompts: list[list[Message]]
) -> None:
    ours = {"gpt@1": elsewhere, "base": engine}
    found = {
        name: [
            next(iter(asked.generate([GenerationRequest("k", name, prompt)], GREEDY)))
            for prompt in prompts[:4]
        ]
        for name, asked in ours.items()
    }
    for one, other in zip(found["gpt@1"], found["base"], strict=True):
        assert (one.text, one.prompt_tokens) == (other.text, other.prompt_tokens)
        assert one.completion_tokens == other.completion_tokens == len(one.token_logprobs)
        assert one.token_logprobs == pytest.approx(other.token_logprobs, abs=0.05)
    assert elsewhere.notes == ()


def test_a_preflight_says_what_it_is_and_an_unknown_name_fails_it(
    elsewhere: OpenaiEngine, prompts: list[list[Message]]
) -> None:
    gpt, ghost = (Model("gpt@1", name, elsewhere=True) for name in ("base", "ghost"))
    assert run_served_preflight(elsewhere, gpt, prompts, GREEDY).passed
    elsewhere.load([ghost])
    assert "does not list ghost" in elsewhere.notes[0]
    (failed,) = run_served_preflight(elsewhere, ghost, prompts, GREEDY).failures
    assert "does not serve 'ghost'" in failed.detail
    with pytest.raises(UnknownAdapter):
        list(elsewhere.generate([GenerationRequest("k", "gpt@1", prompts[0])], GREEDY))


def test_a_prompt_too_long_is_its_own_error(elsewhere: OpenaiEngine) -> None:
    long = GenerationRequest("k", "gpt@1", [{"role": "user", "content": "bill 7 " * 4000}])
    (result,) = elsewhere.generate([long], SamplingParams(max_tokens=4, truncate_prompt=True))
    assert "context length" in str(result.error)
    assert "cannot cut prompts" in str(result.error)
