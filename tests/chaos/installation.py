"""A project that is ready for a round: examples, a base, its answers, a queue for corrections."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from backend.db import connect, utc_now
from backend.rubrics import find_rubric
from backend.services import review
from backend.services.accounts.credentials import create_token
from backend.services.accounts.users import create_user
from backend.services.datasets.versions import import_dataset, list_examples
from backend.services.models.versions import register_base
from backend.services.projects import create_project, set_manifest
from backend.settings import Settings
from backend.tables.accounts import Membership, Role, User
from backend.tables.runs import GenerationRun
from tests.fixtures_review import Desk, make_rows, run_over

BAR = """
name: bar
lines:
  - {metric: exact_match, margin: 0.2}
  - {metric: win_rate, threshold: 0.5}
"""
SPLITS = {"train": 8, "test": 20}
PLAN = {
    "adapter": "v9",
    "recipe": {"queues": ["corrections"]},
    "dataset": "tickets",
    "metrics": ["exact_match", "bleu"],
    "review": {"reviewers": ["expert"], "stop_when_decided": False},
}


@dataclass(frozen=True)
class Installation:
    """Where it is, and how its one expert speaks to it."""

    settings: Settings
    sessions: sessionmaker[Session]
    project_id: int
    corrections_id: int
    token: str
    lead_token: str


def install(home: Path, url: str, base: Path, *, port: int) -> Installation:
    """Lay the project down in an empty, migrated database.

    The base is copied to a folder of the same length, so that nothing tells two rounds apart.
    """
    settings = Settings(
        home=home, database_url=url, port=port, torch_threads=1, worker_poll_seconds=0.1
    )
    home.mkdir(parents=True, exist_ok=True)
    copy = shutil.copytree(base, home / "base")
    sessions = connect(settings)
    with sessions.begin() as session:
        project = create_project(session, "desk", base_model=str(copy))
        first = register_base(session, project.id)
        version = import_dataset(
            session, project.id, "tickets", make_rows(SPLITS), source_name="made here"
        )
        expert = _person(session, "expert", Role.EXPERT, project.id)
        lead = create_user(session, "lead", "lead", project_ids=[project.id])
        single, pair = (
            review.save_rubric(session, project.id, find_rubric(name)).id
            for name in ("telecom_desk", "blind_pair")
        )
        desk = Desk(project, version, GenerationRun(), [first], [expert], single, pair)
        desk.examples = list_examples(session, version.id)
        desk.run = run_over(session, desk, version)
        set_manifest(session, project.id, BAR)
        opened = desk.open(session, "corrections")
        tokens = [create_token(session, user, "t", now=utc_now()).value for user in (expert, lead)]
        return Installation(settings, sessions, project.id, opened.id, *tokens)


def _person(session: Session, name: str, role: Role, project_id: int) -> User:
    """Somebody with a fixed pseudonym: a drawn one would tell two rounds apart."""
    user = User(name=name, pseudonym=f"R-{name}", role=role)
    session.add(user)
    session.flush()
    session.add(Membership(project_id=project_id, user_id=user.id))
    session.flush()
    return user
