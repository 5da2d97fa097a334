"""The configuration of an adapter, as PEFT writes it, checked for what Strop can serve.

A file that somebody hands in: of another type, with numbers that are none, nested beyond reading or
naming code to import, it is refused in one sentence.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from backend.errors import InvalidInput

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
# These initialisations change the base's own weights when PEFT loads the adapter, and with them
# what the base and every other adapter in the process answer.
_MOVES_BASE = ("pissa", "olora", "corda", "loftq")
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
    """What decides how a LoRA adapter is applied; what else PEFT writes is passed over."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    peft_type: Literal["LORA"]
    r: Rank
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
    def rank(self) -> int:
        """The largest rank in it, patterns included."""
        return max([self.r, *self.rank_pattern.values()])

    def unserved_by_vllm(self) -> list[str]:
        """What vLLM 0.32 refuses (its PEFTHelper.validate_legal), a sentence each."""
        return unserved_by_vllm(
            rank=self.rank,
            dora=self.use_dora,
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
    modules_to_save: list[str] | None = None,
    others: list[str] | None = None,
) -> list[str]:
    """What of an adapter's shape vLLM 0.32 does not serve, and the local engine does; a sentence
    each."""
    found = ["use_dora (DoRA)"] if dora else []
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
    if kind != "LORA":
        raise InvalidInput(
            f"{file.parent.name} is a {str(kind)[:40]} adapter.", hint="Strop serves LoRA adapters."
        )
    try:
        config = AdapterConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:200]
        raise InvalidInput(
            f"{file.name} of {file.parent.name} is not the configuration of a LoRA adapter: "
            f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}.",
            hint=_AGAIN,
        ) from error
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
            f"The adapter {file.parent.name} began as {start[:40]}, which changes the base's own "
            "weights when it is loaded.",
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
