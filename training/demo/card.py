"""The README of the demo's base model: how it was made, its digests, its loss, its measured limits.

Answers for a card that can be checked: a test compares its digests with the files beside it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.demo.pretrain import PretrainRecipe
from training.weights.digest import model_sha256, template_sha256, tokenizer_sha256

_FIGURES = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)
_HEAD = """---
license: apache-2.0
pipeline_tag: text-generation
---
# The demo's base model

A Llama-architecture model of {parameters:,} parameters with a byte-level BPE tokenizer of {words:,}
tokens, made by this repository's own scripts from a generated corpus about a telecom support desk
in English and German. No text and no weights of anyone else went into it.

    python -m training.demo.make_base --out training/demo/base --seed {seed} --steps {steps}

remakes it on a CPU (another processor, or another number of threads, gives other last digits).

## What it is for
It is fluent in the desk's three tasks and wrong in the ways that Strop is there to find: most of
the writers in its corpus put what is usual in the place of what the source says, label hastily, or
slip in German. So, decoded greedily, it invents prices, dates and amounts, takes some intents for
others, and uses wrong terms; the careful minority of its corpus keeps the better behaviour within
reach of a LoRA adapter trained on a few hundred examples. It shares no customer with the demo's
data, and it is of no use for anything else: it knows no other language, task or subject.

## Recipe
```json
{recipe}
```

## Digests (sha256)
| what | sha256 |
| --- | --- |
| model | {model} |
| tokenizer | {tokenizer} |
| chat template | {template} |

## Loss
Weighted cross-entropy in nats per token, mean of the batches before each step.

{losses}

## Measured
<!-- figures -->
Not measured yet: run `python -m training.demo.tune --base FOLDER --card`.
<!-- end of figures -->
"""


def write_card(folder: Path, recipe: PretrainRecipe, losses: Sequence[Mapping[str, float]]) -> None:
    """Write README.md beside the model in `folder`; figures are added by `add_figures`."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = _HEAD.format(
        parameters=count_parameters(folder / "model.safetensors"),
        words=config["vocab_size"],
        seed=recipe.seed,
        steps=recipe.steps,
        recipe=json.dumps(asdict(recipe), indent=2),
        model=model_sha256(folder),
        tokenizer=tokenizer_sha256(folder),
        template=template_sha256(folder),
        losses=_table([_mean_loss(losses, end) for end in _milestones(losses)]),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def count_parameters(weights: Path) -> int:
    """Number of weights in a safetensors file."""
    from math import prod

    from safetensors import safe_open

    with safe_open(weights, framework="pt") as tensors:
        return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118


def add_figures(folder: Path, intro: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put a table of measurements in the card of `folder`, in place of the last one."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8")
    figures = f"{intro}\n\n{_table(rows)}\n"
    card.write_text(_FIGURES.sub(lambda _: figures, text), encoding="utf-8")


def _milestones(losses: Sequence[Mapping[str, float]]) -> list[float]:
    steps = [line["step"] for line in losses]
    return steps[:2] + steps[4 :: max(1, len(steps) // 12)] + steps[-1:]


def _mean_loss(losses: Sequence[Mapping[str, float]], end: float) -> dict[str, float]:
    last = [line["loss"] for line in losses if line["step"] <= end][-3:]
    return {"step": end, "loss": round(sum(last) / len(last), 3)}


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([str(row[name]) for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
