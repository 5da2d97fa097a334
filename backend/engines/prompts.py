"""From messages to the token ids that a model is shown, by the base model's own tokeniser.

Training, the local engine and the preflight render through here or through the same tokeniser
call, so that they agree byte for byte. It knows no adapter: adapters share their base's tokeniser.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.engines.base import Message
from backend.errors import InvalidInput


def load_tokenizer(base_model: str) -> Any:
    """The tokeniser of a base model, from its folder, the hub cache or the hub.

    Raises:
        InvalidInput: there is none, or it has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base_model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"The tokeniser of {base_model} cannot be read: {first_line(error)}.",
            hint="Name a folder with tokenizer.json, or a hub model that this machine can reach.",
        ) from error
    if tokenizer.chat_template is None:
        raise InvalidInput(
            f"The tokeniser of {base_model} has no chat template.",
            hint="Add chat_template.jinja to the base model's folder.",
        )
    return tokenizer


class PromptRefused(InvalidInput):
    """The base's chat template takes no such messages."""


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of the rendered messages with the generation prompt.

    Raises:
        PromptRefused: the template refuses the messages, as some do a system message.
    """
    from jinja2.exceptions import TemplateError

    try:
        text = tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
        )
    except (TemplateError, TypeError, ValueError) as error:
        roles = ", ".join(str(message.get("role")) for message in messages)
        raise PromptRefused(
            f"The base's chat template refuses the messages ({roles}): {first_line(error)}.",
            hint="Write the prompt without what it refuses, or give the base another template.",
        ) from error
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def encode_answer(tokenizer: Any, answer: str) -> tuple[list[int], list[int]]:
    """Token ids of a given answer, and the code point at which each begins.

    The answer is encoded by itself, as it follows the prompt; what is spelled like a special token
    in it is text.

    Raises:
        PromptRefused: the tokeniser takes no such text, or does not tell places.
    """
    try:
        encoded = tokenizer(
            answer,
            add_special_tokens=False,
            return_offsets_mapping=True,
            split_special_tokens=True,
            verbose=False,
        )
    except (TypeError, ValueError, NotImplementedError) as error:
        raise PromptRefused(
            f"The base's tokeniser cannot place the tokens of the answer: {first_line(error)}."
        ) from error
    return list(encoded["input_ids"]), [start for start, _ in encoded["offset_mapping"]]


def decode_prompt(tokenizer: Any, token_ids: Sequence[int]) -> str:
    """The text of a prompt's token ids, special tokens in their own spelling."""
    return str(
        tokenizer.decode(
            list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
    )


def model_folder(base_model: str) -> Path | None:
    """The folder of a base model that is one; None for a hub name."""
    path = Path(base_model)
    return path.resolve() if path.is_dir() else None


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without its full stop."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
