"""The one that answers for adapter folders: what is in them, and what is refused.

`read_adapter` opens an adapter for registration, preflight, serving and training alike, and says in
one sentence why it will not: a file that could run code, a configuration that is not a LoRA
adapter's, tensors that are none, not finite, or of another rank than declared. Whether it fits a
base is `backend.engines.adapters.fit`'s to say; which folders a project may name, that of the
service that registers them.

The configuration of an adapter, as PEFT writes it, checked for what Strop can serve.

A file that somebody hands in: of another type, with numbers that are none, nested beyond reading or
naming code to import, it is refused in one sentence.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from backend.engines.adapters.unsafe import refuse_unsafe_files
from backend.engines.base import ServedModel
from backend.errors import InvalidInput, raised_as
from training.config import TrainingError
from training.weights.digest import ADAPTER_FILES
from training.weights.tensors import Tensor, read_tensors, require_finite

VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank accepts
_MOST_BYTES = 64_000_000
_AGAIN = "Save the adapter again with PEFT."
_MOST_REPEATS = 2


def _check_pattern(pattern: str) -> str:
    """PEFT and vLLM match these as regular expressions against the name of every module, so none
    may take for ever: no repeated group, and few repeats."""
    repeats = re.findall(r"[*+{]", pattern)
    if re.search(r"\)[*+{]", pattern) or len(repeats) > _MOST_REPEATS:
        raise ValueError("the pattern repeats too much to be a module's name")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"the pattern cannot be used ({error})") from error
    return pattern


Pattern = Annotated[str, Field(max_length=200), AfterValidator(_check_pattern)]
Rank = Annotated[int, Field(ge=1, le=1 << 16)]
# These initialisations move the base's own weights: all but LoRA-GA again when PEFT loads the
# adapter, and with them what the base and every other adapter in the process answer; the base that
# LoRA-GA moved in training is lost, and the adapter is of no other.
_MOVES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
# Variants that compute something else than a low-rank update of linear layers and embeddings.
_OTHER_VARIANTS = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "use_bdlora",
    "use_qalora",
)


class AdapterConfig(BaseModel):
    """What decides how a LoRA adapter, or a soft prompt, is applied; what else PEFT writes is
    passed over."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    peft_type: Literal["LORA", "PROMPT_TUNING"]
    r: Annotated[int, Field(ge=0, le=1 << 16)] = 0
    num_virtual_tokens: Rank | None = None
    lora_alpha: int | float = Field(8, gt=0)
    base_model_name_or_path: str | None = None
    target_modules: Pattern | list[str] | None = None
    rank_pattern: dict[Pattern, Rank] = Field(default_factory=dict)
    alpha_pattern: dict[Pattern, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    modules_to_save: list[str] = Field(default_factory=list)
    trainable_token_indices: list[int] | dict[str, list[int]] | None = None
    bias: Literal["none", "all", "lora_only"] = "none"
    lora_bias: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    fan_in_fan_out: bool = False
    init_lora_weights: bool | str = True

    @property
    def is_soft_prompt(self) -> bool:
        """Whether it is vectors before the prompt (prompt tuning), and changes no layer."""
        return self.peft_type == "PROMPT_TUNING"

    @property
    def rank(self) -> int:
        """The largest rank in it, patterns included; 0 of a soft prompt."""
        return max([self.r, *self.rank_pattern.values()])

    def unserved_by_vllm(self) -> list[str]:
        """What vLLM 0.32 refuses (its PEFTHelper.validate_legal), a sentence each."""
        return unserved_by_vllm(
            rank=self.rank,
            dora=self.use_dora,
            soft_prompt=self.is_soft_prompt,
            modules_to_save=self.modules_to_save,
            others=[
                name for name in ("lora_bias", "trainable_token_indices") if getattr(self, name)
            ]
            + (["bias"] if self.bias != "none" else []),
        )


def unserved_by_vllm(
    *,
    rank: int,
    dora: bool,
    soft_prompt: bool = False,
    modules_to_save: list[str] | None = None,
    others: list[str] | None = None,
) -> list[str]:
    """What of an adapter's shape vLLM 0.32 does not serve, and the local engine does; a sentence
    each."""
    found = ["use_dora (DoRA)"] if dora else []
    if soft_prompt:
        found.append("vectors before the prompt (prompt tuning)")
    if modules_to_save:
        found.append(f"modules_to_save ({', '.join(modules_to_save)[:200]})")
    if rank > VLLM_RANKS[-1]:
        found.append(f"rank {rank}, of which vLLM takes at most {VLLM_RANKS[-1]}")
    return [
        f"vLLM does not serve adapters with {what}: run it with --engine local."
        for what in [*found, *(others or ())]
    ]


def read_config(file: Path) -> AdapterConfig:
    """Read and check adapter_config.json.

    Raises:
        InvalidInput: it is missing, not JSON, not a LoRA adapter's, or of a variant that computes
            something else.
    """
    content = {key: value for key, value in read_json_object(file).items() if value is not None}
    kind = content.get("peft_type")
    if kind not in ("LORA", "PROMPT_TUNING"):
        raise InvalidInput(
            f"{file.parent.name} is a {str(kind)[:40]} adapter.",
            hint="Strop serves LoRA adapters and prompt tuning.",
        )
    try:
        config = AdapterConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:200]
        raise InvalidInput(
            f"{file.name} of {file.parent.name} is not the configuration of an adapter: "
            f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}.",
            hint=_AGAIN,
        ) from error
    size = "num_virtual_tokens" if config.is_soft_prompt else "r"
    if not getattr(config, size):
        raise InvalidInput(
            f"{file.name} of {file.parent.name} does not say how large it is: {size} is missing or "
            "0.",
            hint=_AGAIN,
        )
    _refuse_variants(file, config, content)
    return config


def _refuse_variants(file: Path, config: AdapterConfig, content: dict[str, Any]) -> None:
    found = [name for name in _OTHER_VARIANTS if content.get(name)]
    if found:
        raise InvalidInput(
            f"The adapter {file.parent.name} has {', '.join(found)}, which Strop does not serve.",
            hint="Train it as a plain LoRA adapter.",
        )
    start = config.init_lora_weights
    if isinstance(start, str) and start.lower().startswith(_MOVES_BASE):
        raise InvalidInput(
            f"The adapter {file.parent.name} began as {start[:40]}, which moves the base's own "
            "weights.",
            hint="Convert it to plain LoRA: PEFT's path_initial_model_for_weight_conversion.",
        )


def read_json_object(file: Path) -> dict[str, Any]:
    """A JSON object that can be stored and printed: finite numbers, whole characters.

    Raises:
        InvalidInput: there is no such file, or it is anything else.
    """
    name = f"{file.name} of {file.parent.name}"
    if not file.is_file():
        raise InvalidInput(
            f"{file.parent.name} has no {file.name}.", hint="Is it a PEFT adapter folder?"
        )
    if file.stat().st_size > _MOST_BYTES:
        raise InvalidInput(f"{name} is too large to be a configuration.", hint=_AGAIN)
    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()  # half characters, 1e999
    except RecursionError:
        raise InvalidInput(f"{name} is nested too deeply.", hint=_AGAIN) from None
    except ValueError as error:
        reason = str(error).splitlines()[0][:200]
        raise InvalidInput(f"{name} is not JSON that can be read: {reason}.", hint=_AGAIN) from None
    if not isinstance(content, dict):
        raise InvalidInput(f"{name} does not hold an object.", hint=_AGAIN)
    if "\\u0000" in json.dumps(content):  # which PostgreSQL cannot keep
        raise InvalidInput(f"{name} holds a zero character.", hint=_AGAIN)
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


CONFIG_FILE, WEIGHTS_FILE = ADAPTER_FILES
FACTS_FILE = "strop.json"
SOFT_PROMPT = "prompt_embeddings"


@dataclass(frozen=True, slots=True)
class LoraPair:
    """The two matrices of one module: A is (rank, in), B is (out, rank).

    Of an embedding (`is_embedding`), `inputs` counts its rows.
    """

    module: str
    rank: int
    inputs: int
    outputs: int
    is_embedding: bool = False


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """What an adapter's folder says of itself.

    Attributes:
        rank: the largest LoRA rank that it declares, patterns included.
        facts: what training recorded in strop.json; empty for adapters made elsewhere.
        tensors: of its safetensors, by name.
        pairs: its LoRA matrices, one entry a module.
        whole: tensors that stand in the place of the base's own, by the base's name for them.
        soft_prompt: of prompt tuning, the vectors: (number, width of the base).
    """

    path: Path
    config: AdapterConfig
    facts: dict[str, Any]
    tensors: Mapping[str, Tensor]
    pairs: tuple[LoraPair, ...]
    whole: Mapping[str, Tensor]
    soft_prompt: Tensor | None = None

    @property
    def rank(self) -> int:
        """See above."""
        return self.config.rank

    @property
    def notes(self) -> list[str]:
        """What a vLLM server would not serve of it, in sentences."""
        return self.config.unserved_by_vllm()


def read_adapter(path: Path) -> AdapterFolder:
    """Look at an adapter folder without loading it into a model.

    Raises:
        InvalidInput: a file of the folder could run code, leads out of it, is missing, damaged or
            not what it should be; the weights are not finite, or not those that the configuration
            declares.
    """
    refuse_unsafe_files(path)
    config = read_config(path / CONFIG_FILE)
    facts = path / FACTS_FILE
    record = read_json_object(facts) if facts.exists() else {}
    with raised_as(InvalidInput, TrainingError):
        tensors = read_tensors(path / WEIGHTS_FILE)
        require_finite(tensors, f"The adapter {path.name}")
    checked = check_facts(path, record)
    if config.is_soft_prompt:
        vectors = _soft_prompt(path.name, config, tensors)
        return AdapterFolder(path, config, checked, tensors, (), {}, vectors)
    pairs, whole = _sort_tensors(path.name, config, tensors)
    return AdapterFolder(path, config, checked, tensors, pairs, whole)


def _soft_prompt(name: str, config: AdapterConfig, tensors: Mapping[str, Tensor]) -> Tensor:
    found = tensors.get(SOFT_PROMPT)
    if found is None or len(tensors) > 1 or len(found.shape) != 2:
        raise InvalidInput(f"The adapter {name} holds no soft prompt alone.", hint=_AGAIN)
    if found.shape[0] != config.num_virtual_tokens:
        raise InvalidInput(
            f"The adapter {name} declares {config.num_virtual_tokens} vectors, and holds "
            f"{found.shape[0]}.",
            hint=_AGAIN,
        )
    return found


def check_facts(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The record of training, of which digests are read as text."""
    for name, value in record.items():
        if name.endswith("_sha256") and not isinstance(value, str | None):
            raise InvalidInput(f"{FACTS_FILE} of {path.name}: {name} is not text.", hint=_DELETE_IT)
    parents = record.get("merged_from") or []
    by_sha256 = isinstance(parents, list) and all(
        isinstance(one, dict) and isinstance(one.get("sha256"), str) for one in parents
    )
    if not by_sha256:
        raise InvalidInput(
            f"{FACTS_FILE} of {path.name}: merged_from does not list adapters by sha256.",
            hint=_DELETE_IT,
        )
    return record


_DELETE_IT = "It is not the record of a training; delete it."


def _sort_tensors(
    name: str, config: AdapterConfig, tensors: Mapping[str, Tensor]
) -> tuple[tuple[LoraPair, ...], dict[str, Tensor]]:
    """LoRA pairs, and tensors in the place of the base's; others are refused."""
    halves: dict[str, dict[str, Tensor]] = {}
    whole: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        module, part = _split(key)
        if part in _HALVES:
            halves.setdefault(module, {})[part] = tensor
        elif part in _BESIDE:
            _check_declared(name, config, key, part)
        else:
            whole[module] = tensor
    if not halves:
        raise InvalidInput(f"The adapter {name} holds no LoRA matrices.", hint=_AGAIN)
    pairs = tuple(_pair(name, config, module, found) for module, found in halves.items())
    return pairs, whole


_HALVES = frozenset({"lora_A.weight", "lora_B.weight", "lora_embedding_A", "lora_embedding_B"})
_BESIDE = {  # tensors of variants, and the field that declares the variant
    "lora_magnitude_vector": "use_dora",
    "lora_magnitude_vector.weight": "use_dora",
    "lora_B.bias": "lora_bias",
    "token_adapter.trainable_tokens_delta": "trainable_token_indices",
}


def _split(key: str) -> tuple[str, str]:
    """Module and part of a tensor's name; of a whole tensor the base's name for it, and nothing."""
    name = key.removeprefix("base_model.model.")
    for part in (*_HALVES, *_BESIDE):
        if name.endswith("." + part):
            return name.removesuffix("." + part), part
    return name.replace(".base_layer.", ".").replace(".modules_to_save.", "."), ""


def _check_declared(name: str, config: AdapterConfig, key: str, part: str) -> None:
    if not getattr(config, _BESIDE[part]):
        raise InvalidInput(
            f"The adapter {name} holds {key[:200]!r}, and its configuration does not set "
            f"{_BESIDE[part]}.",
            hint=_AGAIN,
        )


def _pair(name: str, config: AdapterConfig, module: str, found: Mapping[str, Tensor]) -> LoraPair:
    embedding = "lora_embedding_A" in found
    parts = ("lora_embedding_A", "lora_embedding_B") if embedding else _LINEAR
    if set(found) != set(parts):
        missing = " and ".join(sorted(set(parts) - set(found)) or sorted(set(found) - set(parts)))
        raise InvalidInput(
            f"The adapter {name} has one half of the matrices of {module[:200]!r}: {missing} does "
            "not match.",
            hint=_AGAIN,
        )
    first, second = (found[part].shape for part in parts)
    declared = declared_rank(config, module)
    if len(first) != 2 or len(second) != 2 or not first[0] == second[1] == declared:
        raise InvalidInput(
            f"The adapter {name} declares rank {declared} for {module[:200]!r}, and its matrices "
            f"have the shapes {first} and {second}.",
            hint="Its configuration belongs to other weights: save both again with PEFT.",
        )
    return LoraPair(module, declared, first[1], second[0], embedding)


_LINEAR = ("lora_A.weight", "lora_B.weight")


def declared_rank(config: AdapterConfig, module: str) -> int:
    """The rank of a module: of the first pattern that matches its name or an end of it, as PEFT
    and vLLM have it, else the adapter's own."""
    for pattern, rank in config.rank_pattern.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return rank
    return config.r


def content_digest(model: ServedModel) -> str:
    """The adapter's known digest, else one of its two files, so that a changed folder shows.

    Raises:
        InvalidInput: the folder is not an adapter.
    """
    if model.adapter_path is None:
        raise ValueError(f"{model.name} is a base model, not an adapter")
    if model.adapter_sha256:
        return model.adapter_sha256
    read_adapter(model.adapter_path)
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        with (model.adapter_path / name).open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def shared_base(models: list[ServedModel]) -> str:
    """The one base model of all; raises InvalidInput when there are none or several."""
    bases = sorted({model.base_model for model in models})
    if len(bases) != 1:
        raise InvalidInput(
            f"One engine serves one base model, but {len(bases)} were named"
            + (f": {', '.join(bases)}." if bases else "."),
            hint="Run the models of each base by themselves.",
        )
    return bases[0]
