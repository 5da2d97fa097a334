"""What a training has made a model lose: its loss on text that it was not trained on.

Measured before the first step and after the last, on the same rows, one by one: on general
questions and answers (`training.results.general`), and on the earlier file of the configuration, in
which Strop puts references of the validation splits that earlier trainings of the project rest on
(of a first one, its own). "Before" is where training began: the base, or the model that
`start_from` names. No random number is drawn, so that measuring changes no training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import TrainingError
from training.results.general import GENERAL
from training.results.intervals import RowLoss, difference_estimate, group_totals, mean_loss
from training.rows.data import IGNORED, ChatRow, TokenRow, encode_rows, read_rows

GENERAL_TEXT, EARLIER = "general", "earlier"
WORDS = {GENERAL_TEXT: "general text", EARLIER: "validation rows of the trainings so far"}
_BATCH = 8
_LONGEST = 1024
Texts = Mapping[str, "list[TokenRow] | str"]


def untouched_texts(earlier: Path | None, tokenizer: Any, *, longest: int | None) -> Texts:
    """The rows to measure on, by name; in place of rows the reason why there are none.

    Args:
        longest: tokens that the model can take.
    """
    general = [
        ChatRow(
            number, [{"role": "user", "content": asked}], [{"role": "assistant", "content": answer}]
        )
        for number, (asked, answer) in enumerate(GENERAL, start=1)
    ]
    length = min(longest or _LONGEST, _LONGEST)
    found = {GENERAL_TEXT: _encoded(general, tokenizer, length)}
    if earlier is not None:
        found[EARLIER] = _earlier(earlier, tokenizer, length)
    return found


def _earlier(file: Path, tokenizer: Any, length: int) -> list[TokenRow] | str:
    if not file.is_file() or not file.stat().st_size:
        return "no validation split has references"
    return _encoded(read_rows(file), tokenizer, length)


def _encoded(rows: Sequence[ChatRow], tokenizer: Any, length: int) -> list[TokenRow] | str:
    try:
        kept, _ = encode_rows(
            rows, tokenizer, max_length=length, truncate=True, completion_only=True
        )
    except TrainingError as error:
        return error.message
    return kept


def measure(model: Any, texts: Texts) -> dict[str, list[RowLoss]]:
    """The loss of every row under the weights of now, by name of the text."""
    with without_learning(model):
        return {
            name: list(_measured(model, rows))
            for name, rows in texts.items()
            if not isinstance(rows, str)
        }


@contextmanager
def without_learning(model: Any) -> Iterator[None]:
    """The model as it answers: no dropout, no gradient."""
    import torch

    learning = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(learning)


def predict_rows(model: Any, rows: Sequence[TokenRow]) -> tuple[Any, Any, Any]:
    """Losses, labels and logits of every place but the first, in rows padded to the longest.

    Shapes (rows, places), the same, (rows, places, words); a place not trained on has a loss of 0.
    """
    import torch
    from torch.nn.functional import cross_entropy

    device = next(model.parameters()).device
    width = max(len(row.input_ids) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for place, row in enumerate(rows):
        ids[place, : len(row.input_ids)] = torch.tensor(row.input_ids)
        labels[place, : len(row.labels)] = torch.tensor(row.labels)
        mask[place, : len(row.input_ids)] = 1
    found = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
    targets = labels[:, 1:].to(device)
    logits = found.logits[:, -width:][:, :-1].float()  # a soft prompt has its places before them
    return cross_entropy(logits.transpose(1, 2), targets, reduction="none"), targets, logits


def _measured(model: Any, rows: Sequence[TokenRow]) -> Iterator[RowLoss]:
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        losses, targets = predict_rows(model, batch)[:2]  # the logits are let go of at once
        sums = zip(losses.sum(1).tolist(), (targets != IGNORED).sum(1).tolist(), strict=True)
        for row, (loss, count) in zip(batch, sums, strict=True):
            yield RowLoss(row.group, loss, count)


def describe_forgetting(
    texts: Texts,
    before: Mapping[str, Sequence[RowLoss]],
    after: Mapping[str, Sequence[RowLoss]],
    *,
    seed: int,
) -> dict[str, Any]:
    """By name of the text: loss before and after and the paired change, or the reason for none."""
    return {
        name: {"reason": rows}
        if isinstance(rows, str)
        else _change(before[name], after[name], seed)
        for name, rows in texts.items()
    }


def _change(before: Sequence[RowLoss], after: Sequence[RowLoss], seed: int) -> dict[str, Any]:
    if not all(math.isfinite(row.loss) for row in (*before, *after)):
        return {"reason": "a loss is not finite"}
    pairs = zip(after, before, strict=True)
    columns = np.array([(new.loss - old.loss, new.count) for new, old in pairs])
    totals = group_totals([row.group for row in before], columns)
    return {
        "before": asdict(mean_loss(before, seed=seed)),
        "after": asdict(mean_loss(after, seed=seed)),
        "change": asdict(difference_estimate(totals, n=len(before))),
    }


def forgetting_lines(result: Mapping[str, Any]) -> list[str]:
    """What a training made its model lose or gain, in sentences; empty for an older record."""
    found = result.get("forgetting") or {}
    return [_line(WORDS[name], one) for name, one in found.items()]


def _line(where: str, found: Mapping[str, Any]) -> str:
    if "change" not in found:
        return f"Not measured on {where}: {found['reason']}."
    before, after, change = (found[name] for name in ("before", "after", "change"))
    low, high = change["low"], change["high"]
    spread = f"[{low:+.3f}, {high:+.3f}]" if low is not None else f"({change['reason']})"
    return (
        f"Loss on {where} {before['value']:.3f} where training began, {after['value']:.3f} now: "
        f"{change['value']:+.3f} {spread}, {change['n']} rows of {change['groups']} groups; "
        f"{_judged(low, high)}."
    )


def _judged(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "whether it has forgotten any cannot be told"
    if low > 0:
        return "it has forgotten some of it"
    if high < 0:
        return "it has become better at it"
    return "no forgetting is shown"
