"""Draftings and drafts as plain values and in sentences, for the command line and the API."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from backend.errors import UnknownName
from backend.services.synthetic.desk import (
    DraftProgress,
    DraftState,
    count_states,
    drafts_progress,
    queues_of,
)
from backend.services.synthetic.figures import count_drafts
from backend.services.synthetic.sifting import IN_WORDS
from backend.tables.synthetic import Drafting, DraftShape, SourceKind

SHAPES = {
    DraftShape.ANSWER: "answers to a given input",
    DraftShape.PAIR: "inputs with their answers",
}


def drafting_record(session: Session, drafting: Drafting) -> dict[str, Any]:
    """A drafting with its figures and how its drafts stand."""
    found = drafts_progress(session, drafting)
    figures = count_drafts([one.draft for one in found])
    record = {
        "id": drafting.id,
        "name": drafting.name,
        "from": source_in_words(drafting),
        "source_kind": drafting.source_kind,
        "shape": drafting.shape,
        "model": drafting.model_version.label,
        "wanted": drafting.wanted,
        "asked": drafting.asked,
        "states": count_states(found),
        "simulated": sum(one.simulated for one in found),
        "figures": figures,
        "stopped": drafting.stopped,
        "dataset_version_id": drafting.dataset_version_id,
        "run_id": drafting.run_id,
        "queues": [queue.name for queue in queues_of(session, drafting.id)],
        "created_at": drafting.created_at,
        "finished_at": drafting.finished_at,
    }
    return {**record, "in_words": in_words(record)}


def source_in_words(drafting: Drafting) -> str:
    """What a drafting drew from."""
    asked = drafting.asked
    match SourceKind(drafting.source_kind):
        case SourceKind.DOCUMENTS:
            return f"{asked['sources']} passages of documents"
        case SourceKind.FAILURES:
            return f"{asked['sources']} failures of run {asked['run_id']}"
        case SourceKind.SLICE:
            return f"{asked['sources']} examples of the slice {asked['slice']}"


def in_words(record: dict[str, Any]) -> list[str]:
    """A record as sentences that a lead can read."""
    figures, states = record["figures"], record["states"]
    kept = figures["kept"]
    interval = f" ({_share(kept)})" if kept["n"] else ""
    told = [
        f"{record['name']}: {SHAPES[DraftShape(record['shape'])]}, drafted by {record['model']} "
        f"from {record['from']}; {record['wanted']} wanted.",
        f"{figures['drafted']} drafted, {kept['count']} kept{interval}.",
    ]
    told += [f"  dropped: {n} {IN_WORDS[why]}" for why, n in figures["dropped"].items()]
    if figures["repeats"]["n"]:
        told.append(f"Repeats among readable drafts: {_share(figures['repeats'])}.")
    if figures["distinct_2"] is not None:
        told.append(
            f"Variety of what was kept: distinct-1 {figures['distinct_1']:.2f}, distinct-2 "
            f"{figures['distinct_2']:.2f}."
        )
    if figures["unchecked"]:
        told.append(f"{figures['unchecked']} kept drafts have no source to be held against.")
    scripts = f" ({record['simulated']} by simulated reviews)" if record["simulated"] else ""
    told.append(
        f"{states['waiting']} wait for an expert, {states['approved']} approved, "
        f"{states['corrected']} corrected, {states['refused']} refused{scripts}."
    )
    if refused := record["asked"].get("n_refused_sources", 0):
        told.append(f"{refused} sources were refused, as they repeat what is held out.")
    told += record["asked"].get("notes", [])
    told.append(f"Ended: {record['stopped']}." if record["stopped"] else "Not ended yet.")
    return told


def _share(share: dict[str, Any]) -> str:
    return (
        f"{share['value']:.0%}, 95% interval {share['low']:.0%} to {share['high']:.0%}, "
        f"n={share['n']}"
    )


def draft_records(
    session: Session, drafting: Drafting, *, state: str | None = None
) -> list[dict[str, Any]]:
    """The drafts in order, all or those of one state; UnknownName for a state there is none of."""
    if state is not None and state not in set(DraftState):
        raise UnknownName("state of a draft", state, list(DraftState))
    found = drafts_progress(session, drafting)
    return [_record(one) for one in found if state is None or one.state == state]


def _record(one: DraftProgress) -> dict[str, Any]:
    draft = one.draft
    return {
        "id": draft.id,
        "state": str(one.state),
        "reason": draft.reason,
        "why": "" if draft.reason is None else IN_WORDS[draft.reason],
        "detail": draft.detail,
        "input": draft.input,
        "answer": draft.answer,
        "by": list(one.by),
        "simulated": one.simulated,
        "risk": one.risk,
        "example_id": draft.example_id,
        "generation_id": draft.generation_id,
    }
