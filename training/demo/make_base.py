"""Make the demo's base model and tokenizer from the demo corpus.

    python -m training.demo.make_base --out training/demo/base --seed 7

Answers for the finished folder: tokenizer with chat template, weights in bfloat16, configuration.
Give `--work DIR` to keep checkpoints: the same command then goes on where it was cut off.
"""

import argparse
import json
import os
import shutil
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from training.demo.card import write_card
from training.demo.corpus import stream_documents
from training.demo.pretrain import PretrainRecipe, pretrain
from training.demo.tokenizer import train_tokenizer

TOKENIZER_DOCUMENTS = 8_192


def make_base(recipe: PretrainRecipe, *, out: Path, work: Path) -> None:
    """Train tokenizer and model and put the folder at `out` in one rename."""
    documents = islice(stream_documents(seed=recipe.seed), TOKENIZER_DOCUMENTS)
    tokenizer = train_tokenizer(text for d in documents for _, text in d.turns)
    write_base(pretrain(tokenizer, recipe, work=work), tokenizer, out)
    lines = (work / "loss.jsonl").read_text(encoding="utf-8").splitlines()
    write_card(out, recipe, [json.loads(line) for line in lines])


def write_base(model: Any, tokenizer: Any, out: Path) -> None:
    """Write model and tokenizer beside `out`, then move them there."""
    import torch

    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.generation_config.max_new_tokens = None
    model.to(torch.bfloat16).save_pretrained(part)
    tokenizer.save_pretrained(part)
    if out.exists():
        shutil.rmtree(out)
    part.rename(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=PretrainRecipe().steps)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, help="folder for checkpoints")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    recipe = replace(PretrainRecipe(), seed=options.seed, steps=options.steps)
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        make_base(recipe, out=options.out, work=work)


if __name__ == "__main__":
    main()
