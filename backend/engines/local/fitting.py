"""Puts an adapter on a transformers model by PEFT, or refuses it and leaves the model as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.engines.prompts import first_line
from backend.errors import EngineError


def fit_adapter(model: Any, path: Path, inner: str, name: str) -> Any:
    """The model with the adapter loaded beside those it has; unchanged if that fails.

    Raises:
        EngineError: the weights are for other layers or other shapes, or the file is cut short.
    """
    from peft import PeftConfig, PeftModel
    from safetensors import SafetensorError

    fitted = model
    try:
        if not isinstance(model, PeftModel):
            fitted = PeftModel(model, PeftConfig.from_pretrained(str(path)), adapter_name=inner)
        found = fitted.load_adapter(str(path), adapter_name=inner)
        if found.missing_keys or found.unexpected_keys:
            raise ValueError(
                f"{len(found.missing_keys)} of its layers are not in the file and "
                f"{len(found.unexpected_keys)} of the file's are not in the model"
            )
    except (RuntimeError, ValueError, KeyError, OSError, SafetensorError) as error:
        _remove_adapter(fitted, inner, whole=fitted is not model)
        raise EngineError(
            f"The adapter {name!r} at {path} does not fit this base model: {first_line(error)}.",
            hint="Was it trained on this base, and is its file whole?",
        ) from error
    return fitted.eval()


def _remove_adapter(model: Any, inner: str, *, whole: bool) -> None:
    if whole:
        model.unload()
    elif inner in getattr(model, "peft_config", {}):
        model.delete_adapter(inner)
