"""A queue made after judgements that came from elsewhere: its rubric, its people, its outputs.

The rubric has their kinds of marks, or their criteria, and takes no other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.rubrics import Category, Criterion, Number, Option, Rubric, Severity, Text, YesNo
from backend.schemas.common import unstorable
from backend.services import review
from backend.services.accounts.users import create_user
from backend.services.exchange.rated_elsewhere import (
    DEFAULT_CRITERION,
    MQM,
    JudgedRow,
    is_fine,
    judged_rows,
    said,
    slug,
)
from backend.services.exchange.review_imports import people_by_name
from backend.services.runs.generation import get_run
from backend.tables.accounts import Role, User
from backend.tables.review import QueueKind, ReviewQueue
from evaluators.files.fields import parse_number

SEVERITIES = {"neutral": 0.0, "minor": 1.0, "major": 5.0, "critical": 25.0}
"""Penalties of Freitag et al. 2021, and "critical" as in MQM Core; the lightest first."""
MINOR_PUNCTUATION, NON_TRANSLATION = 0.1, 25.0
MOST_WORDS = 20
LONGEST_NAME = 120


def rubric_of(source: str, rows: Sequence[Any], name: str) -> Rubric:
    """A rubric that asks what these rows answer, and takes no other kind, severity or criterion.

    Raises:
        InvalidInput: no row can be read, or there is a severity that has no penalty.
    """
    found = [row for row in judged_rows(source, rows) if isinstance(row, JudgedRow)]
    if not found:
        raise InvalidInput("No row of it can be read.", hint="See the guide for the columns.")
    told = "Made after judgements that were imported; they were given elsewhere."
    if source == MQM:
        return _rubric_of_marks(found, name, told)
    values: dict[str, list[str]] = defaultdict(list)
    for row in found:
        criterion = slug(said(row.values, "criterion")) or DEFAULT_CRITERION
        values[criterion].append(said(row.values, "value", "label"))
    criteria = tuple(_criterion_of(one, said) for one, said in values.items())
    return Rubric(name=name, guidelines=told, criteria=criteria)


def _rubric_of_marks(rows: Sequence[JudgedRow], name: str, told: str) -> Rubric:
    marked = [row for row in rows if not is_fine(row)]
    severities = {slug(said(row.values, "severity")) for row in marked}
    if unknown := sorted(severities - set(SEVERITIES)):
        raise InvalidInput(
            f"No penalty is known for the severity {unknown[0]!r}.",
            hint=f"Known: {', '.join(SEVERITIES)}, no-error. Else open the queue by a rubric.",
        )
    used = [one for one in SEVERITIES if one in severities]
    kinds = sorted({slug(said(row.values, "category") or "other") for row in marked})
    weights: dict[str, dict[str, float]] = {}
    for kind in kinds:
        if kind.startswith("non_translation"):
            weights[kind] = dict.fromkeys(used, NON_TRANSLATION)
        elif kind.endswith("punctuation") and "minor" in used:
            weights[kind] = {"minor": MINOR_PUNCTUATION}
    return Rubric(
        name=name,
        guidelines=told,
        criteria=(Text(name="comment", scale="text", question="Anything else?", required=False),),
        span_kinds=tuple(kinds),
        severities=tuple(
            Severity(name=one, label=one.capitalize(), weight=SEVERITIES[one]) for one in used
        ),
        span_weights=weights,
    )


def _criterion_of(name: str, said: Sequence[str]) -> Criterion:
    """Yes or no, a number between those that occur, or one of the words that occur."""
    question = f"{name.replace('_', ' ').capitalize()}?"
    asked = {"name": name, "question": question, "required": False}
    words = sorted({one.lower() for one in said})
    if set(words) <= {"yes", "no", "true", "false"}:
        return YesNo(scale="yes_no", **asked)
    numbers = [number for one in said if (number := parse_number(one)) is not None]
    if len(numbers) == len(said):
        least, most = min(numbers), max(numbers)
        return Number(scale="number", min=least, max=most if most > least else least + 1, **asked)
    options = tuple(Option(name=slug(word), label=word) for word in words)
    if len({option.name for option in options}) < len(words) or len(words) > MOST_WORDS:
        raise InvalidInput(
            f"{len(words)} different values of {name!r} make no scale ({', '.join(words[:3])}).",
            hint="Name a rubric that asks for it: --rubric NAME.",
        )
    if len(options) == 1:
        options += (Option(name="another", label="Another"),)
    return Category(scale="category", options=options, **asked)


def add_raters(
    session: Session,
    project_id: int,
    *,
    source: str,
    rows: Sequence[Any],
    people: Mapping[str, str] | None = None,
) -> list[User]:
    """Make people of the raters whom nobody knows; they have no password, and cannot sign in.

    Raises:
        Conflict: somebody of another project has the name.
        InvalidInput: a name that cannot be kept.
    """
    known = people_by_name(session, project_id, people or {})
    raters = [row.rater for row in judged_rows(source, rows) if isinstance(row, JudgedRow)]
    new = [rater for rater in dict.fromkeys(raters) if rater not in known]
    for rater in new:
        if len(rater) > LONGEST_NAME or unstorable(rater):
            raise InvalidInput(f"{rater[:40]!r} cannot name a person.", hint="Map it: --person.")
    return [create_user(session, one, Role.EXPERT, project_ids=[project_id]) for one in new]


def open_for(
    session: Session,
    project_id: int,
    name: str,
    *,
    source: str,
    rows: Sequence[Any],
    run_id: int,
    people: Mapping[str, str] | None = None,
    rubric: Rubric | None = None,
) -> ReviewQueue:
    """A queue of single outputs of a run, which asks for as many reviews of each as rows give.

    Args:
        rubric: what it asks; None is `rubric_of` the rows.

    Raises:
        InvalidInput: the run has none of the models that the rows name; others as `open_queue`.
    """
    run = get_run(session, run_id, project_id=project_id)
    asked = rubric or rubric_of(source, rows, f"imported_{source}")
    found = [row for row in judged_rows(source, rows) if isinstance(row, JudgedRow)]
    named = {row.place[0] for row in found}
    models = [m for m in run.models if named & {m.name, m.label} or named == {None}]
    if not models or (named == {None} and len(models) > 1):
        raise InvalidInput(
            f"The rows are of {', '.join(sorted(str(one) for one in named))}, and run {run.id} has "
            f"{', '.join(model.label for model in run.models)}.",
            hint="Name the model of each row in a column model (system for MQM).",
        )
    known = people_by_name(session, project_id, people or {})
    raters = {known[row.rater].id for row in found if row.rater in known}
    if not raters:
        raise InvalidInput(
            f"Nobody of this project is known as {found[0].rater[:80]!r}.",
            hint="Map the raters (--person THEIRS=OURS), or add them: --add-people",
        )
    by_place = Counter(place for place, _ in {row.answer for row in found})
    overlap = min(max(by_place.values(), default=1), len(raters))
    return review.open_queue(
        session,
        name,
        review.Opening(
            project_id=project_id,
            kind=QueueKind.SINGLE,
            generation_run_id=run.id,
            rubric_version_id=review.save_rubric(session, project_id, asked).id,
            model_ids=[model.id for model in models],
            reviewer_ids=sorted(raters),
            seed=0,
            overlap=overlap,
            overlap_share=1.0 if overlap > 1 else 0.0,
        ),
    )
