"""Raw documents for continued pre-training: read, joined by the end token, cut into equal blocks.

    {"text": "..."}

Every token is learnt, and a block may hold the end of one document and the start of the next, as in
pre-training itself. Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.rows.data import DataError, DataReport, TokenRow, json_rows

_SHAPE = 'Each line must be {"text": "..."}, one document a line.'


def read_documents(path: Path) -> list[str]:
    """Read a file of documents; DataError when a line has no text, or none is there."""
    texts = []
    for where, _, row in json_rows(path, shape=_SHAPE):
        text = row.get("text")
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: there is no text.", hint=_SHAPE)
        texts.append(text)
    if not texts:
        raise DataError(f"{path} holds no documents.", hint=_SHAPE)
    return texts


def encode_documents(
    texts: Sequence[str], tokenizer: Any, *, max_length: int
) -> tuple[list[TokenRow], DataReport]:
    """Blocks of `max_length` tokens; the last one may be shorter, and is left out if it is one.

    Raises:
        DataError: the tokeniser has no end token to part documents with, or nothing is left.
    """
    if tokenizer.eos_token_id is None:
        raise DataError("The tokeniser has no end token to part documents with.")
    stream: list[int] = []
    for text in texts:
        stream += tokenizer(text, add_special_tokens=False)["input_ids"]
        stream.append(tokenizer.eos_token_id)
    blocks = [stream[i : i + max_length] for i in range(0, len(stream), max_length)]
    rows = [TokenRow(block, list(block)) for block in blocks if len(block) > 1]
    if not rows:
        raise DataError("No document has two tokens to train on.")
    tokens = sum(len(row.input_ids) for row in rows)
    longest = max(len(row.input_ids) for row in rows)
    return rows, DataReport(len(rows), tokens, tokens, longest, cut=0, dropped=0)
