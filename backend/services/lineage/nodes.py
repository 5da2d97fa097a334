"""The nodes of lineage: each thing with its key, its facts and what one has to know first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.services.derivation import withdrawn_rows
from backend.services.models.versions import models_of_weights
from backend.services.yields import Told
from backend.tables.curation import TrainingSet
from backend.tables.datasets import DatasetVersion
from backend.tables.models import BASE, ModelVersion
from backend.tables.review import Review, ReviewQueue


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in the graph.

    Attributes:
        key: kind and name; unique in the graph.
        facts: short sentences about it.
        marks: what one has to know first: "simulated", "2 rows withdrawn", "withdrawn".
    """

    key: str
    kind: str
    title: str
    facts: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


def model_node(session: Session, model: ModelVersion) -> Node:
    """A model, with what is known of its making."""
    withdrawn = withdrawn_rows(session, model.id)
    facts = [f"base {model.base_model}"]
    if model.adapter_sha256:
        facts.append(f"sha256 {model.adapter_sha256[:12]}")
    if model.name != BASE and model.training_run_id is None:
        facts.append("trained elsewhere: what it was made of is not known")
        facts += _recorded_start(session, model)
    marks = (f"{withdrawn} rows withdrawn since",) if withdrawn else ()
    return Node(f"adapter:{model.label}", "adapter", model.label, tuple(facts), marks)


def _recorded_start(session: Session, model: ModelVersion) -> list[str]:
    """The weights that an adapter trained elsewhere went on from, as its own record says."""
    sha256 = (model.training_facts or {}).get("start_from_sha256")
    if not sha256:
        return []
    known = [m for m in models_of_weights(session, sha256) if m.project_id == model.project_id]
    if known:
        return [f"went on from {known[0].label}, says its record"]
    return [f"went on from weights that are not known here (sha256 {sha256[:12]})"]


def set_node(frozen: TrainingSet, withdrawn: int) -> Node:
    """A training set; `withdrawn` of its rows rest on reviews taken back since."""
    marks = ["simulated"] if frozen.simulated else []
    if withdrawn:
        marks.append(f"{withdrawn} rows withdrawn since")
    facts = (f"{frozen.n_rows} rows", f"digest {frozen.digest[:12]}")
    return Node(f"set:{frozen.name}", "set", frozen.name, facts, tuple(marks))


def dataset_node(version: DatasetVersion) -> Node:
    """A dataset version."""
    name = f"{version.dataset.name}@{version.number}"
    facts = (f"{version.n_examples} examples", f"digest {version.digest[:12]}")
    return Node(f"dataset:{name}", "dataset", name, facts)


def queue_key(queue: ReviewQueue) -> str:
    """The key of a queue's node."""
    return f"queue:{queue.name}"


def queue_node(queue: ReviewQueue) -> Node:
    """A review queue."""
    return Node(queue_key(queue), "queue", queue.name, (f"{queue.kind} items",))


def person_node(pseudonym: str, simulated: bool) -> Node:
    """A reviewer, by pseudonym."""
    marks = ("simulated",) if simulated else ()
    return Node(f"person:{pseudonym}", "person", pseudonym, marks=marks)


def review_node(review: Review, told: Sequence[Told]) -> Node:
    """A review; one with a correction says so when it was never replayed."""
    marks = ["simulated"] if review.simulated else []
    if review.withdrawn_at is not None:
        marks.append(f"withdrawn: {review.withdrawn_reason or 'no reason kept'}")
    corrected = "with a correction" if review.corrections else "without a correction"
    facts = [corrected]
    if review.corrections and not told:
        facts.append("never replayed")
    return Node(f"review:{review.id}", "review", f"review {review.id}", tuple(facts), tuple(marks))


def yield_node(review: Review, one: Told) -> Node:
    """What a review came to on one candidate."""
    outcome = one.outcome
    part = "held back from" if outcome.reviewed.held_back else "trained on in"
    facts = [f"{part} {one.training_set.name}", f"right when {one.rule}"]
    if outcome.reason:
        facts.append(outcome.reason)
    return Node(
        f"yield:{review.id}:{one.training_set.id}:{one.candidate.id}",
        "yield",
        f"{outcome.state} on {one.candidate.label}",
        tuple(facts),
        ("simulated",) if outcome.reviewed.simulated else (),
    )
