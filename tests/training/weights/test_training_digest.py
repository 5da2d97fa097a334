"""Digests follow contents and names, not places; what is missing is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training.weights.digest import (
    NoSuchModel,
    adapter_sha256,
    model_sha256,
    read_template,
    resolve_model,
    template_sha256,
    tokenizer_sha256,
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    for name, text in {
        "config.json": "{}",
        "model.safetensors": "weights",
        "tokenizer.json": "{}",
        "tokenizer_config.json": "{}",
        "chat_template.jinja": "{{ messages }}",
        "adapter_config.json": "{}",
        "adapter_model.safetensors": "matrices",
    }.items():
        (folder / name).write_text(text)
    return folder


DIGESTS: dict[str, Callable[[Path], str]] = {
    "model": model_sha256,
    "tokenizer": tokenizer_sha256,
    "template": template_sha256,
    "adapter": adapter_sha256,
}


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("config.json", {"model"}),
        ("model.safetensors", {"model"}),
        ("tokenizer.json", {"tokenizer"}),
        ("chat_template.jinja", {"template"}),
        ("adapter_config.json", {"adapter"}),
        ("adapter_model.safetensors", {"adapter"}),
    ],
)
def test_that_a_change_shows_in_its_digest_only(base: Path, file: str, changed: set[str]) -> None:
    before = {name: digest(base) for name, digest in DIGESTS.items()}
    (base / file).write_text("other")
    after = {name: digest(base) for name, digest in DIGESTS.items()}
    assert {name for name in DIGESTS if before[name] != after[name]} == changed


def test_that_a_copy_has_the_same_digests(base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(base, tmp_path / "copy")
    assert all(digest(base) == digest(copy) for digest in DIGESTS.values())


def test_that_a_second_shard_changes_the_digest(base: Path) -> None:
    before = model_sha256(base)
    (base / "model-2.safetensors").write_text("")
    assert model_sha256(base) != before


@pytest.mark.parametrize("form", ["text", "list"])
def test_that_the_template_is_found_in_the_tokeniser_configuration(base: Path, form: str) -> None:
    text = (base / "chat_template.jinja").read_text()
    before = template_sha256(base)
    (base / "chat_template.jinja").unlink()
    kept = text if form == "text" else [{"name": "default", "template": text}]
    (base / "tokenizer_config.json").write_text(json.dumps({"chat_template": kept}))
    assert read_template(base) == text
    assert template_sha256(base) == before


@pytest.mark.parametrize("name", DIGESTS)
def test_that_an_empty_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoSuchModel):
        DIGESTS[name](tmp_path)


def test_that_a_folder_resolves_to_itself(base: Path) -> None:
    assert resolve_model(str(base)) == base


@pytest.mark.parametrize("name", ["no/such-model", "not a name!"])
def test_that_an_unknown_model_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NoSuchModel, match="There is no model"):
        resolve_model(name)
