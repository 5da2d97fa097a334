"""Seq2seq models that answer whether a source supports a sentence, by the first token they'd write.

How such a model is asked is not told by its configuration: a new form is an entry of `YES_NO`. A
model that would write something else was trained on something else, and its number is no support.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluators.checks.named.rating import LoadedChecker, LoadedModel, Options, load
from evaluators.checks.named.sentences import LONGEST, WEAK, Pair, SentenceChecker, forward
from evaluators.errors import EvaluatorError


@dataclass(frozen=True, slots=True)
class YesNoForm:
    """How a seq2seq model is asked, and what it answers.

    Attributes:
        asks: with {source}, {claim} and {eos}, the model's own end token.
        yes, no: of which the first token is read.
        paper: where the form is from.
    """

    asks: str
    yes: str
    no: str
    paper: str


YES_NO: Mapping[str, YesNoForm] = {
    "minicheck": YesNoForm("predict: {source}{eos}{claim}", "1", "0", "arXiv:2404.10774"),
    "true": YesNoForm("premise: {source} hypothesis: {claim}", "1", "0", "arXiv:2204.04991"),
}


def open_yes_no(model: str, options: Options) -> LoadedChecker:
    """A seq2seq model that answers yes or no, in the form `options.form` (MiniCheck's by default).

    Raises:
        EvaluatorError: it cannot be loaded, or both answers begin with one token.
    """
    from transformers import AutoModelForSeq2SeqLM

    form = YES_NO[options.form or "minicheck"]
    loaded = load(model, AutoModelForSeq2SeqLM, longest=LONGEST)
    yes, no = (
        int(loaded.tokenizer(word, add_special_tokens=False)["input_ids"][0])
        for word in (form.yes, form.no)
    )
    if yes == no:
        raise EvaluatorError(f"To {model!r} the answers {form.yes} and {form.no} begin alike.")
    eos = loaded.tokenizer.eos_token or ""

    def ask(pairs: list[Pair]) -> list[float | None]:
        texts = [
            form.asks.format(source=_without(eos, a), claim=_without(eos, b), eos=eos)
            for a, b in pairs
        ]
        return _first_answers(loaded, texts, yes, no)

    overhead = loaded.count(form.asks.format(source="", claim="", eos=eos)) + 2
    words = f"{form.yes} nor {form.no}"
    return SentenceChecker(loaded, ask, overhead, None, words)


def _without(token: str, text: str) -> str:
    return text.replace(token, " ") if token else text


def _first_answers(loaded: LoadedModel, texts: list[str], yes: int, no: int) -> list[float | None]:
    """p(yes) / (p(yes) + p(no)) of the first token; None where both together are unlikely."""
    import torch

    batch = loaded.tokenizer(
        texts, padding=True, truncation=True, max_length=loaded.room, return_tensors="pt"
    )
    batch.pop("token_type_ids", None)
    begun = torch.full((len(texts), 1), _start(loaded.network), device=loaded.device)
    logits = forward(loaded, batch, decoder_input_ids=begun).logits[:, 0].float()
    shares = logits.softmax(dim=-1)[:, [yes, no]].cpu().tolist()
    return [a / (a + b) if a + b >= WEAK else None for a, b in shares]


def _start(network: Any) -> int:
    """The token before the first one of an answer."""
    for config in (network.generation_config, network.config):
        if (start := getattr(config, "decoder_start_token_id", None)) is not None:
            return int(start)
    return 0
