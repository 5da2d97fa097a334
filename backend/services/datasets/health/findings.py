"""What an examination of examples finds: values, and the material that all of them look at.

A finding names rows, a part of each and a place in it, and never repeats what stands there: a
report may be kept after the texts are gone. Labels of classes are the exception; they are few,
and shared by many rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from backend.errors import CannotCompute
from backend.schemas.health import Gain
from backend.services.datasets.conversations import content_text
from backend.services.datasets.near_duplicates import fold, near_duplicate_pairs
from backend.services.datasets.versions import ExampleRow
from evaluators.spread import Spread
from evaluators.statistics.intervals import wilson

INPUT, CONTEXT, REFERENCE = "input", "context", "reference"
MOST_CLASSES = 300
LONGEST_CLASS = 80
LEAST_OF_CLASS = 3
LEAST_IN_CLASSES = 0.9
MOST_COMPARED = 30_000
MOST_ANSWERS = 20  # of one prompt, that are held against those of prompts nearly like it


class FindingSeverity(StrEnum):
    """How much a finding matters, the worst first."""

    SEVERE = "severe"
    WARNING = "warning"
    NOTE = "note"


class Task(StrEnum):
    """What the references are: names of classes, or texts."""

    CLASSES = "classes"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Flagged:
    """A row that a finding is about.

    Attributes:
        id: of the example.
        part: `input`, `context` or `reference`; of the first reference where there are several.
        why: the reason in words.
        start, end: the place in that part, in code points; None where it is all of it.
        score: the higher, the surer; comparable within one kind.
        others: ids of further examples that the reason speaks of.
    """

    id: str
    part: str
    why: str
    start: int | None = None
    end: int | None = None
    score: float | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KindFindings:
    """What one kind of examination found.

    Attributes:
        n: rows that could be looked at.
        severity: where the share of rows does not decide it.
        details: further figures, a row of a table each.
        notes: what a reader has to know of the method and of what was left out.
    """

    rows: tuple[Flagged, ...]
    n: int
    gain: Gain
    severity: FindingSeverity | None = None
    details: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def flagged(self) -> int:
        """How many examples are flagged, each once."""
        return len({row.id for row in self.rows})

    @property
    def share(self) -> tuple[float, float, float] | None:
        """Share of the rows looked at, with Wilson's interval of 95%; None where n is 0."""
        if not self.n:
            return None
        flagged = min(self.flagged, self.n)
        return (flagged / self.n, *wilson(flagged, self.n))


@dataclass(frozen=True, slots=True)
class KindReport:
    """One kind of a report: what was found, or why nothing could be looked for."""

    kind: str
    title: str
    remedy: str
    severity: FindingSeverity | None
    found: KindFindings | None
    problem: str | None = None

    def as_dict(self, *, rows: bool = True) -> dict[str, Any]:
        """Plain values, JSON-serialisable; without the rows where they are kept apart."""
        found = self.found
        told: dict[str, Any] = {
            "kind": self.kind,
            "title": self.title,
            "remedy": self.remedy,
            "severity": None if self.severity is None else str(self.severity),
            "problem": self.problem,
            "flagged": 0 if found is None else found.flagged,
            "n": 0 if found is None else found.n,
            "share": None,
            "gain": None if found is None else asdict(found.gain),
            "details": [] if found is None else [dict(one) for one in found.details],
            "notes": [] if found is None else list(found.notes),
        }
        if found is not None and found.share is not None:
            told["share"] = dict(zip(("value", "low", "high"), found.share, strict=True))
        if rows:
            told["rows"] = [] if found is None else [asdict(one) for one in found.rows]
        return told


@dataclass(frozen=True, slots=True)
class BarLine:
    """A line of the success manifest, as far as the size of a slice decides what it can show."""

    metric: str
    slice: Mapping[str, str]
    threshold: float | None = None
    margin: float | None = None
    scale: float | None = 1.0
    higher_is_better: bool = True


@dataclass(frozen=True)
class HealthMaterial:
    """The examples that are examined, and what several kinds of examination make of them.

    Attributes:
        task: what the references are; None: it is told from them.
        encoder: a folder or name that transformers can load; None: nothing is looked for that
            needs one.
        alike: least cosine of two prompts of one meaning.
        bar: lines of the success manifest.
        spread, spread_model: where blocks of texts are read, and where they are encoded.
    """

    rows: Sequence[ExampleRow]
    seed: int = 0
    task_given: Task | None = None
    encoder: str | None = None
    alike: float = 0.95
    bar: Sequence[BarLine] = ()
    spread: Spread = map
    spread_model: Spread = map

    @cached_property
    def task(self) -> Task:
        """What the references are: names of few classes that come again and again, or texts."""
        return self.task_given or guess_task(self.rows)

    @cached_property
    def prompts(self) -> list[str]:
        """What each row asks, its source below it."""
        return [content_text(row) for row in self.rows]

    @cached_property
    def answers(self) -> list[str]:
        """The first reference of each row, folded; empty where it has none."""
        return [fold(row.references[0]) if row.references else "" for row in self.rows]

    @cached_property
    def same_prompts(self) -> list[list[int]]:
        """Rows of which the prompt is the same but for case, punctuation and look-alikes."""
        places: dict[str, list[int]] = defaultdict(list)
        for number, prompt in enumerate(self.prompts):
            if folded := fold(prompt):
                places[folded].append(number)
        return [found for found in places.values() if len(found) > 1]

    @cached_property
    def firsts(self) -> list[int]:
        """Of each different prompt the first row."""
        copies = {number for found in self.same_prompts for number in found[1:]}
        return [number for number in range(len(self.rows)) if number not in copies]

    @cached_property
    def near_pairs(self) -> list[tuple[int, int]]:
        """Pairs of different prompts of which one repeats the other.

        Raises:
            CannotCompute: more rows than are compared in bounded time and memory.
        """
        if len(self.rows) > MOST_COMPARED:
            raise CannotCompute(
                f"More than {MOST_COMPARED} rows are not compared with each other.",
                hint="Examine a part: import a sample as a dataset of its own.",
            )
        standing, firsts = self._standing_for_copies(), self.firsts
        pairs = near_duplicate_pairs(
            [self.prompts[number] for number in firsts], spread=self.spread
        )
        return sorted(
            (min(a, b), max(a, b))
            for one, other in pairs
            for a in standing[firsts[one]]
            for b in standing[firsts[other]]
        )

    def _standing_for_copies(self) -> dict[int, list[int]]:
        """Of each different prompt its first row, and with it the first of each answer that copies
        have: a thousand copies of one prompt are not compared with each other a million times."""
        standing = {number: [number] for number in self.firsts}
        for found in self.same_prompts:
            by_answer = {self.answers[number]: number for number in reversed(found)}
            standing[found[0]] = sorted(by_answer.values())[:MOST_ANSWERS]
        return standing

    @cached_property
    def clusters(self) -> list[int]:
        """Of each row the unit that must not be parted: its group with all that repeats it."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        n, first = len(self.rows), dict[str, int]()
        links = [(found[0], other) for found in self.same_prompts for other in found[1:]]
        with suppress(CannotCompute):  # of very many rows exact copies and groups are kept together
            links += self.near_pairs
        for number, row in enumerate(self.rows):
            if row.group is not None:
                links.append((first.setdefault(row.group, number), number))
        ends = ([one for one, _ in links], [other for _, other in links])
        graph = coo_matrix(([True] * len(links), ends), shape=(n, n))
        return [int(label) for label in connected_components(graph, directed=False)[1]]

    @property
    def splits(self) -> Counter[str]:
        """Rows by split; empty where none is named."""
        return Counter(row.split for row in self.rows if row.split is not None)


def guess_task(rows: Sequence[ExampleRow]) -> Task:
    """Classes where nearly all references are one of few short texts that come several times."""
    answers = Counter(row.references[0].strip() for row in rows if row.references)
    common = {a: n for a, n in answers.items() if n >= LEAST_OF_CLASS and len(a) <= LONGEST_CLASS}
    covered = sum(common.values()) / max(1, answers.total())
    several = any(len(row.references) > 1 for row in rows)
    few = 2 <= len(common) <= min(MOST_CLASSES, max(2, answers.total() // LEAST_OF_CLASS))
    return Task.CLASSES if few and covered >= LEAST_IN_CLASSES and not several else Task.TEXTS


def share_words(flagged: int, n: int) -> str:
    """`12 of 340 (3.5%, 2.0% to 6.1%)`; Wilson's interval of 95%."""
    if not n:
        return "0 of 0"
    low, high = wilson(min(flagged, n), n)
    return f"{flagged} of {n} ({flagged / n:.1%}, {low:.1%} to {high:.1%})"


def nothing_to_gain(why: str) -> Gain:
    """A gain that cannot be computed, and why."""
    return Gain(f"What mending them brings cannot be computed from the data alone: {why}")
