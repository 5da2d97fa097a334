"""Train a small Llama model from nothing on the demo corpus, in a plain torch loop.

Answers for batches, the optimiser and checkpoints; knows nothing of what the corpus says. A run
that is cut off goes on from its last checkpoint.
"""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from training.demo.copying import seed_copying
from training.demo.corpus import corpus_documents
from training.demo.tokenizer import render_turns

Row = tuple[list[int], list[float]]


@dataclass(frozen=True, slots=True)
class PretrainRecipe:
    """Everything that decides the trained weights, with the tokenizer."""

    seed: int = 7
    steps: int = 750
    cooldown: float = 250
    batch_tokens: int = 4096
    long_row: int = 600
    long_share: float = 0.06
    prompt_weight: float = 0.3
    learning_rate: float = 3e-3
    warmup: int = 60
    weight_decay: float = 0.02


def llama_config(tokenizer: Any) -> Any:
    """The shape of the base: 3.5 million parameters, head size 32, tied embeddings."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=tokenizer.model_max_length,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def stream_batches(
    tokenizer: Any, recipe: PretrainRecipe, *, start: tuple[int, int] = (0, 0)
) -> Iterator[tuple[tuple[int, int], list[Row]]]:
    """Yield (place of the next batch, rows of similar length) without end.

    A place is (chunk, batch in the chunk); starting at a place gives the batches from there on.
    """
    for chunk in count(start[0]):
        rng = random.Random(f"batches-{recipe.seed}-{chunk}")
        rows = _token_rows(tokenizer, recipe, chunk)
        batches = _cut_batches(_pack_some(rows, recipe, rng), recipe.batch_tokens)
        rng.shuffle(batches)
        for index in range(start[1] if chunk == start[0] else 0, len(batches)):
            yield (chunk, index + 1), batches[index]


def _token_rows(tokenizer: Any, recipe: PretrainRecipe, chunk: int) -> list[Row]:
    documents = [
        d for part in range(4) for d in corpus_documents(seed=recipe.seed, chunk=4 * chunk + part)
    ]
    texts = [render_turns(d.turns) for d in documents]
    given = tokenizer([g for g, _ in texts], add_special_tokens=False)["input_ids"]
    learnt = tokenizer(["".join(a) for _, a in texts], add_special_tokens=False)["input_ids"]
    return [
        (g + a, [recipe.prompt_weight if a else 1.0] * len(g) + [_answer_weight(a)] * len(a))
        for g, a in zip(given, learnt, strict=True)
    ]


def _answer_weight(answer: list[int]) -> float:
    """Short answers, such as labels, weigh more, or the long ones would drown them."""
    return min(4.0, max(1.0, 20 / max(1, len(answer))))


def _pack_some(rows: list[Row], recipe: PretrainRecipe, rng: random.Random) -> list[Row]:
    """Join a share of the rows into long ones, so that late positions are trained too."""
    rng.shuffle(rows)
    split = int(len(rows) * recipe.long_share)
    packed: list[Row] = []
    tokens: list[int] = []
    weights: list[float] = []
    for ids, shares in rows[:split]:
        tokens, weights = tokens + ids, weights + shares
        if len(tokens) >= recipe.long_row:
            packed.append((tokens[: recipe.long_row], weights[: recipe.long_row]))
            tokens, weights = [], []
    return rows[split:] + packed


def _cut_batches(rows: list[Row], batch_tokens: int) -> list[list[Row]]:
    rows = sorted(rows, key=lambda row: len(row[0]))
    batches: list[list[Row]] = [[]]
    for row in rows:
        if len(row[0]) * (len(batches[-1]) + 1) > batch_tokens and batches[-1]:
            batches.append([])
        batches[-1].append(row)
    return batches


def weigh_loss(model: Any, rows: list[Row], pad: int) -> Any:
    """Mean cross-entropy of the next token in nats, weighted as the rows say."""
    import torch
    import torch.nn.functional as functional

    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([r + [pad] * (width - len(r)) for r, _ in rows])
    weights = torch.tensor([w + [0.0] * (width - len(w)) for _, w in rows])[:, 1:]
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    losses = functional.cross_entropy(
        logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    )
    return (losses * weights.flatten()).sum() / weights.sum()


def _make_optimizers(model: Any, recipe: PretrainRecipe) -> list[Any]:
    import torch

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(
            matrices,
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate_at(step: int, recipe: PretrainRecipe) -> float:
    """Learning rate at a step: warm-up, level, then down to a fiftieth over the last `cooldown`."""
    left = (recipe.steps - step) / recipe.cooldown
    return recipe.learning_rate * min((step + 1) / recipe.warmup, 1.0, max(0.02, left))


def pretrain(tokenizer: Any, recipe: PretrainRecipe, *, work: Path, save_every: int = 50) -> Any:
    """Train to `recipe.steps`, keeping checkpoint and loss curve in `work`; returns the model."""
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(recipe.seed)
    # On a processor the fused kernel's backward pass costs twice the plain one at this length.
    model = LlamaForCausalLM._from_config(llama_config(tokenizer), attn_implementation="eager")
    seed_copying(model, seed=recipe.seed)
    optimizers = _make_optimizers(model, recipe)
    step, start = _load_checkpoint(work, model, optimizers)
    started = time.monotonic()
    for place, rows in stream_batches(tokenizer, recipe, start=start):
        if step >= recipe.steps:
            break
        loss = weigh_loss(model, rows, tokenizer.pad_token_id)
        _take_step(model, optimizers, loss, rate_at(step, recipe))
        step += 1
        if step % 20 == 0:
            _log(work, step, float(loss.detach()), time.monotonic() - started)
        if step % save_every == 0 or step == recipe.steps:
            _save_checkpoint(work, model, optimizers, step, place)
    return model


def _take_step(model: Any, optimizers: list[Any], loss: Any, rate: float) -> None:
    import torch

    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()


def _log(work: Path, step: int, loss: float, seconds: float) -> None:
    with (work / "loss.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"step": step, "loss": round(loss, 4)}) + "\n")
    print(f"step {step} loss {loss:.3f} {seconds:.0f}s", flush=True)


def _save_checkpoint(
    work: Path, model: Any, optimizers: list[Any], step: int, place: tuple[int, int]
) -> None:
    import torch

    state = {
        "step": step,
        "place": list(place),
        "model": model.state_dict(),
        "optimizers": [o.state_dict() for o in optimizers],
    }
    torch.save(state, work / "checkpoint.part")
    (work / "checkpoint.part").replace(work / "checkpoint")


def _load_checkpoint(work: Path, model: Any, optimizers: list[Any]) -> tuple[int, tuple[int, int]]:
    import torch

    if not (work / "checkpoint").exists():
        return 0, (0, 0)
    state = torch.load(work / "checkpoint", weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    chunk, index = state["place"]
    return int(state["step"]), (chunk, index)
