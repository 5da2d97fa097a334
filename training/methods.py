"""The methods of training, in one table.

A new method is its name and its entry here, beside what reads and encodes its rows where those are
new; what a frozen set gives it is an entry of `backend.services.curation.formats`. The
configuration asks this table; torch and TRL are imported inside functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.rows.data import read_documents, read_rows
from training.rows.encode import Encoded, encode_answers, encode_preferences, encode_texts
from training.rows.preferences import read_labels, read_pairs

if TYPE_CHECKING:
    from training.config import TrainingConfig

Trainer = tuple[Any, Callable[..., Any]]


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


@dataclass(frozen=True, slots=True)
class TrainingMethod:
    """All that is asked of a method.

    Attributes:
        words: what a model card calls it.
        fields: what a row must have.
        read: reads and checks a file; DataError names the line that is not of this shape.
        encode: configuration, rows, tokeniser and the tokens that end an answer (the tokeniser's
            own by default) to what the trainer takes; DataError when the rows do not fit.
        trainer: TRL's trainer, and its arguments less those that all methods share.
        figures: what is measured on validation rows, and compared between trainings.
        by_preference: it learns from judgements of answers and is held to where it began (`beta`);
            the validation split has none, so it is watched on rows that are kept out of the set.
        no_packing: why its rows cannot be joined, in a sentence; empty where they can.
    """

    words: str
    fields: tuple[str, ...]
    read: Callable[[Path], list[Any]]
    encode: Callable[..., Encoded]
    trainer: Callable[[TrainingConfig], Trainer]
    figures: tuple[str, ...] = ("loss",)
    by_preference: bool = False
    no_packing: str = ""


def _token_trainer(config: TrainingConfig) -> Trainer:
    from trl import SFTConfig

    from training.trainer import BucketTrainer

    ready = {"dataset_kwargs": {"skip_prepare_dataset": True}, "packing": config.packing}
    return BucketTrainer, partial(SFTConfig, **ready)


def _pair_trainer(config: TrainingConfig) -> Trainer:
    from trl import DPOConfig

    from training.preference_trainer import PairTrainer

    return PairTrainer, partial(DPOConfig, beta=config.beta, **_where_training_began())


def _label_trainer(config: TrainingConfig) -> Trainer:
    from trl import KTOConfig

    from training.preference_trainer import LabelTrainer

    weight = config.undesirable_weight
    return LabelTrainer, partial(
        KTOConfig, beta=config.beta, undesirable_weight=weight, **_where_training_began()
    )


def _where_training_began() -> dict[str, bool]:
    """What the model said before its first step is computed once, not in every epoch.

    Several processes ask for it in every step: TRL hands it on in a file that each makes apart.
    """
    return {"precompute_ref_log_probs": os.environ.get("WORLD_SIZE", "1") == "1"}


_WHOLE_ROWS = (
    "packing cannot be combined with {method}: TRL joins rows of answers only, "
    "and a preference is between whole rows."
)

METHODS: dict[Method, TrainingMethod] = {
    Method.SFT: TrainingMethod(
        "supervised fine-tuning",
        ("prompt", "completion"),
        read_rows,
        encode_answers,
        _token_trainer,
    ),
    Method.DPO: TrainingMethod(
        "direct preference optimization",
        ("prompt", "chosen", "rejected"),
        read_pairs,
        encode_preferences,
        _pair_trainer,
        figures=("loss", "accuracy"),
        by_preference=True,
        no_packing=_WHOLE_ROWS,
    ),
    Method.KTO: TrainingMethod(
        "Kahneman-Tversky optimization",
        ("prompt", "completion", "label"),
        read_labels,
        encode_preferences,
        _label_trainer,
        by_preference=True,
        no_packing=_WHOLE_ROWS,
    ),
    Method.PRETRAIN: TrainingMethod(
        "continued pre-training",
        ("text",),
        read_documents,
        encode_texts,
        _token_trainer,
        no_packing="packing has no meaning for {method}: its blocks are full as it is.",
    ),
}
