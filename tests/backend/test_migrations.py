"""The migrations go up and down on both databases and leave the schema that the tables describe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from backend.db import alembic_config, migrate, open_database, session_factory, utc_now
from backend.schemas.turns import transcript
from backend.services.accounts.users import create_user
from backend.services.checks.judges.judges import add_judge
from backend.services.datasets.conversations import digest_text
from backend.services.datasets.prompts.prompts import PromptSpec, add_prompt
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.models.others import register_served
from backend.services.projects import create_project
from backend.tables import Base
from backend.tables.curation import TrainingSet
from backend.tables.datasets import AcceptedLeak, Dataset, DatasetVersion, Example
from backend.tables.models import ModelVersion, Prompt
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun


def _empty_sqlite(tmp_path: Path, _: pytest.FixtureRequest) -> str:
    return f"sqlite:///{tmp_path / 'empty.db'}"


def _empty_postgres(_: Path, request: pytest.FixtureRequest, *, like: str = "") -> str:
    server = str(request.getfixturevalue("postgres_server"))
    name = f"strop_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {like}")
    request.addfinalizer(lambda: _drop(server, name))
    return f"{server.rpartition('/')[0]}/{name}"


def full_sqlite(_: Path, request: pytest.FixtureRequest) -> str:
    """Migrated, and the test's own."""
    return str(request.getfixturevalue("sqlite_url"))


def full_postgres(path: Path, request: pytest.FixtureRequest) -> str:
    """The same: one that others share must not go down."""
    template = request.getfixturevalue("postgres_template")
    return _empty_postgres(path, request, like=f"TEMPLATE {template}")


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _tables(url: str) -> set[str]:
    engine = open_database(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names - {"alembic_version"}


@pytest.mark.parametrize(
    "make_empty", [_empty_sqlite, pytest.param(_empty_postgres, marks=pytest.mark.postgres)]
)
def test_migrations_go_up_match_the_tables_and_go_down(
    make_empty: Callable[[Path, pytest.FixtureRequest], str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    url = make_empty(tmp_path, request)
    migrate(url)
    assert {"projects", "examples", "generations", "review_slots"} <= _tables(url)
    command.check(alembic_config(url))
    command.downgrade(alembic_config(url), "base")
    assert _tables(url) == set()


def test_partial_indexes_are_of_the_rows_that_the_tables_say(sqlite_url: str) -> None:
    """Which a comparison of tables and database leaves out."""
    engine = open_database(sqlite_url)
    partial = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
    with engine.connect() as connection:
        made = dict(connection.exec_driver_sql(partial).all())
    engine.dispose()
    indexes = [index for table in Base.metadata.tables.values() for index in table.indexes]
    wheres = {str(index.name): index.dialect_options["sqlite"]["where"] for index in indexes}
    said = {name: str(where) for name, where in wheres.items() if where is not None}
    assert {name: sql.partition(" WHERE ")[2] for name, sql in made.items()} == said


@pytest.mark.parametrize(
    "make_full", [full_sqlite, pytest.param(full_postgres, marks=pytest.mark.postgres)]
)
def test_prompts_of_before_are_known_again(
    make_full: Callable[[Path, pytest.FixtureRequest], str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Digests of former rules become those by which the same prompt is known now."""
    url = make_full(tmp_path, request)
    engine = open_database(url)
    texts = ["plain", "caf\u00e9 &amp; t\u200bea", "МЕТФОРМИН 500 mg twice a day"]
    with session_factory(engine).begin() as session:
        project = create_project(session, "p", base_model="base")
        version = DatasetVersion(
            dataset=Dataset(name="d", project_id=project.id),
            number=1,
            digest="0" * 64,
            n_examples=3,
            source_name="d",
            split_recipe={},
        )
        session.add(version)
        session.flush()
        former = {text: f"{n}" * 64 for n, text in enumerate(texts)}
        for text, digest in former.items():
            session.add(
                Example(
                    dataset_version_id=version.id,
                    external_id=text,
                    input=text,
                    references=[],
                    slices={},
                    split="test",
                    content_digest=digest,
                )
            )
        reviewer = create_user(session, "eva", "lead")
        session.add(
            AcceptedLeak(
                project_id=project.id,
                train_digest=former[texts[0]],
                held_out_digest=former[texts[1]],
                kind="near",
                similarity=0.9,
                reason="r",
                accepted_by_id=reviewer.id,
                accepted_at=utc_now(),
            )
        )
    command.downgrade(alembic_config(url), "0016")
    migrate(url)
    now = {text: digest_text(text, None) for text in texts}
    with session_factory(engine)() as session:
        assert {e.input: e.content_digest for e in session.scalars(select(Example))} == now
        accepted = session.scalars(select(AcceptedLeak)).one()
        assert accepted.train_digest == now[texts[0]]
        assert accepted.held_out_digest == now[texts[1]]
    engine.dispose()


def test_a_conversation_is_not_taken_for_its_transcript_by_an_older_strop(sqlite_url: str) -> None:
    with session_factory(open_database(sqlite_url)).begin() as session:
        project = create_project(session, "p", base_model="base")
        turns = ({"role": "user", "content": "Hi"}, {"role": "user", "content": "Who?"})
        row = ExampleRow("a", transcript(turns), references=("Ann",), messages=turns)
        plain = [ExampleRow(f"b{n}", f"word {n}", references=("Ann",)) for n in range(3)]
        import_dataset(session, project.id, "plain", plain, source_name="b")
        import_dataset(session, project.id, "chats", [row], source_name="a")
    with pytest.raises(RuntimeError, match="would take 1 conversations for something else"):
        command.downgrade(alembic_config(sqlite_url), "0017")


def test_a_served_model_is_not_taken_for_weights_by_an_older_strop(sqlite_url: str) -> None:
    with session_factory(open_database(sqlite_url)).begin() as session:
        project = create_project(session, "p", base_model="base")
        register_served(session, project.id, "gpt", "gpt-4o")
    with pytest.raises(RuntimeError, match="would take 1 candidates with a prompt, or models"):
        command.downgrade(alembic_config(sqlite_url), "0017")


def test_judges_are_not_lost_on_the_way_to_an_older_strop(sqlite_url: str) -> None:
    with session_factory(open_database(sqlite_url)).begin() as session:
        project = create_project(session, "p", base_model="base")
        register_served(session, project.id, "gpt", "gpt-4o")
        add_judge(session, project.id, "strict", model="gpt")
    with pytest.raises(RuntimeError, match="would lose 1 judges with their licences"):
        command.downgrade(alembic_config(sqlite_url), "0022")


@pytest.mark.parametrize(
    "make_full", [full_sqlite, pytest.param(full_postgres, marks=pytest.mark.postgres)]
)
@pytest.mark.parametrize("kind", ["model_versions", "training_runs"])
def test_what_is_on_another_base_is_not_taken_for_the_projects_by_an_older_strop(
    kind: str,
    make_full: Callable[[Path, pytest.FixtureRequest], str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """An adapter on another base, or a training on one, bars the way; then only prompts go down."""
    url = make_full(tmp_path, request)
    engine = open_database(url)
    with session_factory(engine).begin() as session:
        project = create_project(session, "p", base_model="base")
        small, large = _model(project.id, "base"), _model(project.id, "large")
        session.add_all([small, large])
        add_prompt(session, project.id, "brief", PromptSpec(system="Be brief."), tried=True)
        session.flush()
        on_base = _model(project.id, "v1")
        other = _on_another_base(session, kind, project.id, large.id)
        session.add_all([on_base, other])
    config = alembic_config(url)
    with pytest.raises(RuntimeError, match=f"would take 1 rows of {kind}, on another base"):
        command.downgrade(config, "0023")
    with session_factory(engine).begin() as session:
        assert [prompt.tried for prompt in session.scalars(select(Prompt))] == [True]
        session.delete(session.merge(other))
    command.downgrade(config, "0023")
    migrate(url)
    with session_factory(engine)() as session:
        assert {model.name for model in session.scalars(select(ModelVersion))} == {
            "base",
            "large",
            "v1",
        }
        assert [prompt.tried for prompt in session.scalars(select(Prompt))] == [False]
    engine.dispose()


def _model(project_id: int, name: str, base_id: int | None = None) -> ModelVersion:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return ModelVersion(
        project_id=project_id,
        name=name,
        revision=1,
        base_model=f"/models/{name}",
        base_sha256=digest,
        tokenizer_sha256=digest,
        template_sha256=digest,
        base_id=base_id,
    )


def _on_another_base(
    session: Session, kind: str, project_id: int, base_id: int
) -> ModelVersion | TrainingRun:
    if kind == "model_versions":
        return _model(project_id, "on-large", base_id)
    frozen = TrainingSet(project_id=project_id, name="s", recipe={}, digest="0" * 64, n_rows=0)
    bar = SuccessManifest(project_id=project_id, version=1, digest="0" * 64, content={}, source="")
    session.add_all([frozen, bar])
    session.flush()
    return TrainingRun(
        project_id=project_id,
        training_set_id=frozen.id,
        manifest_id=bar.id,
        base_id=base_id,
        adapter_name="v2",
        config={},
        output_dir="out",
    )
