"""How likely a model finds answers that it did not write: one batch of prompts and answers.

The prompts are padded on their left, so that all answers begin in one column, and equal prompts are
read once. The answers pass through the model in pieces, with a key-value cache, so that the logits
over the whole vocabulary are held for one piece of the batch at a time. They come from the model's
own head, because some families scale or cap them there. Imported only while a model runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from backend.engines.local.decoding import growing_cache

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
    with torch.inference_mode():
        reading = _AnswerBatch(model, prompts, answers, pad_id)
        found = reading.logprobs(most_logits).cpu()
    return [tuple(row[: len(answer)]) for row, answer in zip(found.tolist(), answers, strict=True)]


class _AnswerBatch:
    """A batch of answers, and the prompts before them; equal prompts are read once.

    Prompts are (different prompts, columns), padded on the left, answers (rows, columns), padded on
    the right.
    """

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        answers: Sequence[Sequence[int]],
        pad_id: int,
    ) -> None:
        self.model = model
        self.cache = growing_cache(model.config)
        places = {prompt: i for i, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
        begin, width = max(map(len, prompts)), max(map(len, answers))
        before = [[pad_id] * (begin - len(prompt)) + [*prompt] for prompt in places]
        mask = [[0] * (begin - len(prompt)) + [1] * len(prompt) for prompt in places]
        after = [[*answer] + [pad_id] * (width - len(answer)) for answer in answers]
        self.prompts, self.mask, self.answers = (
            torch.tensor(rows, device=model.device) for rows in (before, mask, after)
        )
        of_row = [places[tuple(prompt)] for prompt in prompts]
        self.of_row = torch.tensor(of_row, device=model.device)

    def logprobs(self, most_logits: int) -> Tensor:
        """(rows, answer columns); what stands in padded columns means nothing."""
        first = self._pass(self.prompts, kept=1)[self.of_row]
        self._give_each_row_its_prompt()
        pieces = [self._of_next(first, 0)]
        rows, width = self.answers.shape
        step = max(1, most_logits // (rows * first.shape[-1]))
        for column in range(0, width - 1, step):
            piece = self.answers[:, column : min(column + step, width - 1)]
            self.mask = torch.cat([self.mask, torch.ones_like(piece)], dim=1)
            logits = self._pass(piece, kept=piece.shape[1])
            pieces.append(self._of_next(logits, column + 1))
        return torch.cat(pieces, dim=1)

    def _give_each_row_its_prompt(self) -> None:
        if len(self.prompts) < len(self.answers):  # else each row is its own prompt's already
            self.cache.batch_select_indices(self.of_row)
        self.mask = self.mask[self.of_row]

    def _pass(self, ids: Tensor, *, kept: int) -> Tensor:
        """Feed these columns, the last of the mask; the logits after the last `kept` of them."""
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits: Tensor = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=kept,
        ).logits[:, -kept:]
        return logits.float()

    def _of_next(self, logits: Tensor, column: int) -> Tensor:
        """The log-probabilities of the answers' ids from this column on, one for each logit."""
        told = self.answers[:, column : column + logits.shape[1], None]
        return logits.gather(-1, told)[..., 0] - logits.logsumexp(-1)
