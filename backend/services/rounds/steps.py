"""What each phase of a round does. A step looks, acts at most once, and says what comes.

Every step runs in the transaction that `advance` opens and commits: what it made and the round's
new phase are stored together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.engines.base import SamplingParams
from backend.errors import CannotCompute, JobFailed
from backend.services import curation, queue, review
from backend.services.accounts.users import began_by_a_lead, find_member
from backend.services.curation.recipes import prompt_label, prompt_of_set
from backend.services.datasets.leaks import Acceptance
from backend.services.datasets.prompts.prompts import find_prompt
from backend.services.datasets.versions import find_version
from backend.services.metric_specs import allowed_metrics
from backend.services.models.adapter_files import project_artifacts
from backend.services.models.candidates import with_prompt
from backend.services.models.versions import alias_target, find_model, register_base
from backend.services.projects import current_manifest, manifest_of
from backend.services.queue import JobKind
from backend.services.review.opening.checks import requested_rubric
from backend.services.review.opening.frames import NothingToReview
from backend.services.review.reports.ab import watch_queue
from backend.services.rounds.plans import ReviewPlan, StoredPlan
from backend.services.runs import generation, scoring
from backend.services.training import runs as training
from backend.services.training.start import weekly_start
from backend.services.verdicts.comparison import compare_models
from backend.services.verdicts.promotion import CHAMPION, decide_promotion, get_comparison
from backend.services.verdicts.verdict import Verdict
from backend.services.yields import start_replays
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import BASE, ModelVersion
from backend.tables.queue import JobState
from backend.tables.review import Correction, Purpose, Review, ReviewItem, ReviewQueue
from backend.tables.rounds import Phase, Round
from backend.tables.runs import ScoreRun


@dataclass(frozen=True, slots=True)
class Turn:
    """A round under a step's hands."""

    session: Session
    row: Round
    plan: StoredPlan
    settings: Settings
    now: datetime

    @property
    def accepted(self) -> Acceptance | None:
        """Who lets leaks stand, where somebody did when the round was taken up."""
        given = self.plan.accepted_leaks
        return None if given is None else Acceptance(given.user_id, given.reason, self.now)


@dataclass(frozen=True, slots=True)
class Moved:
    """The phase that follows, and what was done, in words."""

    phase: Phase
    did: str


@dataclass(frozen=True, slots=True)
class Waits:
    """Nothing to do yet, and for what."""

    what: str


def take_step(turn: Turn) -> Moved | Waits | None:
    """Do what the phase of the round asks for; None when there is nothing after it.

    Raises:
        StropError: it cannot be done; nothing of it may be committed.
    """
    step = PHASES[Phase(turn.row.phase)].step
    return None if step is None else step(turn)


def _wait(turn: Turn) -> Moved | Waits:
    plan = turn.plan
    if plan.not_before is not None and turn.now < plan.not_before:
        return Waits(f"{plan.not_before:%Y-%m-%d %H:%M} UTC")
    if plan.after_corrections is not None:
        n = _corrections_since_last(turn)
        if n < plan.after_corrections:
            return Waits(f"corrections: {n} of {plan.after_corrections} since the last round began")
    return Moved(Phase.FREEZE, "its time has come")


def _corrections_since_last(turn: Turn) -> int:
    last = select(func.max(Round.started_at)).where(
        Round.project_id == turn.row.project_id, Round.number < turn.row.number
    )
    since = turn.session.scalar(last)
    query = (
        select(func.count(Correction.id))
        .join(Review, Review.id == Correction.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .where(
            ReviewQueue.project_id == turn.row.project_id,
            Review.purpose != Purpose.GOLD,
            *review.stands(),
        )
    )
    if since is not None:
        query = query.where(Review.submitted_at > since)
    return turn.session.scalar(query) or 0


def _freeze(turn: Turn) -> Moved:
    frozen = curation.freeze_training_set(
        turn.session,
        project_id=turn.row.project_id,
        name=f"round-{turn.row.number}",
        recipe=turn.plan.recipe,
        accept_leaks=turn.accepted,
        encoders=project_artifacts(turn.settings, turn.row.project_id),
    )
    turn.row.training_set_id = frozen.id
    return Moved(Phase.TRAIN, f"froze {frozen.name}: {frozen.n_rows} rows, {frozen.digest[:12]}")


def _train(turn: Turn) -> Moved | Waits:
    session, row = turn.session, turn.row
    if row.training_run_id is None:
        assert row.training_set_id is not None
        run = training.create_training_run(
            session,
            project_id=row.project_id,
            training_set_id=row.training_set_id,
            adapter_name=turn.plan.adapter,
            config=turn.plan.config,
            settings=turn.settings,
            start=weekly_start(session, row.project_id, turn.plan.start),
            created_by_id=row.started_by_id,
        )
        row.training_run_id = run.id
        queue.enqueue_job(session, JobKind.TRAIN, run.id)
    waiting = _job(session, JobKind.TRAIN, row.training_run_id, "the training")
    model = training.trained_model(session, row.training_run_id)
    if waiting is not None or model is None:
        return waiting or Waits("the adapter to be registered")
    model = _as_trained(session, row, model)
    row.candidate_id = model.id
    return Moved(Phase.EVALUATE, f"trained {model.label}")


def _as_trained(session: Session, row: Round, model: ModelVersion) -> ModelVersion:
    """The candidate that is asked as its rows were rendered: with the prompt of the set."""
    recorded = prompt_of_set(session.get_one(TrainingSet, row.training_set_id))
    if not recorded:
        return model
    prompt = find_prompt(session, row.project_id, prompt_label(recorded))
    return with_prompt(session, model, prompt)


def _evaluate(turn: Turn) -> Moved | Waits:
    session, row = turn.session, turn.row
    # Before the run, so that the newest run that people find is the one with the figures.
    replays = _start_replays(turn)
    if row.generation_run_id is None:
        _start_run(turn)
    assert row.generation_run_id is not None
    assert row.score_run_id is not None
    waiting = _job(session, JobKind.GENERATE, row.generation_run_id, "the answers")
    waiting = waiting or _job(session, JobKind.SCORE, row.score_run_id, "the scores")
    for run_id in replays:
        waiting = waiting or _job(session, JobKind.GENERATE, run_id, "the replay of corrections")
    if waiting is not None:
        return waiting
    following = Phase.DECIDE if turn.plan.review is None else Phase.REVIEW
    return Moved(following, f"preflight passed; run {row.generation_run_id} is written and scored")


def _start_replays(turn: Turn) -> list[int]:
    """The generation runs in which the candidate replays its corrections, begun if they lack.

    They are known by set, candidate and dataset version, and the step that lays them down commits
    whole: a worker that dies leaves none or all, and the next one starts no second.
    """
    if not turn.plan.replay:
        return []
    replays = start_replays(
        turn.session,
        turn.session.get_one(TrainingSet, turn.row.training_set_id),
        _candidate(turn),
        engine=turn.plan.engine or turn.settings.engine,
        params=SamplingParams(max_tokens=turn.plan.max_tokens),
        created_by_id=turn.row.started_by_id,
    )
    return [replay.generation_run_id for replay in replays]


def _start_run(turn: Turn) -> None:
    session, row, plan = turn.session, turn.row, turn.plan
    version = find_version(session, row.project_id, plan.dataset)
    register_base(session, row.project_id)
    champion = alias_target(session, row.project_id, CHAMPION)
    beside = [BASE, *([CHAMPION] if champion else []), *plan.also]
    models = [_baseline(turn), *(find_model(session, row.project_id, m) for m in beside)]
    run = generation.create_run(
        session,
        project_id=row.project_id,
        dataset_version_id=version.id,
        split=plan.split,
        model_ids=list(dict.fromkeys([*(model.id for model in models), _candidate(turn).id])),
        engine=plan.engine or turn.settings.engine,
        params=SamplingParams(max_tokens=plan.max_tokens),
        created_by_id=row.started_by_id,
        accept_leaks=turn.accepted,
    )
    scores = scoring.create_score_run(
        session,
        generation_run_id=run.id,
        metrics=list(plan.metrics),
        allowed=allowed_metrics(turn.settings, row.project_id),
    )
    row.generation_run_id, row.score_run_id = run.id, scores.id
    queue.enqueue_job(session, JobKind.GENERATE, run.id, arguments={"then_score": [scores.id]})


def _candidate(turn: Turn) -> ModelVersion:
    return turn.session.get_one(ModelVersion, turn.row.candidate_id)


def _baseline(turn: Turn) -> ModelVersion:
    bar = manifest_of(current_manifest(turn.session, turn.row.project_id))
    return find_model(turn.session, turn.row.project_id, turn.plan.baseline or bar.baseline)


def _review(turn: Turn) -> Moved | Waits:
    plan = turn.plan.review
    if plan is None:
        return Moved(Phase.DECIDE, "no votes are planned")
    opened = turn.row.review_queue_id
    if opened is None:
        try:
            opened = turn.row.review_queue_id = _open_votes(turn, plan).id
        except NothingToReview as nothing:
            if nothing.n_identical == 0:
                raise
            same = f"exactly as {_baseline(turn).label} in all {nothing.n_identical} cases"
            return Moved(Phase.DECIDE, f"the candidate answers {same}: nothing to vote on")
    found = review.get_queue(turn.session, opened)
    if found.finished_at is not None or found.closed_at is not None:
        return Moved(Phase.DECIDE, f"the votes of {found.name!r} are in")
    progress = review.queue_progress(turn.session, opened)
    votes = f"blind votes in {found.name!r}: {progress.done} of {progress.total}"
    decided = _decided(turn, opened, plan) if progress.done else None
    if decided is None or not plan.stop_when_decided:
        return Waits(votes)
    review.close_queue(turn.session, opened, now=turn.now)
    return Moved(Phase.DECIDE, f"{decided} ({progress.done} of {progress.total} votes)")


def _open_votes(turn: Turn, plan: ReviewPlan) -> ReviewQueue:
    session, row = turn.session, turn.row
    assert row.generation_run_id is not None
    asked = requested_rubric(session, row.project_id, plan.rubric, "pair")
    rubric = review.save_rubric(session, row.project_id, asked)
    return review.open_queue(
        session,
        f"round-{row.number}-votes",
        review.Opening(
            project_id=row.project_id,
            kind="pair",
            generation_run_id=row.generation_run_id,
            rubric_version_id=rubric.id,
            model_ids=[_baseline(turn).id, _candidate(turn).id],
            reviewer_ids=[find_member(session, row.project_id, name).id for name in plan.reviewers],
            seed=row.number,
            n_items=plan.n_items,
            lease_seconds=turn.settings.lease_seconds,
        ),
    )


def _decided(turn: Turn, queue_id: int, plan: ReviewPlan) -> str | None:
    """What the votes have decided, in words; None as long as they have not.

    At the error that the manifest allows, by which the verdict will judge them.
    """
    alpha = manifest_of(current_manifest(turn.session, turn.row.project_id)).alpha
    try:
        (watch,) = watch_queue(turn.session, queue_id, margin=plan.margin, alpha=alpha)
    except CannotCompute:
        return None
    return None if watch.decision == "undecided" else watch.sentence


def _decide(turn: Turn) -> Moved:
    session, row = turn.session, turn.row
    votes = row.review_queue_id
    comparison = compare_models(
        session,
        manifest_row=current_manifest(session, row.project_id),
        score_run=session.get_one(ScoreRun, row.score_run_id),
        baseline=_baseline(turn),
        candidate=_candidate(turn),
        queue=None if votes is None else review.get_queue(session, votes),
    )
    row.comparison_id = comparison.id
    alone = began_by_a_lead(session, row.started_by_id) and not turn.settings.serving_urls
    if comparison.verdict == Verdict.PASS and (turn.plan.sign or not alone):
        return Moved(Phase.SIGN, "PASS by the manifest")
    decision = decide_promotion(session, comparison, decided_by_id=row.started_by_id)
    row.promotion_id = decision.id
    return Moved(Phase.END, decision.reason)


def _sign(turn: Turn) -> Waits:
    comparison = get_comparison(turn.session, turn.row.comparison_id)
    return Waits(f"a person to sign the promotion ({comparison.verdict}): strop round sign")


@dataclass(frozen=True, slots=True)
class PhaseEntry:
    """A phase of a round.

    Attributes:
        step: looks, acts at most once, and says what comes; None for the end.
        following: what comes after it, in words.
    """

    step: Callable[[Turn], Moved | Waits] | None
    following: str


PHASES: dict[Phase, PhaseEntry] = {
    Phase.WAIT: PhaseEntry(_wait, "freeze the training set"),
    Phase.FREEZE: PhaseEntry(_freeze, "train the adapter"),
    Phase.TRAIN: PhaseEntry(_train, "check that it is served, and run it beside the model to beat"),
    Phase.EVALUATE: PhaseEntry(_evaluate, "open the blind votes, if any are planned"),
    Phase.REVIEW: PhaseEntry(_review, "judge every line of the manifest"),
    Phase.DECIDE: PhaseEntry(_decide, "promote or hold"),
    Phase.SIGN: PhaseEntry(_sign, "promote"),
    Phase.END: PhaseEntry(None, "end"),
}


def _job(session: Session, kind: JobKind, subject_id: int, what: str) -> Waits | None:
    """What a job keeps the round waiting for; None once it is done.

    Raises:
        JobFailed: it ended otherwise.
    """
    job = queue.find_job(session, kind, subject_id)
    if job is None:
        return Waits(f"{what} to be queued")
    if job.state in (JobState.FAILED, JobState.STOPPED, JobState.CANCELLED):
        raise JobFailed(job.error or f"Job {job.id} was {job.state}.")
    if job.state == JobState.DONE:
        return None
    return Waits(f"{what} ({kind} {subject_id} is {job.state})")
