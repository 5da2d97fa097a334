"""A queue of one conversation whose turns are long, formatted and hostile, for one expert.

Run alone, to look at the pages: python -m tests.browser.seed_talk HOME
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy.orm import Session

from backend.db import connect
from backend.schemas.turns import transcript
from backend.services.accounts.users import create_user
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.settings import Settings
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.projects import Project
from backend.tables.runs import Generation, GenerationRun, GenerationRunModel
from tests.browser.seed import HOSTILE, PASSWORD
from tests.browser.seed_desk import open_one, seed_desk

EXPERT = "dora"
QUESTION = "What do I pay a month then, and what is my number? [here](javascript:alert(7))"
SAID = (
    ("system", "You answer customers of a telephone company. " + "Be brief and polite. " * 20),
    ("user", "Hello 👍🏽, my number is 48231 and the line drops every evening."),
    ("assistant", f"I am sorry to hear that.\n\n{HOSTILE}"),
    ("tool", '{"contract": {"monthly": "39.90 EUR", "months": 24}, "note": "<b>late</b>"}'),
    ("assistant", "You have **two** ways:\n\n1. change the plan\n2. wait\n\n" + "Or both.\n" * 25),
    ("user", QUESTION),
)
ANSWER = """## Your contract

You pay **39.90 EUR** a month, number 48231, ticket 99999.

| what | price |
|---|---|
| line | 29.90 EUR |
| router | 10.00 EUR |

- [the terms](https://evil.example/terms) ![x](http://evil.example/x.png)
- <img src=x onerror=alert(8)>
"""


def messages() -> list[dict[str, str]]:
    """The conversation as it is stored."""
    return [{"role": role, "content": content} for role, content in SAID]


def seed_talk(settings: Settings) -> None:
    """Add the queue `talk` to the project of `seed_desk`, with an expert who has no other."""
    sessions = connect(settings)
    with sessions.begin() as session:
        project = session.query(Project).one()
        here = [project.id]
        expert = create_user(session, EXPERT, "expert", password=PASSWORD, project_ids=here).id
        model = session.query(ModelVersion).order_by(ModelVersion.id).offset(1).first()
        assert model is not None
        run = _make_run(session, project, model)
        open_one(session, project, "talk", run, [expert], [model])
    sessions.kw["bind"].dispose()


def _make_run(session: Session, project: Project, model: ModelVersion) -> GenerationRun:
    turns = tuple(messages())
    row = ExampleRow(
        external_id="talk-0", input=transcript(turns), messages=turns, references=("-",),
        group="talk-0", split="test",
    )  # fmt: skip
    version = import_dataset(session, project.id, "talk", [row], source_name="talk.jsonl")
    run = GenerationRun(
        project_id=project.id, dataset_version_id=version.id, split="test", example_ids=None,
        engine="fake", params={},
    )  # fmt: skip
    session.add(run)
    session.flush()
    session.add(GenerationRunModel(run_id=run.id, model_version_id=model.id, position=0))
    example = session.query(Example).filter_by(dataset_version_id=version.id).one()
    session.add(
        Generation(
            run_id=run.id, model_version_id=model.id, example_id=example.id, text=ANSWER,
            finish_reason="stop", prompt_tokens=9, completion_tokens=9, latency_s=0.1,
        )
    )  # fmt: skip
    session.flush()
    session.refresh(run)
    return run


if __name__ == "__main__":
    here = Settings(home=Path(sys.argv[1]))
    seed_desk(here)
    seed_talk(here)
