"""The committed base model: small, loadable, and the one its README describes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import training.demo
from training.weights.digest import model_sha256, template_sha256, tokenizer_sha256

BASE = Path(training.demo.__file__).parent / "base"
CARD = (BASE / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(BASE)


def test_the_folder_is_at_most_10_mb_and_holds_no_pickle() -> None:
    files = [file for file in BASE.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 10_000_000
    assert {file.suffix for file in files} <= {".json", ".jinja", ".md", ".safetensors"}


@pytest.mark.parametrize("digest", [model_sha256, tokenizer_sha256, template_sha256])
def test_the_card_states_the_digests_of_the_files(digest: Any) -> None:
    assert f"| {digest(BASE)} |" in CARD


@pytest.mark.parametrize("words", ["apache-2.0", "--seed 7", "invents", "| rows |", "## Loss"])
def test_the_card_says_how_it_was_made_and_what_it_does(words: str) -> None:
    assert words in CARD


def test_head_size_is_one_that_vllm_serves_on_a_cpu() -> None:
    config = json.loads((BASE / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["head_dim"] in {32, 64, 80, 96, 112, 128, 160, 192, 224, 256}


def test_the_chat_template_renders_three_roles(tokenizer: Any) -> None:
    roles = ("system", "user", "assistant")
    messages = [{"role": role, "content": role.upper()} for role in roles]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == (
        "<|begin|><|system|>SYSTEM<|end|><|user|>USER<|end|><|assistant|>ASSISTANT<|end|>"
    )
    prompt = tokenizer.apply_chat_template(messages[:2], tokenize=False, add_generation_prompt=True)
    assert prompt.endswith("USER<|end|><|assistant|>")


def test_only_the_assistant_s_tokens_are_marked_as_generated(tokenizer: Any) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    out = tokenizer.apply_chat_template(
        messages, return_dict=True, return_assistant_tokens_mask=True
    )
    marked = [i for i, mask in zip(out["input_ids"], out["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(marked) == "b<|end|>"


@pytest.mark.parametrize("text", ["日本語 🙂", "Ünïcödé\r\n\x00", "12.345,67 EUR"])
def test_any_text_can_be_encoded(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_model_answers_a_ticket_with_a_label_and_stops(tokenizer: Any) -> None:
    from transformers import AutoModelForCausalLM

    from training.demo.desk.tickets import INSTRUCTION, SHARES

    model = AutoModelForCausalLM.from_pretrained(BASE)
    ticket = "The whole street in Jena is offline since 9:00."
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": f"{INSTRUCTION}\n\n{ticket}"}],
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    out = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0]
    assert int(out[-1]) == tokenizer.eos_token_id
    answer = tokenizer.decode(out[prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer in SHARES
