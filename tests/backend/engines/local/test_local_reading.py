"""The local engine reads given answers: the same numbers as one plain pass, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import (
    GenerationRequest,
    ReadRequest,
    ReadResult,
    SamplingParams,
    ServedModel,
)
from backend.engines.local.engine import LocalEngine
from backend.engines.local.reading import answer_logprobs
from backend.errors import UnknownAdapter
from tests.fixtures_models import make_tiny_base

Models = dict[str, ServedModel]
DEMO_BASE = Path(__file__).parents[4] / "training/demo/base"
ANSWERS = ("a", "Grüße, 日本 👩‍⚕️", " it was blue\n\nand 5 mg", "x" * 300, "<|end|> is text")


def ask(model: str, answer: str, *, prompt: str = "Ticket 1", key: str = "k") -> ReadRequest:
    return ReadRequest(key, model, [{"role": "user", "content": prompt}], answer)


def asked(*models: str) -> list[ReadRequest]:
    return [
        ask(model, answer, prompt="Ticket " + "blue " * i, key=f"{model}/{i}")
        for i, answer in enumerate(ANSWERS)
        for model in models
    ]


def read(engine: LocalEngine, requests: list[ReadRequest]) -> dict[str, ReadResult]:
    return {result.key: result for result in engine.read(requests)}


def plain(served: ServedModel, request: ReadRequest) -> list[float]:
    """One full pass over one row: no cache, no padding, no pieces."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(served.base_model)
    if served.adapter_path is not None:
        network = PeftModel.from_pretrained(network, served.adapter_path)
    tokenizer = AutoTokenizer.from_pretrained(served.base_model)
    before = tokenizer.apply_chat_template(
        list(request.messages), add_generation_prompt=True, return_dict=False
    )
    after = tokenizer(request.answer, split_special_tokens=True, add_special_tokens=False)
    ids = torch.tensor([before + after["input_ids"]])
    with torch.no_grad():
        logprobs = network(ids).logits[0].float().log_softmax(-1)
    told = logprobs[:-1].gather(-1, ids[0, 1:, None])[:, 0]
    return [float(value) for value in told[len(before) - 1 :]]


@pytest.mark.parametrize("model", ["base", "v1.0", "v2"])
def test_what_is_read_is_what_one_plain_pass_says(
    local: LocalEngine, models: Models, model: str
) -> None:
    requests = asked("base", "v1.0", "v2")
    found = read(local, requests)
    for request in [r for r in requests if r.model == model]:
        expected = plain(models[model], request)
        assert found[request.key].logprobs == pytest.approx(expected, abs=1e-4)
        assert len(found[request.key].starts) == len(expected)


def test_each_token_begins_at_its_code_point(local: LocalEngine) -> None:
    result = read(local, [ask("base", "aé日👩")])["k"]
    assert result.starts == (0, 1, 1, 2, 2, 2, 3, 3, 3, 3)


def test_adapters_read_their_own_and_zero_reads_the_base(local: LocalEngine) -> None:
    found = read(local, asked("base", "v1.0", "v2", "zero"))
    assert found["zero/2"].logprobs == pytest.approx(found["base/2"].logprobs, abs=1e-5)
    assert len({found[f"{model}/2"].logprobs for model in ("base", "v1.0", "v2")}) == 3


@pytest.mark.parametrize("batch_size", [1, 16])
def test_the_batch_does_not_matter(local: LocalEngine, models: Models, batch_size: int) -> None:
    expected = read(local, asked("base", "v2"))
    with LocalEngine(batch_size=batch_size, threads=1) as engine:
        engine.load([models["base"], models["v2"]])
        found = read(engine, asked("v2", "base")[::-1])
    for key, result in found.items():
        assert result.logprobs == pytest.approx(expected[key].logprobs, abs=1e-4)


def test_what_a_model_writes_it_reads_with_the_same_logprobs() -> None:
    from training.demo.data import demo_examples

    texts = [f"{row['input']}\n\n{row['context']}" for row in demo_examples(6, 7)]
    prompts = [[{"role": "user", "content": text}] for text in texts]
    with LocalEngine(threads=1) as engine:
        engine.load([ServedModel("base", str(DEMO_BASE))])
        asking = [GenerationRequest(str(i), "base", p) for i, p in enumerate(prompts)]
        written = {r.key: r for r in engine.generate(asking, SamplingParams(max_tokens=12))}
        answers = [
            ReadRequest(key, "base", prompts[int(key)], r.text or "") for key, r in written.items()
        ]
        found = read(engine, answers)
    for key, result in found.items():
        told = written[key].token_logprobs[: len(result.logprobs)]
        assert result.logprobs == pytest.approx(told, abs=1e-3)
    assert sum(len(result.logprobs) for result in found.values()) >= 30


def test_an_empty_answer_has_no_token_and_no_error(local: LocalEngine) -> None:
    assert read(local, [ask("base", "")])["k"] == ReadResult("k")


@pytest.mark.parametrize(
    ("answer", "prompt", "says"),
    [
        ("x" * 2000, "short", "2000; together that is more than the 1024"),
        ("short", "x" * 2000, "Shorten the prompt"),
        ("half \ud800 of a character", "short", "cannot place the tokens"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_the_others_go_on(
    local: LocalEngine, answer: str, prompt: str, says: str
) -> None:
    found = read(local, [ask("base", answer, prompt=prompt, key="bad"), *asked("base")])
    assert says in str(found["bad"].error)
    assert found["bad"].logprobs == ()
    assert sum(result.error is None for result in found.values()) == len(ANSWERS)


def test_prompt_and_answer_may_fill_the_model(local: LocalEngine) -> None:
    room = 1024 - len(local.token_ids([{"role": "user", "content": "Ticket 1"}]))
    found = read(local, [ask("base", "y" * room, key="fits"), ask("base", "y" * (room + 1))])
    assert len(found["fits"].logprobs) == room
    assert found["k"].error is not None


def test_a_model_that_was_not_loaded_is_unknown(local: LocalEngine) -> None:
    with pytest.raises(UnknownAdapter, match="ghost"):
        list(local.read([ask("ghost", "x")]))


class Watched:
    """A network that remembers how many rows it read, and the most logits it gave at once."""

    def __init__(self, network: Any) -> None:
        self.network, self.config, self.device = network, network.config, network.device
        self.most = 0
        self.rows: list[int] = []

    def __call__(self, **asked: Any) -> Any:
        out = self.network(**asked)
        self.most = max(self.most, out.logits.numel())
        self.rows.append(len(asked["input_ids"]))
        return out


def test_equal_prompts_are_read_once(models: Models) -> None:
    from transformers import AutoModelForCausalLM

    network = Watched(AutoModelForCausalLM.from_pretrained(models["v2"].base_model))
    prompts = [[1, 7, 8], [1, 9], [1, 7, 8], [1, 7, 8]]
    answers = [[11, 12, 13], [14], [15, 16], [11]]
    found = answer_logprobs(network, prompts, answers, pad_id=0)
    assert network.rows == [2, 4]
    for prompt, answer, logprobs in zip(prompts, answers, found, strict=True):
        (alone,) = answer_logprobs(network, [prompt], [answer], pad_id=0)
        assert logprobs == pytest.approx(alone, abs=1e-4)


def test_no_more_logits_are_held_than_allowed(models: Models) -> None:
    from transformers import AutoModelForCausalLM

    network = Watched(AutoModelForCausalLM.from_pretrained(models["base"].base_model))
    prompts, answers = [[1, 9], [1, 7, 8, 9, 10]], [list(range(6, 86)), [11, 12, 13]]
    whole = answer_logprobs(network, prompts, answers, pad_id=0)
    unbounded, network.most = network.most, 0
    rows, vocabulary = 2, network.config.vocab_size
    pieces = answer_logprobs(
        network, prompts, answers, pad_id=0, most_logits=rows * 7 * vocabulary + 3
    )
    assert unbounded == rows * 79 * vocabulary
    assert network.most == rows * 7 * vocabulary
    for piecewise, at_once in zip(pieces, whole, strict=True):
        assert piecewise == pytest.approx(at_once, abs=1e-4)


def test_broken_weights_are_an_error_on_the_result(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = make_tiny_base(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with LocalEngine(threads=1) as engine:
        engine.load([ServedModel("base", str(base))])
        (result,) = engine.read([ask("base", "text")])
    assert "not finite" in str(result.error)
