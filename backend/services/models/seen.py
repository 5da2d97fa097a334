"""Weights as their files are now: a base, an adapter beside its base, a fully trained model.

Reading takes seconds a gigabyte, so that no transaction should be open. Knows no database.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from backend.engines.adapters.fit import check_fits_base
from backend.engines.adapters.folders import AdapterFolder, read_adapter
from backend.errors import InvalidInput, raised_as
from backend.services.models.adapter_files import ModelFolder, check_model_finite, read_model
from training.config import TrainingError
from training.weights.digest import adapter_sha256, model_sha256, resolve_model
from training.weights.digest import template_sha256 as digest_of_template
from training.weights.digest import tokenizer_sha256 as digest_of_tokenizer


@dataclass(frozen=True, slots=True)
class SeenBase:
    """A base or a whole model as its files are now."""

    base_sha256: str
    tokenizer_sha256: str
    template_sha256: str

    def as_columns(self) -> dict[str, str]:
        """The digests under the names of their columns."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SeenAdapter:
    """An adapter that was read whole and fits its base; `digest` is of its two files."""

    folder: AdapterFolder
    digest: str


@dataclass(frozen=True, slots=True)
class SeenModel:
    """A fully trained model that was read whole."""

    folder: ModelFolder
    digests: SeenBase


def see_base(base_model: str) -> SeenBase:
    """Read a base model; takes seconds a gigabyte, so no transaction should be open.

    Raises:
        InvalidInput: it is not there, has no template, or holds numbers that are not finite.
    """
    with raised_as(InvalidInput, TrainingError):
        folder = resolve_model(base_model)
        check_model_finite(folder)
        return _digests(folder)


def see_adapter(folder: Path, base_model: str) -> SeenAdapter:
    """Read an adapter beside its base; errors as of `read_adapter` and `check_fits_base`."""
    adapter = read_adapter(folder)
    with raised_as(InvalidInput, TrainingError):
        check_fits_base(adapter, resolve_model(base_model))
        return SeenAdapter(adapter, adapter_sha256(folder))


def see_model(folder: Path) -> SeenModel:
    """Read a fully trained model; errors as of `read_model`."""
    model = read_model(folder)
    with raised_as(InvalidInput, TrainingError):
        return SeenModel(model, _digests(folder))


def _digests(folder: Path) -> SeenBase:
    return SeenBase(model_sha256(folder), digest_of_tokenizer(folder), digest_of_template(folder))
