"""What became of each reviewed prompt: fixed or still wrong, kept or newly broken.

When an answer counts as right: equality after normalisation, or a metric with a bound.

The accepted texts of a prompt are what experts wrote or approved for it. The rule is frozen with
the training set, before training, and its signature stands on every figure that comes of it.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.curation import FixedRule, Recipe
from backend.services.curation.recipes import fixed_metric
from backend.services.yields.reviewed import CORRECTED, Reviewed, replays_of, reviewed_prompts
from backend.tables.curation import HeldBackRow, Replay, TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.runs import Generation

if TYPE_CHECKING:
    from evaluators.types import Sample

EQUALITY = "equal|strop:1|nfkc,casefold,space,stop"


@dataclass(frozen=True, slots=True)
class AnswerToJudge:
    """An answer to judge, with the texts that are accepted for its prompt."""

    example: Example
    answer: str
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """Whether an answer is right, or the reason why that cannot be told."""

    right: bool | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Answers judged by one rule, in the order in which they were asked."""

    judged: tuple[JudgedAnswer, ...]
    signature: str


def normalise(text: str) -> str:
    """NFKC, case folded, runs of white space as one space, a last full stop left out."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).removesuffix(".")


def judge_answers(rule: FixedRule, asked: Sequence[AnswerToJudge]) -> Judgement:
    """Judge answers by a rule.

    Raises:
        InvalidInput: there is no metric of the rule's name.
    """
    metric = fixed_metric(rule)
    if metric is None:
        right = (normalise(a.answer) in {normalise(text) for text in a.accepted} for a in asked)
        return Judgement(tuple(map(JudgedAnswer, right)), EQUALITY)
    scores = metric.score([_sample(one) for one in asked])
    judged = tuple(
        JudgedAnswer(None, score.error or f"{rule.metric} does not apply to it")
        if score.value is None
        else JudgedAnswer(_within(rule, score.value))
        for score in scores
    )
    return Judgement(judged, f"{metric.signature(scores)}|right:{rule}")


def _within(rule: FixedRule, value: float) -> bool:
    if rule.at_least is not None:
        return value >= rule.at_least - 1e-9
    return rule.at_most is not None and value <= rule.at_most + 1e-9


def _sample(one: AnswerToJudge) -> Sample:
    from evaluators.types import Sample

    return Sample(
        id=one.example.external_id,
        prediction=one.answer,
        references=one.accepted,
        context=one.example.context,
        input=one.example.input,
        group=one.example.group,
    )


class State(StrEnum):
    """A correction is FIXED or STILL_WRONG, an approved output KEPT or NEWLY_BROKEN.

    UNKNOWN: the candidate has given no answer, or the rule cannot judge it.
    """

    FIXED = "fixed"
    STILL_WRONG = "still wrong"
    KEPT = "kept"
    NEWLY_BROKEN = "newly broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """A reviewed prompt and what the candidate answers to it.

    Attributes:
        unchanged: the answer is the one that was reviewed, but for case and white space.
        reason: why the state is unknown.
    """

    reviewed: Reviewed
    state: State
    answer: str | None = None
    unchanged: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Every reviewed prompt of a set under one rule."""

    all: tuple[ReplayOutcome, ...]
    rule: FixedRule
    signature: str


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """What one review came to on one candidate, by the rule of its set."""

    candidate: ModelVersion
    training_set: TrainingSet
    rule: str
    outcome: ReplayOutcome


def frozen_rule(frozen: TrainingSet) -> FixedRule:
    """The rule that was frozen with a set; equality for sets from before there were rules."""
    asked = frozen.recipe.get("asked")
    return FixedRule() if asked is None else Recipe.model_validate(asked).fixed_when


def replay_outcomes(
    session: Session,
    frozen: TrainingSet,
    candidate: ModelVersion,
    *,
    rule: FixedRule | None = None,
    only_reviews: Sequence[int] | None = None,
) -> Outcomes:
    """Judge the replays of a set on a candidate.

    Args:
        rule: another rule than the one that was frozen with the set.
        only_reviews: judge these alone; what is accepted for a prompt is still all of it.

    Raises:
        CannotCompute: nothing was replayed on this candidate.
    """
    replays = replays_of(session, frozen.id, candidate.id)
    if not replays:
        raise CannotCompute(
            f"The corrections of {frozen.name} were never replayed on {candidate.label}.",
            hint=f"Replay them: strop yield {candidate.label} --replay",
        )
    chosen = frozen_rule(frozen) if rule is None else rule
    prompts = reviewed_prompts(session, frozen.id)
    accepted = _accepted_texts(prompts)
    if only_reviews is not None:
        prompts = [prompt for prompt in prompts if prompt.review_id in set(only_reviews)]
    in_replays = Generation.run_id.in_([replay.generation_run_id for replay in replays])
    found = session.scalars(select(Generation).where(in_replays))
    answers = {answer.example_id: answer for answer in found}
    written = [p for p in prompts if (a := answers.get(p.example.id)) and a.text is not None]
    judgement = judge_answers(
        chosen,
        [
            AnswerToJudge(p.example, answers[p.example.id].text or "", accepted[p.example.id])
            for p in written
        ],
    )
    judged = {p.review_id: one for p, one in zip(written, judgement.judged, strict=True)}
    all_ = [_outcome(p, answers.get(p.example.id), judged.get(p.review_id)) for p in prompts]
    return Outcomes(tuple(all_), chosen, judgement.signature)


WORST_FIRST = (State.NEWLY_BROKEN, State.STILL_WRONG, State.UNKNOWN, State.KEPT, State.FIXED)


def worst_first(outcomes: Sequence[ReplayOutcome]) -> list[ReplayOutcome]:
    """What went wrong first, held-back prompts before taught ones."""

    def place(one: ReplayOutcome) -> tuple[int, bool, int]:
        held_back, review_id = one.reviewed.held_back, one.reviewed.review_id
        return WORST_FIRST.index(one.state), not held_back, review_id

    return sorted(outcomes, key=place)


def _accepted_texts(prompts: Sequence[Reviewed]) -> dict[int, tuple[str, ...]]:
    texts: dict[int, dict[str, None]] = defaultdict(dict)
    for prompt in prompts:
        texts[prompt.example.id][prompt.text] = None
    return {example_id: tuple(found) for example_id, found in texts.items()}


def _outcome(
    prompt: Reviewed, answer: Generation | None, judged: JudgedAnswer | None
) -> ReplayOutcome:
    if answer is None:
        return ReplayOutcome(prompt, State.UNKNOWN, reason="there is no answer yet")
    if judged is None or judged.right is None:
        reason = answer.error if judged is None else judged.error
        return ReplayOutcome(prompt, State.UNKNOWN, answer.text, reason=reason)
    text = answer.text or ""
    same = normalise(text) == normalise(prompt.before)
    return ReplayOutcome(prompt, _state(prompt, right=judged.right), text, unchanged=same)


def _state(prompt: Reviewed, *, right: bool) -> State:
    if prompt.source == CORRECTED:
        return State.FIXED if right else State.STILL_WRONG
    return State.KEPT if right else State.NEWLY_BROKEN


def states_of_review(session: Session, review_id: int) -> list[ReviewOutcome]:
    """What one review came to on each candidate on which it was replayed, oldest first."""
    holding = [
        select(table.training_set_id).where(table.review_id == review_id)
        for table in (TrainingSetRow, HeldBackRow)
    ]
    query = (
        select(Replay.training_set_id, Replay.candidate_id)
        .where(Replay.training_set_id.in_(holding[0].union(holding[1])))
        .distinct()
        .order_by(Replay.candidate_id, Replay.training_set_id)
    )
    found = []
    for set_id, candidate_id in session.execute(query).all():
        candidate = session.get_one(ModelVersion, candidate_id)
        frozen = session.get_one(TrainingSet, set_id)
        outcomes = replay_outcomes(session, frozen, candidate, only_reviews=[review_id])
        found += [ReviewOutcome(candidate, frozen, str(outcomes.rule), one) for one in outcomes.all]
    return found
