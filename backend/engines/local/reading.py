"""How likely a model finds answers that it did not write: one batch of prompts and answers.

The prompts are padded on their left, so that all answers begin in one column; the answers pass
through the model in pieces, with a key-value cache, so that the logits over the whole vocabulary
are held for one piece of the batch at a time. It goes through the model's own head, because some
families scale or cap their logits there. Imported only while a model runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.engines.local.decoding import growing_cache

if TYPE_CHECKING:
    from torch import Tensor

MOST_LOGITS = 1 << 25  # held at once, in float32: 128 MiB


def answer_logprobs(
    model: Any,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    *,
    pad_id: int,
    most_logits: int = MOST_LOGITS,
) -> list[tuple[float, ...]]:
    """Natural logs of the probability of each token of each answer, computed in float32.

    Args:
        prompts: token ids, none empty.
        answers: token ids, none empty.
        most_logits: held at once; one column of the batch always is.
    """
    import torch

    with torch.inference_mode():
        reading = _Reading(model, prompts, answers, pad_id)
        found = reading.logprobs(most_logits).cpu()
    return [tuple(row[: len(answer)]) for row, answer in zip(found.tolist(), answers, strict=True)]


class _Reading:
    """A batch: (rows, prompt columns + answer columns) of ids, and what of it is not padding."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        answers: Sequence[Sequence[int]],
        pad_id: int,
    ) -> None:
        import torch

        self.model = model
        self.cache = growing_cache(model.config)
        self.begin = max(map(len, prompts))
        self.width = self.begin + max(map(len, answers))
        rows, mask = [], []
        for prompt, answer in zip(prompts, answers, strict=True):
            before = self.begin - len(prompt)
            after = self.width - self.begin - len(answer)
            rows.append([pad_id] * before + [*prompt, *answer] + [pad_id] * after)
            mask.append([0] * before + [1] * (self.width - before))
        self.ids = torch.tensor(rows, device=model.device)
        self.mask = torch.tensor(mask, device=model.device)
        self.positions = (self.mask.cumsum(-1) - 1).clamp(min=0)

    def logprobs(self, most_logits: int) -> Tensor:
        """(rows, answer columns); what stands in padded columns means nothing."""
        import torch

        first = self._pass(0, self.begin, kept=1)
        pieces = [self._of_next(first, self.begin)]
        column = self.begin
        step = max(1, most_logits // (len(self.ids) * first.shape[-1]))
        while column < self.width - 1:
            end = min(column + step, self.width - 1)
            pieces.append(self._of_next(self._pass(column, end, kept=end - column), column + 1))
            column = end
        return torch.cat(pieces, dim=1)

    def _pass(self, start: int, end: int, *, kept: int) -> Tensor:
        """Feed these columns; the logits after the last `kept` of them."""
        logits: Tensor = self.model(
            input_ids=self.ids[:, start:end],
            attention_mask=self.mask[:, :end],
            position_ids=self.positions[:, start:end],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=kept,
        ).logits[:, -kept:]
        return logits.float()

    def _of_next(self, logits: Tensor, column: int) -> Tensor:
        """The log-probabilities of the ids from this column on, one for each step of logits."""
        told = self.ids[:, column : column + logits.shape[1], None]
        return logits.gather(-1, told)[..., 0] - logits.logsumexp(-1)
