"""Mentions of groups in a training set, and whether what it teaches goes with them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, raised_as
from backend.schemas.fairness import SetMentions
from backend.services.curation.sets import get_training_set
from backend.services.fairness.pairs import check_language
from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import Example
from evaluators.errors import EvaluatorError

if TYPE_CHECKING:
    from evaluators.fairness.mentions import LargestSkew, TaughtRow


def set_mentions(
    session: Session, training_set_id: int, *, language: str | None = None, level: float = 0.95
) -> SetMentions:
    """The audit of a frozen set; of a system message nothing is counted, since all rows have it.

    Raises:
        NotFound: there is no such set.
        InvalidInput: there are no lists for the language.
        CannotCompute: no row is in a language that there are lists for.
    """
    from evaluators.fairness.mentions import audit_rows

    frozen = get_training_set(session, training_set_id)
    check_language(language)
    with raised_as(CannotCompute, EvaluatorError):
        found = audit_rows(_rows_of(session, frozen.id, language), level=level)
    told = {f.name: getattr(found, f.name) for f in fields(found)}
    return SetMentions(training_set_id=frozen.id, name=frozen.name, digest=frozen.digest, **told)


def set_skew(
    session: Session, training_set_id: int, kind: str, *, level: float = 0.95
) -> LargestSkew:
    """The largest skew of a frozen set with one kind of group.

    Raises:
        NotFound: there is no such set.
        CannotCompute: nothing could be looked for.
    """
    from evaluators.fairness.mentions import largest_skew

    frozen = get_training_set(session, training_set_id)
    with raised_as(CannotCompute, EvaluatorError):
        return largest_skew(_rows_of(session, frozen.id, None), kind, level=level)


def _rows_of(session: Session, training_set_id: int, language: str | None) -> list[TaughtRow]:
    from evaluators.fairness.lexicon import tell_language
    from evaluators.fairness.mentions import TaughtRow

    query = (
        select(TrainingSetRow.prompt, TrainingSetRow.completion, Example.group, Example.external_id)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .where(TrainingSetRow.training_set_id == training_set_id)
        .order_by(TrainingSetRow.position)
    )
    rows = []
    for prompt, completion, group, external_id in session.execute(query):
        asked = "\n".join(turn["content"] for turn in prompt if turn["role"] != "system")
        told = language or tell_language(f"{asked}\n{completion}")
        rows.append(TaughtRow(asked, completion, group or external_id, told))
    return rows
