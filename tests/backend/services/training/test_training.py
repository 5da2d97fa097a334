"""Training runs: refused without a bar, and what the trainer is given to read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.services.training import runs as training
from backend.services.training.files import EARLIER_ROWS, run_files
from backend.settings import Settings
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Dataset, DatasetVersion, Example
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from tests.fixtures_runs import Laid, lay_down_project
from training.config import load_config

NOW = datetime(2026, 5, 3, tzinfo=UTC)


def _set_bar(session: Session, laid: Laid) -> None:
    session.add(
        SuccessManifest(project_id=laid.project, version=1, digest="b" * 64, content={}, source="-")
    )
    session.flush()


def _freeze(session: Session, laid: Laid, *, kinds: tuple[str, ...] = ("sft", "sft")) -> int:
    """A frozen set on the train example."""
    trained = session.scalars(select(Example).where(Example.split == "train")).one()
    frozen = TrainingSet(
        project_id=laid.project, name="t1", recipe={}, digest="c" * 64, n_rows=len(kinds)
    )
    session.add(frozen)
    session.flush()
    for position, kind in enumerate(kinds):
        session.add(
            TrainingSetRow(
                training_set_id=frozen.id,
                position=position,
                kind=kind,
                prompt=[{"role": "user", "content": f"q{position}"}],
                completion=f"ä{position}",
                rejected="no" if kind == "dpo" else None,
                source="reference",
                example_id=trained.id,
            )
        )
    session.flush()
    return frozen.id


def _create(
    session: Session, laid: Laid, settings: Settings, set_id: int, **config: object
) -> TrainingRun:
    return training.create_training_run(
        session,
        project_id=laid.project,
        training_set_id=set_id,
        adapter_name="v9",
        config=config,
        settings=settings,
    )


def test_training_without_a_bar_is_refused(session: Session, settings: Settings) -> None:
    laid = lay_down_project(session)
    with pytest.raises(Conflict, match="Set the bar first: strop manifest set FILE"):
        _create(session, laid, settings, _freeze(session, laid))
    assert session.scalars(select(TrainingRun)).all() == []


def test_what_the_trainer_reads(session: Session, settings: Settings) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    run = _create(session, laid, settings, _freeze(session, laid), epochs=2, seed=5)
    files = run_files(run, settings)
    config = load_config(files.config)
    assert (config.epochs, config.seed) == (2, 5)
    assert (config.manifest_digest, config.training_set_digest) == ("b" * 64, "c" * 64)
    assert config.output_dir == settings.artifacts / f"project-{laid.project}" / f"v9-run-{run.id}"
    assert config.validation_file is None
    rows = [json.loads(line) for line in files.train.read_text("utf-8").splitlines()]
    assert rows[1] == {
        "prompt": [{"role": "user", "content": "q1"}],
        "completion": [{"role": "assistant", "content": "ä1"}],
    }


def test_preferences_are_read_as_pairs(session: Session, settings: Settings) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    set_id = _freeze(session, laid, kinds=("sft", "dpo"))
    files = run_files(_create(session, laid, settings, set_id, method="dpo", beta=0.2), settings)
    (row,) = [json.loads(line) for line in files.train.read_text("utf-8").splitlines()]
    assert row == {
        "prompt": [{"role": "user", "content": "q1"}],
        "chosen": [{"role": "assistant", "content": "ä1"}],
        "rejected": [{"role": "assistant", "content": "no"}],
    }
    assert load_config(files.config).beta == 0.2


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"method": "kto"}, "no row for kto"),
        ({"method": "pretrain"}, "reads documents"),
        ({"method": "dpo", "early_stopping_patience": 1}, "no validation rows for dpo"),
    ],
)
def test_a_method_that_cannot_read_the_set_is_refused(
    session: Session, settings: Settings, config: dict[str, object], said: str
) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    set_id = _freeze(session, laid, kinds=("sft", "dpo"))
    with pytest.raises(InvalidInput, match=said):
        _create(session, laid, settings, set_id, **config)


def test_early_stopping_watches_references_of_the_validation_split(
    session: Session, settings: Settings
) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    set_id = _freeze(session, laid)
    run = _create(session, laid, settings, set_id, early_stopping_patience=1)
    files = run_files(run, settings)
    assert load_config(files.config).validation_file == files.validation
    (row,) = [json.loads(line) for line in files.validation.read_text("utf-8").splitlines()]
    assert row["completion"][0]["content"] == "say 7"
    assert "say 7" not in files.train.read_text("utf-8")


def test_forgetting_is_measured_on_validation_references_of_the_trainings_before(
    session: Session, settings: Settings
) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    first = _create(session, laid, settings, _freeze(session, laid))
    assert _earlier(first, settings) == ["say 7"]
    other = _another_dataset(session, laid, watched=100)
    second = _create(session, laid, settings, _set_of(session, laid, "t2", other))
    assert _earlier(second, settings) == ["say 7"]  # a gain in the new task must not hide a loss
    again = _create(session, laid, settings, second.training_set_id)
    assert _earlier(again, settings) == ["say 7"]
    third = _create(session, laid, settings, _set_of(session, laid, "t3", other))
    asked = _earlier(third, settings)
    assert asked[0] == "say 7"
    assert set(asked[1:]) <= {f"watched {i}" for i in range(100)}
    assert EARLIER_ROWS / 3 < len(asked) <= 1 + EARLIER_ROWS / 2
    assert load_config(run_files(second, settings).config).earlier_file is not None


def _earlier(run: TrainingRun, settings: Settings) -> list[str]:
    lines = run_files(run, settings).earlier.read_text("utf-8").splitlines()
    return [json.loads(line)["completion"][0]["content"] for line in lines]


def _another_dataset(session: Session, laid: Laid, *, watched: int) -> Example:
    """A second dataset of the project with so many validation examples; its train example."""
    dataset = Dataset(project_id=laid.project, name="calls")
    session.add(dataset)
    session.flush()
    version = DatasetVersion(
        dataset_id=dataset.id,
        number=1,
        digest="e" * 64,
        n_examples=watched + 2,
        source_name="made",
        split_recipe={},
    )
    session.add(version)
    session.flush()
    splits = ["train", "test", *["validation"] * watched]
    examples = [
        Example(
            dataset_version_id=version.id,
            external_id=f"c{i}",
            input=f"call {i}",
            references=[f"watched {i - 2}" if split == "validation" else split],
            slices={},
            split=split,
            content_digest=f"{1000 + i:064d}",
        )
        for i, split in enumerate(splits)
    ]
    session.add_all(examples)
    session.flush()
    return examples[0]


def _set_of(session: Session, laid: Laid, name: str, example: Example) -> int:
    frozen = TrainingSet(project_id=laid.project, name=name, recipe={}, digest="f" * 64, n_rows=1)
    session.add(frozen)
    session.flush()
    session.add(
        TrainingSetRow(
            training_set_id=frozen.id,
            position=0,
            kind="sft",
            prompt=[{"role": "user", "content": "q"}],
            completion="a",
            source="reference",
            example_id=example.id,
        )
    )
    session.flush()
    return frozen.id


def test_a_search_is_given_no_row_of_the_test_split(session: Session, settings: Settings) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    run = _create(session, laid, settings, _freeze(session, laid), search={"rank": [4, 8]})
    files = run_files(run, settings)
    config = load_config(files.config)
    assert config.search is not None
    assert config.search.rank == (4, 8)
    assert config.validation_file == files.validation
    written = files.train.read_text("utf-8") + files.validation.read_text("utf-8")
    tests = session.scalars(select(Example).where(Example.split == "test")).all()
    assert [e.input for e in tests if e.input in written or e.references[0] in written] == []
    assert "say 7" in written


def test_the_price_of_the_settings_is_that_of_the_training(
    session: Session, settings: Settings
) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    priced = settings.model_copy(update={"price_per_hour": 2.5})
    for given, found in (({}, 2.5), ({"price_per_hour": 4.0}, 4.0)):
        run = _create(session, laid, priced, _freeze_named(session, laid, str(found)), **given)
        assert load_config(run_files(run, priced).config).price_per_hour == found


def _freeze_named(session: Session, laid: Laid, name: str) -> int:
    set_id = _freeze(session, laid)
    session.get_one(TrainingSet, set_id).name = name
    session.flush()
    return set_id


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"lora": {"rnak": 4}}, "rank"),
        ({"output_dir": "/elsewhere"}, "fills in output_dir itself"),
        ({"manifest_digest": "d" * 64}, "fills in manifest_digest itself"),
        ({"epochs": -1}, "epochs"),
    ],
)
def test_bad_configuration_is_refused(
    session: Session, settings: Settings, config: dict[str, object], says: str
) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    with pytest.raises(InvalidInput, match=says):
        _create(session, laid, settings, _freeze(session, laid), **config)


def test_a_set_without_sft_rows_is_refused(session: Session, settings: Settings) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    with pytest.raises(InvalidInput, match="no row"):
        _create(session, laid, settings, _freeze(session, laid, kinds=("dpo",)))


def test_unknown_sets_are_not_found(session: Session, settings: Settings) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    _freeze(session, laid)
    with pytest.raises(NotFound, match="no training set 99"):
        _create(session, laid, settings, 99)
    with pytest.raises(NotFound, match="Known: t1"):
        training.find_training_set(session, laid.project, "t2")


def test_nothing_is_registered_before_the_result_is_whole(
    session: Session, settings: Settings
) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    run = _create(session, laid, settings, _freeze(session, laid))
    Path(run.output_dir + ".partial").mkdir(parents=True)
    with pytest.raises(NotFound, match="left no adapter"):
        training.finish_training_run(session, run.id, settings=settings, now=NOW)


def test_loss_curve_leaves_out_a_half_written_line(session: Session, settings: Settings) -> None:
    laid = lay_down_project(session)
    _set_bar(session, laid)
    run = _create(session, laid, settings, _freeze(session, laid))
    assert training.training_progress(run) == []
    partial = Path(run.output_dir + ".partial")
    partial.mkdir(parents=True)
    (partial / "progress.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "lo')
    assert training.training_progress(run) == [{"step": 1, "loss": 2.5}]
