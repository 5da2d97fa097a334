"""Which preference rows of a frozen set are kept out of a training, to validate it on.

SFT watches references of the validation split. Reviews of that split are quarantined, so pairs and
labels are kept out of the set's own rows: whole groups, drawn by the seed of the set's recipe, so
that every training on a set with the same share is validated on the same rows. Rows that share a
group, a prompt or a near-duplicate of it are one group here, and what the model to go on from was
trained on is no validation of it. A test row cannot be among them: no set holds one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.curation import Recipe
from backend.services.curation.formats import METHOD_ROWS
from backend.services.curation.selection import draw, group_of
from backend.services.datasets.conversations import content_text
from backend.services.datasets.near_duplicates import find_near_duplicates, near_duplicate_pairs
from backend.services.datasets.splits import connected_blocks
from backend.services.derivation import runs_behind
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.training import TrainingRun
from training.config import METHODS, Method

SHARE = 0.1
LEAST_GROUPS = 5
NAME_DIGITS = 12
HINT = "Leave out early_stopping_patience, search and validation_share."


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows that stay together: their positions in the set, their labels, and a name."""

    name: str
    positions: tuple[int, ...]
    labels: frozenset[bool | None]
    is_new: bool


def keep_out_rows(
    session: Session, run: TrainingRun, method: Method, share: float
) -> dict[int, str]:
    """The positions of the rows that are kept out, each with the name of its group.

    Args:
        share: of the groups; LEAST_GROUPS at least are kept out, and half of them at most.

    Raises:
        InvalidInput: there are too few groups, too few that the start has not seen, or (KTO) good
            and bad answers would not stand on both sides.
    """
    asked = session.get_one(TrainingSet, run.training_set_id).recipe.get("asked", {})
    seed = int(asked.get("seed", Recipe.model_fields["seed"].default))
    blocks = _blocks_of(session, run, method)
    wanted = max(LEAST_GROUPS, round(share * len(blocks)))
    _check_groups(blocks, wanted, method)
    kept = _draw_blocks([block for block in blocks if block.is_new], wanted, seed)
    _check_labels(blocks, kept, method)
    return {position: block.name for block in kept for position in block.positions}


def group_name(example: Example) -> str:
    """A name for the group of an example that does not tell the group."""
    return draw(0, "group", group_of(example))[:NAME_DIGITS]


def _blocks_of(session: Session, run: TrainingRun, method: Method) -> list[_Block]:
    query = (
        select(TrainingSetRow, Example)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .where(
            TrainingSetRow.training_set_id == run.training_set_id,
            TrainingSetRow.kind == METHOD_ROWS[method].kind,
        )
        .order_by(TrainingSetRow.position)
    )
    rows: dict[int, list[TrainingSetRow]] = defaultdict(list)
    found: dict[int, Example] = {}
    for row, example in session.execute(query):
        rows[example.id].append(row)
        found[example.id] = example
    examples = list(found.values())
    known = _known_to(examples, _taught_before(session, run))
    pairs = near_duplicate_pairs(_prompts(examples))
    keys = [(example.group, example.content_digest) for example in examples]
    return [
        _as_block([examples[i] for i in indexes], rows, is_new=known.isdisjoint(indexes))
        for indexes in connected_blocks(keys, pairs)
    ]


def _as_block(
    examples: Sequence[Example], rows: Mapping[int, list[TrainingSetRow]], *, is_new: bool
) -> _Block:
    ours = [row for example in examples for row in rows[example.id]]
    return _Block(
        name=draw(0, "block", min(e.content_digest for e in examples))[:NAME_DIGITS],
        positions=tuple(row.position for row in ours),
        labels=frozenset(row.label for row in ours),
        is_new=is_new,
    )


def _taught_before(session: Session, run: TrainingRun) -> list[Example]:
    """What the model to go on from was trained on, and what those before it were."""
    if run.start_model_id is None:
        return []
    sets = select(TrainingRun.training_set_id).where(
        TrainingRun.id.in_(runs_behind(session, [run.start_model_id]))
    )
    taught = select(TrainingSetRow.example_id).where(TrainingSetRow.training_set_id.in_(sets))
    return list(session.scalars(select(Example).where(Example.id.in_(taught)).order_by(Example.id)))


def _known_to(examples: Sequence[Example], taught: Sequence[Example]) -> set[int]:
    """Indexes of the examples of which a group, a prompt or its near-duplicate was taught."""
    groups = {group_of(example) for example in taught}
    digests = {example.content_digest for example in taught}
    near = {pair.train for pair in find_near_duplicates(_prompts(examples), _prompts(taught))}
    return near | {
        index
        for index, example in enumerate(examples)
        if group_of(example) in groups or example.content_digest in digests
    }


def _prompts(examples: Sequence[Example]) -> list[str]:
    return [content_text(example) for example in examples]


def _draw_blocks(blocks: Sequence[_Block], wanted: int, seed: int) -> list[_Block]:
    """So many of them by the seed; the first of each label first, so that none is missing."""
    order = sorted(blocks, key=lambda block: draw(seed, "validation", block.name))
    labels = sorted({label for block in order for label in block.labels}, key=str)
    firsts = [next(block for block in order if label in block.labels) for label in labels]
    return list({block.name: block for block in (*firsts, *order)}.values())[:wanted]


def _check_groups(blocks: Collection[_Block], wanted: int, method: Method) -> None:
    n, n_new = len(blocks), sum(block.is_new for block in blocks)
    if n < 2 * LEAST_GROUPS:
        raise InvalidInput(
            f"There are no validation rows for {method}: the set's rows are of {n} groups, and "
            f"{2 * LEAST_GROUPS} are needed to keep {LEAST_GROUPS} out of training.",
            hint=HINT,
        )
    if n_new < wanted:
        raise InvalidInput(
            f"There are no validation rows for {method}: {wanted} of the {n} groups are to be kept "
            f"out, and only {n_new} are new to the model that this training goes on from.",
            hint=f"Start from base, or: {HINT[0].lower()}{HINT[1:]}",
        )


def _check_labels(blocks: Collection[_Block], kept: Collection[_Block], method: Method) -> None:
    if "label" not in METHODS[method].fields:
        return
    names = {block.name for block in kept}
    sides: dict[str, set[bool | None]] = {"kept out": set(), "trained on": set()}
    for block in blocks:
        sides["kept out" if block.name in names else "trained on"] |= block.labels
    for side, labels in sides.items():
        if len(labels) < 2:
            raise InvalidInput(
                f"There are no validation rows for {method}: the rows {side} would not hold both "
                "good and bad answers.",
                hint=HINT,
            )
