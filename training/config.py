"""What one training run is told, read from YAML and checked before anything heavy.

Knows nothing of torch: the backend imports this module to write and to check a configuration, and
to find the folders of a run. Relative paths count from the working directory. A run is started with
`python -m training.sft --config x.yaml`.

What is wrong with a training configuration, in sentences that say what to write instead.

What a training configuration can choose from. Knows nothing of torch.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from training.errors import TrainingError as TrainingError
from training.methods import METHODS as METHODS
from training.methods import Method as Method

_NO_MANIFEST = (
    "Training refuses to start without a success manifest: manifest_digest is missing. "
    "Set the bar first with `strop manifest set FILE` and write its sha256 here."
)


def describe_problem(
    problem: Mapping[str, Any], whole: type[BaseModel], sections: Mapping[str, type[BaseModel]]
) -> str:
    """One sentence on one problem.

    Args:
        problem: as pydantic's `ValidationError.errors` gives it.
        whole: the configuration; sections: its parts, by name.
    """
    where = [str(part) for part in problem["loc"]]
    name = ".".join(where)
    if problem["type"] == "extra_forbidden":
        return f"There is no key {name!r}{_nearest(where, sections.get(where[0], whole))}."
    if problem["type"] == "missing":
        return _NO_MANIFEST if name == "manifest_digest" else f"{name} is missing."
    if name == "manifest_digest":
        return f"{_NO_MANIFEST.split(':')[0]}: manifest_digest must be the 64 hexadecimal digits."
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"{name}: {problem['msg'][0].lower()}{problem['msg'][1:]}, not {problem['input']!r}."


def _nearest(where: list[str], model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(where[-1], model.model_fields, n=1, cutoff=0.0)
    prefix = ".".join(where[:-1])
    return f", did you mean {prefix + '.' if prefix else ''}{near[0]}" if near else ""


class Weights(StrEnum):
    """Which weights move: low-rank matrices beside the base, all of its own, or vectors that stand
    before every prompt (Lester et al. 2021, arXiv:2104.08691)."""

    LORA = "lora"
    FULL = "full"
    PROMPT_TUNING = "prompt-tuning"


class Scheduler(StrEnum):
    """How the learning rate moves after the warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


class Dtype(StrEnum):
    """In which precision the base is held and multiplied; what is trained stays in float32."""

    AUTO = "auto"  # training.assemble.resolve_dtype
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


class SoftPrompt(Strict):
    """The vectors that prompt tuning trains; they begin as those of tokens drawn by the seed."""

    tokens: PositiveInt = Field(20, le=1024, description="How many stand before a prompt.")


class Canaries(Strict):
    """Random sequences planted among the rows, whose exposure says what training remembers."""

    count: int = Field(8, ge=1, le=1000, description="How many are planted; as many are controls.")
    repeats: tuple[PositiveInt, ...] = Field(
        (1,), min_length=1, description="How often each is planted; several go round."
    )
    length: int = Field(8, ge=4, le=32, description="Random digits of each.")
    references: int = Field(
        255,
        ge=31,
        le=65_535,
        description="Random sequences that each is ranked among; log2 of it is what can be shown.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Of all that is drawn.")


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


Cadence = Literal["epoch"] | PositiveInt

EXIT_DONE = 0
EXIT_ALREADY_TRAINING = 4  # 2 and 3 are a finding and INCONCLUSIVE elsewhere in Strop

RESULT_NAME = "strop.json"
PROGRESS_NAME = "progress.jsonl"
ADAPTER_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"

_NO_RECIPE = frozenset(
    {"base_model", "train_file", "validation_file", "output_dir", "start_from", "threads"}
    | {"report_to", "price_per_hour", "validation_share"}  # the files' digests say what it did
    | {"earlier_file", "measure_forgetting", "prompt", "check"}
)
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "lora": LoraShape,
    "prompt_tuning": SoftPrompt,
    "canaries": Canaries,
    "search": SearchSpace,
}


def check_adapter_name(name: str) -> None:
    """Check what is to name an adapter: it becomes part of paths, URLs and labels such as v1@2.

    Raises:
        TrainingError: it has other signs than letters, digits, `.`, `_` and `-`, is longer than 80,
            begins with one of the three, or is `base`.
    """
    if not re.fullmatch(ADAPTER_NAME, name) or len(name) > 80 or name == "base":
        raise TrainingError(
            f"{name[:80]!r} cannot name an adapter or a model: letters, digits, '.', '_' and '-' "
            "can, 80 at most, beginning with a letter or a digit.",
            hint="Try a word such as v1.",
        )


class ConfigError(TrainingError):
    """The configuration cannot be used."""


class AlreadyTraining(TrainingError):
    """Another process holds the lock of this output folder."""

    exit_code = EXIT_ALREADY_TRAINING


_PREFERENCES = " and ".join(name for name, one in METHODS.items() if one.by_preference)
_SHAPES = "; ".join(f"{name}: {', '.join(one.fields)}" for name, one in METHODS.items())


class TrainedPrompt(Strict):
    """The prompt that the rows of a set were rendered with; digest is of what it says."""

    name: str = Field(description="Its name in the project.")
    version: PositiveInt = Field(description="Its version.")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of what it says.")
    shots: bool = Field(False, description="Whether its shots stand in the rows.")


class TrainedCheck(Strict):
    """How a checker is asked, and the answers that it learns; digest is of the whole form."""

    version: PositiveInt = Field(description="Version of the form of the question.")
    yes: str = Field(min_length=1, description="The answer where the source supports a sentence.")
    no: str = Field(min_length=1, description="The answer where it does not.")
    source_bytes: PositiveInt = Field(description="How much of a source is shown, in UTF-8.")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the form.")


class TrainingConfig(Strict):
    """One training run."""

    method: Method = Field(Method.SFT, description=f"One of {', '.join(METHODS)}.")
    base_model: str = Field(min_length=1, description="Folder or hub name of the base model.")
    train_file: Path = Field(
        description=f"JSONL whose prompts and answers are chat messages. {_SHAPES}."
    )
    validation_file: Path | None = Field(
        None, description="JSONL of the same shape whose loss is watched; never the test split."
    )
    validation_share: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description=f"{_PREFERENCES}: share of the groups of the set whose rows Strop keeps out of "
        "training for the validation file, 5 groups at least.",
    )
    earlier_file: Path | None = Field(
        None,
        description="JSONL of sft rows that stand for earlier tasks and are not trained on; the "
        "loss on them is measured before and after.",
    )
    measure_forgetting: bool = Field(
        True,
        description="Measure what was lost: the loss on general text and on earlier_file, before "
        "and after.",
    )
    output_dir: Path = Field(description="Folder that the adapter appears in, whole, at the end.")
    manifest_digest: str = Field(
        pattern=r"^(sha256:)?[0-9a-f]{64}$",
        description="sha256 of the success manifest that was set before this training.",
    )
    training_set_digest: str | None = Field(
        None, description="Digest of the frozen training set that the train file was written from."
    )
    prompt: TrainedPrompt | None = Field(
        None, description="The prompt that the rows were rendered with, for the record."
    )
    check: TrainedCheck | None = Field(
        None,
        description="How the checker that the rows teach is asked; the loss is then of the first "
        "token of an answer alone.",
    )
    start_from: Path | None = Field(
        None,
        description="Folder of an adapter to go on from, whose rank and modules must be ours; with "
        "weights: full, of a fully trained model.",
    )
    weights: Weights = Field(
        Weights.LORA,
        description="lora trains an adapter; full trains all weights of a small base, and the "
        "result is a model of its own (a tenth of the learning rate of LoRA is usual); "
        "prompt-tuning trains vectors before the prompt, which vLLM does not serve (a learning "
        "rate of 0.01 or more is usual).",
    )
    lora: LoraShape = Field(LoraShape(), description="Shape of the adapter.")
    prompt_tuning: SoftPrompt = Field(SoftPrompt(), description="Shape of what it trains.")
    epochs: float = Field(3.0, gt=0, description="Passes over the training rows.")
    learning_rate: float = Field(2e-4, gt=0, description="Peak learning rate of AdamW.")
    beta: float = Field(
        0.1,
        gt=0,
        description=f"{_PREFERENCES}: how strongly the adapter is held to where it began.",
    )
    undesirable_weight: float = Field(
        1.0, gt=0, description="kto: weight of bad answers beside good ones."
    )
    batch_size: PositiveInt = Field(
        8,
        description="Rows per process and batch; a processor computes them in passes of 1,024 "
        "tokens at most, or of one row.",
    )
    gradient_accumulation: PositiveInt = Field(1, description="Batches per update.")
    max_length: PositiveInt = Field(1024, description="Longest row in tokens.")
    truncate: bool = Field(False, description="Cut longer rows at the end instead of refusing.")
    completion_only: bool = Field(True, description="Loss on the completion, not on the prompt.")
    packing: bool = Field(
        False, description="sft: join short rows to rows of max_length; none sees its neighbours."
    )
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay of AdamW.")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="Share of updates that warm up.")
    scheduler: Scheduler = Field(Scheduler.COSINE, description="Learning rate after warm-up.")
    early_stopping_patience: PositiveInt | None = Field(
        None, description="Evaluations without a lower validation loss before training stops."
    )
    evaluate_every: Cadence = Field("epoch", description="Updates between validations, or epoch.")
    save_every: Cadence = Field("epoch", description="Updates between checkpoints, or epoch.")
    log_every: PositiveInt = Field(5, description="Updates between two lines of the loss curve.")
    group_by_length: bool = Field(
        False,
        description="Draw batches of similar length, in random order: less padding on a GPU (a "
        "processor pads nothing), but a batch then holds one kind of text, and short answers weigh "
        "more than in mixed batches.",
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations twice to save memory; about a fifth slower."
    )
    dtype: Dtype = Field(
        Dtype.AUTO,
        description="Precision of the base model; auto is bfloat16 on a GPU that has it, and on a "
        "processor that has it for bases of a hidden size from 512, else float32.",
    )
    quantize: Literal["4bit"] | None = Field(
        None,
        description="Hold the base model in 4 bits (QLoRA, arXiv:2305.14314) by bitsandbytes, for "
        "bases whose weights fill the memory.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of initial weights, order and dropout.")
    threads: PositiveInt | None = Field(None, description="CPU threads of torch; default is all.")
    report_to: tuple[Reporter, ...] = Field(
        (), description="mlflow, wandb or tensorboard; nothing is sent anywhere unless named here."
    )
    price_per_hour: float | None = Field(
        None, ge=0, description="What this machine costs an hour, for the ledger, in any currency."
    )
    canaries: Canaries | None = Field(
        None,
        description="Plant random sequences beside the rows, and measure how much of them the "
        "result gives away.",
    )
    search: SearchSpace | None = Field(
        None, description="Try every combination and keep that of the lowest validation loss."
    )

    @field_validator("start_from", "validation_file", "earlier_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _canaries_can_work(self) -> TrainingConfig:
        if self.canaries is not None and self.check is not None:
            raise ValueError(
                "canaries have no meaning for a checker: its loss is of one word. Leave them out."
            )
        return self

    @model_validator(mode="after")
    def _full_training_can_work(self) -> TrainingConfig:
        if self.weights is Weights.FULL and self.lora != LoraShape():
            raise ValueError("lora has no meaning with weights: full. Leave it out.")
        if self.weights is Weights.FULL and self.quantize is not None:
            raise ValueError("quantize holds the base still, and weights: full moves all of it.")
        return self

    @model_validator(mode="after")
    def _prompt_tuning_can_work(self) -> TrainingConfig:
        if self.weights is not Weights.PROMPT_TUNING:
            if self.prompt_tuning != SoftPrompt():
                raise ValueError(f"prompt_tuning has no meaning with weights: {self.weights}.")
            return self
        meaningless = {
            "lora": self.lora != LoraShape(),
            "packing": self.packing,
            "quantize": self.quantize is not None,
            "start_from": self.start_from is not None,
        }
        if named := [name for name, given in meaningless.items() if given]:
            raise ValueError(f"weights: prompt-tuning goes without {', '.join(named)}.")
        if METHODS[self.method].by_preference:
            raise ValueError(
                f"weights: prompt-tuning learns answers or texts, and {self.method} preferences."
            )
        return self

    @model_validator(mode="after")
    def _packing_can_work(self) -> TrainingConfig:
        if self.packing and (refusal := METHODS[self.method].no_packing):
            raise ValueError(refusal.format(method=self.method))
        return self

    @model_validator(mode="after")
    def _validation_share_can_work(self) -> TrainingConfig:
        if self.validation_share is None:
            return self
        if not METHODS[self.method].by_preference:
            raise ValueError(
                f"validation_share is for {_PREFERENCES}: {self.method} watches the validation "
                "split."
            )
        if self.validation_file is None:
            raise ValueError("validation_share says how a validation_file was drawn: name it.")
        return self

    @model_validator(mode="after")
    def _search_can_work(self) -> TrainingConfig:
        if self.search is not None and self.validation_file is None:
            raise ValueError("search needs a validation_file: it never looks at the test split.")
        ranked = self.search is not None and self.search.rank
        if ranked and self.weights is not Weights.LORA:
            raise ValueError(
                f"search.rank has no meaning with weights: {self.weights}. Leave it out."
            )
        return self

    @model_validator(mode="after")
    def _early_stopping_can_work(self) -> TrainingConfig:
        if self.early_stopping_patience is None:
            return self
        if self.validation_file is None:
            raise ValueError("early_stopping_patience needs a validation_file.")
        if self.save_every != self.evaluate_every:
            raise ValueError(
                "early_stopping_patience needs save_every equal to evaluate_every, "
                "so that the best state is kept."
            )
        return self


def load_config(path: Path) -> TrainingConfig:
    """Read and check a YAML file.

    Raises:
        ConfigError: the file cannot be read, is no mapping, or a key is missing, unknown or wrong.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        detail = " ".join(str(error).split())
        raise ConfigError(f"{path} is not YAML: {detail}.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no `key: value` lines.")
    return parse_config(values, source=str(path))


def parse_config(values: Mapping[str, Any], *, source: str = "the configuration") -> TrainingConfig:
    """Check a mapping; all problems are named in one `ConfigError`."""
    try:
        return TrainingConfig.model_validate(dict(values))
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [describe_problem(one, TrainingConfig, _SECTIONS) for one in found]
        raise ConfigError(f"{source}: " + " ".join(problems)) from error


def dump_config(config: TrainingConfig) -> str:
    """The resolved configuration as YAML, every key written out; `load_config` reads it back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def recipe_sha256(config: TrainingConfig, inputs: Mapping[str, str | None]) -> str:
    """Digest of all that decides the adapter: settings and file contents, not where they lie.

    Args:
        inputs: sha256 by name of what is read: data files, base model, tokeniser, template.
    """
    unused = set() if config.weights is Weights.PROMPT_TUNING else {"prompt_tuning"}
    unused |= set() if config.canaries is not None else {"canaries"}
    recipe = config.model_dump(mode="json", exclude={*_NO_RECIPE, *unused})
    text = json.dumps({"config": recipe, "inputs": dict(inputs)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def partial_dir(output_dir: Path) -> Path:
    """Where an unfinished run keeps its checkpoints; gone once `output_dir` is there."""
    return output_dir.with_name(output_dir.name + ".partial")


def lock_file(output_dir: Path) -> Path:
    """The file that a living trainer holds with flock; it holds the process id as text."""
    return output_dir.with_name(output_dir.name + ".lock")


def progress_file(output_dir: Path) -> Path:
    """The loss curve as JSON lines: of the finished run if there is one, else of the living one."""
    finished = output_dir / PROGRESS_NAME
    if finished.is_file():
        return finished
    curves = trials_dir(output_dir).glob(f"*/{PROGRESS_NAME}")  # of a search, the newest trial's
    newest = max(curves, key=lambda file: file.stat().st_mtime_ns, default=None)
    return newest or partial_dir(output_dir) / PROGRESS_NAME


def trials_dir(output_dir: Path) -> Path:
    """Where an unfinished search keeps its trials."""
    return partial_dir(output_dir) / "trials"
