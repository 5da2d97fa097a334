"""Judges of a project: added in versions that never change, found, and opened to rate.

A judge is asked with a prompt of its own, which says what to judge by; the form of the answer, the
scale, and that what is judged is no instruction are added (`evaluators.checks.models.judge`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.rubrics import Criterion, rubric_from_content
from backend.schemas.common import unstorable, whole_number
from backend.services.checks.judges.notes import digest_notes, note_reader
from backend.services.checks.model_checks import ModelCheck
from backend.services.models.versions import find_model
from backend.services.projects import lock_project
from backend.tables.checks.judges import Judge, JudgeKind
from backend.tables.models import ModelVersion
from backend.tables.review import RubricVersion

if TYPE_CHECKING:
    from evaluators.checks.models.interface import Asker
    from evaluators.checks.models.judge import Judging
    from evaluators.metric import Metric

BUILT_IN = "built-in"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
MOST_PROMPT = 100_000
MOST_TOKENS = 4_096
NEEDED = {JudgeKind.RATER: ("{prediction}",), JudgeKind.COMPARER: ("{first}", "{second}")}


def add_judge(
    session: Session,
    project_id: int,
    name: str,
    *,
    model: str,
    prompt: str = BUILT_IN,
    criterion: str | None = None,
    rubric: str | None = None,
    kind: str = JudgeKind.RATER,
    max_tokens: int = 256,
    created_by_id: int | None = None,
) -> Judge:
    """A judge as the next version of its name; the same content is the version that stands.

    Args:
        prompt: its text, or BUILT_IN.
        criterion: the question that it answers, of the newest version of the project's rubrics.
        rubric: whose criterion, where several have one of the name.

    Raises:
        NotFound: no such model, rubric or criterion.
        InvalidInput: a model of which only outputs are known, a candidate with a prompt, a scale
            that no judge answers, or a prompt that does not show what is judged.
    """
    chosen = _check(name, kind, max_tokens)
    answers = find_model(session, project_id, model)
    _require_model(answers)
    question = None
    if criterion is not None:
        question = _find_criterion(session, project_id, criterion, rubric)
    scale = criterion_scale(question) if chosen is JudgeKind.RATER else {}
    text = _prompt_text(prompt, chosen, question)
    judge = Judge(
        project_id=project_id,
        name=name,
        model_version_id=answers.id,
        kind=chosen,
        criterion=criterion,
        prompt=text,
        digest=_digest(chosen, answers, criterion, text, scale, max_tokens),
        scale=scale,
        max_tokens=max_tokens,
        created_by_id=created_by_id,
    )
    return _next_version(session, judge)


def _digest(
    kind: str, model: ModelVersion, criterion: str | None, prompt: str, scale: Any, most: int
) -> str:
    content = {
        "kind": str(kind),
        "model": model.id,
        "criterion": criterion,
        "prompt": prompt,
        "scale": scale,
        "max_tokens": most,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _next_version(session: Session, judge: Judge) -> Judge:
    """The judge as the next version of its name, or the version that is the same."""
    lock_project(session, judge.project_id)
    versions = [one for one in list_judges(session, judge.project_id) if one.name == judge.name]
    for known in versions:
        if known.digest == judge.digest:
            return known
    judge.version = len(versions) + 1
    session.add(judge)
    session.flush()
    return judge


def _check(name: str, kind: str, max_tokens: int) -> JudgeKind:
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} is no name for a judge.", hint="Letters, digits, . _ and -, 40 at most."
        )
    if not 1 <= max_tokens <= MOST_TOKENS:
        raise InvalidInput(f"{max_tokens} tokens: a judge may write 1 to {MOST_TOKENS}.")
    if kind not in list(JudgeKind):
        raise InvalidInput(f"A judge is a rater or a comparer, not {kind[:40]!r}.")
    return JudgeKind(kind)


def _require_model(model: ModelVersion) -> None:
    if model.only_outputs:
        raise InvalidInput(
            f"Only outputs of {model.label} are known: nobody can ask it.",
            hint="Name a model that an engine here can hold, or that a server elsewhere knows.",
        )
    if model.prompt is not None:
        raise InvalidInput(
            f"{model.label} is a candidate with a prompt of its own.",
            hint=f"A judge has its own prompt: name {model.without_prompt.label}.",
        )


def _find_criterion(session: Session, project_id: int, name: str, rubric: str | None) -> Criterion:
    """The criterion in the newest version of a rubric, and the same in all that have it."""
    query = select(RubricVersion).where(RubricVersion.project_id == project_id)
    newest = {row.name: row for row in session.scalars(query.order_by(RubricVersion.version))}
    if rubric is not None:
        if rubric not in newest:
            known = ", ".join(newest) or "none"
            raise NotFound(f"There is no rubric {rubric[:80]!r}.", hint=f"Known: {known}.")
        newest = {rubric: newest[rubric]}
    rubrics = [rubric_from_content(row.content) for row in newest.values()]
    found = [(r.name, c) for r in rubrics for c in r.criteria if c.name == name]
    if not found:
        known = ", ".join(dict.fromkeys(c.name for r in rubrics for c in r.criteria)) or "none"
        raise NotFound(f"No rubric has a criterion {name[:80]!r}.", hint=f"Known: {known}.")
    first = found[0][1]
    if any(other != first for _, other in found):
        raise InvalidInput(
            f"Several rubrics have a criterion {name!r}: {', '.join(r for r, _ in found)}.",
            hint="Say which: --rubric NAME.",
        )
    return first


def criterion_scale(criterion: Criterion | None) -> dict[str, Any]:
    """The answers to a criterion and what each is worth; five steps without one."""
    answers: list[str | int] = [1, 2, 3, 4, 5] if criterion is None else criterion.steps()
    if criterion is not None and not answers:
        raise InvalidInput(
            f"A judge cannot answer {criterion.name!r}: {criterion.words}.",
            hint="It rates on yes or no, on steps, and on pass or fail.",
        )
    return {"answers": answers, "values": [i / (len(answers) - 1) for i in range(len(answers))]}


def _prompt_text(prompt: str, kind: JudgeKind, criterion: Criterion | None) -> str:
    from evaluators.checks.models.judge import load_prompt

    if prompt == BUILT_IN:
        names = {JudgeKind.RATER: "faithfulness_v2", JudgeKind.COMPARER: "pair_v2"}
        asks = kind is JudgeKind.RATER and criterion is not None
        prompt = load_prompt("criterion_v1" if asks else names[kind])
    if not prompt.strip() or len(prompt) > MOST_PROMPT:
        raise InvalidInput(f"A judge's prompt has 1 to {MOST_PROMPT:,} characters.")
    if fault := unstorable(prompt):
        raise InvalidInput(f"The prompt cannot be kept: {fault}.")
    for field in NEEDED[kind]:
        if field not in prompt:
            raise InvalidInput(
                f"The prompt does not show what is judged: it lacks {field}.",
                hint=f"A {kind} is shown {' and '.join(NEEDED[kind])}, and may be shown {{input}}, "
                "{context} and {notes}.",
            )
    if "{question}" in prompt:
        if criterion is None:
            raise InvalidInput("The prompt asks the {question} of a criterion: name one.")
        prompt = prompt.replace("{question}", question_of(criterion))
    return prompt


def question_of(criterion: Criterion) -> str:
    """A criterion as a judge is asked it."""
    parts = (criterion.question, criterion.help, criterion.explanation)
    return "\n".join(part for part in parts if part)


def list_judges(session: Session, project_id: int) -> list[Judge]:
    """All versions of all judges, by name and version."""
    query = select(Judge).where(Judge.project_id == project_id)
    return list(session.scalars(query.order_by(Judge.name, Judge.version)))


def find_judge(
    session: Session, project_id: int, label: str, *, kind: JudgeKind | None = None
) -> Judge:
    """The judge that people mean by `strict` (its newest version) or `strict@2`.

    Raises:
        NotFound: there is none.
        InvalidInput: it is of another kind than is wanted.
    """
    name, at, version = label.partition("@")
    number = whole_number(version) if at else None
    every = list_judges(session, project_id)
    found = [one for one in every if one.name == name and (not at or one.version == number)]
    if not found:
        known = ", ".join(one.label for one in every)
        raise NotFound(
            f"There is no judge {label[:80]!r}.",
            hint=f"Known: {known}." if known else "Add one: strop judge add NAME --model MODEL",
        )
    judge = found[-1]
    if kind is not None and judge.kind != kind:
        raise InvalidInput(
            f"{judge.label} is a {judge.kind}, and a {kind} is wanted here.",
            hint=f"Add one: strop judge add NAME --model MODEL --kind {kind}",
        )
    return judge


def judging_of(judge: Judge) -> Judging:
    """How a judge is asked."""
    from evaluators.checks.models.judge import STEPS, JudgeScale, Judging

    scale = STEPS
    if judge.scale:
        scale = JudgeScale(tuple(judge.scale["answers"]), tuple(judge.scale["values"]))
    return Judging(judge.prompt, scale, judge.max_tokens)


def open_rater(session: Session, project_id: int, label: str) -> ModelCheck:
    """A rater as a check that asks a model: `judge:NAME@VERSION`.

    A name without a version would mean another judge as soon as there is a newer one.
    """
    from evaluators.checks.models.interface import opened
    from evaluators.checks.models.judge import rate
    from evaluators.registry import resolve_metrics

    if "@" not in label:
        newest = find_judge(session, project_id, label, kind=JudgeKind.RATER)
        raise InvalidInput(f"judge:{label[:80]} names no version.", hint=f"Write {newest.metric}.")
    judge = find_judge(session, project_id, label, kind=JudgeKind.RATER)
    (declared,) = resolve_metrics([judge.metric])
    how, note_of = judging_of(judge), note_reader(session, project_id)
    of = f"judge:{judge.digest[:16]}|tries:{how.tries}"
    if how.has_notes:
        of += f"|notes:{digest_notes(session, project_id)[:16]}"

    def open_with(asker: Asker) -> Metric:
        metric = opened(
            declared, asker, lambda samples, asker: rate(samples, asker, how, note_of=note_of)
        )
        return replace(metric, recipe=lambda scores: f"model:{asker.signature}|{of}")

    return ModelCheck(judge.metric, judge.model, open_with)


def kinship(judge: Judge, models: Sequence[ModelVersion]) -> list[str]:
    """What is to be said where a judge judges itself or its kin (Panickssery et al. 2024).

    Models favour what they find likely, and a model finds its own words and those of models of its
    base likelier than others.
    """
    own = judge.model
    said = []
    for model in models:
        bare = model.without_prompt
        if bare.id == own.id:
            said.append(f"{judge.label} is {bare.label} itself: it judges its own outputs.")
        elif bare.base_model == own.base_model and bare.kind == own.kind and not bare.only_outputs:
            said.append(f"{judge.label} and {model.label} share their base, {own.base_model}.")
    return list(dict.fromkeys(said))
