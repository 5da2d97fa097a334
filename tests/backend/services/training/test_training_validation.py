"""Validation rows of DPO and KTO: whole groups kept out of training, and never leaked back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput
from backend.services.training import runs as training
from backend.services.training.files import run_files
from backend.settings import Settings
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Dataset, DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.projects import Project, SuccessManifest
from backend.tables.training import TrainingRun
from training import sft
from training.config import load_config

WATCH = {"early_stopping_patience": 2}
SIDES = ("train", "validation")


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


class Room:
    """A project with a bar and sets of preference rows; example `n` asks for the number `n`."""

    def __init__(self, session: Session, settings: Settings, *, base: str = "tiny") -> None:
        self.session, self.settings = session, settings
        self.project = Project(name="desk", base_model=base)
        session.add(self.project)
        session.flush()
        dataset = Dataset(project_id=self.project.id, name="tickets")
        bar = SuccessManifest(
            project_id=self.project.id, version=1, digest="b" * 64, content={}, source="-"
        )
        session.add_all([dataset, bar])
        session.flush()
        self.version = DatasetVersion(
            dataset_id=dataset.id,
            number=1,
            digest="d" * 64,
            n_examples=0,
            source_name="made",
            split_recipe={},
        )
        session.add(self.version)
        session.flush()
        self.held = self.example(900, "g900", split="test")

    def example(
        self, n: int, group: str | None, *, text: str = "", split: str = "train"
    ) -> Example:
        found = Example(
            dataset_version_id=self.version.id,
            external_id=f"e{n}",
            input=text or f"say {n}",
            context=None,
            references=[],
            group=group,
            slices={},
            split=split,
            content_digest=f"{n:064d}",
        )
        self.session.add(found)
        self.session.flush()
        return found

    def freeze(
        self,
        examples: list[Example],
        *,
        name: str = "s",
        good: set[int] | None = None,
        seed: int = 7,
    ) -> TrainingSet:
        """A row of SFT, DPO and KTO of each; of KTO those of `good` (even ones) are true."""
        frozen = TrainingSet(
            project_id=self.project.id,
            name=name,
            recipe={"asked": {"seed": seed}},
            digest="c" * 64,
            n_rows=3 * len(examples),
        )
        self.session.add(frozen)
        self.session.flush()
        kinds = [(kind, one) for kind in ("sft", "dpo", "kto") for one in examples]
        for position, (kind, one) in enumerate(kinds):
            n = int(one.external_id[1:])
            right = n % 2 == 0 if good is None else n in good
            row = TrainingSetRow(
                training_set_id=frozen.id,
                position=position,
                kind=kind,
                prompt=[{"role": "user", "content": one.input}],
                completion=f"it is {n}",
                rejected="no" if kind == "dpo" else None,
                label=right if kind == "kto" else None,
                source="vote",
                example_id=one.id,
            )
            self.session.add(row)
        self.session.flush()
        return frozen

    def groups(self, count: int, *, first: int = 0) -> list[Example]:
        """Two examples of each of so many groups."""
        numbers = range(2 * first, 2 * (first + count))
        return [self.example(n, f"g{n // 2}") for n in numbers]

    def train(self, frozen: TrainingSet, **config: Any) -> TrainingRun:
        start = config.pop("start", None)
        return training.create_training_run(
            self.session,
            project_id=self.project.id,
            training_set_id=frozen.id,
            adapter_name="v9",
            config=config,
            settings=self.settings,
            start=start,
        )

    def read(self, run: TrainingRun) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What the trainer is given to train on, and to validate on."""
        files = run_files(run, self.settings)
        texts = [path.read_text("utf-8") for path in (files.train, files.validation)]
        train, watched = ([json.loads(line) for line in text.splitlines()] for text in texts)
        return train, watched


def numbers(rows: list[dict[str, Any]]) -> set[int]:
    return {int(row["prompt"][0]["content"].split()[-1]) for row in rows}


@pytest.fixture
def room(session: Session, settings: Settings) -> Room:
    return Room(session, settings)


@pytest.mark.parametrize(
    ("method", "share", "kept"),
    [
        ("dpo", {}, 5),
        ("kto", {"validation_share": 0.3}, 6),
        ("dpo", {"validation_share": 0.5}, 10),
    ],
)
def test_whole_groups_are_kept_out_and_the_share_is_written_down(
    room: Room, method: str, share: dict[str, float], kept: int
) -> None:
    run = room.train(room.freeze(room.groups(20)), method=method, **WATCH, **share)
    train, watched = room.read(run)
    groups = [{n // 2 for n in numbers(rows)} for rows in (train, watched)]
    assert groups[0].isdisjoint(groups[1])
    assert (len(groups[0]), len(groups[1])) == (20 - kept, kept)
    assert (len(train), len(watched)) == (2 * (20 - kept), 2 * kept)
    by_name: dict[str, set[int]] = {}
    for row in watched:
        by_name.setdefault(row.pop("group"), set()).update(numbers([row]))
    assert sorted(len(members) for members in by_name.values()) == [2] * kept
    assert {frozenset(row) for row in watched} == {frozenset(row) for row in train}
    config = load_config(run_files(run, room.settings).config)
    assert config.validation_share == share.get("validation_share", 0.1)
    assert config.validation_file == run_files(run, room.settings).validation


def test_the_set_and_its_seed_decide_the_rows_and_the_training_does_not(room: Room) -> None:
    examples = room.groups(20)
    frozen, other = room.freeze(examples), room.freeze(examples, name="other", seed=8)
    runs = [
        room.train(frozen, method="dpo", seed=1, **WATCH),
        room.train(frozen, method="dpo", seed=2, search={"rank": [4, 8]}),
        room.train(other, method="dpo", seed=1, **WATCH),
    ]
    one, same, different = (numbers(room.read(run)[1]) for run in runs)
    assert one == same != different


def test_prompts_that_nearly_repeat_each_other_stay_together(room: Room) -> None:
    examples = room.groups(10)
    text = "Please send the blue card to my new address in the old town today"
    alike = [room.example(100 + n, f"alone{n}", text=f"{text}{'!' * n} {100}") for n in range(8)]
    train, watched = room.read(
        room.train(room.freeze([*examples, *alike]), method="dpo", validation_share=0.5)
    )
    sides = [
        sum(row["prompt"][0]["content"].startswith("Please") for row in rows)
        for rows in (train, watched)
    ]
    assert sorted(sides) == [0, 8]


def test_no_held_out_row_is_read(room: Room) -> None:
    train, watched = room.read(room.train(room.freeze(room.groups(12)), method="kto", **WATCH))
    assert 900 not in numbers(train) | numbers(watched)
    assert numbers(train) | numbers(watched) == set(range(24))


@pytest.mark.parametrize(
    ("n_groups", "good", "config", "said"),
    [
        (9, None, {"method": "dpo"}, "the set's rows are of 9 groups, and 10 are needed"),
        (10, set(), {"method": "kto"}, "the rows kept out would not hold both good and bad"),
        (10, {3}, {"method": "kto"}, "the rows trained on would not hold both good and bad"),
        (10, None, {"method": "sft", "validation_share": 0.2}, "validation_share is for dpo and"),
        (10, None, {"method": "dpo", "validation_share": 0.6}, "validation_share: input should be"),
    ],
)
def test_what_cannot_be_validated_is_one_sentence(
    room: Room, n_groups: int, good: set[int] | None, config: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        room.train(room.freeze(room.groups(n_groups), good=good), **WATCH, **config)


def test_both_labels_stand_on_both_sides_where_one_is_rare(room: Room) -> None:
    good = {4, 30}
    train, watched = room.read(
        room.train(room.freeze(room.groups(20), good=good), method="kto", **WATCH)
    )
    for rows in (train, watched):
        assert {row["label"] for row in rows} == {True, False}


def _adapter(room: Room, run: TrainingRun) -> None:
    folder = Path(room.settings.artifacts) / "v1"
    folder.mkdir(parents=True)
    shape = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(shape))
    common = {"base_model": "tiny", "base_sha256": "a" * 64, "tokenizer_sha256": "b" * 64}
    for name, path in (("base", None), ("v1", str(folder))):
        room.session.add(
            ModelVersion(
                project_id=room.project.id,
                name=name,
                revision=1,
                template_sha256="c" * 64,
                adapter_path=path,
                adapter_sha256="e" * 64 if path else None,
                training_run_id=run.id if path else None,
                **common,
            )
        )
    room.session.flush()


def test_what_the_start_was_trained_on_does_not_validate(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.services.training.start._check_base", lambda *_: None)
    monkeypatch.setattr("backend.services.training.start.register_base", lambda *_: None)
    old = room.groups(12)
    _adapter(room, room.train(room.freeze(old, name="round 1")))
    new = room.groups(8, first=12)
    both = room.freeze([*old, *new], name="round 2")
    _, watched = room.read(room.train(both, method="dpo", start="v1", **WATCH))
    assert len(watched) == 10
    assert min(numbers(watched)) >= 24
    with pytest.raises(InvalidInput, match=r"10 of the 20 groups .* only 8 are new to the model"):
        room.train(both, method="dpo", start="v1", validation_share=0.5)


def test_the_trainer_can_read_what_was_kept_out(
    session: Session, settings: Settings, tiny_base: Path
) -> None:
    room = Room(session, settings, base=str(tiny_base))
    run = room.train(
        room.freeze(room.groups(10)),
        method="dpo",
        validation_share=0.5,
        epochs=1,
        lora={"rank": 4, "alpha": 8},
        threads=1,
    )
    assert sft.main(["--config", str(run_files(run, settings).config)]) == 0
    result = json.loads((Path(run.output_dir) / "strop.json").read_text())
    assert (result["train"]["rows"], result["validation"]["rows"]) == (10, 10)
    assert (result["validation"]["loss"]["groups"], result["validation"]["share"]) == (5, 0.5)
    assert result["validation"]["accuracy"]["n"] == 10
