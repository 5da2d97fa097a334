"""The model card of what was trained, in the form that PEFT and the hub read: a README.

Made from what `strop.json` says, so that it can be written again when something new is known.
Knows nothing of torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_METHODS = {
    "sft": "supervised fine-tuning",
    "dpo": "direct preference optimization",
    "kto": "Kahneman-Tversky optimization",
    "pretrain": "continued pre-training",
}
_FACTS = (
    "manifest_digest",
    "training_set_digest",
    "train_sha256",
    "validation_sha256",
    "start_from_sha256",
    "base_sha256",
    "tokenizer_sha256",
    "template_sha256",
    "adapter_sha256",
    "model_sha256",
    "ended_at",
)


def render_card(result: Mapping[str, Any]) -> str:
    """The card of one training.

    Args:
        result: what `strop.json` holds.
    """
    config, losses = result["config"], _losses(result["loss_curve"])
    facts = {name: result[name] for name in _FACTS if result.get(name) is not None}
    rows = "\n".join(f"| {name} | `{value}` |" for name, value in facts.items())
    full = config.get("weights") == "full"
    return f"""---
base_model: {json.dumps(result["base_model"])}
library_name: {"transformers" if full else "peft"}
pipeline_tag: text-generation
tags: [{"full" if full else "lora"}, {config["method"]}, strop]
---

# {"Model trained from" if full else "LoRA adapter for"} {result["base_model"]}

Trained by {_METHODS[config["method"]]} on {result["train"]["rows"]} rows for
{config["epochs"]:g} epochs, {_shape(config)},
learning rate {config["learning_rate"]:g}, seed {config["seed"]}. {losses}

A loss says nothing of quality: what this is worth is decided by the comparison against the
success manifest named below.

| | |
|---|---|
{rows}
"""


def _shape(config: Mapping[str, Any]) -> str:
    if config.get("weights") == "full":
        return "all weights"
    return f"rank {config['lora']['rank']}, alpha {config['lora']['alpha']}"


def _losses(curve: list[dict[str, Any]]) -> str:
    train = [line["loss"] for line in curve if "loss" in line]
    held = [line["eval_loss"] for line in curve if "eval_loss" in line]
    text = f"Training loss went from {train[0]:.3f} to {train[-1]:.3f}." if train else ""
    return text + (f" Lowest validation loss: {min(held):.3f}." if held else "")
