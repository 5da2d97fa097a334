"""Similarity of meaning by an encoder that the user names: whole texts, or token by token.

`embedding:MODEL` is the cosine of mean-pooled last hidden states. `bertscore:MODEL` matches each
token with the most similar one of the other text (Zhang et al. 2020, arXiv:1904.09675; F1, without
weights and without rescaling). MODEL is a path or a name that transformers can load.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from evaluators.errors import EvaluatorError
from evaluators.metric import Metric
from evaluators.types import Sample, Score

BATCH = 32
NEEDS = frozenset({"reference"})


@lru_cache(maxsize=2)
def load_encoder(model: str) -> tuple[Any, Any, str]:
    """Tokeniser, model and device.

    Raises:
        EvaluatorError: transformers cannot load it.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        encoder = AutoModel.from_pretrained(model).eval().to(device)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise EvaluatorError(
            f"The encoder {model!r} cannot be loaded: {reason}.", hint="Give a path or a hub name."
        ) from None
    return tokenizer, encoder, device


def encode(texts: Sequence[str], model: str) -> list[Any]:
    """Last hidden states of each text without its special tokens, tensors (tokens, width)."""
    import torch

    tokenizer, encoder, device = load_encoder(model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    limit = min(getattr(encoder.config, "max_position_embeddings", 512), 512)
    found: list[Any] = []
    for start in range(0, len(texts), BATCH):
        batch = tokenizer(
            list(texts[start : start + BATCH]),
            padding=True,
            truncation=True,
            max_length=limit,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        kept = batch["attention_mask"].bool() & ~batch.pop("special_tokens_mask").bool()
        batch.pop("token_type_ids", None)
        with torch.inference_mode():
            states = encoder(**batch.to(device)).last_hidden_state.float().cpu()
        found += [state[mask] for state, mask in zip(states, kept, strict=True)]
    return found


def mean_states(model: str, texts: Sequence[str]) -> list[Any]:
    """The mean state of each text, an array (width,); zeros for a text without a token."""
    return [
        state.mean(0).numpy() if len(state) else state.new_zeros(state.shape[1]).numpy()
        for state in encode(texts, model)
    ]


def cosine_of_means(a: Any, b: Any) -> float:
    """Cosine of the mean states, from -1 to 1."""
    import torch

    return float(torch.nn.functional.cosine_similarity(a.mean(0), b.mean(0), dim=0))


def matched_f1(a: Any, b: Any) -> float:
    """Greedy matching F1 of token states."""
    import torch

    one, two = (torch.nn.functional.normalize(x, dim=-1) for x in (a, b))
    similar = one @ two.T
    precision, recall = similar.max(dim=1).values.mean(), similar.max(dim=0).values.mean()
    return float(2 * precision * recall / (precision + recall))


def _score(samples: Sequence[Sample], *, model: str, compare: Any) -> list[Score]:
    texts = list(dict.fromkeys(t for s in samples for t in (s.prediction, *s.references)))
    states = dict(zip(texts, encode(texts, model), strict=True))
    return [_best(sample, states, compare) for sample in samples]


def _best(sample: Sample, states: dict[str, Any], compare: Any) -> Score:
    if not len(states[sample.prediction]):
        return Score(None, error="the output has no token")
    values = [
        compare(states[sample.prediction], states[r]) for r in sample.references if len(states[r])
    ]
    return Score(max(values)) if values else Score(None, error="the reference has no token")


def _metric(kind: str, compare: Any, description: str, model: str) -> Metric:
    return Metric(
        f"{kind}:{model}",
        1,
        partial(_score, model=model, compare=compare),
        needs=NEEDS,
        scale=None,
        recipe=lambda scores: "layer:last|pool:mean",
        description=description,
    )


def embedding(model: str) -> Metric:
    """Cosine similarity of the texts as a whole."""
    return _metric("embedding", cosine_of_means, "cosine of mean token states", model)


def bertscore(model: str) -> Metric:
    """Similarity by matching tokens."""
    return _metric("bertscore", matched_f1, "greedy token matching F1", model)
