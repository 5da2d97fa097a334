"""What drafts are drawn from: documents, failures of a run, examples of a slice.

Nothing of the test split is ever a source, nor anything of a group that has examples in it, nor a
document that repeats what is held out. Failures may be of the validation split: what is drafted
from them is in the group of its failure, and still may repeat nothing that is held out.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, LeakRefused
from backend.rubrics.wrong import parse_wrong
from backend.services.checks.wrong import wrong_outputs
from backend.services.datasets.conversations import digest_text
from backend.services.datasets.leaks import LeakSide, find_leaks, held_out_sides
from backend.services.datasets.queries import in_project
from backend.services.datasets.versions import find_version
from backend.services.runs.generation import get_run
from backend.services.runs.scoring import list_score_runs
from backend.services.synthetic.sources.documents import TitledText, passages
from backend.tables.datasets import Dataset, DatasetVersion, Example, Split
from backend.tables.review import Correction, Review, ReviewItem
from backend.tables.runs import Generation, Score
from backend.tables.synthetic import SourceKind

_WORSE = re.compile(r"^\s*([^<>\s]+)\s*([<>])\s*(-?[0-9.]+)\s*$")
HELD_OUT = "it repeats what is held out as {example!r} ({where})"
GROUP_IN_TEST = "its group {group!r} has examples in the test split"


@dataclass(frozen=True, slots=True)
class SourceAsk:
    """Where drafts are to be drawn from.

    Attributes:
        documents: of the kind `documents`.
        run_id: of the kind `failures`, with what counts as one: `worse_than`, such as
            `rougeL<0.3`, or by default what reviews say is wrong (`wrong_when`).
        slice: key and value, of the kind `slice`.
        dataset: NAME or NAME@VERSION whose train split holds the slice and the examples that are
            shown; by default the run's, else the newest that has references.
    """

    kind: SourceKind
    documents: tuple[TitledText, ...] = ()
    run_id: int | None = None
    worse_than: str | None = None
    wrong_when: str = "marked"
    slice: tuple[str, str] | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class DraftSource:
    """One thing to draft from.

    Attributes:
        name: as people know it: `manual.txt`, `tickets@2/e17`.
        text: the document, or the source document of the example; None where it has none.
        group: of every draft that is drawn from it.
        document_sha256: of the whole document, also where `text` is a passage of it.
        example: that it is, with the right answer to it as far as that is known.
    """

    name: str
    text: str | None
    group: str
    slices: Mapping[str, str] = field(default_factory=dict)
    document_sha256: str | None = None
    example: Example | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class SourceListing:
    """The sources, those that were refused with the reason, and what else is to be known."""

    sources: list[DraftSource]
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_sources(
    session: Session, project_id: int, ask: SourceAsk, version: DatasetVersion | None
) -> SourceListing:
    """What the drafts may be drawn from.

    Args:
        version: the dataset version that `ask.dataset` means.

    Raises:
        InvalidInput: nothing is there to draw from; the sentence says why.
        LeakRefused: the failures are of the test split, or all sources are refused.
        NotFound: there is no such run or dataset.
    """
    found = KINDS[ask.kind](session, project_id, ask, version)
    found = _outside_test_groups(session, project_id, found)
    if not found.sources:
        first = next(iter(found.refused.items()), None)
        if first is None:
            raise InvalidInput(
                f"There is nothing to draft from: {ask.kind} give no source.", hint="Name others."
            )
        raise LeakRefused(
            f"All {len(found.refused)} sources are refused; the first, {first[0]}: {first[1]}.",
            hint="What is held out is never drafted from. Give sources of the train split.",
        )
    return found


def version_of(session: Session, project_id: int, ask: SourceAsk) -> DatasetVersion | None:
    """The dataset version whose train split is meant; None where the project has none.

    Raises:
        NotFound: there is no such dataset or run.
    """
    if ask.dataset is not None:
        return find_version(session, project_id, ask.dataset)
    if ask.run_id is not None:
        return get_run(session, ask.run_id, project_id=project_id).dataset_version
    solved = (
        select(DatasetVersion)
        .join(Dataset)
        .join(Example, Example.dataset_version_id == DatasetVersion.id)
        .where(
            Dataset.project_id == project_id,
            Example.split == Split.TRAIN,
            Example.origin.is_(None),
        )
        .order_by(DatasetVersion.id.desc())
        .limit(1)
    )
    return session.scalar(solved)


def _of_documents(
    session: Session, project_id: int, ask: SourceAsk, version: DatasetVersion | None
) -> SourceListing:
    pieces = [
        (document, number, text)
        for document in ask.documents
        for number, text in enumerate(passages(document.text), start=1)
    ]
    sides = [
        LeakSide(str(place), "documents", text, digest_text(text, None))
        for place, (_, _, text) in enumerate(pieces)
    ]
    leaks = find_leaks(sides, held_out_sides(session, project_id))
    leaking = {int(leak.train.example): leak for leak in leaks}
    groups = _groups_by_context(session, version)
    found = SourceListing([])
    for place, (document, number, text) in enumerate(pieces):
        name = document.name if number == 1 else f"{document.name} #{number}"
        if (leak := leaking.get(place)) is not None:
            held = leak.held_out
            found.refused[name] = HELD_OUT.format(example=held.example, where=held.where)
            continue
        group = groups.get(digest_text(text, None)) or f"document:{document.sha256[:16]}"
        found.sources.append(DraftSource(name, text, group, document_sha256=document.sha256))
    return found


def _groups_by_context(session: Session, version: DatasetVersion | None) -> dict[str, str]:
    """The group of each source document that the dataset has examples of."""
    if version is None:
        return {}
    query = select(Example.context, Example.group).where(
        Example.dataset_version_id == version.id,
        Example.context.is_not(None),
        Example.group.is_not(None),
    )
    return {
        digest_text(text, None): group for text, group in session.execute(query) if text and group
    }


def _of_failures(
    session: Session, project_id: int, ask: SourceAsk, version: DatasetVersion | None
) -> SourceListing:
    if ask.run_id is None:
        raise InvalidInput("No run is named.", hint="Name it: --from failures RUN")
    run = get_run(session, ask.run_id, project_id=project_id)
    if run.split == Split.TEST:
        raise LeakRefused(
            f"Run {run.id} is on the test split: what failed there may not be drafted from, or the "
            "next test would measure what was taught for it.",
            hint="Run the model on the validation or the train split, and draft from those.",
        )
    if ask.worse_than is None:
        judged = wrong_outputs(session, project_id, parse_wrong(ask.wrong_when))
        failed = {id_ for id_, said in judged.items() if said.wrong and said.run_id == run.id}
    else:
        failed = _worse_than(session, run.id, ask.worse_than)
    query = (
        select(Generation, Example)
        .join(Example, Example.id == Generation.example_id)
        .where(Generation.run_id == run.id, Example.split != Split.TEST)
        .order_by(Generation.id)
    )
    found: dict[int, DraftSource] = {}
    for output, example in session.execute(query):
        if output.id in failed and example.id not in found and example.origin is None:
            answer = _right_answer(session, output, example)
            found[example.id] = _of_example(example, answer, {})
    if not found:
        raise InvalidInput(
            f"Run {run.id} has no failure by {ask.worse_than or f'reviews ({ask.wrong_when})'}.",
            hint="Say what counts as one: --worse-than rougeL<0.3, or review outputs of the run.",
        )
    held = sum(source.example.split != Split.TRAIN for source in found.values() if source.example)
    note = (
        f"{held} failures are of the validation split: what is drafted from them is in their "
        "groups, so that figures on validation say less of groups never seen."
    )
    return SourceListing(list(found.values()), notes=[note] if held else [])


def _worse_than(session: Session, run_id: int, text: str) -> set[int]:
    """Outputs whose newest score of a metric is below (or above) a bound."""
    found = _WORSE.match(text)
    if found is None:
        raise InvalidInput(f"{text!r} says no bound.", hint="Write rougeL<0.3 or invented>0.")
    name, sign, bound = found[1], found[2], float(found[3])
    for scored in reversed(list_score_runs(session, run_id)):
        query = select(Score.generation_id, Score.value).where(
            Score.score_run_id == scored.id, Score.metric == name, Score.value.is_not(None)
        )
        if rows := [(id_, value) for id_, value in session.execute(query) if value is not None]:
            beyond = operator.lt if sign == "<" else operator.gt
            return {id_ for id_, value in rows if beyond(value, bound)}
    raise InvalidInput(
        f"Run {run_id} was not scored by {name}.",
        hint=f"Score it: strop run --resume {run_id} --metrics {name}",
    )


def _right_answer(session: Session, output: Generation, example: Example) -> str | None:
    """What an expert wrote in its place, else the reference of a train example."""
    query = (
        select(Correction.text)
        .join(Review, Review.id == Correction.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.generation_a_id == output.id)
        .where(Review.withdrawn_at.is_(None), Review.superseded_at.is_(None))
        .order_by(Correction.id.desc())
        .limit(1)
    )
    if example.split != Split.TRAIN:
        return None  # the answer to what is held out is told to no model
    return session.scalar(query) or (str(example.references[0]) if example.references else None)


def _of_slice(
    session: Session, project_id: int, ask: SourceAsk, version: DatasetVersion | None
) -> SourceListing:
    if ask.slice is None or version is None:
        raise InvalidInput("No slice, or no dataset to take it from.", hint="Write language=de.")
    key, value = ask.slice
    query = (
        select(Example)
        .where(
            Example.dataset_version_id == version.id,
            Example.split == Split.TRAIN,
            Example.origin.is_(None),
        )
        .order_by(Example.id)
    )
    trained = list(session.scalars(query))
    chosen = [one for one in trained if str(one.slices.get(key)) == value]
    if not chosen:
        known = sorted({f"{k}={v}" for one in trained for k, v in one.slices.items()})
        raise InvalidInput(
            f"No train example of {version.dataset.name}@{version.number} is in the slice "
            f"{key}={value}.",
            hint=f"Known slices: {', '.join(known[:20]) or 'none'}.",
        )
    answers = [next(map(str, one.references), None) for one in chosen]
    pairs = zip(chosen, answers, strict=True)
    return SourceListing([_of_example(one, answer, {key: value}) for one, answer in pairs])


def _of_example(example: Example, answer: str | None, slices: Mapping[str, str]) -> DraftSource:
    dataset = example.dataset_version
    name = f"{dataset.dataset.name}@{dataset.number}/{example.external_id}"
    shown = None if example.split != Split.TRAIN else example.context
    group = example.group or f"like:{name}"[:200]
    return DraftSource(name, shown, group, slices, None, example, answer)


def _outside_test_groups(session: Session, project_id: int, found: SourceListing) -> SourceListing:
    """The sources of which no example of the same group is tested."""
    query = in_project(select(Example.group).distinct(), project_id)
    of_test = Example.split == Split.TEST, Example.group.is_not(None)
    tested = set(session.scalars(query.where(*of_test)))
    refused = {
        one.name: GROUP_IN_TEST.format(group=one.group)
        for one in found.sources
        if one.group in tested
    }
    kept = [one for one in found.sources if one.name not in refused]
    return SourceListing(kept, {**found.refused, **refused}, found.notes)


Finder = Callable[[Session, int, SourceAsk, DatasetVersion | None], SourceListing]
KINDS: Mapping[SourceKind, Finder] = {
    SourceKind.DOCUMENTS: _of_documents,
    SourceKind.FAILURES: _of_failures,
    SourceKind.SLICE: _of_slice,
}


def parse_slice(text: str) -> tuple[str, str]:
    """Read `language=de`."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        raise InvalidInput(f"{text!r} is no slice.", hint="Write it as key=value.")
    return key, value
