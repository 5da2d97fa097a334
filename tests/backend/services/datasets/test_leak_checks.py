"""Near-duplicates across a split block imports, training sets and runs, unless somebody signs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import SamplingParams
from backend.errors import InvalidInput, LeakRefused
from backend.services.accounts.users import create_user
from backend.services.curation import freeze_training_set, recipe_from_content
from backend.services.datasets.leaks import Acceptance
from backend.services.datasets.versions import ExampleRow, import_dataset, list_examples
from backend.services.projects import create_project
from backend.services.runs.generation import create_run
from backend.tables.curation import TrainingSet
from backend.tables.datasets import AcceptedLeak, Split
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
HELD_OUT = "My new card has not arrived."
TWIN = "My new card has not arrived yet."
ROWS = [
    ExampleRow("a", TWIN, references=("card_arrival",), split="train"),
    ExampleRow("b", "Why was I charged twice?", references=("charged_twice",), split="train"),
    ExampleRow("c", HELD_OUT, references=("card_arrival",), split="test"),
]


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Session:
    """On SQLite only: nothing here depends on the backend."""
    return sqlite_sessions()


@pytest.fixture
def project_id(session: Session) -> int:
    return create_project(session, "desk", base_model="tiny").id


@pytest.fixture
def lead(session: Session, project_id: int) -> Acceptance:
    user = create_user(session, "lea", role="engineer", password="a-long-password")
    return Acceptance(user.id, "the answers differ", NOW)


def _references(dataset: str, **more: object) -> dict[str, object]:
    return {"references": {"count": 2}, "dataset": dataset, **more}


class TestImport:
    def test_a_near_duplicate_blocks_and_is_shown_side_by_side(
        self, session: Session, project_id: int
    ) -> None:
        with pytest.raises(LeakRefused, match="1 training prompts repeat") as refused:
            import_dataset(session, project_id, "d", ROWS, source_name="f")
        (finding,) = refused.value.findings
        assert (finding["train_text"], finding["held_out_text"]) == (TWIN, HELD_OUT)
        assert (finding["kind"], refused.value.exit_code) == ("near", 2)

    def test_it_is_left_out_when_asked(self, session: Session, project_id: int) -> None:
        version = import_dataset(session, project_id, "d", ROWS, source_name="f", drop_leaks=True)
        assert version.split_recipe["dropped_as_leaks"] == ["a"]

    def test_a_named_person_may_accept_it_with_a_reason(
        self, session: Session, project_id: int, lead: Acceptance
    ) -> None:
        import_dataset(session, project_id, "d", ROWS, source_name="f", accept_leaks=lead)
        (accepted,) = session.scalars(select(AcceptedLeak)).all()
        assert (accepted.accepted_by_id, accepted.reason) == (lead.user_id, lead.reason)
        again = import_dataset(session, project_id, "other", ROWS, source_name="f")
        assert again.n_examples == 3

    def test_no_reason_is_no_acceptance(
        self, session: Session, project_id: int, lead: Acceptance
    ) -> None:
        with pytest.raises(InvalidInput, match="Say why"):
            import_dataset(
                session,
                project_id,
                "d",
                ROWS,
                source_name="f",
                accept_leaks=replace(lead, reason=" "),
            )

    def test_the_same_prompt_cannot_be_accepted(
        self, session: Session, project_id: int, lead: Acceptance
    ) -> None:
        rows = [replace(ROWS[0], input=HELD_OUT.upper()), *ROWS[1:]]
        with pytest.raises(LeakRefused, match="--drop-leaks\\."):
            import_dataset(session, project_id, "d", rows, source_name="f", accept_leaks=lead)

    @pytest.mark.parametrize("seed", range(8))
    def test_a_split_of_ours_keeps_near_duplicates_together(
        self, session: Session, project_id: int, seed: int
    ) -> None:
        rows = [ExampleRow(f"r{i}", f"{word} bill") for i, word in enumerate("abcdefghij")]
        rows += [ExampleRow("one", HELD_OUT), ExampleRow("two", TWIN)]
        version = import_dataset(session, project_id, "d", rows, source_name="f", seed=seed)
        sides = {
            example.external_id: split
            for split in Split
            for example in list_examples(session, version.id, split)
        }
        assert sides["one"] == sides["two"]
        assert version.split_recipe["near_duplicates_kept_together"] == 1


@pytest.fixture
def leaky(session: Session, project_id: int) -> int:
    """A training dataset, and a test set that came from elsewhere."""
    import_dataset(session, project_id, "train", ROWS[:2], source_name="f")
    return import_dataset(session, project_id, "test", ROWS[2:], source_name="f").id


class TestTrainingSet:
    def test_a_near_duplicate_of_another_dataset_blocks(
        self, session: Session, project_id: int, leaky: int
    ) -> None:
        recipe = recipe_from_content(_references("train"))
        with pytest.raises(LeakRefused, match="training set is refused") as refused:
            freeze_training_set(session, project_id=project_id, name="s", recipe=recipe)
        assert refused.value.findings[0]["where"] == "test of test version 1"

    def test_it_is_left_out_and_named(self, session: Session, project_id: int, leaky: int) -> None:
        recipe = recipe_from_content(_references("train", drop_leaks=True))
        frozen = freeze_training_set(session, project_id=project_id, name="s", recipe=recipe)
        assert frozen.n_rows == 1
        assert [leak["train"] for leak in frozen.recipe["dropped_as_leaks"]] == ["a"]

    def test_it_is_accepted_by_name(
        self, session: Session, project_id: int, leaky: int, lead: Acceptance
    ) -> None:
        recipe = recipe_from_content(_references("train"))
        frozen = freeze_training_set(
            session, project_id=project_id, name="s", recipe=recipe, accept_leaks=lead
        )
        assert frozen.n_rows == 2


def _adapter(session: Session, project_id: int, frozen: TrainingSet) -> ModelVersion:
    manifest = SuccessManifest(
        project_id=project_id, version=1, digest="d", source="lines: []", content={}
    )
    session.add(manifest)
    session.flush()
    run = TrainingRun(
        project_id=project_id,
        training_set_id=frozen.id,
        manifest_id=manifest.id,
        adapter_name="v1",
        config={},
        output_dir="x",
    )
    session.add(run)
    session.flush()
    model = ModelVersion(
        project_id=project_id,
        name="v1",
        revision=1,
        base_model="tiny",
        base_sha256="0",
        tokenizer_sha256="0",
        template_sha256="0",
        adapter_path="x",
        adapter_sha256="0",
        training_run_id=run.id,
    )
    session.add(model)
    session.flush()
    return model


class TestRun:
    @pytest.fixture
    def model(self, session: Session, project_id: int) -> ModelVersion:
        import_dataset(session, project_id, "train", ROWS[:2], source_name="f")
        recipe = recipe_from_content(_references("train"))
        frozen = freeze_training_set(session, project_id=project_id, name="s", recipe=recipe)
        return _adapter(session, project_id, frozen)

    def _start(self, session: Session, model: ModelVersion, split: str, **more: Acceptance) -> int:
        rows = [replace(ROWS[2], split=split)]
        version = import_dataset(session, model.project_id, "later", rows, source_name="f")
        return create_run(
            session,
            project_id=model.project_id,
            dataset_version_id=version.id,
            split=split,
            model_ids=[model.id],
            engine="fake",
            params=SamplingParams(),
            **more,
        ).id

    def test_a_test_set_that_came_after_the_training_is_compared(
        self, session: Session, model: ModelVersion
    ) -> None:
        with pytest.raises(LeakRefused, match="The run is refused"):
            self._start(session, model, "test")

    def test_the_clock_does_not_decide_what_is_compared(
        self, session: Session, model: ModelVersion
    ) -> None:
        session.query(TrainingSet).update({"created_at": datetime(2100, 1, 1, tzinfo=UTC)})
        with pytest.raises(LeakRefused, match="The run is refused"):
            self._start(session, model, "test")

    def test_it_is_accepted_by_name(
        self, session: Session, model: ModelVersion, lead: Acceptance
    ) -> None:
        assert self._start(session, model, "test", accept_leaks=lead)

    def test_a_run_on_the_train_split_measures_nothing(
        self, session: Session, model: ModelVersion
    ) -> None:
        assert self._start(session, model, "train")
