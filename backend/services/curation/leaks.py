"""The guard of training sets: what is held out anywhere in the project never enters one.

An example is held out when its split is not train, or when its prompt, by the folded digest that
datasets keep, stands in a validation or test split of any dataset version of the project: under
another id, in another dataset, or before somebody moved it. The triggers of migration 0002 hold
the same rule below this module.

Near-duplicates of what is held out among the rows of a training set to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import LeakRefused, NotFound
from backend.services.curation.candidates import CandidateRow
from backend.services.curation.drafts import Drafts, drafts_of
from backend.services.curation.recipes import Recipe
from backend.services.datasets.conversations import content_digest
from backend.services.datasets.leaks import (
    Acceptance,
    find_leaks,
    held_out_sides,
    settle_leaks,
    sides_of,
)
from backend.services.datasets.queries import in_project
from backend.tables.datasets import Dataset, DatasetVersion, Example, Split


@dataclass(frozen=True, slots=True)
class LeakGuard:
    """Where each held-out prompt of a project stands, by its digest, and what models drafted."""

    project_id: int
    held_out: Mapping[str, str] = field(repr=False)
    drafts: Drafts = field(default_factory=Drafts, repr=False)

    def reason(self, example: Example) -> str | None:
        """Why the example may not be trained on; None when it may."""
        if example.erasure_id is not None:
            return "it was erased"
        if example.split != Split.TRAIN:
            return f"it is in the {example.split} split"
        if example.dataset_version.split_recipe.get("method") == "counterfactual":
            return "it was made to test for bias; a recipe's counterfactuals make rows to train on"
        for digest in (example.content_digest, content_digest(example)):
            if digest in self.held_out:
                return f"the same text is held out as {self.held_out[digest]}"
        return None

    def check(self, example: Example, what: str) -> None:
        """Raise LeakRefused when the example may not be trained on.

        Args:
            what: what was asked for, as the subject of the sentence: "Review 12".
        """
        if example.dataset_version.dataset.project_id != self.project_id:
            raise NotFound(f"{what} is not of this project.")
        reason = self.reason(example)
        if reason is not None:
            raise LeakRefused(
                f"{what} is refused: example {example.external_id!r} is held out, {reason}.",
                hint="Training on it would spoil the test. Leave it out.",
            )


def guard_project(session: Session, project_id: int) -> LeakGuard:
    """The guard of a project as its datasets are now."""
    of_example = (Example.content_digest, Example.external_id, Example.split)
    query = in_project(select(*of_example, Dataset.name, DatasetVersion.number), project_id)
    found = session.execute(query.where(Example.split != Split.TRAIN))
    held_out = {
        digest: f"{external_id!r} ({split} of {name} version {number})"
        for digest, external_id, split, name, number in found
    }
    return LeakGuard(project_id, held_out, drafts_of(session, project_id))


def drop_near_leaks(
    session: Session,
    project_id: int,
    rows: Sequence[CandidateRow],
    recipe: Recipe,
    *,
    accept: Acceptance | None,
) -> tuple[list[CandidateRow], dict[str, Any]]:
    """The rows that may be trained on, and what was left out, for the set's record.

    Raises:
        LeakRefused: there are near-duplicates, which the recipe does not drop and nobody accepted.
    """
    prompts = sides_of(session, {row.example.id for row in rows})
    by_digest = {side.digest: side for side in prompts}
    # Completions, corrections, winners and losers, each once for its prompt.
    told = dict.fromkeys((row.example.content_digest, text) for row in rows for text in row.answers)
    answers = [by_digest[digest].answer(text) for digest, text in told]
    leaks = find_leaks([*prompts, *answers], held_out_sides(session, project_id))
    if not recipe.drop_leaks:
        settle_leaks(
            session,
            project_id,
            leaks,
            subject="The training set is refused",
            remedy="Leave them out with --drop-leaks",
            accept=accept,
        )
        return list(rows), {}
    prompts_dropped = {leak.train.digest for leak in leaks if not leak.train.is_answer}
    answers_dropped = {
        (leak.train.owner, leak.train.text) for leak in leaks if leak.train.is_answer
    }
    kept = [
        row
        for row in rows
        if row.example.content_digest not in prompts_dropped
        and answers_dropped.isdisjoint((row.example.content_digest, text) for text in row.answers)
    ]
    return kept, {"dropped_as_leaks": [leak.as_dict() for leak in leaks]}
