"""Batches: which briefs are answered next, what a batch wrote, and when drafting ends.

Briefs are examples, batches are generation runs, so that the ledger of generations is the one of
drafts too: after a crash a batch goes on where it stopped, what was sifted stays, and nothing is
drafted twice. Drafting ends when enough drafts were kept, when most of a batch repeats what there
is, or when every brief was answered.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.engines.base import SamplingParams
from backend.services.curation.drafts import answer_digest
from backend.services.datasets.conversations import content_text, digest_text, question_text
from backend.services.datasets.erased import erased_outputs
from backend.services.datasets.leaks import CANNED, held_out_sides
from backend.services.datasets.queries import in_project, values_for
from backend.services.datasets.versions import list_examples
from backend.services.ledger import insert_missing
from backend.services.runs import generation
from backend.services.synthetic.draftings import drafts_of_drafting, get_drafting
from backend.services.synthetic.sifting import (
    DUPLICATES,
    Beside,
    DraftText,
    Sifted,
)
from backend.tables.datasets import Example, Split
from backend.tables.runs import Generation
from backend.tables.synthetic import Draft, Drafting, DraftingBatch, DraftShape

MOST_BATCH = 500
LEAST_SEEN = 10
MOSTLY = 0.5
"""Share of the last readable drafts (a batch, but at least LEAST_SEEN) from which on repeats end a
drafting."""


def next_batch(session: Session, drafting_id: int) -> int | None:
    """The run whose drafts are to be written or sifted next; None when the drafting is to end."""
    drafting = get_drafting(session, drafting_id)
    if drafting.finished_at is not None:
        return None
    batches = _batches(session, drafting_id)
    if batches and _unsifted(session, drafting_id, batches[-1].generation_run_id):
        return batches[-1].generation_run_id
    if reason_to_stop(session, drafting) is not None:
        return None
    return _lay_down_batch(session, drafting, batches).generation_run_id


def _batches(session: Session, drafting_id: int) -> list[DraftingBatch]:
    query = select(DraftingBatch).where(DraftingBatch.drafting_id == drafting_id)
    return list(session.scalars(query.order_by(DraftingBatch.number)))


def _unsifted(session: Session, drafting_id: int, run_id: int) -> bool:
    run = generation.get_run(session, run_id)
    sifted = select(func.count(Draft.id)).where(
        Draft.drafting_id == drafting_id,
        Draft.generation_id.in_(select(Generation.id).where(Generation.run_id == run_id)),
    )
    return (session.scalar(sifted) or 0) < generation.count_examples(session, run)


def _lay_down_batch(
    session: Session, drafting: Drafting, batches: Sequence[DraftingBatch]
) -> DraftingBatch:
    open_ = _open_briefs(session, drafting, batches)
    drafts = drafts_of_drafting(session, drafting.id)
    kept = sum(draft.reason is None for draft in drafts)
    rate = max(0.1, (kept + 1) / (len(drafts) + 2)) if drafts else 1.0
    size = min(MOST_BATCH, math.ceil((drafting.wanted - kept) / rate))
    run = generation.create_run(
        session,
        project_id=drafting.project_id,
        dataset_version_id=drafting.briefs_version_id,
        split=Split.TRAIN,
        model_ids=[drafting.model_version_id],
        engine=drafting.engine,
        params=SamplingParams(**drafting.params),
        example_ids=open_[:size],
        created_by_id=drafting.created_by_id,
    )
    batch = DraftingBatch(
        drafting_id=drafting.id, number=len(batches) + 1, generation_run_id=run.id
    )
    session.add(batch)
    session.flush()
    return batch


def _open_briefs(
    session: Session, drafting: Drafting, batches: Sequence[DraftingBatch]
) -> list[int]:
    """Briefs that no batch has; of a document that is answered already, none."""
    runs = [generation.get_run(session, batch.generation_run_id) for batch in batches]
    taken = {id_ for run in runs for id_ in run.example_ids or ()}
    briefs = list_examples(session, drafting.briefs_version_id)
    if drafting.shape == DraftShape.ANSWER:
        answered = select(Draft.brief_id).where(
            Draft.drafting_id == drafting.id, Draft.reason.is_(None)
        )
        ids = set(session.scalars(answered))
        contexts = {brief.context for brief in briefs if brief.id in ids}
        briefs = [brief for brief in briefs if brief.context not in contexts]
    return [brief.id for brief in briefs if brief.id not in taken]


def drafting_progress(session: Session, drafting_id: int) -> tuple[int, int, int]:
    """Drafts that were kept, drafts in all, and how many are wanted."""
    drafting = get_drafting(session, drafting_id)
    drafts = drafts_of_drafting(session, drafting_id)
    return sum(draft.reason is None for draft in drafts), len(drafts), drafting.wanted


def reason_to_stop(session: Session, drafting: Drafting) -> str | None:
    """Why no further batch is drafted; None: one is."""
    batches = _batches(session, drafting.id)
    if not batches:
        return None
    drafts = drafts_of_drafting(session, drafting.id)
    kept = sum(draft.reason is None for draft in drafts)
    if kept >= drafting.wanted:
        return "enough drafts were kept"
    last = generation.get_run(session, batches[-1].generation_run_id)
    ids = set(session.scalars(select(Generation.id).where(Generation.run_id == last.id)))
    readable = [draft for draft in drafts if draft.prompt_digest or draft.reason in DUPLICATES]
    n_last = sum(draft.generation_id in ids for draft in readable)
    new = readable[-max(n_last, LEAST_SEEN) :]
    repeats = sum(draft.reason in DUPLICATES for draft in new)
    if len(new) >= LEAST_SEEN and repeats > MOSTLY * len(new):
        return (
            f"new drafts are mostly repeats: {repeats} of the last {len(new)} repeat a training "
            "row or another draft"
        )
    if not _open_briefs(session, drafting, batches):
        return "every brief was answered"
    return None


def read_batch(session: Session, drafting: Drafting, run_id: int) -> tuple[list[DraftText], Beside]:
    """What a batch wrote, and what it is to be held against."""
    query = (
        select(Generation, Example)
        .join(Example, Example.id == Generation.example_id)
        .where(Generation.run_id == run_id)
        .order_by(Generation.id)
    )
    written = [
        DraftText(
            key=output.id,
            text=output.text,
            error=output.error,
            is_cut=output.finish_reason == "length",
            source=brief.context,
            given_input=(brief.provenance or {}).get("given_input"),
        )
        for output, brief in session.execute(query)
    ]
    return written, read_beside(session, drafting)


def read_beside(session: Session, drafting: Drafting) -> Beside:
    """What is held out, what is trained on, and what was kept before, of the whole project."""
    project_id, shape = drafting.project_id, DraftShape(drafting.shape)
    query = in_project(select(Example), project_id).where(Example.origin.is_(None))
    train: dict[str, None] = {}
    answers: Counter[str] = Counter()
    inputs: dict[str, set[str]] = defaultdict(set)
    names: dict[str, str] = {}
    for example in session.scalars(query.order_by(Example.id)):
        if example.split == Split.TRAIN:
            if example.references:
                of_shape = question_text if shape is DraftShape.PAIR else content_text
                train.setdefault(of_shape(example))
                answers.update({str(example.references[0])})
        else:
            asked = question_text(example)
            inputs[asked].add(example.content_digest)
            names.setdefault(asked, f"{example.external_id} ({example.split})")
    return Beside(
        held_out=held_out_sides(session, project_id),
        held_out_inputs={text: names[text] for text, of in inputs.items() if len(of) == 1},
        train=list(train),
        train_answers=[text for text, n in answers.items() if n < CANNED],
        drafts=_kept_before(session, drafting),
    )


def _kept_before(session: Session, drafting: Drafting) -> list[str]:
    """Their inputs, or whole prompts where these were given."""
    query = (
        select(Draft.input, Example.context)
        .join(Example, Example.id == Draft.brief_id)
        .join(Drafting, Drafting.id == Draft.drafting_id)
        .where(Draft.project_id == drafting.project_id, Draft.reason.is_(None))
        .where(Drafting.shape == drafting.shape)
        .order_by(Draft.id)
    )
    found = session.execute(query)
    if drafting.shape == DraftShape.PAIR:
        return [asked or "" for asked, _ in found]
    return ["\n\n".join(filter(None, pair)) for pair in found]


def save_drafts(session: Session, drafting_id: int, sifted: Sequence[Sifted]) -> int:
    """Write what became of a batch into the ledger; what is there stays. Returns how many are new.

    A draft whose prompt people have brought before is no mark of a model: it is not kept in mind.
    One whose brief was erased since it was read is left to the next reading, which finds no text.
    """
    drafting = get_drafting(session, drafting_id)
    gone = erased_outputs(session, [one.written.key for one in sifted])
    sifted = [one for one in sifted if one.written.text is None or one.written.key not in gone]
    query = select(Generation.id, Generation.example_id)
    written = Generation.id.in_([one.written.key for one in sifted])
    of_brief = dict(session.execute(query.where(written)).all())
    own_input = drafting.shape == DraftShape.PAIR
    prompts = [
        None if one.input is None else digest_text(one.input, one.written.source) for one in sifted
    ]
    of_people = in_project(select(Example.content_digest), drafting.project_id)
    of_people = of_people.where(Example.origin.is_(None))
    digests = [prompt for prompt in prompts if prompt]
    known = set(values_for(session, of_people, Example.content_digest, digests))
    rows = [
        {
            "project_id": drafting.project_id,
            "drafting_id": drafting.id,
            "generation_id": one.written.key,
            "brief_id": of_brief[one.written.key],
            "reason": None if one.reason is None else str(one.reason),
            "detail": dict(one.detail),
            "input": one.input,
            "answer": one.answer,
            "prompt_digest": None if own_input and prompt in known else prompt,
            "answer_digest": None if one.answer is None else answer_digest(one.answer),
            "own_input": own_input,
        }
        for one, prompt in zip(sifted, prompts, strict=True)
    ]
    return insert_missing(session, Draft, rows)
