"""Briefs: what the model is asked, an example of a dataset of its own for each draft.

A brief shows a few solved examples of the train split, drawn anew for each by the seed, so that
drafts differ; none that is held out, nearly held out, or drafted itself. The source document stands
below, as the context.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.curation.leaks import guard_project
from backend.services.datasets.conversations import question_text
from backend.services.datasets.leaks import find_leaks, held_out_sides, sides_of
from backend.services.datasets.prompts.prompts import PromptSpec
from backend.services.datasets.versions import ExampleRow
from backend.services.synthetic.sources.sources import DraftSource
from backend.tables.datasets import DatasetVersion, Example, Origin, Split
from backend.tables.synthetic import DraftShape, SourceKind

PROMPT = "drafts"
"""The name of the prompt that is made where none is named."""
SHOWN_CHARACTERS = 600
MOST_POOL = 500
DEFAULT = PromptSpec(
    system="You write training examples for an assistant. You write them true, complete and in "
    "the form that is asked for, and nothing else."
)
_FORM = (
    'Write exactly one new example, as one JSON object with the keys "input" and "answer" and '
    "nothing around it. Do not copy an example."
)
_WORDS: dict[SourceKind, str] = {
    SourceKind.DOCUMENTS: "The new example asks something that the document below answers, and "
    "its answer follows from that document alone: no name, number or fact that it does not hold.",
    SourceKind.FAILURES: "An assistant answered this one wrongly:\n{example}\nThe new example is "
    "another one of the same kind, about another matter, with the right answer.",
    SourceKind.SLICE: "The new example is of the same kind and in the same language as this one, "
    "about another matter:\n{example}",
}
_BELOW = " Where a document stands below, the answer follows from it alone."


def shot_pool(session: Session, project_id: int, version: DatasetVersion | None) -> list[Example]:
    """Solved examples of the train split that may be shown: at most MOST_POOL, evenly spread."""
    if version is None:
        return []
    own = Example.split == Split.TRAIN, Example.origin.is_(None)
    query = select(Example).where(Example.dataset_version_id == version.id, *own)
    query = query.order_by(Example.id)
    solved = [e for e in session.scalars(query) if e.references and str(e.references[0]).strip()]
    spread = solved[:: max(1, -(-len(solved) // MOST_POOL))]
    guard = guard_project(session, project_id)
    safe = [e for e in spread if guard.reason(e) is None and guard.drafts.reason(e) is None]
    sides = sides_of(session, [e.id for e in safe], answers=True)
    leaking = {leak.train.owner for leak in find_leaks(sides, held_out_sides(session, project_id))}
    return [e for e in safe if e.content_digest not in leaking]


def common_input(pool: Sequence[Example]) -> str | None:
    """The input that nearly all examples share beside a document of their own, if there is one."""
    with_document = [e for e in pool if (e.context or "").strip() and e.messages is None]
    if len(with_document) < 3 or len(with_document) < 0.8 * len(pool):
        return None
    inputs = [e.input.strip() for e in with_document]
    most = max(set(inputs), key=inputs.count)
    return most if most and inputs.count(most) >= 0.8 * len(pool) else None


def write_briefs(
    sources: Sequence[DraftSource],
    pool: Sequence[Example],
    *,
    kind: SourceKind,
    shape: DraftShape,
    given_input: str | None,
    shots: int,
    count: int,
    seed: int,
) -> list[ExampleRow]:
    """So many briefs, the sources in turn, as rows of origin `brief`.

    Args:
        given_input: what every draft answers, of the shape `answer`.
    """
    order = random.Random(seed)
    turned = list(sources)
    order.shuffle(turned)
    rows = []
    for number, source in enumerate(islice(cycle(turned), count)):
        shown = _draw(pool, source, shots, order)
        rows.append(_brief(number, source, shown, kind, shape, given_input))
    return rows


def _draw(
    pool: Sequence[Example], source: DraftSource, shots: int, rng: random.Random
) -> list[Example]:
    """Examples of other groups than the source's."""
    open_ = [e for e in pool if e.group is None or e.group != source.group]
    open_ = [e for e in open_ if source.example is None or e.id != source.example.id]
    return rng.sample(open_, min(shots, len(open_)))


def _brief(
    number: int,
    source: DraftSource,
    shots: Sequence[Example],
    kind: SourceKind,
    shape: DraftShape,
    given_input: str | None,
) -> ExampleRow:
    told: dict[str, Any] = {
        "source": source.name,
        "source_kind": str(kind),
        "document_sha256": source.document_sha256,
        "source_example_id": None if source.example is None else source.example.id,
        "source_example": None if source.example is None else source.name,
        "shown_example_ids": [shot.id for shot in shots],
        "slices": dict(source.slices),
        "given_input": given_input,
    }
    if shape is DraftShape.PAIR:
        text = _of_pair(kind, source, shots)
    else:  # the plain task, with right answers to other documents before it
        solved = _examples([_cut(_reference(shot)) for shot in shots])
        text = "\n\n".join([*solved, given_input or ""])
    return ExampleRow(
        external_id=f"brief-{number + 1:05d}",
        input=text,
        context=source.text,
        group=source.group,
        split=Split.TRAIN,
        origin=Origin.BRIEF,
        provenance=told,
    )


def _of_pair(kind: SourceKind, source: DraftSource, shots: Sequence[Example]) -> str:
    example = "" if source.example is None else _shown(source.example, source.answer)
    words = _WORDS[kind].format(example=example) if "{" in _WORDS[kind] else _WORDS[kind]
    if kind is not SourceKind.DOCUMENTS and source.text:
        words += _BELOW
    return "\n\n".join([*_examples([_shown(e, _reference(e)) for e in shots]), words, _FORM])


def _examples(texts: Sequence[str]) -> list[str]:
    return ["Examples that are there already:\n" + "\n".join(texts)] if texts else []


def _shown(example: Example, answer: str | None) -> str:
    told = {"input": _cut(question_text(example))}
    if answer:
        told["answer"] = _cut(answer)
    return json.dumps(told, ensure_ascii=False)


def _reference(example: Example) -> str:
    return str(example.references[0])


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS].rstrip() + " …"
