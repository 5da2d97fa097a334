"""Every figure of a comparison with its recipe, and the scores of which it is made.

A figure here is what the checker computes anew (`check_dossier.of_scores`, `of_votes`): scores by
code, without any text. What it cannot compute says why not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backend.errors import Conflict
from backend.schemas.projects import WIN_RATE
from backend.services.dossier import check_dossier
from backend.services.dossier.subject import DossierSubject
from backend.services.metric_specs import MetricSpec, find_maximum, metric_specs
from backend.services.review.queues import get_queue
from backend.services.review.reports.ab import PairVotes, votes_by_pair
from backend.services.review.reports.agreement import queue_agreement
from backend.services.review.reports.votes import points_of
from backend.services.runs.figures import ModelFigure, PairedFigure, metric_of_run
from backend.services.runs.score_columns import read_scores
from backend.services.runs.slices import sliced_figures, usage_scores
from backend.services.verdicts.detail import describe_comparison
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.runs import Generation

if TYPE_CHECKING:
    from evaluators.metric import Metric
    from evaluators.types import Score

Entry = dict[str, Any]
Row = list[Any]
SAID = ("value", "low", "high", "n", "failed", "p")
ALSO = ("baseline", "candidate", "baseline_value", "wins", "losses", "ties", "method", "note")
RECORDED = "the record of its measurement keeps no single values that it could be made of again"
AGREEMENT = "the checker has no coefficients of agreement; the ratings lie in reviews.json"
ON_THE_WAY = "votes were withdrawn on the way, which the checker cannot follow"


@dataclass(slots=True)
class Inputs:
    """Figures and what they are made of.

    Attributes:
        figures: entries of figures.json.
        scores: file -> [model, example, sample, value, "" or e (error) or n (does not apply),
            statistics...] of each score.
        places: as `places_of`.
        lines: position of a line in the bar -> id of its figure.
    """

    places: dict[str, list[Any]]
    figures: list[Entry] = field(default_factory=list)
    scores: dict[str, list[Row]] = field(default_factory=dict)
    lines: dict[int, str] = field(default_factory=dict)
    _files: dict[str, str] = field(default_factory=dict)

    def file_of(self, name: str, rows: Iterable[Row]) -> str:
        """The file of the scores by one metric, written the first time that it is asked for."""
        if name not in self._files:
            self._files[name] = f"scores/{len(self._files) + 1:03d}.json"
            self.scores[self._files[name]] = list(rows)
        return self._files[name]


def collect_inputs(subject: DossierSubject) -> Inputs:
    """All figures: those of the lines, of the models, differences, slices, usage, agreement.

    Raises:
        Conflict: a figure of the verdict is no longer what the records give.
    """
    slices = _slices(subject)
    found = Inputs(places_of(subject, slices))
    _add_lines(subject, found)
    detail = describe_comparison(subject.session, subject.comparison)
    for figure in detail.figures:
        _add_figure(subject, found, figure)
    for pair in detail.differences:
        _add_difference(subject, found, pair, "difference")
    for sliced in slices:
        _add_difference(subject, found, sliced, "slice")
    for pair in detail.usage:
        _add_usage(subject, found, pair)
    _add_agreement(subject, found)
    return found


def places_of(subject: DossierSubject, slices: Sequence[PairedFigure]) -> dict[str, list[Any]]:
    """Code of each tested example -> code of its group, and those of its slices that figures use.

    Other slices stay away: they may name people.
    """
    run = subject.score_run.generation_run
    asked = [spec.slice for spec in metric_specs(subject.score_run)]
    named = [line.slice for line in subject.bar.lines]
    shown = [one.spec.slice for one in slices]
    used = {key for where in [*asked, *named, *shown] for key in dict(where)}
    written = select(Generation.example_id).where(Generation.run_id == run.id)
    query = select(Example.id, Example.group, Example.slices).where(Example.id.in_(written))
    return {
        subject.examples.of(example_id): [
            None if group is None else subject.groups.of(group),
            {key: str(value) for key, value in slices.items() if key in used},
        ]
        for example_id, group, slices in subject.session.execute(query.order_by(Example.id))
    }


def _slices(subject: DossierSubject) -> list[PairedFigure]:
    row = subject.comparison
    pair = (row.baseline_id, row.candidate_id)
    found = sliced_figures(subject.session, row.score_run_id, *pair, bar=subject.bar)
    return [one.figure for one in found if one.figure.spec.slice]


# -- figures of scores


def _add_lines(subject: DossierSubject, found: Inputs) -> None:
    for at, line in enumerate(subject.comparison.lines):
        if line["evidence"] is None:
            continue
        entry = _line_entry(subject, found, line)
        entry["id"] = found.lines[at] = f"line {at + 1}: {line['title']}"
        _require_same(subject, found, entry)
        found.figures.append(entry)


def _line_entry(subject: DossierSubject, found: Inputs, line: Mapping[str, Any]) -> Entry:
    spec = MetricSpec(line["metric"], line["slice"])
    level = 1 - subject.bar.alpha
    if line["metric"] == WIN_RATE:
        return _votes_entry(subject, line, level)
    if find_maximum(line["metric"]):
        return {**_said(line["evidence"]), "why_not": RECORDED}
    alone = line["threshold"] is not None
    models = [subject.candidate] if alone else [subject.baseline, subject.candidate]
    return _entry(subject, found, spec, models, line["evidence"], level=level)


def _said(figure: Mapping[str, Any]) -> Entry:
    said = {key: figure.get(key) for key in SAID}
    also = {key: figure[key] for key in ALSO if figure.get(key) not in (None, "")}
    return {"said": said, "also": also, "signature": figure["signature"], "why_not": None}


def _entry(
    subject: DossierSubject,
    found: Inputs,
    spec: MetricSpec,
    models: Sequence[ModelVersion],
    figure: Mapping[str, Any],
    *,
    level: float,
) -> Entry:
    metric = metric_of_run(spec, subject.score_run)
    entry = {
        **_said(figure),
        "metric": spec.metric,
        "slice": dict(spec.slice),
        "models": [model.label for model in models],
    }
    summary = summary_of(metric)
    if summary is None:
        why = "the checker does not know how the figure comes from the scores"
        return {**entry, "why_not": why}
    if why := check_dossier.drawn_before(figure["signature"]):
        return {**entry, "why_not": why}
    recipe = _recipe(subject, metric, level)
    file = found.file_of(spec.metric, _score_rows(subject, metric, summary))
    return {**entry, "summary": summary, "recipe": recipe, "scores": file}


def _recipe(subject: DossierSubject, metric: Metric, level: float) -> Entry:
    from evaluators.statistics import RESAMPLES

    seed = subject.score_run.seed
    return {"level": level, "seed": seed, "resamples": RESAMPLES, "scale": metric.scale}


def summary_of(metric: Metric) -> str | None:
    """The name under which the checker computes a figure of a metric; None for what it cannot."""
    from evaluators.metrics import labels, multilabel, sacre

    known = {
        labels.macro_f1: "f1",
        labels.micro_f1: "f1_micro",
        labels.weighted_f1: "f1_weighted",
        labels.balanced_accuracy: "balanced_accuracy",
        labels.macro_precision: "precision",
        labels.macro_recall: "recall",
        multilabel.MULTILABEL_F1.summary.figure: "multilabel_f1",
        sacre.bleu_figure: "bleu",
        sacre.chrf_figure: "chrf",
        sacre.ter_figure: "ter",
    }
    return "mean" if metric.summary.is_mean else known.get(metric.summary.figure)


def _score_rows(subject: DossierSubject, metric: Metric, summary: str) -> list[Row]:
    reads = read_scores(subject.session, subject.score_run, {metric.name}).all_of(metric.name)
    names = {model.id: model.label for model in subject.score_run.generation_run.models}
    told = [(names[read.model_id], read.example_id, read.sample, read.score) for read in reads]
    statistics = _statistics(metric, summary, [score for *_, score in told])
    return [
        [model, subject.examples.of(example), sample, score.value, _fault(score), *numbers]
        for (model, example, sample, score), numbers in zip(told, statistics, strict=True)
    ]


def _fault(score: Score) -> str:
    if score.value is not None:
        return ""
    return "e" if score.error is not None else "n"


def _statistics(metric: Metric, summary: str, scores: Sequence[Score]) -> list[Row]:
    """What is summed of each score; labels as codes in their own order, since they are texts."""
    if summary == "mean":
        return [[] for _ in scores]
    if summary in check_dossier.FIGURES:
        return [
            [] if score.value is None else [float(x) for x in metric.summary.rows([score])[0]]
            for score in scores
        ]
    names = sorted({str(name) for score in scores for name in score.stats[:2]})
    codes = {name: f"c{n:05d}" for n, name in enumerate(names, start=1)}
    return [[codes[str(name)] for name in score.stats[:2]] for score in scores]


def _add_figure(subject: DossierSubject, found: Inputs, one: ModelFigure) -> None:
    name = f"{one.spec.label} of {one.model}"
    model = subject.session.get_one(ModelVersion, one.model_version_id)
    figure = None if one.figure is None else one.figure.as_dict()
    _add(subject, found, name, one.spec, [model], figure, one.error)


def _add_difference(subject: DossierSubject, found: Inputs, one: PairedFigure, kind: str) -> None:
    pair = [subject.session.get_one(ModelVersion, i) for i in (one.baseline_id, one.candidate_id)]
    name = f"{kind}: {one.spec.label} of {pair[1].label} less {pair[0].label}"
    figure = None if one.difference is None else one.difference.as_dict()
    _add(subject, found, name, one.spec, pair, figure, one.error)


def _add(
    subject: DossierSubject,
    found: Inputs,
    name: str,
    spec: MetricSpec,
    models: Sequence[ModelVersion],
    figure: Mapping[str, Any] | None,
    error: str | None,
) -> None:
    if figure is None:
        found.figures.append(_without(name, error))
        return
    entry = _entry(subject, found, spec, models, figure, level=figure["level"])
    found.figures.append({"id": name, **entry})


def _without(name: str, error: str | None) -> Entry:
    """A figure that could not be computed: it says so, and is never left out.

    What follows the first reason may be the words of an output.
    """
    error = (error or "").partition("; first reason")[0]
    said = {**dict.fromkeys(SAID), "error": error}
    return {"id": name, "said": said, "signature": None, "why_not": f"there is no figure: {error}"}


def _add_usage(subject: DossierSubject, found: Inputs, one: PairedFigure) -> None:
    pair = [subject.session.get_one(ModelVersion, i) for i in (one.baseline_id, one.candidate_id)]
    name = f"usage: {one.spec.metric} of {pair[1].label} less {pair[0].label}"
    if one.difference is None:
        found.figures.append(_without(name, one.error))
        return
    taken = partial(usage_scores, subject.session, subject.score_run, price=subject.bar.price)
    rows = [
        [model.label, subject.examples.of(example), sample, score.value, _fault(score)]
        for model in pair
        for (example, sample), score in taken(model.id)[one.spec.metric][1].items()
    ]
    metric, _ = taken(pair[0].id)[one.spec.metric]
    found.figures.append(
        {
            "id": name,
            **_said(one.difference.as_dict()),
            "metric": one.spec.metric,
            "slice": {},
            "models": [model.label for model in pair],
            "summary": "mean",
            "recipe": _recipe(subject, metric, one.difference.level),
            "scores": found.file_of(name, rows),
        }
    )


# -- figures of people


def _votes_entry(subject: DossierSubject, line: Mapping[str, Any], level: float) -> Entry:
    from evaluators.statistics.sequential import batch_sizes

    queue_id = subject.comparison.review_queue_id
    wanted = {subject.baseline.id, subject.candidate.id}
    pairs = votes_by_pair(subject.session, queue_id, slice=line["slice"]) if queue_id else []
    pair = next((pair for pair in pairs if set(pair.models) == wanted), None)
    if pair is None:
        raise Conflict("The votes of the verdict are gone.", hint="Judge anew: strop gate")
    as_of = _as_of(pair, subject)
    second = pair.models[1]
    stands = [(points_of(vote, second), vote.cluster) for vote in as_of.standing]
    return {
        **_said(line["evidence"]),
        "metric": WIN_RATE,
        "slice": dict(line["slice"]),
        "models": [subject.baseline.label, subject.candidate.label],
        "recipe": {"level": level, "batches": batch_sizes(pair.plan)},
        "plan": {subject.groups.of(cluster): n for cluster, n in sorted(pair.plan.items())},
        "cast": [[points_of(v, second), subject.groups.of(v.cluster)] for v in as_of.cast],
        "stand": [[points, subject.groups.of(c)] for points, c in stands if points is not None],
        "turned": subject.candidate.id != second,
        "withdrawn": sum(vote.withdrawn_at is not None for vote in as_of.cast),
        "n_simulated": line["evidence"].get("n_simulated", 0),
    }


def _as_of(pair: PairVotes, subject: DossierSubject) -> PairVotes:
    """The votes that were there when it was judged."""
    then = subject.comparison.created_at
    cast, standing = (
        [vote for vote in votes if vote.cast_at is None or vote.cast_at <= then]
        for votes in (pair.cast, pair.standing)
    )
    return PairVotes(pair.models, cast, standing, pair.plan)


def _require_same(subject: DossierSubject, found: Inputs, entry: Entry) -> None:
    """Hold a figure of the verdict against what the checker makes of it.

    Raises:
        Conflict: they differ, since the records have changed after the verdict.
    """
    if entry["why_not"] is not None:
        return
    if "cast" in entry:
        made = check_dossier.of_votes(entry)
    else:
        scores = found.scores[entry["scores"]]
        made = check_dossier.of_scores(entry, scores, found.places)
    if all(check_dossier.same(value, entry["said"][key]) for key, value in made.items()):
        return
    if entry.get("withdrawn") and check_dossier.same(made["value"], entry["said"]["value"]):
        entry["why_not"] = ON_THE_WAY
        return
    raise Conflict(
        f"{entry['id']}: the verdict rests on {entry['said']['value']:.4f}, and the records give "
        f"{made['value']:.4f} now: they have changed since.",
        hint="Judge anew with strop gate; strop doctor --verify looks whether somebody changed "
        "records by hand.",
    )


def _add_agreement(subject: DossierSubject, found: Inputs) -> None:
    queue_id = subject.comparison.review_queue_id
    if queue_id is None:
        return
    queue = get_queue(subject.session, queue_id)
    for one in queue_agreement(subject.session, queue_id):
        name = f"agreement: {one.coefficient} on {one.criterion} of {queue.name}"
        if one.figure is None:
            found.figures.append(_without(name, one.error))
        else:
            entry = {"id": name, **_said(one.figure.as_dict()), "why_not": AGREEMENT}
            found.figures.append(entry)
