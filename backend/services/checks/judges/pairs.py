"""Pairs of outputs before a judge: what is still to be asked, what it said, and its biases.

The ledger is the table: one row for a judge, two generations, whichever way round they are named,
and the grading note that it was shown. A note that changed is shown anew, and what was said under
the old one no longer counts. Figures are by a judge and never join those of people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from backend.db import portions
from backend.errors import InvalidInput
from backend.schemas.checks.judges import JudgedPairs, JudgedRate
from backend.schemas.review.reports import Measured
from backend.services.checks.judges.judges import judging_of, kinship
from backend.services.checks.judges.notes import digest_note, notes_by_example
from backend.services.datasets.erased import erased_outputs
from backend.services.ledger import insert_missing
from backend.services.review.counted import counts
from backend.services.review.reports.measured import share_of, unknown
from backend.services.review.reports.votes import cluster_name
from backend.services.runs.scoring import sample_of
from backend.tables.checks.judges import Judge, JudgeVerdict
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.review import Preference, Review, ReviewItem, Winner
from backend.tables.runs import Generation, GenerationRun

if TYPE_CHECKING:
    from evaluators.checks.models.interface import Asker
    from evaluators.checks.models.judge import PairVerdict
    from evaluators.statistics.preference import LogOddsEstimate
    from evaluators.statistics.votes import Vote, WinRate
    from evaluators.types import Sample

BY_A_JUDGE = "by a judge"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two outputs for one example, the older generation first."""

    a: int
    b: int


@dataclass(frozen=True, slots=True)
class RunPairs:
    """The pairs of a run: those that differ, and how many hold the same text twice."""

    pairs: tuple[Pair, ...]
    identical: int


def run_pairs(session: Session, run: GenerationRun, models: Sequence[ModelVersion]) -> RunPairs:
    """Every two outputs of these models for one example and sample.

    Raises:
        InvalidInput: fewer than two models, or one that takes no part in the run.
    """
    there = {model.id: model.label for model in run.models}
    for model in models:
        if model.id not in there:
            raise InvalidInput(
                f"{model.label} takes no part in run {run.id}.",
                hint=f"It has: {', '.join(there.values())}.",
            )
    if len({model.id for model in models}) < 2:
        raise InvalidInput("A pair needs two models.", hint="Name them: --models a,b")
    query = (
        select(Generation.example_id, Generation.sample, Generation.id, Generation.text)
        .where(
            Generation.run_id == run.id,
            Generation.model_version_id.in_([model.id for model in models]),
            Generation.text.is_not(None),
        )
        .order_by(Generation.id)
    )
    cells: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for example_id, sample, generation_id, text in session.execute(query):
        cells.setdefault((example_id, sample), []).append((generation_id, text or ""))
    every = [pair for cell in cells.values() for pair in combinations(cell, 2)]
    differ = [Pair(a, b) for (a, said), (b, other) in every if said.strip() != other.strip()]
    return RunPairs(tuple(differ), len(every) - len(differ))


def pending_pairs(session: Session, judge: Judge, pairs: Sequence[Pair]) -> list[Pair]:
    """Those of which the judge has said nothing yet under the note that stands."""
    query = select(JudgeVerdict.generation_a_id, JudgeVerdict.generation_b_id, JudgeVerdict.noted)
    there = {tuple(row) for row in session.execute(query.where(JudgeVerdict.judge_id == judge.id))}
    noted = _noted_now(session, judge, pairs)
    return [pair for pair in pairs if (pair.a, pair.b, noted.get(pair.a, "")) not in there]


def _noted_now(session: Session, judge: Judge, pairs: Sequence[Pair]) -> dict[int, str]:
    """By the older generation of a pair the digest of the note that the judge would be shown."""
    notes = notes_by_example(session, judge.project_id) if judging_of(judge).has_notes else {}
    if not notes:
        return {}
    found = {}
    for some in portions(sorted({pair.a for pair in pairs})):
        query = (
            select(Generation.id, Example.external_id, Example.input)
            .join(Example, Example.id == Generation.example_id)
            .where(Generation.id.in_(some))
        )
        for generation_id, external_id, asked in session.execute(query):
            found[generation_id] = digest_note(notes.get((external_id, asked)))
    return found


def load_pairs(session: Session, pairs: Sequence[Pair]) -> list[tuple[Sample, Sample]]:
    """What the judge is shown of pairs."""
    ids = {generation_id for pair in pairs for generation_id in (pair.a, pair.b)}
    query = select(Generation).where(Generation.id.in_(ids))
    samples = {one.id: sample_of(one, one.example) for one in session.scalars(query)}
    return [(samples[pair.a], samples[pair.b]) for pair in pairs]


def judge_pairs(
    judge: Judge,
    pairs: Sequence[Pair],
    shown: Sequence[tuple[Sample, Sample]],
    asker: Asker,
    note_of: Callable[[Sample], str | None],
) -> list[dict[str, Any]]:
    """Ledger rows for the pairs. Touches no database."""
    from evaluators.checks.models.judge import compare

    how = judging_of(judge)
    verdicts = compare(shown, asker, how, note_of=note_of)
    notes = [note_of(first) if how.has_notes else None for first, _ in shown]
    return [
        {
            "judge_id": judge.id,
            "generation_a_id": pair.a,
            "generation_b_id": pair.b,
            "forward": verdict.forward,
            "backward": verdict.backward,
            "winner": verdict.winner,
            "noted": digest_note(note),
            "reason": verdict.reason,
            "error": verdict.error,
        }
        for pair, verdict, note in zip(pairs, verdicts, notes, strict=True)
    ]


def save_verdicts(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write verdicts into the ledger; what is there already stays. Returns how many were new.

    Of outputs that were erased meanwhile the verdict stays, and not its words.
    """
    gone = erased_outputs(session, (row["generation_a_id"] for row in rows))
    kept = [{**row, "reason": ""} if row["generation_a_id"] in gone else row for row in rows]
    return insert_missing(session, JudgeVerdict, kept)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One verdict with what its figures need."""

    verdict: PairVerdict
    pair: Pair
    models: tuple[ModelVersion, ModelVersion]
    lengths: tuple[int, int]
    cluster: str


def judged_pairs(
    session: Session, judge: Judge, run: GenerationRun, models: Sequence[ModelVersion]
) -> JudgedPairs:
    """What a judge said of the pairs of these models in a run, with its biases."""
    laid = run_pairs(session, run, models)
    wanted = {(pair.a, pair.b) for pair in laid.pairs}
    rows = [row for row in _read(session, judge, run) if (row.pair.a, row.pair.b) in wanted]
    usable = [row for row in rows if row.verdict.error is None]
    rates, strengths, why = _figures(usable)
    return JudgedPairs(
        judge=judge.label,
        run_id=run.id,
        models=[model.label for model in models],
        n=len(usable),
        failed=len(rows) - len(usable),
        identical=laid.identical,
        missing=len(laid.pairs) - len(rows),
        rates=rates,
        strengths=strengths,
        no_strengths=why,
        biases=_biases(session, judge, rows),
        said=kinship(judge, models),
    )


def judged_runs(session: Session, judge: Judge) -> list[tuple[GenerationRun, list[ModelVersion]]]:
    """The runs of whose pairs a judge said something, newest first, with the models compared."""
    a, b = aliased(Generation), aliased(Generation)
    query = (
        select(a.run_id, a.model_version_id, b.model_version_id)
        .join(JudgeVerdict, JudgeVerdict.generation_a_id == a.id)
        .join(b, b.id == JudgeVerdict.generation_b_id)
        .where(JudgeVerdict.judge_id == judge.id)
        .distinct()
    )
    models: dict[int, set[int]] = {}
    for run_id, one, other in session.execute(query):
        models.setdefault(run_id, set()).update((one, other))
    found = []
    for run_id in sorted(models, reverse=True):
        run = session.get_one(GenerationRun, run_id)
        found.append((run, [model for model in run.models if model.id in models[run_id]]))
    return found


def _read(session: Session, judge: Judge, run: GenerationRun) -> list[_Judged]:
    from evaluators.checks.models.judge import PairVerdict

    a, b = aliased(Generation), aliased(Generation)
    query = (
        select(JudgeVerdict, a, b, Example.group)
        .join(a, a.id == JudgeVerdict.generation_a_id)
        .join(b, b.id == JudgeVerdict.generation_b_id)
        .join(Example, Example.id == a.example_id)
        .where(JudgeVerdict.judge_id == judge.id, a.run_id == run.id)
        .order_by(JudgeVerdict.generation_a_id, JudgeVerdict.generation_b_id)
    )
    rows = list(session.execute(query))
    noted = _noted_now(session, judge, [Pair(a.id, b.id) for _, a, b, _ in rows])
    return [
        _Judged(
            PairVerdict(row.winner, row.forward, row.backward, row.reason, row.error),
            Pair(row.generation_a_id, row.generation_b_id),
            (first.model_version, second.model_version),
            (len(first.text or ""), len(second.text or "")),
            cluster_name(group, first.example_id),
        )
        for row, first, second, group in rows
        if row.noted == noted.get(row.generation_a_id, "")
    ]


def _votes(rows: Sequence[_Judged]) -> list[Vote]:
    from evaluators.statistics.votes import Vote, VoteWinner

    return [
        Vote(
            row.cluster,
            BY_A_JUDGE,
            row.models[0].label,
            row.models[1].label,
            VoteWinner(str(row.verdict.winner)),
        )
        for row in rows
    ]


def _figures(rows: Sequence[_Judged]) -> tuple[list[JudgedRate], list[JudgedRate], str]:
    """Win rates, strengths, and why there are no strengths."""
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.preference import bradley_terry
    from evaluators.statistics.votes import win_rates

    if not rows:
        return [], [], "The judge said nothing that can be used."
    votes = _votes(rows)
    recipe = f"win_rate|{BY_A_JUDGE}|strop:1|ties:half|ci:"
    rates = []
    for one in win_rates(votes):
        figure = _by_a_judge(one, one.n, f"{recipe}{one.method}", rough=one.rough)
        rates.append(JudgedRate(model=one.model, against=one.against, figure=figure))
    try:
        found = bradley_terry(votes)
    except EvaluatorError as error:
        return rates, [], str(error)
    recipe, strengths = f"{found.signature}|{BY_A_JUDGE}", []
    for strength in found.strengths:
        figure = _by_a_judge(strength, found.n, recipe, unit="log-odds")
        strengths.append(JudgedRate(model=strength.name, against=None, figure=figure))
    return rates, strengths, ""


def _by_a_judge(one: WinRate | LogOddsEstimate, n: int, signature: str, **told: Any) -> Measured:
    interval = {"value": one.value, "low": one.low, "high": one.high}
    return Measured(**interval, n=n, note=BY_A_JUDGE, signature=signature, **told)


def _biases(session: Session, judge: Judge, rows: Sequence[_Judged]) -> dict[str, Measured]:
    from evaluators.checks.models.judge import bias_cases

    clusters = [row.cluster for row in rows]
    cases = bias_cases([row.verdict for row in rows], [row.lengths for row in rows])
    found = {
        one.name: share_of(one.name, one.hits, clusters=[clusters[i] for i in one.pairs])
        for one in cases
    }
    return {**found, **_self_preference(session, judge, rows)}


def _self_preference(
    session: Session, judge: Judge, rows: Sequence[_Judged]
) -> dict[str, Measured]:
    """How often its own output wins by the judge, and by people on the same pairs.

    The first alone is no bias, since its outputs may be the better ones; what is above the second
    is (Panickssery, Bowman and Feng 2024, arXiv:2404.13076).
    """
    own = [(row, side) for row in rows if (side := _own_side(judge, row)) is not None]
    if not own:
        return {}
    decided = [(row, side) for row, side in own if row.verdict.winner in ("a", "b")]
    hits = [row.verdict.winner == side for row, side in decided]
    clusters = [row.cluster for row, _ in decided]
    people = _people_on(session, {(row.pair.a, row.pair.b): side for row, side in own})
    said = {(row.pair.a, row.pair.b): row.cluster for row, _ in own}
    by_people = share_of(
        "own_wins_by_people", [hit for _, hit in people], clusters=[said[p] for p, _ in people]
    )
    return {
        "own_wins": share_of("own_wins", hits, clusters=clusters),
        "own_wins_by_people": by_people if people else unknown("No person voted on these pairs."),
    }


def _own_side(judge: Judge, row: _Judged) -> str | None:
    first, second = (one.without_prompt.id == judge.model_version_id for one in row.models)
    return None if first == second else "ab"[second]


def _votes_on(generation_ids: Sequence[int]) -> Select[int, int | None, str]:
    return (
        select(ReviewItem.generation_a_id, ReviewItem.generation_b_id, Preference.winner)
        .join(Review, Review.item_id == ReviewItem.id)
        .join(Preference, Preference.review_id == Review.id)
        .where(
            ReviewItem.generation_a_id.in_(generation_ids),
            Review.simulated.is_(False),
            Preference.winner.in_([Winner.A, Winner.B]),
            *counts(),
        )
        .order_by(Review.id)
    )


def _people_on(
    session: Session, sides: Mapping[tuple[int, int], str]
) -> list[tuple[tuple[int, int], bool]]:
    """Decided votes of people on these pairs: whether the judge's own output won."""
    ids = sorted({generation_id for pair in sides for generation_id in pair})
    found = []
    for some in portions(ids):
        for a, b, winner in session.execute(_votes_on(some)):
            if b is None:
                continue
            pair, turned = (min(a, b), max(a, b)), a > b
            if pair in sides:
                won = "a" if (winner == Winner.A) != turned else "b"
                found.append((pair, won == sides[pair]))
    return found
