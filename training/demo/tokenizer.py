"""The demo's tokenizer: byte-level BPE with single digits, and its chat template.

Answers for how text becomes tokens; any Unicode text can be encoded, there is no unknown token.
"""

from collections.abc import Iterable
from typing import Any

SPECIAL_TOKENS = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
VOCABULARY = 2048
CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'assistant' %}"
    "{{- '<|assistant|>' }}"
    "{%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}"
    "{%- else %}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def train_tokenizer(texts: Iterable[str], *, length: int = 2048) -> Any:
    """Learn a tokenizer from texts; returns a transformers fast tokenizer with a chat template.

    Every digit is a token of its own, so that numbers are copied digit by digit.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<|pad|>",
        bos_token="<|begin|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=length,
        clean_up_tokenization_spaces=False,
    )


def render_turns(turns: Iterable[tuple[str, str]]) -> tuple[str, list[str]]:
    """Split a document into what is given and what is learnt in full: (prefix, answer pieces)."""
    given, learnt = ["<|begin|>"], []
    for role, content in turns:
        if role == "assistant":
            given.append("<|assistant|>")
            learnt.append(f"{content}<|end|>")
        elif role == "text":
            given.append(f"{content}<|end|>")
        else:
            given.append(f"<|{role}|>{content}<|end|>")
    return "".join(given), learnt
