"""The local engine on a tiny model: adapters, order, seeds, lengths, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.local.engine import LocalEngine
from backend.errors import EngineError, InvalidInput, UnknownAdapter
from tests.fixtures_models import make_tiny_base, tiny_adapter

GREEDY = SamplingParams(max_tokens=12)
SAMPLED = SamplingParams(max_tokens=12, temperature=1.0, top_p=0.9, seed=3)
Models = dict[str, ServedModel]


def requests(*models: str, count: int = 6) -> list[GenerationRequest]:
    return [
        GenerationRequest(
            f"{model}/{i}", model, [{"role": "user", "content": f"Ticket {i} " + "blue " * i}]
        )
        for i in range(count)
        for model in models
    ]


def answers(engine: LocalEngine, asked: list[GenerationRequest], params: SamplingParams):  # type: ignore[no-untyped-def]
    return {result.key: result for result in engine.generate(asked, params)}


def reference_ids(models: Models, request: GenerationRequest, steps: int) -> list[int]:
    """Greedy decoding by one full forward pass a token: no cache, no batch, no padding."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    served = models[request.model]
    network = AutoModelForCausalLM.from_pretrained(served.base_model)
    if served.adapter_path is not None:
        network = PeftModel.from_pretrained(network, served.adapter_path)
    tokenizer = AutoTokenizer.from_pretrained(served.base_model)
    ids = tokenizer.apply_chat_template(
        list(request.messages), add_generation_prompt=True, return_dict=False
    )
    prompt = len(ids)
    for _ in range(steps):
        with torch.no_grad():
            ids = [*ids, int(network(torch.tensor([ids])).logits[0, -1].argmax())]
        if ids[-1] == tokenizer.eos_token_id:
            break
    return list(ids[prompt:])


@pytest.mark.parametrize("model", ["base", "v1.0", "v2"])
def test_greedy_answers_are_those_of_plain_decoding(
    local: LocalEngine, models: Models, model: str
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models["base"].base_model)
    asked = requests("base", "v1.0", "v2")
    found = answers(local, asked, GREEDY)
    for request in [r for r in asked if r.model == model]:
        ids = reference_ids(models, request, GREEDY.max_tokens)
        result = found[request.key]
        assert result.completion_tokens == len(ids)
        assert result.text == tokenizer.decode(ids, skip_special_tokens=True)


def test_each_adapter_writes_its_own_and_zero_writes_the_base(local: LocalEngine) -> None:
    found = answers(local, requests("base", "v1.0", "v2", "zero", count=1), GREEDY)
    assert len({found[f"{m}/0"].text for m in ("base", "v1.0", "v2")}) == 3
    assert found["zero/0"].text == found["base/0"].text


def test_answers_carry_logprobs_counts_and_reason(local: LocalEngine) -> None:
    for result in answers(local, requests("base"), GREEDY).values():
        assert len(result.token_logprobs) == result.completion_tokens
        assert all(value < 0 for value in result.token_logprobs)
        assert result.finish_reason == ("length" if result.completion_tokens == 12 else "stop")


def test_the_first_token_has_the_logprob_of_the_likeliest(local: LocalEngine) -> None:
    (request,) = requests("v2", count=1)
    likeliest = next(iter(local.next_token_logprobs("v2", request.messages).values()))
    result = answers(local, [request], GREEDY)[request.key]
    assert result.token_logprobs[0] == pytest.approx(likeliest, abs=1e-4)


def test_next_token_logprobs_are_sorted_and_distinct(local: LocalEngine) -> None:
    found = local.next_token_logprobs("base", [{"role": "user", "content": "x"}], top=7)
    assert len(found) == 7
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_a_sampled_answer_depends_on_seed_and_key_only(
    local: LocalEngine, models: Models, batch_size: int
) -> None:
    expected = {k: r.text for k, r in answers(local, requests("base", "v2"), SAMPLED).items()}
    with LocalEngine(batch_size=batch_size, threads=1) as engine:
        engine.load([models["v2"], models["base"]])
        found = answers(engine, requests("v2", "base")[::-1], SAMPLED)
    assert {k: r.text for k, r in found.items()} == expected


def test_another_seed_draws_other_answers(local: LocalEngine) -> None:
    other = SamplingParams(max_tokens=12, temperature=1.0, top_p=0.9, seed=4)
    first, second = (answers(local, requests("base"), params) for params in (SAMPLED, other))
    assert any(first[key].text != second[key].text for key in first)


def test_equal_prompts_under_two_keys_are_drawn_apart(local: LocalEngine) -> None:
    messages = [{"role": "user", "content": "x"}]
    asked = [GenerationRequest(f"sample-{i}", "base", messages) for i in range(4)]
    assert len({r.text for r in answers(local, asked, SAMPLED).values()}) > 1


def test_a_tiny_nucleus_is_greedy(local: LocalEngine) -> None:
    narrow = SamplingParams(max_tokens=12, temperature=1.0, top_p=1e-6, seed=9)
    greedy, drawn = (answers(local, requests("base"), params) for params in (GREEDY, narrow))
    assert {k: r.text for k, r in greedy.items()} == {k: r.text for k, r in drawn.items()}


def test_a_prompt_that_is_too_long_is_an_error_and_the_others_go_on(local: LocalEngine) -> None:
    long = GenerationRequest("long", "base", [{"role": "user", "content": "x" * 2000}])
    found = answers(local, [long, *requests("base", count=2)], GREEDY)
    assert found["long"].text is None
    assert "1024" in str(found["long"].error)
    assert sum(result.error is None for result in found.values()) == 2


def test_truncation_keeps_the_end_and_is_recorded(local: LocalEngine) -> None:
    long = GenerationRequest("long", "base", [{"role": "user", "content": "x" * 2000}])
    params = SamplingParams(max_tokens=12, truncate_prompt=True)
    result = answers(local, [long], params)["long"]
    assert result.prompt_tokens == 1024 - 12
    assert result.truncated_tokens == 2004 - (1024 - 12)


def test_text_of_any_script_is_rendered_whole(local: LocalEngine) -> None:
    text = "Grüße, 日本, 👩‍⚕️"
    assert local.render([{"role": "user", "content": text}]) == (
        f"<|begin|><|user|>{text}<|end|><|assistant|>"
    )


def test_a_model_that_was_not_loaded_is_unknown(local: LocalEngine) -> None:
    with pytest.raises(UnknownAdapter, match=r"base, v1\.0, v2, zero"):
        answers(local, requests("ghost"), GREEDY)


def test_nothing_loaded_is_unknown() -> None:
    with pytest.raises(UnknownAdapter, match="loaded no model"):
        LocalEngine().render([{"role": "user", "content": "x"}])


def test_changed_weights_under_an_old_name_are_read_again(
    base_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    seen = []
    with LocalEngine(threads=1) as engine:
        for seed in (1, 1, 2):
            tiny_adapter(folder, base_folder, seed=seed)
            engine.load(
                [
                    ServedModel("base", str(base_folder)),
                    ServedModel("v", str(base_folder), folder),
                ]
            )
            seen.append(engine.next_token_logprobs("v", [{"role": "user", "content": "x"}]))
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize("name", ["training_args.bin", "optimizer.pt", "x.pkl"])
def test_a_pickle_in_the_folder_is_refused(
    local: LocalEngine, models: Models, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "adapter"
    assert models["v2"].adapter_path is not None
    shutil.copytree(models["v2"].adapter_path, folder)
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(InvalidInput, match=name):
        local.load([ServedModel("bad", models["base"].base_model, folder)])


def test_an_adapter_of_another_shape_is_refused_and_the_rest_still_works(
    models: Models, tmp_path: Path
) -> None:
    base = models["base"]
    other = tiny_adapter(tmp_path / "wide", make_tiny_base(tmp_path / "b", hidden=64))
    with LocalEngine(threads=1) as engine:
        engine.load([base])
        before = answers(engine, requests("base"), GREEDY)
        with pytest.raises(EngineError, match="does not fit"):
            engine.load([base, ServedModel("wide", base.base_model, other)])
        engine.load([base, models["v2"]])
        with pytest.raises(EngineError, match="does not fit"):
            engine.load([base, ServedModel("wide", base.base_model, other)])
        after = answers(engine, requests("base", "v2"), GREEDY)
    assert all(after[key].text == before[key].text for key in before)


def test_an_adapter_for_other_layers_is_refused(
    local: LocalEngine, models: Models, tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    assert models["v2"].adapter_path is not None
    shutil.copytree(models["v2"].adapter_path, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["target_modules"] = ["q_proj"]
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="not in the model"):
        local.load([ServedModel("bad", models["base"].base_model, folder)])


def test_a_truncated_file_is_refused(local: LocalEngine, models: Models, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    assert models["v2"].adapter_path is not None
    shutil.copytree(models["v2"].adapter_path, folder)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(InvalidInput, match="cut short"):
        local.load([ServedModel("bad", models["base"].base_model, folder)])


def test_two_bases_are_refused(local: LocalEngine, models: Models) -> None:
    with pytest.raises(InvalidInput, match="one base"):
        local.load([models["base"], ServedModel("x", "/another")])


def test_a_base_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        LocalEngine().load([ServedModel("base", str(tmp_path / "nowhere"))])


def test_a_prompt_that_the_template_refuses_is_an_error_of_its_own(tmp_path: Path) -> None:
    base = make_tiny_base(tmp_path / "base")
    template = (base / "chat_template.jinja").read_text()
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('No system') }}{% endif %}"
    (base / "chat_template.jinja").write_text(refusal + template)
    user = {"role": "user", "content": "Hi"}
    asked = [
        GenerationRequest("plain", "base", [user]),
        GenerationRequest("system", "base", [{"role": "system", "content": "Be short."}, user]),
    ]
    with LocalEngine(threads=1) as engine:
        engine.load([ServedModel("base", str(base))])
        found = {one.key: one.error for one in engine.generate(asked, SamplingParams(max_tokens=2))}
    assert found["plain"] is None
    assert "refuses the messages (system, user): No system" in str(found["system"])


def test_a_model_that_writes_no_numbers_is_an_error(tmp_path: Path) -> None:
    base = make_tiny_base(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    messages = [{"role": "user", "content": "Hi"}]
    with LocalEngine(threads=1) as engine:
        engine.load([ServedModel("base", str(base))])
        asked = [GenerationRequest("a", "base", messages)]
        [answer] = engine.generate(asked, SamplingParams(max_tokens=2))
        assert "not finite" in str(answer.error)
        with pytest.raises(EngineError, match="not finite"):
            engine.next_token_logprobs("base", messages)
