"""What Strop cannot know: questions that the team answers, in words of its own.

An unanswered question stands in the dossier as unanswered. Answers are kept with who gave them and
when; the newest counts, and the dossier says how many there were before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, UnknownName
from backend.services import audit
from backend.services.dossier.sections import GOVERN, MANAGE, MAP
from backend.services.projects import lock_project
from backend.tables.dossier import DossierAnswer

LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class DossierQuestion:
    """What the team has to write: under which headings it stands, and what is asked."""

    nist: str
    annex: int
    asks: str


QUESTIONS: dict[str, DossierQuestion] = {
    "purpose": DossierQuestion(MAP, 1, "What is it for, and what is it not for?"),
    "provider": DossierQuestion(
        MAP, 1, "Who provides it, under which name and version, and who answers?"
    ),
    "users": DossierQuestion(MAP, 1, "Who will use it, where, with what training?"),
    "affected": DossierQuestion(
        MAP, 1, "Whom does an answer touch, and what does a wrong one cost them?"
    ),
    "surroundings": DossierQuestion(MAP, 1, "With which other software and hardware does it work?"),
    "instructions": DossierQuestion(MAP, 1, "Where are the instructions for its users?"),
    "origin_of_data": DossierQuestion(
        MAP, 2, "Where does the data come from, on what legal ground?"
    ),
    "choices": DossierQuestion(MAP, 2, "Which choices of design were made, and what was given up?"),
    "security": DossierQuestion(MANAGE, 2, "What protects it against attack and misuse?"),
    "oversight": DossierQuestion(
        GOVERN, 3, "Which person can see, refuse and stop an answer, and how?"
    ),
    "misuse": DossierQuestion(MAP, 3, "Which foreseeable misuse and which limits are known?"),
    "measures": DossierQuestion(GOVERN, 4, "Why do the lines of the bar fit this purpose?"),
    "risks": DossierQuestion(MANAGE, 5, "Which risks were found, and what is done about each?"),
    "changes": DossierQuestion(
        MANAGE, 6, "Which changes are foreseen, and which ask for a new dossier?"
    ),
    "standards": DossierQuestion(
        GOVERN, 7, "Which harmonised or other standards are applied, in full?"
    ),
    "declaration": DossierQuestion(
        GOVERN, 8, "Where is the declaration of conformity, if one is due?"
    ),
    "watching": DossierQuestion(
        MANAGE, 9, "How is it watched in use, and who is told of an incident?"
    ),
}


@dataclass(frozen=True, slots=True)
class NewestAnswer:
    """The newest answer to a question, and how many were given before it."""

    text: str
    when: str
    before: int


def read_answers(session: Session, project_id: int) -> dict[str, NewestAnswer]:
    """The answers that count, by question."""
    query = select(DossierAnswer).where(DossierAnswer.project_id == project_id)
    found: dict[str, NewestAnswer] = {}
    for row in session.scalars(query.order_by(DossierAnswer.id)):
        before = found[row.question].before + 1 if row.question in found else 0
        when = f"{row.created_at:%Y-%m-%d %H:%M} UTC"
        found[row.question] = NewestAnswer(row.text, when, before)
    return found


def save_answers(
    session: Session, project_id: int, given: Mapping[str, str], *, by_id: int | None = None
) -> list[str]:
    """Keep what is new among these answers; returns the questions that were answered anew.

    Raises:
        UnknownName: there is no such question.
        InvalidInput: an answer is too long, or holds a NUL.
    """
    for question, text in given.items():
        if question not in QUESTIONS:
            raise UnknownName("question of the dossier", question, list(QUESTIONS))
        if len(text) > LONGEST or "\0" in text:
            raise InvalidInput(
                f"The answer to {question} has more than {LONGEST:,} characters or a NUL.",
                hint="Say where the long document lies.",
            )
    lock_project(session, project_id)
    known = read_answers(session, project_id)
    fresh = {
        question: text.strip()
        for question, text in given.items()
        if text.strip() and (question not in known or known[question].text != text.strip())
    }
    session.add_all(
        DossierAnswer(project_id=project_id, question=question, text=text, created_by_id=by_id)
        for question, text in fresh.items()
    )
    if fresh:
        detail = {"questions": sorted(fresh)}
        audit.record(session, "dossier.answered", project_id=project_id, detail=detail)
    session.flush()
    return list(fresh)


def parse_answers(source: str) -> dict[str, str]:
    """Answers as YAML, `question: text`; an empty one is none.

    Raises:
        InvalidInput: it is not YAML, or no mapping of names to texts.
    """
    try:
        content = yaml.safe_load(source)
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidInput(f"The answers are not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and (text is None or isinstance(text, str))
        for name, text in content.items()
    ):
        raise InvalidInput(
            "The answers are no mapping of questions to texts.",
            hint="Get the form: strop dossier answers",
        )
    return {name: text for name, text in content.items() if text}


def answers_form(session: Session, project_id: int) -> str:
    """The form as YAML, with what was answered so far; it can be filled and given back."""
    known = read_answers(session, project_id)
    parts = []
    for name, question in QUESTIONS.items():
        text = known[name].text if name in known else ""
        style = "|" if text else None
        value = yaml.safe_dump({name: text}, allow_unicode=True, default_style=style)
        parts.append(f"# {question.asks}\n{value}")
    return "\n".join(parts)
