"""Merges of adapters: what is computed, what is refused, and that a merge learned what its parents
did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.adapters.folders import read_adapter
from backend.engines.base import SamplingParams
from backend.errors import Forbidden, InvalidInput, LeakRefused, NotFound
from backend.services.curation import freeze_training_set, recipe_from_content
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.derivation import runs_behind
from backend.services.lineage.trace import trace
from backend.services.models.adopt import adopt_adapter
from backend.services.models.merging import merge_models, parse_parts
from backend.services.models.placing import Registered
from backend.services.models.versions import find_model, register_adapter
from backend.services.projects import create_project
from backend.services.runs.generation import create_run
from backend.services.runs.leaks import unknown_training
from backend.settings import Settings
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from tests.fixtures_models import tiny_adapter
from training.weights.merging import Merge

MODULE = "model.layers.1.self_attn.v_proj"


@dataclass(frozen=True, slots=True)
class Desk:
    """A project with two adapters, of rank 4 and 8; the second is of rsLoRA."""

    sessions: sessionmaker[Session]
    settings: Settings
    project_id: int

    @property
    def own(self) -> Path:
        return self.settings.artifacts / f"project-{self.project_id}"

    def merge(self, parts: Mapping[str, float], name: str = "m", **how: Any) -> Registered:
        return merge_models(
            self.sessions,
            self.project_id,
            name,
            dict(parts),
            merge=Merge(**how),
            settings=self.settings,
        )

    def update(self, name: str) -> Any:
        """What an adapter adds to one module's weight."""
        with self.sessions() as session:
            return _update(Path(str(find_model(session, self.project_id, name).adapter_path)))


def _update(folder: Path) -> Any:
    from safetensors.numpy import load_file

    config = read_adapter(folder).config
    tensors = load_file(folder / "adapter_model.safetensors")
    first, second = (
        tensors[f"base_model.model.{MODULE}.lora_{part}.weight"] for part in ("A", "B")
    )
    scale = config.lora_alpha / (config.r**0.5 if config.use_rslora else config.r)
    return scale * second @ first


def _make(folder: Path, base: Path, *, rank: int, seed: int, rslora: bool = False) -> Path:
    tiny_adapter(folder, base, rank=rank, seed=seed)
    file = folder / "adapter_config.json"
    file.write_text(
        file.read_text().replace('"use_rslora": false', f'"use_rslora": {str(rslora).lower()}')
    )
    return folder


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    return {
        "v1": _make(root / "v1", tiny_base, rank=8, seed=1, rslora=True),
        "v2": _make(root / "v2", tiny_base, rank=4, seed=2),
        "v3": _make(root / "v3", tiny_base, rank=4, seed=3),
    }


@pytest.fixture
def desk(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    tiny_base: Path,
    adapters: dict[str, Path],
) -> Desk:
    with sqlite_sessions.begin() as session:
        project = create_project(session, "desk", base_model=str(tiny_base)).id
    for name, folder in adapters.items():
        adopt_adapter(sqlite_sessions, project, name, folder, settings=settings)
    return Desk(sqlite_sessions, settings, project)


@pytest.mark.parametrize(("method", "rank"), [("cat", 12), ("svd", 8)])
def test_a_merge_is_the_weighted_sum_of_what_its_parents_add(
    desk: Desk, method: str, rank: int
) -> None:
    import numpy as np

    merged = desk.merge({"v1": 0.7, "v2": -0.3}, method=method)
    assert (merged.label, merged.rank, merged.facts_known) == ("base:m@1", rank, True)
    u, s, v = np.linalg.svd(0.7 * desk.update("v1") - 0.3 * desk.update("v2"))
    nearest = (u[:, :rank] * s[:rank]) @ v[:rank]  # of its rank
    assert np.abs(desk.update("m") - nearest).max() < 1e-4


@pytest.mark.parametrize("method", ["linear", "ties", "dare_ties", "magnitude_prune"])
def test_the_other_merges_take_adapters_of_one_rank(desk: Desk, method: str) -> None:
    merged = desk.merge({"v2": 1.0, "v3": 1.0}, method=method)
    assert desk.merge({"v2": 1.0, "v3": 1.0}, method=method) == merged
    assert merged.rank == 4
    with pytest.raises(InvalidInput, match=f"cannot be merged by {method}: All adapters must have"):
        desk.merge({"v1": 1.0, "v2": 1.0}, "other", method=method)
    assert [folder.name for folder in desk.own.glob(".*")] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v1=1", "needs two"),
        ("v1,v2=1", "'v1' does not name"),
        ("v1=a,v2=1", "'v1=a' does not"),
        ("v1=nan,v2=1", "does not"),
        ("v1=0,v2=1", "does not"),
        ("v1=1,v1=2", "does not"),
        ("=1,v2=2", "does not"),
        ("", "does not"),
    ],
)
def test_what_names_no_parts_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_parts(text)


@pytest.mark.parametrize(
    ("parts", "how", "error", "message"),
    [
        ({"v1": 1, "v9": 1}, {}, NotFound, "no model 'v9'"),
        ({"v1": 1, "base": 1}, {}, InvalidInput, "base is no adapter"),
        ({"v1": 1, "v1@1": 1}, {}, InvalidInput, "the same adapter"),
        ({"v1": 1, "v2": 1}, {"method": "average"}, InvalidInput, "no merge 'average'"),
        ({"v2": 1, "v3": 1}, {"method": "ties", "density": 1.0}, InvalidInput, "A density"),
    ],
)
def test_what_cannot_be_merged_is_refused(
    desk: Desk, parts: dict[str, float], how: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        desk.merge(parts, **how)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"use_dora": false', '"use_dora": true', "has use_dora"),
        ('"modules_to_save": null', '"modules_to_save": ["lm_head"]', "has modules_to_save"),
        ('"lora_alpha": 8', '"lora_alpha": 9', "changed since it was registered"),
    ],
)
def test_what_is_no_plain_adapter_or_has_changed_is_refused(
    desk: Desk, old: str, new: str, message: str
) -> None:
    with desk.sessions() as session:
        folder = Path(str(find_model(session, desk.project_id, "v2").adapter_path))
    file = folder / "adapter_config.json"
    file.write_text(file.read_text().replace(old, new))
    if "has" in message:
        adopt_adapter(desk.sessions, desk.project_id, "v2", folder, settings=desk.settings)
    with pytest.raises(InvalidInput, match=message):
        desk.merge({"v1": 1.0, "v2": 1.0})


HELD_OUT = ("My new card has not arrived.", "The app asks for a code I never got.")
TAUGHT = ("My new card has not arrived yet.", "The app asks for a code that I never got.")


def _train(session: Session, desk: Desk, name: str, prompt: str) -> None:
    """Let an adapter be one that was trained on one prompt."""
    rows = [ExampleRow("a", prompt, references=("x",), split="train")]
    import_dataset(session, desk.project_id, f"of-{name}", rows, source_name="f")
    recipe = recipe_from_content({"references": {"count": 1}, "dataset": f"of-{name}"})
    frozen = freeze_training_set(session, project_id=desk.project_id, name=name, recipe=recipe)
    bar = SuccessManifest(
        project_id=desk.project_id,
        version=len(name) + ord(name[-1]),
        digest="d",
        source="",
        content={},
    )
    session.add(bar)
    session.flush()
    run = TrainingRun(
        project_id=desk.project_id,
        training_set_id=frozen.id,
        manifest_id=bar.id,
        adapter_name=name,
        config={},
        output_dir=f"x/{name}",
    )
    session.add(run)
    session.flush()
    find_model(session, desk.project_id, name).training_run_id = run.id


def test_a_merge_learned_what_both_its_parents_did(desk: Desk) -> None:
    """Its runs are refused on what either was trained on: a merge of a merge, and a copy, too."""
    with desk.sessions.begin() as session:
        for name, prompt in zip(("v2", "v3"), TAUGHT, strict=True):
            _train(session, desk, name, prompt)
    merged = desk.merge({"v2": 1.0, "v3": 1.0})
    desk.merge({"m": 1.0, "v1": 1.0}, "again")
    with desk.sessions.begin() as session:
        for name in ("copy", "copied-again"):
            register_adapter(session, desk.project_id, name, merged.path, settings=desk.settings)
    with desk.sessions() as session:
        models = {n: find_model(session, desk.project_id, n) for n in ("m", "again", "copy", "v1")}
        both = {find_model(session, desk.project_id, n).training_run_id for n in ("v2", "v3")}
        assert {name: runs_behind(session, [m.id]) for name, m in models.items()} == {
            "m": both,
            "again": both,
            "copy": both,
            "v1": set(),
        }
        told = unknown_training(session, [model.id for model in models.values()])
        assert told == ["base:v1@1", "base:again@1"]
        for number, prompt in enumerate(HELD_OUT):
            rows = [ExampleRow("t", prompt, references=("x",), split="test")]
            version = import_dataset(
                session, desk.project_id, f"test-{number}", rows, source_name="f"
            )
            for name in ("m", "again", "copy"):
                with pytest.raises(LeakRefused, match="The run is refused"):
                    create_run(
                        session,
                        project_id=desk.project_id,
                        dataset_version_id=version.id,
                        split="test",
                        model_ids=[models[name].id],
                        engine="fake",
                        params=SamplingParams(),
                    )


def test_lineage_follows_a_merge_both_ways(desk: Desk) -> None:
    desk.merge({"v1": 0.7, "v2": 0.3})
    wanted = {
        ("model:base:v1@1", "model:base:m@1", "0.7 of it, merged by svd"),
        ("model:base:v2@1", "model:base:m@1", "0.3 of it, merged by svd"),
    }
    with desk.sessions() as session:
        up = trace(session, desk.project_id, "m").edges
        down = trace(session, desk.project_id, "v1").edges
    assert wanted == {(edge.source, edge.target, edge.label) for edge in up}
    assert wanted & {(edge.source, edge.target, edge.label) for edge in down}


def test_a_merge_of_another_projects_trainings_is_refused(desk: Desk, tiny_base: Path) -> None:
    with desk.sessions.begin() as session:
        _train(session, desk, "v2", TAUGHT[0])
        other = create_project(session, "other", base_model=str(tiny_base)).id
    merged = desk.merge({"v2": 1.0, "v3": 1.0})
    moved = desk.settings.home / "moved"
    merged.path.rename(moved)
    with pytest.raises(Forbidden, match="come from weights that were trained in another project"):
        adopt_adapter(desk.sessions, other, "v1", moved, settings=desk.settings)


@pytest.mark.parametrize("record", ['{"merged_from": "v1"}', '{"merged_from": [{"sha256": 1}]}'])
def test_a_record_of_a_merge_that_is_none_is_refused(desk: Desk, record: str) -> None:
    with desk.sessions() as session:
        folder = Path(str(find_model(session, desk.project_id, "v1").adapter_path))
    (folder / "strop.json").write_text(record)
    with pytest.raises(InvalidInput, match="merged_from does not list adapters"):
        read_adapter(folder)
