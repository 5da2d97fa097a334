"""Adapters from elsewhere: folders as five trainers leave them, copied whole or used in place."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.adapters.folders import WEIGHTS_FILE, read_adapter
from backend.errors import Forbidden, InvalidInput
from backend.services.models import adopt, placing
from backend.services.models.adopt import Adopted, adopt_adapter
from backend.services.models.versions import list_models, register_adapter
from backend.services.projects import create_project
from backend.settings import Settings
from backend.tables.models import ModelVersion
from tests.fixtures_models import tiny_adapter

MODULE = "model.layers.0.self_attn.q_proj"
HEAD = "lm_head"
TEMPLATE = "{{ messages }}"
PICKLE = b"\x80\x04K\x01."
TOKENS = {"a": 0, "b": 1}


def _tokenizer(folder: Path, *, template: str = TEMPLATE, end: str = "</s>", **more: int) -> None:
    content = {"model": {"type": "BPE", "vocab": TOKENS | more}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": end}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": end}))
    (folder / "chat_template.jinja").write_text(template)


def _peft(folder: Path, *, name: str = "org/base-model", width: int = 6, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    written = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": name}
    written |= {"target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | config
    (folder / "adapter_config.json").write_text(json.dumps(written))
    prefix = f"base_model.model.{MODULE}"
    tensors = {
        f"{prefix}.lora_A.weight": np.ones((2, width), np.float32),
        f"{prefix}.lora_B.weight": np.ones((8, 2), np.float32),
    }
    save_file(tensors, folder / WEIGHTS_FILE)
    (folder / "README.md").write_text("---\nlibrary_name: peft\n---\n")
    return folder


def _checkpoint(folder: Path, step: int, **config: Any) -> Path:
    checkpoint = _peft(folder / f"checkpoint-{step}", **config)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
        (checkpoint / name).write_bytes(PICKLE)
    state = {"global_step": step, "best_model_checkpoint": f"out/checkpoint-{min(step, 9)}"}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    return checkpoint


def _left_by_peft(folder: Path) -> None:
    _peft(folder)


def _left_by_trl(folder: Path) -> None:
    _peft(folder)
    _tokenizer(folder)
    _tokenizer(_checkpoint(folder, 10))
    (folder / "training_args.bin").write_bytes(PICKLE)


_UNSLOTH = (
    r"(?:.*?(?:language|text).*?(?:self_attn|attention|mlp|dense).*?(?:q_proj|v_proj).*?)"
    r"|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj|v_proj)))"
)


def _left_by_unsloth(folder: Path) -> None:
    mapping = {"base_model_class": "LlamaForCausalLM", "unsloth_fixed": True}
    name = "unsloth/base-model-unsloth-bnb-4bit"
    _peft(folder, name=name, target_modules=_UNSLOTH, auto_mapping=mapping)
    _tokenizer(folder, **{"<|PAD_TOKEN|>": 2})


def _left_by_llama_factory(folder: Path) -> None:
    _peft(folder, name="/data/models/Base-Model")
    _tokenizer(folder, template="{{ system }}{{ messages }}", end="<|im_end|>")
    _checkpoint(folder, 336)
    (folder / "training_args.bin").write_bytes(PICKLE)
    for name in ("all_results", "train_results", "trainer_state"):
        (folder / f"{name}.json").write_text("{}")
    (folder / "trainer_log.jsonl").write_text("{}\n")
    (folder / "training_loss.png").write_bytes(b"\x89PNG")


def _left_by_axolotl(folder: Path) -> None:
    _peft(folder, name="org/another-model", fan_in_fan_out=None)
    _tokenizer(folder)
    for step in (10, 20):
        _checkpoint(folder, step)
    (folder / "config.json").write_text("{}")
    (folder / "runs").mkdir()
    (folder / "adapter_model.bin").write_bytes(PICKLE)


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "base-model"
    folder.mkdir()
    weights = {f"{MODULE}.weight": (8, 6), f"{HEAD}.weight": (12, 6)}
    tensors = {name: np.zeros(shape, np.float32) for name, shape in weights.items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    _tokenizer(folder)
    return folder


@dataclass(frozen=True, slots=True)
class Desk:
    """A project, and how it takes an adapter in."""

    sessions: sessionmaker[Session]
    settings: Settings
    project_id: int

    @property
    def own(self) -> Path:
        return self.settings.artifacts / f"project-{self.project_id}"

    def add(self, folder: Path, name: str = "v1", *, in_place: bool = False) -> Adopted:
        return adopt_adapter(
            self.sessions,
            self.project_id,
            name,
            folder,
            settings=self.settings,
            in_place=in_place,
        )

    def labels(self) -> list[str]:
        with self.sessions() as session:
            return [model.label for model in list_models(session, self.project_id)]

    def left(self) -> list[str]:
        return sorted(file.name for file in self.own.glob("*")) if self.own.exists() else []


@pytest.fixture
def desk(sqlite_sessions: sessionmaker[Session], settings: Settings, base_folder: Path) -> Desk:
    with sqlite_sessions.begin() as session:
        project = create_project(session, "desk", base_model=str(base_folder))
        return Desk(sqlite_sessions, settings, project.id)


OTHER_TEMPLATE, OTHER_TOKENS = "another chat template", "1 token that the base's has not"
FOUR_BITS, NAMES, ENDS = "base in 4 bits", "names org/another-model", "end an answer with '<|im_"
PATTERN, LEFT_OUT = "written as the 1 modules", "Left out: "


@pytest.mark.parametrize(
    ("leave", "said"),
    [
        (_left_by_peft, []),
        (
            _left_by_trl,
            [f"{LEFT_OUT}training_args.bin (pickles, which can run code); 1 checkpoint"],
        ),
        (_left_by_unsloth, [PATTERN, LEFT_OUT, FOUR_BITS, OTHER_TOKENS]),
        (_left_by_llama_factory, [LEFT_OUT, OTHER_TEMPLATE, ENDS]),
        (_left_by_axolotl, [f"{LEFT_OUT}adapter_model.bin (pickles", NAMES]),
    ],
)
def test_what_five_trainers_leave_is_copied_and_what_differs_is_said(
    desk: Desk, tmp_path: Path, leave: Callable[[Path], None], said: list[str]
) -> None:
    leave(tmp_path / "out")
    adopted = desk.add(tmp_path / "out")
    assert len(adopted.notes) == len(said), adopted.notes
    for note, expected in zip(adopted.notes, said, strict=True):
        assert expected in note
    assert adopted.model.path.parent == desk.own
    files = {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert {file.name for file in adopted.model.path.iterdir()} == files
    assert desk.left() == [adopted.model.path.name]
    assert read_adapter(adopted.model.path).rank == 2
    assert (adopted.model.label, adopted.model.facts_known) == ("base:v1@1", False)


def test_the_same_files_again_are_the_same_revision_and_changed_ones_the_next(
    desk: Desk, tmp_path: Path
) -> None:
    source = _peft(tmp_path / "out")
    first = desk.add(source)
    assert desk.add(source) == first
    _peft(source, lora_alpha=8)
    assert desk.add(source).model.label == "base:v1@2"
    shutil.rmtree(source)
    assert read_adapter(first.model.path).config.lora_alpha == 4
    assert len(desk.left()) == 2


@pytest.mark.parametrize("in_place", [False, True])
def test_a_record_of_training_that_comes_later_is_the_next_revision(
    desk: Desk, tmp_path: Path, in_place: bool
) -> None:
    source = _peft(tmp_path / "out")
    known = [desk.add(source, in_place=in_place).model.facts_known]
    for facts in ({}, {"dataset_sha256": "a" * 64}, {"dataset_sha256": "b" * 64}):
        (source / "strop.json").write_text(json.dumps(facts))
        model = desk.add(source, in_place=in_place).model
        assert read_adapter(model.path).facts == facts
        assert desk.add(source, in_place=in_place).model == model
        known.append(model.facts_known)
    (source / "strop.json").unlink()
    assert desk.add(source, in_place=in_place).model.label == "base:v1@3"
    assert known == [False, False, True, True]
    assert desk.labels() == ["base", "base:v1@1", "base:v1@2", "base:v1@3"]
    assert len(desk.left()) == (0 if in_place else 3)


def test_the_same_adapter_from_two_people_at_once_is_one(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _peft(tmp_path / "out")
    holds, others = placing._holds, list[Adopted]()

    def look_just_before_somebody_else(place: Path, digest: str) -> bool:
        monkeypatch.setattr(placing, "_holds", holds)
        there = holds(place, digest)
        others.append(desk.add(source))
        return there

    monkeypatch.setattr(placing, "_holds", look_just_before_somebody_else)
    assert desk.add(source) == others[0]
    assert (desk.labels(), len(desk.left())) == (["base", "base:v1@1"], 1)


def _empty(folder: Path) -> None:
    folder.mkdir()


def _only_checkpoints(folder: Path) -> None:
    for step in (9, 100, 20):
        _checkpoint(folder, step)
    (folder / "adapter_config.json").write_text("{}")  # Axolotl writes it before it trains


def _only_a_pickle(folder: Path) -> None:
    _peft(folder)
    (folder / WEIGHTS_FILE).rename(folder / "adapter_model.bin")


def _whole_model(folder: Path) -> None:
    folder.mkdir()
    save_file({"w": np.zeros(1, np.float32)}, folder / "model.safetensors")


def _other_shape(folder: Path) -> None:
    _peft(folder, width=7)


def _truncated(folder: Path) -> None:
    file = _peft(folder) / WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:-3])


def _larger_vocabulary(folder: Path) -> None:
    _peft(folder, modules_to_save=[HEAD])
    tensors = {
        f"base_model.model.{MODULE}.lora_A.weight": np.ones((2, 6), np.float32),
        f"base_model.model.{MODULE}.lora_B.weight": np.ones((8, 2), np.float32),
        f"base_model.model.{HEAD}.weight": np.ones((13, 6), np.float32),
    }
    save_file(tensors, folder / WEIGHTS_FILE)


@pytest.mark.parametrize(
    ("leave", "message"),
    [
        (_empty, "out has no adapter_model.safetensors"),
        (_only_checkpoints, r"the newest is checkpoint-100 \(its trainer's best was checkpoint-9"),
        (_only_a_pickle, "adapter_model.bin, a pickle, which is never loaded"),
        (_whole_model, "is a whole model"),
        (_other_shape, "The adapter out was made for another base model"),
        (_truncated, "of out is cut short"),
        (_larger_vocabulary, "trained with another vocabulary"),
    ],
)
def test_what_is_no_adapter_here_is_one_sentence_and_leaves_nothing(
    desk: Desk, tmp_path: Path, leave: Callable[[Path], None], message: str
) -> None:
    leave(tmp_path / "out")
    with pytest.raises(InvalidInput, match=message):
        desk.add(tmp_path / "out")
    assert (desk.labels(), desk.left()) == (["base"], [])


def test_a_copy_that_is_not_registered_is_removed(desk: Desk, tmp_path: Path) -> None:
    source = _peft(tmp_path / "out")
    (source / "strop.json").write_text(json.dumps({"base_sha256": "f" * 64}))
    with pytest.raises(InvalidInput, match="trained on another base"):
        desk.add(source)
    assert (desk.labels(), desk.left()) == (["base"], [])


def test_a_copy_that_somebody_else_registered_meanwhile_stays(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, register = _peft(tmp_path / "out"), placing.register_adapter

    def lose(*_: object, **__: object) -> ModelVersion:
        monkeypatch.setattr(placing, "register_adapter", register)
        desk.add(source)
        raise InvalidInput("refused")

    monkeypatch.setattr(placing, "register_adapter", lose)
    with pytest.raises(InvalidInput, match="refused"):
        desk.add(source)
    assert len(desk.left()) == 1
    assert desk.labels() == ["base", "base:v1@1"]


def test_what_a_killed_process_left_is_cleared_a_day_later(desk: Desk, tmp_path: Path) -> None:
    elsewhere = _peft(tmp_path / "elsewhere")
    hours = {f".{'a' * 32}.new": 25, f".{'b' * 32}.new": 23, ".mine.new": 25, "mine": 25}
    for name, old in hours.items():
        _peft(desk.own / name / "out")
        os.utime(desk.own / name, (time.time() - old * 3600,) * 2)
    (desk.own / f".{'c' * 32}.new").symlink_to(elsewhere)
    os.utime(desk.own / f".{'c' * 32}.new", (0, 0), follow_symlinks=False)
    placed = desk.add(_peft(tmp_path / "out")).model.path.name
    assert desk.left() == sorted([*list(hours)[1:], f".{'c' * 32}.new", placed])
    assert (elsewhere / WEIGHTS_FILE).is_file()


def test_a_folder_that_is_no_copy_is_not_taken_for_one(desk: Desk, tmp_path: Path) -> None:
    source = _peft(tmp_path / "out")
    place = desk.add(source).model.path
    _peft(place, lora_alpha=64)
    with pytest.raises(InvalidInput, match="holds other files than were put there"):
        desk.add(source)


def _linked(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    file.rename(target)
    file.symlink_to(target)


def test_links_of_the_hubs_cache_and_within_a_folder_are_followed(
    desk: Desk, tmp_path: Path
) -> None:
    repository = tmp_path / "models--org--v1"
    source = _peft(repository / "snapshots" / "1a2b" / "last")
    _linked(source / WEIGHTS_FILE, repository / "blobs" / "3c4d")
    _linked(source / "README.md", source / "docs" / "card.md")
    copy = desk.add(source).model.path
    assert not any((copy / name).is_symlink() for name in (WEIGHTS_FILE, "README.md"))


@pytest.mark.parametrize(
    "name", ["README.md", "strop.json", "adapter_config.json", "adapter_model.safetensors"]
)
@pytest.mark.parametrize(
    ("folder", "target"),
    [
        ("out", "secret"),
        ("snapshots/1", "blobs/secret"),  # of no repository
        ("models--org--v1/snapshots/1", "models--org--v1/secret"),
        ("models--org--v1/snapshots/1", "models--org--v1/snapshots/2/secret"),
        ("models--org--v1/snapshots/1", "models--org--v2/blobs/secret"),
    ],
)
def test_a_file_that_is_a_link_to_elsewhere_is_not_copied(
    desk: Desk, tmp_path: Path, folder: str, target: str, name: str
) -> None:
    source = _peft(tmp_path / folder)
    (source / "strop.json").write_text("{}")
    _linked(source / name, tmp_path / target)
    with pytest.raises(InvalidInput, match=f"holds {name}, a link that leads out of it"):
        desk.add(source)
    assert desk.left() == []


def _by_a_link(file: Path, secret: Path) -> None:
    file.unlink()
    file.symlink_to(secret)


def _by_a_hard_link(file: Path, secret: Path) -> None:
    file.unlink()
    file.hardlink_to(secret)


def _by_its_folder(file: Path, secret: Path) -> None:
    file.parent.rename(file.parent.with_name("before"))
    file.parent.symlink_to(secret.parent)


def _by_a_pipe(file: Path, secret: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _gone(file: Path, secret: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("swap", [_by_a_link, _by_a_hard_link, _by_its_folder, _by_a_pipe, _gone])
def test_a_file_that_is_swapped_between_the_look_and_the_copy_is_not_copied(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: Callable[[Path, Path], None]
) -> None:
    secret = tmp_path / "elsewhere" / "README.md"
    secret.parent.mkdir()
    secret.write_text("a secret")
    source = _peft(tmp_path / "out")
    look = adopt.read_trainer_folder

    def look_and_swap(folder: Path) -> Any:
        found = look(folder)
        swap(source / "README.md", secret)
        return found

    monkeypatch.setattr(adopt, "read_trainer_folder", look_and_swap)
    with pytest.raises(InvalidInput, match="was swapped for another"):
        desk.add(source)
    assert desk.left() == []


def test_in_place_a_folder_stays_where_it_lies(desk: Desk, tmp_path: Path) -> None:
    source = _peft(tmp_path / "out")
    link = tmp_path / "link"
    link.symlink_to(source)
    adopted = desk.add(link, in_place=True)
    assert adopted.model.path == source
    assert "a backup does not hold it" in adopted.notes[0]
    assert desk.left() == []
    (source / "training_args.bin").write_bytes(PICKLE)
    with pytest.raises(InvalidInput, match=r"holds training_args\.bin") as raised:
        desk.add(source, "v2", in_place=True)
    assert "Leave out --in-place" in str(raised.value.hint)


def test_below_the_root_nothing_is_copied_and_another_projects_folder_is_refused(
    desk: Desk, base_folder: Path
) -> None:
    source = _peft(desk.own / "mine")
    assert desk.add(source).model.path == source
    assert desk.left() == ["mine"]
    with desk.sessions.begin() as session:
        create_project(session, "other", base_model=str(base_folder))
    there = _peft(desk.settings.artifacts / f"project-{desk.project_id + 1}" / "v1")
    for in_place in (True, False):
        with pytest.raises(Forbidden, match="belongs to another project"):
            desk.add(there, "v2", in_place=in_place)


def test_nobody_else_may_name_a_folder_outside_the_root(desk: Desk, tmp_path: Path) -> None:
    """What the API calls takes no copy of a folder of the machine."""
    source = _peft(tmp_path / "out")
    with desk.sessions.begin() as session, pytest.raises(Forbidden, match="outside"):
        register_adapter(session, desk.project_id, "v1", source, settings=desk.settings)


def test_weights_in_bfloat16_are_read(desk: Desk, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from safetensors.torch import save_file as save_tensors

    source = _peft(tmp_path / "out")
    tensors = load_file(source / WEIGHTS_FILE)
    halves = {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}
    save_tensors(halves, source / WEIGHTS_FILE)
    assert desk.add(source).model.rank == 2


def test_a_pattern_that_was_written_out_is_the_same_adapter(
    sqlite_sessions: sessionmaker[Session], settings: Settings, tiny_base: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    source = tiny_adapter(tmp_path / "out", tiny_base)
    config = json.loads((source / "adapter_config.json").read_text())
    (source / "adapter_config.json").write_text(
        json.dumps(config | {"target_modules": r".*\.(?:q_proj|v_proj).*?.*"})
    )
    with sqlite_sessions.begin() as session:
        project = create_project(session, "desk", base_model=str(tiny_base)).id
    adopted = adopt_adapter(sqlite_sessions, project, "v1", source, settings=settings)
    (source / "adapter_config.json").write_text(json.dumps(config))
    ids, logits = torch.tensor([[7, 8, 9]]), []
    for folder in (source, adopted.model.path):
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), folder)
        logits.append(model(ids).logits)
    assert torch.equal(*logits)
