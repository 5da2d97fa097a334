"""Corrections that are held back from training, so that their yield is known on unseen prompts.

Whole groups are drawn by the seed until the stated share of the corrections is reached. Nothing of
those groups, of their prompts or of near-duplicates of their prompts is trained on: no reference,
no vote, no approved output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.errors import InvalidInput
from backend.services.curation.candidates import Candidate
from backend.services.curation.recipes import Recipe
from backend.services.curation.selection import draw, group_of
from backend.services.datasets.near_duplicates import find_near_duplicates
from backend.services.datasets.plain_text import plain_text
from backend.services.datasets.prompts import prompt_text
from backend.tables.datasets import Example

SHOWN = 50


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What is kept from training.

    Attributes:
        rows: corrections, and approved outputs of their groups.
        n_corrections: corrections before anything was held back.
    """

    rows: tuple[Candidate, ...] = ()
    groups: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()
    n_corrections: int = 0
    share: float | None = None
    _prompts: tuple[str, ...] = field(default=(), repr=False)
    _answers: tuple[str, ...] = field(default=(), repr=False)

    def holds(self, example: Example) -> bool:
        """Whether the example is of a group, or has a prompt, that is held back."""
        return group_of(example) in self.groups or example.content_digest in self.digests

    def release(self, rows: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
        """The rows that may be trained on, and the ids of examples whose prompt or answer nearly
        repeats what is held back, whose rows may not."""
        apart = [row for row in rows if not self.holds(row.example)]
        if not self.rows:
            return apart, []
        prompts = [prompt_text(row.example.input, row.example.context) for row in apart]
        answers = [(i, text) for i, row in enumerate(apart) for text in row.answers]
        owners = [*range(len(apart)), *(i for i, _ in answers)]
        pairs = find_near_duplicates(
            [*prompts, *(text for _, text in answers)],
            [*self._prompts, *self._answers],
            train_answers=len(answers),
            held_out_answers=len(self._answers),
        )
        near = {owners[pair.train] for pair in pairs}
        kept = [row for index, row in enumerate(apart) if index not in near]
        return kept, sorted({apart[index].example.external_id for index in near})

    def as_dict(self, *, n_left_out: int, near: Sequence[str]) -> dict[str, Any]:
        """For the set's record; empty when nothing is held back."""
        if self.share is None:
            return {}
        corrections = sum(row.source == "corrected" for row in self.rows)
        return {
            "held_back": {
                "asked": self.share,
                "corrections": corrections,
                "of_corrections": self.n_corrections,
                "approved": len(self.rows) - corrections,
                "groups": len(self.groups),
                "rows_left_out": n_left_out,
                "near_duplicates_left_out": list(near[:SHOWN]),
            }
        }


NOTHING = HeldBack()


def hold_back(recipe: Recipe, rows: Sequence[Candidate]) -> HeldBack:
    """Draw what the recipe holds back from these rows, all of which rest on reviews.

    Raises:
        InvalidInput: all corrections are of one group, so that none could be trained on.
    """
    if recipe.hold_back is None:
        return NOTHING
    corrections = _once_a_review([row for row in rows if row.source == "corrected"])
    groups = _draw_groups(corrections, recipe.hold_back, recipe.seed)
    held = [row for row in corrections if group_of(row.example) in groups]
    approved = [row for row in rows if row.source == "approved"]
    held += [row for row in approved if group_of(row.example) in groups]
    examples = {row.example.id: row.example for row in held}.values()
    return HeldBack(
        rows=tuple(held),
        groups=groups,
        digests=frozenset(example.content_digest for example in examples),
        n_corrections=len(corrections),
        share=recipe.hold_back,
        _prompts=tuple(prompt_text(example.input, example.context) for example in examples),
        _answers=_told_once(held),
    )


def _told_once(rows: Sequence[Candidate]) -> tuple[str, ...]:
    """The answers that are held back, without those that several of their prompts have."""
    asked = Counter({(plain_text(row.completion), row.example.content_digest) for row in rows})
    prompts = Counter(answer for answer, _ in asked)
    return tuple({row.completion: 0 for row in rows if prompts[plain_text(row.completion)] == 1})


def _once_a_review(rows: Sequence[Candidate]) -> list[Candidate]:
    """A correction may give a row of SFT and one of DPO."""
    return list({row.reviews[0].id: row for row in reversed(rows)}.values())[::-1]


def _draw_groups(corrections: Sequence[Candidate], share: float, seed: int) -> frozenset[str]:
    sizes = Counter(group_of(row.example) for row in corrections)
    if len(sizes) < 2:
        raise InvalidInput(
            f"Corrections of {len(sizes)} group(s) cannot be held back in part.",
            hint="Leave out hold_back, or gather corrections of more groups.",
        )
    wanted = max(1, round(share * len(corrections)))
    drawn: list[str] = []
    held = 0
    for group in sorted(sizes, key=lambda one: draw(seed, "held back", one)):
        if held + sizes[group] <= wanted and len(drawn) < len(sizes) - 1:
            drawn.append(group)
            held += sizes[group]
    # Where every group is larger than the share, the smallest comes nearest to it.
    return frozenset(drawn or [min(sizes, key=lambda one: (sizes[one], draw(seed, one)))])
