"""The frame of a queue: every item that could be reviewed, before a design draws from it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.tables.datasets import Example
from backend.tables.review import QueueKind
from backend.tables.runs import Generation
from evaluators.spread import cut

AT_ONCE = 10_000
ARTEFACTS = ("<|", "[INST]", "</s>", "<s>", "### ", "<think>", "As an AI", "language model")


class NothingToReview(InvalidInput):
    """No output is there, or both models wrote the same everywhere: `n_identical` pairs."""

    def __init__(self, run_id: int, n_identical: int) -> None:
        why = f"all {n_identical} pairs are identical" if n_identical else "no output of these"
        super().__init__(
            f"There is nothing to review in run {run_id}: {why}.",
            hint="Name other models."
            if n_identical
            else "Let the run finish first, or name other models.",
        )
        self.n_identical = n_identical


class ItemCandidate(NamedTuple):
    """One generation, or two of the same example and sample."""

    a_id: int
    b_id: int | None
    example_id: int
    sample: int

    @property
    def output_ids(self) -> tuple[int, ...]:
        """Its generations."""
        return (self.a_id,) if self.b_id is None else (self.a_id, self.b_id)


@dataclass(frozen=True, slots=True)
class Frame:
    """All candidates, in order of their generations.

    Attributes:
        n_without_output: generations left out because the model failed there.
        identical: pairs left out because both models wrote the same text, by the two models; ties.
        giveaways: texts that tell which model wrote an output -> outputs that contain them.
    """

    run_id: int
    candidates: tuple[ItemCandidate, ...]
    n_without_output: int
    identical: Mapping[tuple[int, int], int]
    giveaways: Mapping[str, int]

    @property
    def n_identical(self) -> int:
        """Those of all models together."""
        return sum(self.identical.values())


class _OutputRow(NamedTuple):
    """An output without its text: a million texts are a gigabyte."""

    id: int
    model_id: int
    example_id: int
    sample: int
    digest: bytes  # of the text, without white space around it


class _RunReading:
    """The outputs of a run as they are read: what is kept of each, and what is counted."""

    def __init__(self) -> None:
        self.kept: list[_OutputRow] = []
        self.n_failed = 0

    def texts(
        self, rows: Iterable[Sequence[Any]], only: Collection[int] | None = None
    ) -> Iterator[str]:
        """The texts one by one, while the outputs that they are of are kept."""
        for id_, model_id, example_id, sample, text in rows:
            if text is None:
                self.n_failed += 1
            elif only is None or id_ in only:
                digest = blake2b(text.strip().encode(), digest_size=16).digest()
                self.kept.append(_OutputRow(id_, model_id, example_id, sample, digest))
                yield text


def read_frame(
    session: Session,
    run_id: int,
    kind: QueueKind,
    model_ids: Sequence[int],
    *,
    model_names: Sequence[str] = (),
    only: Collection[int] | None = None,
) -> Frame:
    """Everything that a queue over these models of a run could show.

    Args:
        only: ids of the outputs that may be shown; None: all.

    Raises:
        NothingToReview: there is nothing to review.
    """
    reading = _RunReading()
    texts = reading.texts(_each_written(session, run_id, model_ids), only)
    giveaways = find_giveaways(texts, model_names)
    written = reading.kept
    if kind is QueueKind.SINGLE:
        found = [ItemCandidate(row.id, None, row.example_id, row.sample) for row in written]
        identical: Counter[tuple[int, int]] = Counter()
    else:
        found, identical = _pairs(written, model_ids)
    if not found:
        raise NothingToReview(run_id, sum(identical.values()))
    return Frame(run_id, tuple(found), reading.n_failed, identical, giveaways)


def _each_written(
    session: Session, run_id: int, model_ids: Sequence[int]
) -> Iterator[Sequence[Any]]:
    """Id, model, example, sample and text (None: it failed) of what the models wrote, in order."""
    query = (
        select(
            Generation.id,
            Generation.model_version_id,
            Generation.example_id,
            Generation.sample,
            Generation.text,
        )
        .where(Generation.run_id == run_id, Generation.model_version_id.in_(model_ids))
        .order_by(Generation.id)
    )
    yield from session.execute(query, execution_options={"yield_per": AT_ONCE})


def identical_pairs(
    session: Session, run_id: int, model_ids: Sequence[int]
) -> Mapping[tuple[int, int], int]:
    """How often each two models wrote the same text."""
    reading = _RunReading()
    deque(reading.texts(_each_written(session, run_id, model_ids)), maxlen=0)
    return _pairs(reading.kept, model_ids)[1]


def _pairs(
    written: Sequence[_OutputRow], model_ids: Sequence[int]
) -> tuple[list[ItemCandidate], Counter[tuple[int, int]]]:
    """Pairs that differ, and how many do not, by their models."""
    by_cell: dict[tuple[int, int], dict[int, _OutputRow]] = {}
    for row in written:
        by_cell.setdefault((row.example_id, row.sample), {})[row.model_id] = row
    different = []
    identical: Counter[tuple[int, int]] = Counter()
    for cell in by_cell.values():
        for a, b in combinations(model_ids, 2):
            if a not in cell or b not in cell:
                continue
            if cell[a].digest == cell[b].digest:
                identical[a, b] += 1
            else:
                found = ItemCandidate(cell[a].id, cell[b].id, cell[a].example_id, cell[a].sample)
                different.append(found)
    return different, identical


def find_giveaways(texts: Iterable[str], model_names: Sequence[str]) -> dict[str, int]:
    """Texts that would tell which model wrote an output: its name, or a mark of its template.

    Returns how many outputs contain each; names are looked for without regard to case.
    """
    named = [name for name in dict.fromkeys(model_names) if len(name) >= 4]
    counts = dict.fromkeys((*named, *ARTEFACTS), 0)
    for text in texts:
        folded = text.casefold()
        for mark in counts:
            counts[mark] += (mark.casefold() if mark in named else mark) in (
                folded if mark in named else text
            )
    return {mark: n for mark, n in counts.items() if n}


def slices_of(session: Session, candidates: Sequence[ItemCandidate]) -> list[Mapping[str, str]]:
    """The slices of each candidate's example, as text."""
    by_example: dict[int, dict[str, str]] = {}
    ids = sorted({candidate.example_id for candidate in candidates})
    for some in cut(ids, 500):
        query = select(Example.id, Example.slices).where(Example.id.in_(some))
        for example_id, slices in session.execute(query):
            by_example[example_id] = {str(key): str(value) for key, value in slices.items()}
    return [by_example[candidate.example_id] for candidate in candidates]


def parse_slice(text: str, slices: Iterable[Mapping[str, str]]) -> tuple[str, str]:
    """`key=value` of a slice that some example has.

    Raises:
        InvalidInput: not of that form, or no example is in it; the hint lists some that are known.
    """
    key, equals, value = text.partition("=")
    if not (equals and key.strip() and value.strip()):
        raise InvalidInput(f"{text!r} is no slice.", hint="Write it as key=value.")
    wanted = key.strip(), value.strip()
    known = {pair for found in slices for pair in found.items()}
    if wanted not in known:
        listed = ", ".join(f"{k}={v}" for k, v in sorted(known)[:20])
        raise InvalidInput(
            f"No example of this run is in the slice {text!r}.",
            hint=f"Known slices: {listed or 'none'}.",
        )
    return wanted
