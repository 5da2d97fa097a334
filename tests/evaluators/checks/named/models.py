"""Checkers made by hand, of each form: what they say of a text is known beforehand.

The tokeniser knows the words of `WORDS` and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = "the a cat dog bird sat ran flew . 0 1 predict : premise hypothesis".split()  # noqa: SIM905


def word_tokenizer(*, eos: str = "") -> Any:
    """One token a word; pairs between [CLS] and [SEP], or texts that end with an end token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = [*SPECIAL, eos] if eos else SPECIAL
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if eos:
        single, pair = f"$A {eos}", f"$A {eos} $B:1 {eos}:1"
    else:
        single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
    named = [(word, vocabulary[word]) for word in special]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=named
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", eos_token=eos or None,
        model_input_names=["input_ids", "attention_mask", *([] if eos else ["token_type_ids"])],
    )  # fmt: skip


def bert_config(names: Sequence[str], **more: Any) -> Any:
    """A BERT of one layer and one head, as wide as a hand-made model needs."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        max_position_embeddings=64,
        pad_token_id=0,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        **more,
    )


def pair_classifier(
    folder: Path, names: Sequence[str], logits: Sequence[float], **more: Any
) -> Path:
    """A classifier that says of every pair what `logits` says."""
    import torch
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification(bert_config(names, **more))
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor(list(logits)))
    return _save(folder, model, word_tokenizer())


def random_classifier(folder: Path, names: Sequence[str]) -> Path:
    """A classifier of random weights, which says something else of every pair."""
    import torch
    from transformers import BertForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = BertForSequenceClassification(bert_config(names, initializer_range=1.0))
    return _save(folder, model, word_tokenizer())


def token_classifier(folder: Path, names: Sequence[str] = ("supported", "hallucinated")) -> Path:
    """Marks each word of an answer that does not stand in its source.

    A token attends to the tokens of its own word, and sees by their segment whether one of them is
    in the source. Segments: dimensions 28 and 29; what was seen: 30.
    """
    import torch
    from transformers import BertForTokenClassification

    model = BertForTokenClassification(bert_config(names))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        embeddings, layer = model.bert.embeddings, model.bert.encoder.layer[0]
        words = len(SPECIAL) + len(WORDS)
        embeddings.word_embeddings.weight[:, :words] = torch.eye(words)
        embeddings.token_type_embeddings.weight[0, 28] = 1.0
        embeddings.token_type_embeddings.weight[1, 29] = 1.0
        for norm in (
            embeddings.LayerNorm,
            layer.attention.output.LayerNorm,
            layer.output.LayerNorm,
        ):
            norm.weight.fill_(1.0)
        own = layer.attention.self
        for projection in (own.query, own.key):
            projection.weight[:words, :words] = 3.0 * torch.eye(words)
        own.value.weight[30, 28] = 1.0
        layer.attention.output.dense.weight[30, 30] = 10.0
        model.classifier.weight[1, 30] = -4.0
        model.classifier.bias[1] = 6.0
    return _save(folder, model, word_tokenizer())


def yes_no_model(folder: Path, yes: float, no: float, *, others: float = -4.0) -> Path:
    """A T5 that is the surer of a word for its first token the larger its number here is.

    What it reads moves the numbers a little.
    """
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = word_tokenizer(eos="</s>")
    start = tokenizer.convert_tokens_to_ids("[CLS]")
    config = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
        decoder_start_token_id=start, pad_token_id=0, eos_token_id=4, n_positions=64,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        attention = model.decoder.block[0].layer
        attention[0].SelfAttention.o.weight.zero_()
        attention[1].EncDecAttention.o.weight.mul_(0.1)
        attention[2].DenseReluDense.wo.weight.zero_()
        model.shared.weight[:, 0] = others  # the rows are the head's too
        for word, value in (("1", yes), ("0", no), ("[CLS]", 1.0)):
            model.shared.weight[tokenizer.convert_tokens_to_ids(word), 0] = value
        model.shared.weight[start, 1:] = 0.0
    return _save(folder, model, tokenizer)


def _save(folder: Path, model: Any, tokenizer: Any) -> Path:
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
