"""A merged model answers as base and adapter do, and is written whole or not at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, StropError
from backend.services.derivation import recorded_parents
from backend.services.models.adapter_files import read_model
from backend.services.models.adopt import adopt_adapter
from backend.services.models.exporting import CONVERTER, export_merged, find_converter
from backend.services.models.versions import find_model
from backend.services.projects import create_project
from backend.settings import Settings
from tests.fixtures_models import byte_tokenizer, make_tiny_base, tiny_adapter
from training.weights.digest import template_sha256, tokenizer_sha256


@dataclass(frozen=True, slots=True)
class Desk:
    """A project whose v1 is the adapter in `adapter`."""

    sessions: sessionmaker[Session]
    project_id: int
    base: Path
    adapter: Path
    out: Path

    def export(self, name: str = "v1", **more: Any) -> Any:
        return export_merged(self.sessions, self.project_id, name, self.out, **more)

    def beside(self) -> list[str]:
        return sorted(file.name for file in self.out.parent.iterdir())


@pytest.fixture
def desk(
    sqlite_sessions: sessionmaker[Session], settings: Settings, tiny_base: Path, tmp_path: Path
) -> Desk:
    return _desk(sqlite_sessions, settings, tiny_base, tmp_path)


def _desk(sessions: sessionmaker[Session], settings: Settings, base: Path, tmp_path: Path) -> Desk:
    with sessions.begin() as session:
        project = create_project(session, "desk", base_model=str(base)).id
    adapter = tiny_adapter(settings.artifacts / "v1", base)
    adopt_adapter(sessions, project, "v1", adapter, settings=settings)
    (tmp_path / "exports").mkdir()
    return Desk(sessions, project, base, adapter, tmp_path / "exports" / "out")


def test_a_merged_model_answers_as_base_and_adapter_do(desk: Desk) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    exported = desk.export()
    assert (exported.folder, exported.dtype, desk.beside()) == (desk.out, "float32", ["out"])
    ids = torch.tensor([[9, 70, 80, 90, 12]])
    bare = AutoModelForCausalLM.from_pretrained(desk.base)
    alone = bare(ids).logits
    beside = PeftModel.from_pretrained(bare, str(desk.adapter)).eval()(ids).logits
    merged = AutoModelForCausalLM.from_pretrained(desk.out)(ids).logits
    assert torch.allclose(merged, beside, atol=1e-4)
    assert not torch.allclose(merged, alone, atol=1e-1)
    for digest in (tokenizer_sha256, template_sha256):
        assert digest(desk.out) == digest(desk.base)


def test_its_record_names_what_it_was_made_of(desk: Desk) -> None:
    exported = desk.export()
    facts = read_model(desk.out).facts
    with desk.sessions() as session:
        adapter = find_model(session, desk.project_id, "v1")
    assert recorded_parents(facts) == [adapter.adapter_sha256]
    assert facts["model_sha256"] == exported.sha256


def _there_already(desk: Desk) -> None:
    desk.out.mkdir()


def _dangling_link(desk: Desk) -> None:
    desk.out.symlink_to("nowhere")


def _no_parent(desk: Desk) -> None:
    shutil.rmtree(desk.out.parent)


def _changed(desk: Desk) -> None:
    file = desk.adapter / "adapter_config.json"
    file.write_text(file.read_text().replace('"lora_alpha": 8', '"lora_alpha": 9'))


@pytest.mark.parametrize(
    ("name", "before", "error", "message"),
    [
        ("v1", _there_already, Conflict, "is there already"),
        ("v1", _dangling_link, Conflict, "is there already"),
        ("v1", _no_parent, InvalidInput, "no folder"),
        ("v1", _changed, InvalidInput, "changed since it was registered"),
        ("v1+brief", lambda desk: None, InvalidInput, "names a prompt, too"),
        ("base", lambda desk: None, InvalidInput, "base is no adapter"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(
    desk: Desk, name: str, before: Any, error: type[StropError], message: str
) -> None:
    before(desk)
    with pytest.raises(error, match=message):
        desk.export(name)
    assert not desk.out.parent.exists() or desk.beside() in ([], ["out"])


def _on_the_embedding(adapter: Path) -> Path:
    """Let an adapter change the embedding, which the tiny base has as its head, too."""
    name = "base_model.model.model.embed_tokens.lora_embedding_"
    shapes = {"A": (4, len(byte_tokenizer())), "B": (32, 4)}
    tensors = {name + part: np.ones(shape, np.float32) for part, shape in shapes.items()}
    save_file(tensors, adapter / "adapter_model.safetensors")
    return adapter


def test_packed_and_tied_weights_are_refused(
    sqlite_sessions: sessionmaker[Session], settings: Settings, tmp_path: Path
) -> None:
    base = make_tiny_base(tmp_path / "base")
    desk = _desk(sqlite_sessions, settings, base, tmp_path)
    head = _on_the_embedding(shutil.copytree(desk.adapter, settings.artifacts / "head"))
    adopt_adapter(sqlite_sessions, desk.project_id, "head", head, settings=settings)
    with pytest.raises(InvalidInput, match=r"head@1 changes model\.embed_tokens"):
        desk.export("head")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"quantization_config": {"bits": 4}}))
    with pytest.raises(InvalidInput, match="is quantised"):
        desk.export()
    assert desk.beside() == []


def _script(folder: Path, lines: str) -> Path:
    """A converter of the test, which looks like llama.cpp's."""
    file = folder / CONVERTER
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)
    return file


def test_a_gguf_comes_from_the_converter_on_the_path(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match=r"no convert_hf_to_gguf\.py on the PATH") as refused:
        find_converter()
    assert "llama.cpp" in str(refused.value.hint)
    failing = _script(tmp_path, "echo 'Model LlamaX is not supported' >&2; exit 1")
    with pytest.raises(InvalidInput, match="wrote no GGUF: Model LlamaX is not supported"):
        desk.export(converter=failing)
    assert desk.beside() == []
    _script(tmp_path, 'test -f "$1/model.safetensors" && echo GGUF > "$3"')
    exported = desk.export(converter=find_converter())
    assert exported.gguf == desk.out / "out.gguf"
    assert exported.gguf.read_text() == "GGUF\n"
