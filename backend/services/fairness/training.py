"""Mentions of groups in a training set, and whether what it teaches goes with them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.schemas.fairness import MentionReportShown
from backend.services.curation.sets import get_training_set
from backend.services.fairness.pairs import check_language
from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import Example


def set_mentions(
    session: Session, training_set_id: int, *, language: str | None = None, level: float = 0.95
) -> MentionReportShown:
    """The audit of a frozen set; of a system message nothing is counted, since all rows have it.

    Raises:
        NotFound: there is no such set.
        InvalidInput: there are no lists for the language.
        CannotCompute: no row is in a language that there are lists for.
    """
    from evaluators.errors import EvaluatorError
    from evaluators.fairness.lexicon import tell_language
    from evaluators.fairness.mentions import Row, audit_rows

    frozen = get_training_set(session, training_set_id)
    check_language(language)
    query = (
        select(TrainingSetRow.prompt, TrainingSetRow.completion, Example.group, Example.external_id)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .where(TrainingSetRow.training_set_id == frozen.id)
        .order_by(TrainingSetRow.position)
    )
    rows = []
    for prompt, completion, group, external_id in session.execute(query):
        asked = "\n".join(turn["content"] for turn in prompt if turn["role"] != "system")
        told = language or tell_language(f"{asked}\n{completion}")
        rows.append(Row(asked, completion, group or external_id, told))
    try:
        found = audit_rows(rows, level=level)
    except EvaluatorError as error:
        raise CannotCompute(error.message, hint=error.hint) from error
    return MentionReportShown(
        training_set_id=frozen.id, name=frozen.name, digest=frozen.digest, **found.as_dict()
    )
