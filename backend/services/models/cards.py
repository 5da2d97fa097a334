"""The model card in an adapter's folder, written again whenever more is known of the model.

Training writes the first version; registration adds the names that the project gives, a comparison
its verdict, a promotion the decision. A card says what the database says: it can be written again
at any time. What was trained elsewhere keeps the card that it came with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.derivation import runs_behind, say_synthetic, withdrawn_rows
from backend.services.models.candidates import candidates_of
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison, Promotion
from training.results.card import CardRecord, CardVerdict, JudgedLine, render_card

CARD = "README.md"


def write_card(session: Session, model: ModelVersion) -> Path | None:
    """Write the card of a model that was trained here; None where it was not, or has no folder.

    Of a candidate it is that of its model; what was judged with any prompt stands on it.
    """
    model = model.without_prompt
    folder = Path(model.adapter_path or model.base_model)
    if model.training_run_id is None or not model.training_facts or not folder.is_dir():
        return None
    file = folder / CARD
    fresh = folder / f"{CARD}.new"
    fresh.write_text(render_card(model.training_facts, _known(session, model)), encoding="utf-8")
    fresh.replace(file)
    return file


def _known(session: Session, model: ModelVersion) -> CardRecord:
    run = session.get_one(TrainingRun, model.training_run_id)
    start = run.start_model_id and session.get_one(ModelVersion, run.start_model_id)
    ids = [model.id, *(candidate.id for candidate in candidates_of(session, model.id))]
    judged = select(Comparison).where(Comparison.candidate_id.in_(ids)).order_by(Comparison.id)
    decided = select(Promotion).where(Promotion.model_version_id.in_(ids)).order_by(Promotion.id)
    decisions = list(session.scalars(decided))
    return CardRecord(
        label=model.label,
        start=start.label if start else "",
        verdicts=[_judged(session, comparison) for comparison in session.scalars(judged)],
        decisions=[_decision(promotion) for promotion in decisions],
        limits=list(_limits(session, model, run, decisions)),
    )


def _synthetic(session: Session, model: ModelVersion) -> list[dict[str, Any]]:
    """What the sets behind a model say of rows that a model drafted, where they have any."""
    runs = select(TrainingRun.training_set_id).where(
        TrainingRun.id.in_(runs_behind(session, [model.id]))
    )
    sets = session.scalars(
        select(TrainingSet).where(TrainingSet.id.in_(runs)).order_by(TrainingSet.id)
    )
    told = [one.recipe.get("synthetic") for one in sets]
    return [facts for facts in told if facts and facts["rows"]]


def _judged(session: Session, comparison: Comparison) -> CardVerdict:
    bar = session.get_one(SuccessManifest, comparison.manifest_id)
    prompt = session.get_one(ModelVersion, comparison.candidate_id).prompt_label
    asked = f" (asked with the prompt {prompt})" if prompt else ""
    return CardVerdict(
        when=f"{comparison.created_at:%Y-%m-%d}",
        baseline=f"{session.get_one(ModelVersion, comparison.baseline_id).label}{asked}",
        manifest=f"manifest version {bar.version} (sha256 {bar.digest[:12]})",
        verdict=comparison.verdict,
        lines=[
            JudgedLine(one["title"], one["verdict"], _figure(one.get("evidence")), one["reason"])
            for one in comparison.lines
        ],
    )


def _figure(evidence: dict[str, Any] | None) -> str:
    if evidence is None:
        return "none"
    value, low, high = (evidence[name] for name in ("value", "low", "high"))
    votes = f", {n} of them simulated" if (n := evidence.get("n_simulated")) else ""
    return f"{value:.3f} [{low:.3f}, {high:.3f}], n={evidence['n']} {evidence['unit']}{votes}"


def _decision(promotion: Promotion) -> str:
    simulated = " (simulated)" if promotion.simulated else ""
    when = f"{promotion.created_at:%Y-%m-%d}"
    return f"{when} {promotion.alias}: {promotion.action}{simulated}. {promotion.reason}"


def _limits(
    session: Session, model: ModelVersion, run: TrainingRun, decisions: list[Promotion]
) -> list[str]:
    found = []
    taught = session.get_one(TrainingSet, run.training_set_id)
    if made := taught.recipe.get("counterfactuals"):
        kinds = ", ".join(made["made"])
        found.append(
            f"{made['rows']} of {taught.n_rows} rows are counterfactual, made by a program from "
            f"other rows: {kinds} exchanged."
        )
    if taught.simulated:
        found.append("Trained on simulated reviews: no expert has corrected what it learnt.")
    found += [say_synthetic(facts) for facts in _synthetic(session, model)]
    if any(promotion.simulated for promotion in decisions):
        found.append("A decision on it was simulated.")
    if withdrawn := withdrawn_rows(session, model.id):
        found.append(f"{withdrawn} rows that it was trained on were withdrawn since.")
    return found
