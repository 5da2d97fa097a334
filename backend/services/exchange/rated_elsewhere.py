"""Judgements of outputs that were made elsewhere: MQM marks and plain ratings, as answers.

MQM rows, a mark each: {"system", "seg_id" or "id", "rater", "target", "category", "severity"}, the
marked stretch of the target between <v> and </v>, as in the files of Freitag et al. (2021, TACL
9:1460). Ratings: {"item", "rater", "criterion"?, "value", "model"?, "sample"?}. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import InvalidInput
from backend.rubrics import Category, Rubric, YesNo
from backend.services.exchange.given_answers import ImportedAnswer, Place, unread
from backend.services.exchange.text_offsets import Offsets
from backend.services.review.answer import Answer, SpanMark
from backend.services.review.reports.contents import QueueFacts
from evaluators.errors import UnreadableRecord
from evaluators.files.fields import parse_number
from evaluators.files.formats.opening import file_name, open_bytes, open_text
from evaluators.files.readers import MAX_ROW_BYTES, FileTable, Record, read_table

MQM, RATINGS = "mqm", "ratings"
DEFAULT_CRITERION = "rating"
_TAG = re.compile(r"</?v>")
_MARKED = re.compile(r"<v>(.*?)</v>", re.DOTALL)
_SLUG = re.compile(r"[^a-z0-9]+")


def read_rated(path: str, source: str, *, max_row_bytes: int = MAX_ROW_BYTES) -> FileTable:
    """The rows of a file; quotes in the TSV of MQM are signs like any other.

    Raises:
        UnreadableRecord: as `read_table`, or a row of a TSV with too many or too few cells.
    """
    if source != MQM or not path.lower().removesuffix(".gz").endswith(".tsv"):
        return read_table(path, max_row_bytes=max_row_bytes)
    name, said = file_name(path), list[str]()
    with open_bytes(path) as stream, open_text(stream, name, said) as text:
        lines = [line.rstrip("\n").split("\t") for line in text if line.strip()]
    header, records = lines[0] if lines else [], list[Record]()
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(header):
            raise UnreadableRecord(
                f"{name}: row {number}: {len(cells)} cells under {len(header)} columns.",
                hint="Each row is one line, its cells separated by single tabs.",
            )
        records.append(Record(number, dict(zip(header, cells, strict=True))))
    if not records:
        raise UnreadableRecord(f"{name}: there is no record in it.", hint="Give it rows.")
    return FileTable(name, records, tuple(header), tuple(said), spelled=True)


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One row, whatever it is of: who said what of which output."""

    number: int
    place: Place
    rater: str
    values: Mapping[str, Any]

    @property
    def answer(self) -> tuple[Place, str]:
        """What all rows of one answer share."""
        return self.place, self.rater


def said(values: Mapping[str, Any], *names: str) -> str:
    """The first of these columns that has a text, without white space around it; else nothing."""
    found = (str(values[name]).strip() for name in names if values.get(name) is not None)
    return next((text for text in found if text), "")


def judged_rows(source: str, rows: Sequence[Any]) -> Iterator[JudgedRow | ImportedAnswer]:
    """Each row read, or why it cannot be."""
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            yield unread(number, "it is no row with names")
            continue
        model = said(row, "system", "model") or None
        item, rater = said(row, "id", "item", "seg_id"), said(row, "rater")
        sample = said(row, "sample") or "0"
        lacks = [name for name, there in (("item", item), ("rater", rater)) if not there]
        if source == MQM:
            lacks += [n for n in ("system", "target", "severity") if not said(row, n)]
        elif not said(row, "value", "label"):
            lacks.append("value")
        if lacks or not sample.isdecimal():
            yield unread(number, f"it has no {', no '.join(lacks) or 'number as its sample'}")
            continue
        yield JudgedRow(number, (model, item, int(sample[:9])), rater, row)


def _answers(source: str, rows: Sequence[Any]) -> Iterator[list[JudgedRow] | ImportedAnswer]:
    grouped: dict[tuple[Place, str], list[JudgedRow]] = {}
    for row in judged_rows(source, rows):
        if isinstance(row, ImportedAnswer):
            yield row
        else:
            grouped.setdefault(row.answer, []).append(row)
    yield from grouped.values()


def _given(found: list[JudgedRow], read: Any, digest: str | None) -> ImportedAnswer:
    first = found[0]
    model, item, sample = first.place
    return ImportedAnswer(
        row=first.number,
        id=f"{model or ''}:{item}:{sample}:{first.rater}",
        item_id=None,
        place=first.place,
        digest=digest,
        who=(first.rater,),
        read=read,
        whole=True,
    )


def mqm_answers(rows: Sequence[Any], offsets: Offsets) -> Iterator[ImportedAnswer]:
    """The marks of one rater on one output as one answer; a row without an error marks nothing."""
    for found in _answers(MQM, rows):
        if isinstance(found, ImportedAnswer):
            yield found
            continue
        targets = {_TAG.sub("", str(row.values["target"])).strip() for row in found}
        if len(targets) > 1:
            yield unread(found[0].number, "one rater marks two texts as the output of one segment")
            continue

        def read(facts: QueueFacts, output: str, found: list[JudgedRow] = found) -> Answer:
            marks = [_mark(facts.rubric, output, row) for row in found if not is_fine(row)]
            return Answer(spans=tuple(marks))

        yield _given(found, read, hashlib.sha256(targets.pop().encode()).hexdigest())


def is_fine(row: JudgedRow) -> bool:
    """Whether the row says that there is no error."""
    return slug(said(row.values, "severity")) in ("no_error", "none")


def _mark(rubric: Rubric, output: str, row: JudgedRow) -> SpanMark:
    """The marked stretch; the whole output where the mark stands in the source."""
    target = str(row.values["target"]).strip()
    marked = list(_MARKED.finditer(target))
    if len(marked) > 1:
        raise InvalidInput(f"row {row.number} marks {len(marked)} stretches at once")
    lead = len(output) - len(output.lstrip())
    note = said(row.values, "comment", "note") or None
    kind, severity = _kind(rubric, row), slug(said(row.values, "severity"))
    if marked and marked[0][1]:
        start = lead + marked[0].start()
        return SpanMark(start, start + len(marked[0][1]), kind, severity, note)
    in_source = _MARKED.search(said(row.values, "source"))
    where = f"in the source: {in_source[1]}" if in_source else "not marked where"
    return SpanMark(0, len(output), kind, severity, "; ".join(filter(None, [where, note])))


def slug(text: str) -> str:
    """A category or a severity as rubrics name it: `Fluency/Grammar` is `fluency_grammar`.

    Nothing stays nothing; what would not begin with a letter begins with `n_`.
    """
    found = _SLUG.sub("_", text.lower()).strip("_")
    return found if found[:1].isalpha() or not text else f"n_{found}"


def _kind(rubric: Rubric, row: JudgedRow) -> str:
    """The rubric's kind that the category is, by its whole name or its last part."""
    category = said(row.values, "category") or "other"
    names = [category, slug(category), slug(category.rpartition("/")[2])]
    return next((name for name in names if name in rubric.span_kinds), slug(category))


def rating_answers(rows: Sequence[Any], offsets: Offsets) -> Iterator[ImportedAnswer]:
    """The ratings of one rater on one output as one answer."""
    for found in _answers(RATINGS, rows):
        if isinstance(found, ImportedAnswer):
            yield found
            continue

        def read(facts: QueueFacts, output: str, found: list[JudgedRow] = found) -> Answer:
            names = [_criterion(facts.rubric, row) for row in found]
            if twice := [name for name, n in Counter(names).items() if n > 1]:
                raise InvalidInput(f"it rates {twice[0]!r} twice")
            values = [_value(facts.rubric, n, row) for n, row in zip(names, found, strict=True)]
            return Answer(ratings=dict(zip(names, values, strict=True)))

        yield _given(found, read, None)


def _criterion(rubric: Rubric, row: JudgedRow) -> str:
    named = said(row.values, "criterion")
    alone = rubric.criteria[0].name if len(rubric.criteria) == 1 else DEFAULT_CRITERION
    names = [criterion.name for criterion in rubric.criteria]
    return named if named in names else slug(named) if named else alone


def _value(rubric: Rubric, name: str, row: JudgedRow) -> object:
    """As the scale takes it: numbers as numbers, options by their names."""
    text = said(row.values, "value", "label")
    criterion = next((one for one in rubric.criteria if one.name == name), None)
    if isinstance(criterion, Category):
        return slug(text)
    if isinstance(criterion, YesNo):
        return {"true": "yes", "1": "yes", "false": "no", "0": "no"}.get(text.lower(), text.lower())
    number = parse_number(text)
    if number is None:
        return text
    return int(number) if number.is_integer() else number
