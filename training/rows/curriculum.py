"""What a row counts for in the loss, and in what order rows are shown: weights and curricula.

A weight multiplies the loss of every token of its row. Weights are scaled so that the mean token of
the file weighs 1, so that a learning rate means the same with them as without. A curriculum shows
the rows of every epoch in one order: the places given in the file, or from the least loss per
token to the greatest, under the model as it is before the first step (Bengio et al. 2009,
"Curriculum learning"). Torch is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from training.divergence import require_finite_number
from training.rows.data import BY_LOSS, IGNORED, TokenRow

Record = dict[str, Any]
Collator = Callable[[list[Record]], dict[str, Any]]


def mean_one_weights(rows: Sequence[TokenRow]) -> list[float | None]:
    """The weights of the rows, scaled so that the mean over trained tokens is 1.

    None for each where no row is weighted, or all weigh the same.
    """
    given = [1.0 if row.weight is None else row.weight for row in rows]
    if len(set(given)) < 2:
        return [None] * len(rows)
    tokens = [sum(label != IGNORED for label in row.labels) for row in rows]
    scale = sum(tokens) / sum(n * weight for n, weight in zip(tokens, given, strict=True))
    return [weight * scale for weight in given]


def with_weights(collate: Collator) -> Collator:
    """A collator whose batches hold `weight`, shape (rows,), where the records do."""

    def collate_weighted(records: list[Record]) -> dict[str, Any]:
        import torch

        batch = collate(records)
        if "weight" in records[0]:
            weights = [record["weight"] for record in records]
            batch["weight"] = torch.tensor(weights, dtype=torch.float32)
        return batch

    return collate_weighted


def places(model: Any, records: Any, collate: Collator, *, batch_size: int) -> list[int] | None:
    """Indexes of the records in the order of their curriculum; None where they have none."""
    if "order" not in records.column_names:
        return None
    order = records["order"]
    if order[0] == BY_LOSS:
        keys = losses_per_token(model, list(records), collate, batch_size=batch_size)
        return sorted(range(len(keys)), key=keys.__getitem__)
    return sorted(range(len(order)), key=list(order).__getitem__)


def losses_per_token(
    model: Any, records: Sequence[Record], collate: Collator, *, batch_size: int
) -> list[float]:
    """Mean loss of the trained tokens of each record, without dropout; the model is not changed."""
    import torch

    by_length = sorted(range(len(records)), key=lambda i: len(records[i]["input_ids"]))
    found = [0.0] * len(records)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(by_length), batch_size):
            indexes = by_length[start : start + batch_size]
            means = _mean_losses(model, collate([records[i] for i in indexes]))
            for index, mean in zip(indexes, means, strict=True):
                require_finite_number(mean, "the base's own loss on a row", step=0)
                found[index] = mean
    model.train(was_training)
    return found


def _mean_losses(model: Any, batch: dict[str, Any]) -> list[float]:
    from torch.nn.functional import cross_entropy

    device = next(model.parameters()).device
    inputs = {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}
    targets = batch["labels"][:, 1:].to(device)
    logits = model(**inputs, use_cache=False).logits[:, :-1].float()
    losses = cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    counts = (targets != IGNORED).sum(dim=1).clamp(min=1)
    means: list[float] = (losses.sum(dim=1) / counts).tolist()
    return means
