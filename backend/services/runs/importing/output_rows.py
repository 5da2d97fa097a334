"""Rows of outputs that were written elsewhere: one for each model, example and sample. Pure.

The file is the one of predictions (`evaluators.files.predictions`), in which an id may come again
for another `model` or another `sample`, and a row may have an `error` in place of a prediction.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of

from backend.errors import InvalidInput
from backend.services.models.versions import check_name
from backend.tables.models import BASE
from backend.tables.packed import pack_logprobs, unpack
from evaluators.files.fields import Fields, each_row
from evaluators.files.mapping import ColumnNames, Notes, RowShape, counted
from evaluators.files.readers import FileTable

OUTPUT = RowShape(
    known=(
        *("id", "prediction", "model", "sample", "error", "input", "finish_reason"),
        *("logprobs", "tokens", "prompt_tokens", "seconds"),
    ),
    required=("id", "prediction"),
)
MOST_SAMPLES = 100
MOST_TOKENS = 2**31 - 1  # as a column of PostgreSQL holds
LONGEST_REASON = 32
SHOWN_IDS = 5
Unit = tuple[str, str, int]  # model, id, sample


@dataclass(frozen=True, slots=True)
class ImportedOutput:
    """What one row gives; `error` in place of a text. What the file does not say is 0 or empty.

    Attributes:
        input: what the row says that the example asks, to be held against it.
        logprobs: of each token, packed as `backend.tables.packed` does: a million outputs are held.
        seconds: from asking to the last token.
    """

    row: int
    id: str
    model: str
    sample: int = 0
    text: str | None = None
    error: str | None = None
    input: str | None = None
    finish_reason: str | None = None
    logprobs: bytes = b""
    tokens: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0

    @property
    def unit(self) -> Unit:
        """What there may be one row of."""
        return self.model, self.id, self.sample


@dataclass(frozen=True, slots=True)
class ImportedOutputs:
    """The rows of one file, each unit once.

    Attributes:
        source: the file as messages name it.
        masked: whether they hold no identifier of a person, by the project's masking policy.
    """

    source: str
    rows: Sequence[ImportedOutput]
    masked: bool = False

    @property
    def models(self) -> list[str]:
        """The names of the models, in order of appearance."""
        return list(dict.fromkeys(row.model for row in self.rows))

    @property
    def samples(self) -> int:
        """How many texts of each model there are to an example."""
        return 1 + max(row.sample for row in self.rows)


def read_outputs(
    table: FileTable,
    *,
    model: str | None = None,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
) -> ImportedOutputs:
    """The outputs in a table, whole or not at all.

    Args:
        model: whose outputs all of them are; else each row says it in `model`.

    Raises:
        InvalidInput, UnreadableRecord: one sentence that names file, row and remedy.
    """
    told = notes or Notes()
    fields = each_row(table, OUTPUT, names=names or ColumnNames(), notes=told)
    rows = [_output(row, model) for row in _of_models(fields, model, told)]
    _refuse_twice(table.name, rows)
    _refuse_gaps(table.name, {row.sample for row in rows})
    empty = sum(row.text is not None and not row.text.strip() for row in rows)
    if empty == len(rows):
        raise InvalidInput(
            f"{table.name}: every prediction is empty.", hint="Is it the right column? --map"
        )
    if empty:
        told.add(f"{table.name}: {counted(empty, 'prediction')} empty, taken as they are.")
    return ImportedOutputs(table.name, rows)


def _of_models(fields: Iterable[Fields], model: str | None, notes: Notes) -> Iterator[Fields]:
    """The rows, whose models have names that a model may have; `model` stands for one that the file
    names, not for several."""
    if model is not None:
        _check_name(model)
    first: Fields | None = None
    seen: set[str] = set()
    for row in fields:
        if first is None:
            first = row
        if model is None:
            _check_model(row, seen)
        elif (name := row.name("model")) is not None:
            seen.add(name)
        yield row
    if model is None or first is None:
        return
    if len(seen) > 1:
        raise first.refuse(
            f"the file has outputs of {len(seen)} models ({listed_ids(sorted(seen))}), and one "
            f"name is given, {model!r}",
            hint="Leave --model out, or split the file.",
        )
    if seen - {model}:
        notes.add(f"outputs of {seen.pop()!r} are taken as those of {model!r}.")


def _check_model(row: Fields, seen: set[str]) -> None:
    """The model that a row names, where no name is given for all of them."""
    if row.columns.get("model", "model") not in row.table.columns:
        raise row.refuse("no model is named", hint="Name it: --model NAME, or in a column model.")
    name = row.need_name("model")
    if name not in seen:
        try:
            _check_name(name)
        except InvalidInput as error:
            hint = "Name it by --model, a file for each model."
            raise row.refuse(error.message.rstrip("."), hint=hint) from None
    seen.add(name)


def _check_name(name: str) -> None:
    if name == BASE:
        raise InvalidInput(
            f"{BASE!r} is the project's base model, and nothing proves that it wrote these.",
            hint="Give them another name.",
        )
    check_name(name)


def _output(fields: Fields, model: str | None) -> ImportedOutput:
    text, error = fields.written("prediction"), fields.code("error")
    if error is not None:
        if text is not None and text.strip():
            raise fields.refuse("it has a prediction and an error", hint="Leave one of them empty.")
        text = None
    elif text is None:
        raise fields.refuse(
            "'prediction' is null", hint='An empty output is written "", a failed one has an error.'
        )
    logprobs = fields.numbers("logprobs")
    if logprobs and max(logprobs) > 0:
        raise fields.refuse("'logprobs' holds a number above 0, which is the log of no probability")
    found = ImportedOutput(
        row=fields.record.row,
        id=sys.intern(fields.need_name("id")),
        model=sys.intern(model or fields.need_name("model")),
        sample=fields.count("sample") or 0,
        text=text,
        error=error,
        input=fields.text("input"),
        finish_reason=fields.code("finish_reason"),
        logprobs=pack_logprobs(logprobs) or b"",
        tokens=fields.count("tokens") or 0,
        prompt_tokens=fields.count("prompt_tokens") or 0,
        seconds=fields.number("seconds") or 0.0,
    )
    if (problem := _problem(found)) is not None:
        raise fields.refuse(problem)
    return found


def _problem(found: ImportedOutput) -> str | None:
    """Why a row cannot be kept, whatever example it is of."""
    for name in ("id", "text", "error", "input", "finish_reason"):
        said = getattr(found, name) or ""
        if "\x00" in said or any("\ud800" <= sign <= "\udfff" for sign in said):
            column = "prediction" if name == "text" else name
            return f"{column!r} holds a character that is not text (NUL or a lone surrogate)"
    if found.sample >= MOST_SAMPLES:
        return f"sample {found.sample}; {MOST_SAMPLES} at most are kept, from 0"
    if max(found.tokens, found.prompt_tokens) > MOST_TOKENS or found.seconds < 0:
        return "'tokens', 'prompt_tokens' or 'seconds' is out of all bounds"
    if len(found.finish_reason or "") > LONGEST_REASON:
        return f"'finish_reason' is longer than {LONGEST_REASON} signs"
    return None


def _refuse_gaps(source: str, samples: Collection[int]) -> None:
    """Samples are counted from 0; one that no example has is a number that was meant otherwise."""
    lacking = next(n for n in range(len(samples) + 1) if n not in samples)
    if lacking == 0:
        raise InvalidInput(
            f"{source}: samples begin at {min(samples)}.", hint="Number them from 0."
        )
    if lacking < max(samples):
        raise InvalidInput(
            f"{source}: there is a sample {max(samples)}, and none {lacking}.",
            hint="Number the texts of an example 0, 1, 2.",
        )


def _refuse_twice(source: str, rows: Sequence[ImportedOutput]) -> None:
    first: dict[Unit, int] = {}
    again = [row for row in rows if first.setdefault(row.unit, row.row) != row.row]
    if not again:
        return
    ids = list(dict.fromkeys(row.id for row in again))
    raise InvalidInput(
        f"{source}: row {again[0].row}: the id {again[0].id[:60]!r} was used in row "
        f"{first[again[0].unit]} already; {counted(len(ids), 'id')} so ({listed_ids(ids)}).",
        hint="Give each example one output of a model, or number several in a column sample.",
    )


def listed_ids(ids: Sequence[str]) -> str:
    """The first ids, and that there are more."""
    shown = ", ".join(one[:60] for one in ids[:SHOWN_IDS])
    return shown + (", ..." if len(ids) > SHOWN_IDS else "")


DIGEST = "2:"
"""What digests of outputs begin with; those of former versions were of all lines at once."""


def outputs_digest(rows: Sequence[ImportedOutput], revisions: Mapping[str, int]) -> str:
    """What the rows say of each model revision, whatever their order and their file: SHA-256 over
    the sorted SHA-256 of each."""
    said = _said(rows, revisions, lambda row: row.logprobs.hex())
    lines = (hashlib.sha256(line.encode()).digest() for line in said)
    return DIGEST + hashlib.sha256(b"".join(sorted(lines))).hexdigest()


def former_digest(rows: Sequence[ImportedOutput], revisions: Mapping[str, int]) -> str:
    """The digest by which a run of a former version knows the same outputs."""
    said = _said(rows, revisions, lambda row: unpack(row.logprobs))
    return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()


def _said(
    rows: Iterable[ImportedOutput],
    revisions: Mapping[str, int],
    logprobs: Callable[[ImportedOutput], object],
) -> Iterator[str]:
    left_out = ("row", "input", "model", "logprobs")
    names = [field.name for field in fields_of(ImportedOutput) if field.name not in left_out]
    for row in rows:
        said = {name: getattr(row, name) for name in names} | {"logprobs": logprobs(row)}
        yield json.dumps([row.model, revisions[row.model], said], sort_keys=True)
