"""A comparison in full: base, champion and candidate on the same frozen examples.

The verdict is by the manifest, of the candidate against one baseline; here stand the paired
differences to the base and to the champion too, what an answer costs, and whether the bar moved.
Computed from the ledger, by seed; what was computed of the same scores before may be kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.schemas.verdicts import BarOut
from backend.services.metric_specs import get_score_run, metric_specs
from backend.services.models.versions import alias_target
from backend.services.projects import manifest_of
from backend.services.runs.figures import (
    KeptFigures,
    ModelFigure,
    PairedFigure,
    model_figures,
    paired_figures,
)
from backend.services.runs.score_columns import read_scores
from backend.services.runs.slices import usage_differences
from backend.services.verdicts.promotion import CHAMPION
from backend.services.verdicts.savings import payoff_of
from backend.services.verdicts.verdict import change_since_training
from backend.tables.models import BASE, ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.verdicts import Comparison

HALLUCINATION = frozenset({"invented", "grounding"})


@dataclass(frozen=True, slots=True)
class ComparedInFull:
    """Beyond the lines of the bar.

    Attributes:
        labels: model version id -> how people write it.
        figures: of base, champion, baseline and candidate, where they took part in the run.
        differences, usage: candidate minus each of the others; usage is tokens read and written,
            seconds, money.
        payoff: sentences on what training brought beside a prompt.
        absent: sentences on models that did not take part, and on what was not scored.
    """

    bar: BarOut
    champion: str | None
    labels: dict[int, str]
    figures: list[ModelFigure]
    differences: list[PairedFigure]
    usage: list[PairedFigure]
    currency: str | None
    payoff: list[str]
    absent: list[str]


def describe_comparison(
    session: Session, comparison: Comparison, *, kept: KeptFigures | None = None
) -> ComparedInFull:
    """Everything about a comparison but its slices and flips.

    Args:
        kept: as in `figures.model_figures`.
    """
    run = get_score_run(session, comparison.score_run_id)
    bar = manifest_of(session.get_one(SuccessManifest, comparison.manifest_id))
    taking_part = {model.id: model for model in run.generation_run.models}
    champion = alias_target(session, comparison.project_id, CHAMPION)
    others = _others(comparison, champion, taking_part)
    shown = {*others, comparison.candidate_id}
    reads = read_scores(session, run, {spec.metric for spec in metric_specs(run)})
    usage: list[PairedFigure] = []
    differences: list[PairedFigure] = []
    for other in others:
        pair = (other, comparison.candidate_id)
        differences += paired_figures(session, run.id, *pair, reads=reads, kept=kept)
        usage += usage_differences(session, run, *pair, price=bar.price, kept=kept)
    figures = model_figures(session, run.id, reads=reads, kept=kept)
    return ComparedInFull(
        bar=change_since_training(session, comparison),
        champion=None if champion is None else champion.label,
        labels={model.id: model.label for model in taking_part.values()},
        figures=[figure for figure in figures if figure.model_version_id in shown],
        differences=differences,
        usage=usage,
        currency=None if bar.price is None else bar.price.currency,
        payoff=payoff_of(session, comparison),
        absent=_absent(champion, taking_part, {figure.spec.metric for figure in differences}),
    )


def _others(
    comparison: Comparison, champion: ModelVersion | None, taking_part: dict[int, ModelVersion]
) -> list[int]:
    """The baseline, the base and the champion, each once, as far as they took part."""
    base = [model.id for model in taking_part.values() if model.name == BASE]
    ids = [comparison.baseline_id, *base, *([champion.id] if champion else [])]
    return [i for i in dict.fromkeys(ids) if i in taking_part and i != comparison.candidate_id]


def _absent(
    champion: ModelVersion | None, taking_part: dict[int, ModelVersion], scored: set[str]
) -> list[str]:
    said = []
    if champion is None:
        said.append("There is no champion yet.")
    elif champion.id not in taking_part:
        said.append(
            f"The champion {champion.label} took no part in this run; run all three together: "
            "strop run --models base,champion,CANDIDATE"
        )
    if not any(model.name == BASE for model in taking_part.values()):
        said.append("The base took no part in this run.")
    if not scored & HALLUCINATION:
        said.append("Nobody looked for invented facts: score with --metrics invented.")
    return said
