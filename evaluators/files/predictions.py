"""Reads files of predictions into samples, and refuses what is not one.

Rows and the kinds of their fields come from `evaluators.files.fields`; here they become samples. An
id that occurs twice stops the reading with one sentence that names file, row and remedy.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluators.files.fields import TRUTH, Fields, read_rows, same_truth
from evaluators.files.mapping import ColumnNames, Notes, RowShape
from evaluators.files.readers import MAX_ROW_BYTES
from evaluators.types import Sample

PREDICTION = RowShape(
    known=(
        *("id", "prediction", "reference", "references", "context", "input", "group", "slices"),
        *("model", "logprobs", "sources", "samples", "seconds", "tokens", "cost"),
    ),
    required=("prediction",),
    guessed=("reference", "context"),
)

_FILL_CELL = (
    "Fill it (a formula is read once a spreadsheet has saved its value); give empty outputs as CSV."
)


def read_samples(
    path: str | Path,
    *,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
    max_row_bytes: int = MAX_ROW_BYTES,
) -> list[Sample]:
    """Predictions as samples; ids are unique in the file.

    Keys: prediction, id (else `row_id`), reference or references, and if wanted
    context, input, group, slices, model, logprobs, sources, samples, seconds, tokens, cost. In
    cells, lists and objects are JSON.

    Raises:
        UnreadableRecord: as read_rows, or a field is of a wrong kind, or an id occurs twice.
    """
    told = notes or Notes()
    fields = read_rows(path, PREDICTION, names=names, notes=told, max_row_bytes=max_row_bytes)
    named = any(row.has("id") for row in fields)
    if not named:
        told.add(f"{fields[0].table.name}: no id; rows go by their number, as row-1.")
    rows: dict[str, int] = {}
    samples: list[Sample] = []
    for number, row in enumerate(fields, start=1):
        sample = _sample(row, row.need_name("id") if named else row_id(number))
        if sample.id in rows:
            raise row.refuse(
                f"the id {sample.id!r} was used in row {rows[sample.id]} already",
                hint="Give every row an id of its own.",
            )
        rows[sample.id] = row.record.row
        samples.append(sample)
    return _with_one_truth(samples, told)


def row_id(number: int) -> str:
    """The id of a row of a file without ids."""
    return f"row-{number}"


def _sample(fields: Fields, identity: str) -> Sample:
    prediction = fields.written("prediction")
    if prediction is None:
        if fields.table.spelled:
            raise fields.refuse("'prediction' is an empty cell", hint=_FILL_CELL)
        raise fields.refuse("'prediction' is null", hint='An empty output is written "".')
    return Sample(
        id=identity,
        prediction=prediction,
        references=references_of(fields),
        context=fields.text("context"),
        input=fields.text("input"),
        group=fields.code("group"),
        slices=fields.mapping("slices"),
        model=fields.name("model"),
        logprobs=tuple(fields.numbers("logprobs")),
        sources=fields.mapping("sources"),
        samples=fields.texts("samples"),
        seconds=fields.number("seconds"),
        tokens=fields.count("tokens"),
        cost=fields.number("cost"),
    )


def references_of(fields: Fields) -> tuple[str, ...]:
    """References of a row, from `references` or `reference`; a blank one is none at all."""
    if several := fields.texts("references"):
        return several
    if isinstance(fields.raw("reference"), list):
        return fields.texts("reference")
    single = fields.text("reference")
    return () if single is None else (single,)


def _with_one_truth(samples: list[Sample], notes: Notes) -> list[Sample]:
    """Where all outputs and references are true or false, in one spelling: a label has one."""
    columns = [[s.prediction for s in samples], [r for s in samples for r in s.references]]
    spellings = {value for column in columns for value in column}
    if not all(columns) or not same_truth(columns) or spellings <= {"true", "false"}:
        return samples
    notes.add(f"true and false are written as {', '.join(sorted(spellings))}: taken as two values.")
    return [
        replace(
            s, prediction=_one_truth(s.prediction), references=tuple(map(_one_truth, s.references))
        )
        for s in samples
    ]


def _one_truth(text: str) -> str:
    return "true" if TRUTH[text.strip().lower()] else "false"
