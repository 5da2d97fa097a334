"""What a training configuration can choose from. Knows nothing of torch."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator


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

    AUTO = "auto"  # training.rows.assemble.resolve_dtype
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Reporter(StrEnum):
    """Who else is told the loss; each is a package of that name."""

    MLFLOW = "mlflow"
    WANDB = "wandb"
    TENSORBOARD = "tensorboard"


class Strict(BaseModel):
    """Settings that refuse what they do not know and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class LoraShape(Strict):
    """The low-rank matrices that are trained (Hu et al. 2021, arXiv:2106.09685)."""

    rank: PositiveInt = Field(16, description="Rank r of the two matrices.")
    alpha: PositiveInt = Field(32, description="Scale; the update is multiplied by alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout before the first matrix.")
    target_modules: str | list[str] = Field(
        "all-linear", description="Module names that get an adapter, or all-linear."
    )
    rslora: bool = Field(
        False, description="Scale by alpha / sqrt(rank), for high ranks (arXiv:2312.03732)."
    )
    dora: bool = Field(
        False, description="Train direction and magnitude apart (arXiv:2402.09353); slower."
    )


class SearchSpace(Strict):
    """Values to try; every combination is trained, and the lowest validation loss is kept.

    An empty list leaves the configuration's own value. With a rank of the list, alpha keeps its
    ratio to the rank, so that the update keeps its scale.
    """

    rank: tuple[PositiveInt, ...] = Field((), description="Ranks of the adapter.")
    learning_rate: tuple[PositiveFloat, ...] = Field((), description="Peak learning rates.")
    epochs: tuple[PositiveFloat, ...] = Field((), description="Passes over the training rows.")

    @model_validator(mode="after")
    def _has_something_to_try(self) -> SearchSpace:
        lists = (self.rank, self.learning_rate, self.epochs)
        if not any(lists):
            raise ValueError("search names nothing to try: rank, learning_rate or epochs.")
        if any(len(set(values)) < len(values) for values in lists):
            raise ValueError("search names a value twice.")
        return self
