"""Several bases in one project: their adapters, what an engine holds at once, and comparisons."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.cli.models.serve import resolve_models
from backend.db import utc_now
from backend.engines import open_engine
from backend.engines.base import SamplingParams
from backend.errors import InvalidInput, NotFound
from backend.jobs.generate import generate_parts
from backend.jobs.preflight import check_models
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.derivation import ancestors
from backend.services.lineage.trace import trace
from backend.services.models.adopt import adopt_adapter
from backend.services.models.exporting import export_merged
from backend.services.models.merging import merge_models
from backend.services.models.others import find_base, register_other_base
from backend.services.models.seen import see_base
from backend.services.models.versions import find_model, serving_groups
from backend.services.projects import set_manifest
from backend.services.runs import generation, scoring
from backend.services.training import runs as training
from backend.services.training.files import run_files
from backend.services.verdicts.comparison import compare_models
from backend.services.verdicts.promotion import newest_fingerprint, plan_move
from backend.services.verdicts.savings import payoff_of
from backend.settings import Settings
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion, Preflight
from backend.tables.projects import Project
from backend.tables.runs import Generation
from tests.fixtures_models import make_tiny_base, tiny_adapter
from tests.fixtures_runs import lay_down_project
from training import sft
from training.weights.merging import Merge

BAR = "name: bar\nbaseline: large+brief\nlines:\n  - {metric: chrf, margin: 0.0}\n"
Commands = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Desk:
    """A project on a small base, with another base `large`, and an adapter of either in files."""

    sessions: sessionmaker[Session]
    settings: Settings
    project: int
    small_adapter: Path
    large_adapter: Path

    def adopt(self, name: str, path: Path, on: str | None = None) -> str:
        found = adopt_adapter(
            self.sessions, self.project, name, path, settings=self.settings, on=on
        )
        return found.model.label

    def find(self, *labels: str) -> list[ModelVersion]:
        """Models as they are when their session is closed."""
        with self.sessions() as session:
            return [find_model(session, self.project, label) for label in labels]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, Path]:
    """A base of another width, and an adapter of each of the two bases."""
    root = tmp_path_factory.mktemp("bases")
    large = make_tiny_base(root / "large", seed=5, hidden=64)
    return {
        "large": large,
        "v1": tiny_adapter(root / "v1", tiny_base, seed=1),
        "v3": tiny_adapter(root / "v3", large, seed=3),
    }


@pytest.fixture
def desk(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    tiny_base: Path,
    folders: dict[str, Path],
) -> Desk:
    with sqlite_sessions.begin() as session:
        project = lay_down_project(session, adapters=-1).project
        session.get_one(Project, project).base_model = str(tiny_base)
        find_base(session, project, "base")
        seen = see_base(str(folders["large"]))
        register_other_base(session, project, "large", str(folders["large"]), seen=seen)
    return Desk(sqlite_sessions, settings, project, folders["v1"], folders["v3"])


def write(desk: Desk, labels: list[str]) -> int:
    """A scored run of these models with the local engine, preflights included."""
    with desk.sessions.begin() as session:
        models = [find_model(session, desk.project, label).id for label in labels]
        run = generation.create_run(
            session,
            project_id=desk.project,
            dataset_version_id=1,
            split="test",
            model_ids=models,
            engine="local",
            params=SamplingParams(max_tokens=4),
        )
        job = queue.enqueue_job(session, queue.JobKind.GENERATE, run.id)
        run_id = run.id
    checks = partial(check_models, settings=desk.settings)
    shop = Workshop(desk.settings, desk.sessions, "w", open_engine, checks, {})
    list(generate_parts(shop, job))
    shop.close_engines()
    return run_id


def test_an_adapter_is_written_with_its_own_base_and_found_by_it(desk: Desk) -> None:
    assert desk.adopt("v1", desk.small_adapter) == "base:v1@1"
    assert desk.adopt("v3", desk.large_adapter, on="large") == "large:v3@1"
    assert desk.adopt("v3", desk.large_adapter, on="large@1") == "large:v3@1"
    with desk.sessions() as session:
        known = {label: find_model(session, desk.project, label) for label in ("large", "v3")}
        for label in ("large:v3", "large:v3@1", "large@1:v3@1", "v3@1"):
            assert find_model(session, desk.project, label) is known["v3"]
        for label in ("base:v3", "large:v1", "huge:v3"):
            with pytest.raises(NotFound, match=label):
                find_model(session, desk.project, label)
        assert known["v3"].base is known["large"]
        assert known["v3"].base_sha256 == known["large"].base_sha256


def test_a_wrong_base_is_refused_by_name(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="asked for on base") as refused:
        desk.adopt("v3", desk.large_adapter)
    assert refused.value.hint == "It fits large@1: name its base with --base."
    with pytest.raises(InvalidInput, match="asked for on large@1") as refused:
        desk.adopt("v1", desk.small_adapter, on="large")
    assert "It fits base" in str(refused.value.hint)
    assert desk.adopt("v1", desk.small_adapter) == "base:v1@1"
    with pytest.raises(InvalidInput, match=r"base:v1@1 is no base"):
        desk.adopt("v4", desk.large_adapter, on="v1")
    with pytest.raises(NotFound, match="huge"):
        desk.adopt("v4", desk.large_adapter, on="huge")
    with pytest.raises(InvalidInput, match=r"v1 stands for adapters on base, and .* on large"):
        desk.adopt("v1", desk.large_adapter, on="large")


def test_a_record_of_another_base_is_refused_though_its_shapes_fit(
    desk: Desk, tiny_base: Path, tmp_path: Path
) -> None:
    (large,) = desk.find("large")
    folder = Path(shutil.copytree(desk.small_adapter, tmp_path / "v1"))
    (folder / "strop.json").write_text(json.dumps({"base_sha256": large.base_sha256}))
    with pytest.raises(InvalidInput, match=r"was trained on large@1 .* and not on base") as refused:
        desk.adopt("v1", folder)
    assert refused.value.hint == "Name its base: --base large@1"


def test_models_of_two_bases_run_are_checked_and_are_compared(desk: Desk) -> None:
    desk.adopt("v1", desk.small_adapter)
    desk.adopt("v3", desk.large_adapter, on="large")
    with desk.sessions.begin() as session:
        add_prompt(session, desk.project, "brief", parse_prompt("system: Be brief."))
    labels = ["base", "v1", "large", "large:v3", "large+brief", "large:v3+brief"]
    run_id = write(desk, labels)
    models = desk.find(*labels)
    assert [model.label for model in models[3:]] == [
        "large:v3@1",
        "large@1+brief@1",
        "large:v3@1+brief@1",
    ]
    assert [model.without_prompt.label for model in models[4:]] == ["large@1", "large:v3@1"]
    with desk.sessions() as session:
        checked = session.scalars(select(Preflight).order_by(Preflight.id)).all()
        firsts = {
            tuple(row.token_logprobs[:1])
            for row in session.scalars(select(Generation).where(Generation.example_id == 1))
        }
        assert len(firsts) == len(labels)
        own = [one.id for one in models]
        assert [(row.passed, row.model_ids) for row in checked] == [
            (True, own[:2]),
            (True, own[2:]),
        ]
        names = {check["name"] for row in checked for check in row.checks}
        assert {"base and v1@1 differ", "large@1 and v3@1 differ"} <= names
        assert "base and v3@1 differ" not in names
        move = plan_move(session, desk.project, find_model(session, desk.project, "v3"))
        assert (move.model.name, move.base.name) == ("v3@1", "large@1")
        assert newest_fingerprint(session, models[3]) is not None
    _compare(desk, run_id)


def _compare(desk: Desk, run_id: int) -> None:
    """A small tuned model against a large prompted one, and what is said of that."""
    with desk.sessions.begin() as session:
        bar = set_manifest(session, desk.project, BAR)
        scores = scoring.create_score_run(session, generation_run_id=run_id, metrics=["chrf"])
        units = scoring.pending_units(session, scores.id)
        texts = scoring.load_generations(session, [unit.generation_id for unit in units])
        scoring.save_scores(session, scores.id, scoring.score_units(units, texts))
        small, large = (find_model(session, desk.project, n) for n in ("v1", "large+brief"))
        row = compare_models(
            session, manifest_row=bar, score_run=scores, baseline=large, candidate=small
        )
        assert row.preflight is not None
        assert row.preflight["verdict"] == "PASS"
        quality, tokens = payoff_of(session, row)
        assert quality.startswith("Training")
        assert {"base:v1@1", "large@1+brief@1"} <= set(re.findall(r"[\w:@+]+@1", quality))
        assert "it saves" in tokens or "not stated" in tokens
        small.tokenizer_sha256 = "f" * 64
        assert "each by its own tokeniser" in payoff_of(session, row)[1]


def test_engines_hold_each_base_with_its_adapters(desk: Desk) -> None:
    desk.adopt("v1", desk.small_adapter)
    desk.adopt("v3", desk.large_adapter, on="large")
    with desk.sessions() as session:
        base, v1, large, v3 = (
            find_model(session, desk.project, label) for label in ("base", "v1", "large", "v3")
        )
        assert serving_groups(base, [v3, v1]) == [[base, v1], [large, v3]]
        assert serving_groups(base, [v3]) == [[large, v3]]
        assert serving_groups(base, [large]) == [[large]]
        assert serving_groups(base, []) == [[base]]


def test_strop_serve_takes_a_base_with_its_adapters_and_no_two_bases(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_DATABASE_URL", desk.settings.url)
    desk.adopt("v1", desk.small_adapter)
    desk.adopt("v3", desk.large_adapter, on="large")
    asked = partial(resolve_models, settings=desk.settings, project=None, alone=False)
    base, adapters = asked("large:v3")
    assert (base.name, [one.name for one in adapters]) == ("large@1", ["v3@1"])
    for names in ("v1,large:v3", "base,v3"):
        with pytest.raises(InvalidInput, match="large@1 is a base of its own") as refused:
            asked(names)
        assert str(refused.value.hint).endswith("--models large@1,large:v3@1")


def test_only_adapters_of_one_base_are_merged_and_the_merge_is_on_it(
    desk: Desk, tmp_path: Path
) -> None:
    desk.adopt("v1", desk.small_adapter)
    desk.adopt("v3", desk.large_adapter, on="large")
    (large,) = desk.find("large")
    second = tiny_adapter(tmp_path / "v4", Path(large.base_model), seed=4)
    desk.adopt("v4", second, on="large")
    merge = partial(
        merge_models, desk.sessions, desk.project, merge=Merge("cat"), settings=desk.settings
    )
    with pytest.raises(InvalidInput, match=r"base:v1@1 on .* and large:v3@1 on"):
        merge("m", {"v1": 0.5, "v3": 0.5})
    assert merge("m", {"v3": 0.5, "v4": 0.5}).label == "large:m@1"
    (merged,) = desk.find("m")
    assert merged.base_sha256 == large.base_sha256
    written = export_merged(desk.sessions, desk.project, "large:m", tmp_path / "whole")
    facts = json.loads((written.folder / "strop.json").read_text())
    assert facts["base_sha256"] == large.base_sha256


def test_lineage_knows_the_base_that_an_adapter_is_on(desk: Desk) -> None:
    desk.adopt("v3", desk.large_adapter, on="large")
    with desk.sessions() as session:
        large, v3 = (find_model(session, desk.project, label) for label in ("large", "v3"))
        assert {model.id for model in ancestors(session, [v3.id])} == {large.id, v3.id}
        for name in ("large:v3", "large", "model:v3"):
            edges = {
                (e.source, e.target, e.label) for e in trace(session, desk.project, name).edges
            }
            assert ("model:large@1", "model:large:v3@1", "base of") in edges
        with pytest.raises(InvalidInput, match="no kind of thing"):
            trace(session, desk.project, "huge:v3")


def test_the_commands_name_the_base(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROP_HOME", str(desk.settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", desk.settings.url)
    on_tickets = ("--dataset", "tickets", "--engine", "local", "--json")
    for asked, said in {
        ("adapter", "add", "v3", str(desk.large_adapter), "--base", "large"): "large:v3@1: rank 4",
        ("adapter", "list", "--json"): '"large:v3@1"',
        ("adapter", "preflight", "large:v3", *on_tickets): "large@1 and v3@1 differ",
    }.items():
        with pytest.raises(SystemExit) as ended:
            main(list(asked))
        assert ended.value.code in (0, None)
        assert said in capsys.readouterr().out


def test_an_adapter_is_trained_on_another_base_and_registered_on_it(desk: Desk) -> None:
    with desk.sessions.begin() as session:
        bar = set_manifest(session, desk.project, BAR)
        frozen = TrainingSet(
            project_id=desk.project, name="t", recipe={}, digest="c" * 64, n_rows=8
        )
        session.add(frozen)
        session.flush()
        example = session.scalars(select(Example).where(Example.split == "train")).one()
        for position in range(8):
            turn = [{"role": "user", "content": f"say {position}"}]
            session.add(
                TrainingSetRow(
                    training_set_id=frozen.id,
                    position=position,
                    kind="sft",
                    prompt=turn,
                    completion=f"say {position}",
                    source="reference",
                    example_id=example.id,
                )
            )
        session.flush()
        run = training.create_training_run(
            session,
            project_id=desk.project,
            training_set_id=frozen.id,
            adapter_name="v5",
            config={"lora": {"rank": 2}, "max_length": 64, "threads": 1},
            settings=desk.settings,
            base="large",
        )
        assert run.manifest_id == bar.id
        run_id, config = run.id, run_files(run, desk.settings).config
    assert sft.main(["--config", str(config)]) == 0
    with desk.sessions.begin() as session:
        model = training.finish_training_run(session, run_id, settings=desk.settings, now=utc_now())
        large = find_model(session, desk.project, "large")
        assert (model.label, model.base) == ("large:v5@1", large)
        assert model.training_facts["base_sha256"] == large.base_sha256
        assert "forgetting" in model.training_facts
