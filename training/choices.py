"""What a training configuration can choose from. Knows nothing of torch."""

from __future__ import annotations

from enum import StrEnum


class Method(StrEnum):
    """What is learnt from what.

    SFT: answers to prompts. DPO: which of two answers is better (Rafailov et al. 2023,
    arXiv:2305.18290). KTO: whether an answer is good (Ethayarajh et al. 2024, arXiv:2402.01306).
    PRETRAIN: plain text, to know a domain before its tasks (Gururangan et al. 2020,
    arXiv:2004.10964).
    """

    SFT = "sft"
    DPO = "dpo"
    KTO = "kto"
    PRETRAIN = "pretrain"


class Weights(StrEnum):
    """Which weights move: low-rank matrices beside the base, or all of its own."""

    LORA = "lora"
    FULL = "full"


class Scheduler(StrEnum):
    """How the learning rate moves after the warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


class Dtype(StrEnum):
    """In which precision the base is held and multiplied; what is trained stays in float32."""

    AUTO = "auto"  # bfloat16 on a GPU that has it, else float32
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
