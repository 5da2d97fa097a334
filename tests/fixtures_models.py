"""A base model that is made in a second: a random two-layer Llama with a byte tokeniser.

`make_tiny_base(folder)` writes one; the fixture `tiny_base` is one for the whole test session, and
`tiny_adapter(folder, ...)` writes a LoRA adapter for it whose second matrices are random (it
changes what the base says) or zero (it changes nothing).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_tiny_base(folder: Path, *, seed: int = 0, hidden: int = 32) -> Path:
    """Write a random base model with tokeniser and chat template; returns the folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def byte_tokenizer() -> Any:
    """One token a byte, six special tokens, a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        bos_token="<|begin|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        chat_template=TEMPLATE,
    )


def tiny_adapter(
    folder: Path,
    base: Path,
    *,
    rank: int = 4,
    seed: int = 1,
    zero: bool = False,
    spread: float = 0.5,
) -> Path:
    """Write an untrained adapter of a base.

    Its second matrices are random with the standard deviation `spread`, or zero.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base_model = AutoModelForCausalLM.from_pretrained(base)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_peft_model(
            base_model,
            LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"),
        )
        for name, weights in model.named_parameters():
            if "lora_B" in name and not zero:
                torch.nn.init.normal_(weights, std=spread)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def write_chat_rows(file: Path, count: int, *, words: int = 4) -> Path:
    """Write training rows whose answer repeats the question's number; returns the file."""
    rows = [
        {
            "prompt": [{"role": "user", "content": f"Ticket {i}: " + "blue " * (i % words)}],
            "completion": [{"role": "assistant", "content": f"Answer {i % 7}"}],
            "source": i,
        }
        for i in range(count)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random base model of the session; do not write to it."""
    return make_tiny_base(tmp_path_factory.mktemp("models") / "tiny-base")


def trained_adapter(folder: Path, base: Path, *, part: slice, steps: int = 40) -> Path:
    """An adapter that was taught to answer with a part of the prompt's words.

    Unlike a random one it is sure of what it writes, so that two engines can agree on it.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.demo.data import demo_examples

    torch.manual_seed(7)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=5e-3)
    rows = [_row(tokenizer, example, part) for example in demo_examples(2 * steps, seed=3)]
    for step in range(steps):
        batch = rows[2 * step : 2 * step + 2]
        loss = sum(model(input_ids=ids, labels=labels).loss for ids, labels in batch) / len(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def _row(tokenizer: Any, example: dict[str, Any], part: slice) -> tuple[Any, Any]:
    import torch

    content = f"{example['input']}\n\n{example['context']}"
    answer = " ".join(example["context"].split()[part])
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    after = tokenizer(answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([before + after])
    return ids, torch.tensor([[-100] * len(before) + after])
