"""Outputs that come into a project that masks: each is masked beside its example, before anything
of it is stored. Whoever wrote them may have been shown the masked rows or the originals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import portions
from backend.services.datasets.masking.answers import MaskedExample, mask_answer
from backend.services.datasets.masking.files import Masker, check_languages, original_row, texts_of
from backend.services.datasets.masking.keys import MaskingKey
from backend.services.datasets.masking.stored import masker_of, refuse_unmasked_examples
from backend.services.datasets.plain_text import plain_text
from backend.services.datasets.versions import ExampleRow, row_of
from backend.services.runs.importing.imported import outputs_target
from backend.services.runs.importing.output_checks import refuse_strangers
from backend.services.runs.importing.output_rows import (
    LONGEST_REASON,
    ImportedOutput,
    ImportedOutputs,
)
from backend.tables.datasets import Example
from backend.tables.masking import MaskedOriginal

REASONS = frozenset(
    {"stop", "length", "content_filter", "tool_calls", "function_call", "error", "abort", "STOP"}
    | {"end_turn", "max_tokens", "MAX_TOKENS", "stop_sequence", "eos_token", "SAFETY"}
)
"""Why outputs end, as servers say it: words that tell of nobody, and need not be looked through."""


def mask_outputs(
    session: Session,
    project_id: int,
    given: ImportedOutputs,
    keys: Sequence[MaskingKey],
    *,
    dataset: str | None = None,
    dataset_version: int | None = None,
    split: str | None = None,
    with_run: int | None = None,
) -> ImportedOutputs:
    """The outputs as they may be stored; as they are where the project masks nothing.

    Ids are those of the project where the file has those of before. An input that is the
    original's is taken as checked. Takes milliseconds a text, so it needs a session that holds no
    writer.

    Args:
        dataset, dataset_version, split, with_run: as of `import_outputs`.

    Raises:
        InvalidInput: the project masks and there is no key, an example came in unmasked, a row is
            of no example, or texts are in a language that the policy does not name.
        Conflict: the key is another one, or an original was changed.
        NotFound: there is no such dataset or run.
    """
    masker = masker_of(session, project_id, keys)
    if masker is None:
        return given
    target = outputs_target(session, project_id, given, dataset, dataset_version, split, with_run)
    rows = [_with_id(row, target.examples, masker) for row in given.rows]
    # before the import does: by then a new version may have the id, and the row is not masked
    refuse_strangers(session, project_id, target, replace(given, rows=rows))
    asked = {row.id: target.examples[row.id] for row in rows}
    told = list(asked.values())
    refuse_unmasked_examples(session, project_id, told, f"{given.source} is refused")
    check_languages([{"text": row.text or ""} for row in rows], masker.policy)
    originals = _originals(session, told, keys)
    examples = {
        example.id: example
        for some in portions(told)
        for example in session.scalars(select(Example).where(Example.id.in_(some)))
    }
    masked = [
        _masked(row, examples[asked[row.id]], originals.get(asked[row.id]), masker) for row in rows
    ]
    return replace(given, rows=masked, masked=True)


def _with_id(row: ImportedOutput, known: Mapping[str, int], masker: Masker) -> ImportedOutput:
    if row.id in known or (here := masker.row_pseudonym(row.id)) not in known:
        return row
    return replace(row, id=here)


def _originals(
    session: Session, example_ids: Sequence[int], keys: Sequence[MaskingKey]
) -> dict[int, ExampleRow]:
    """The rows from which examples were made, of those that were kept and whose key is here."""
    by_name = {key.key_id: key for key in keys}
    found: dict[int, ExampleRow] = {}
    for some in portions(example_ids):
        query = select(MaskedOriginal).where(MaskedOriginal.example_id.in_(some))
        for kept in session.scalars(query):
            if (key := by_name.get(kept.key_id)) is not None:
                found[kept.example_id] = original_row(json.loads(key.open(kept.sealed)))
    return found


def _masked(
    row: ImportedOutput, example: Example, original: ExampleRow | None, masker: Masker
) -> ImportedOutput:
    here = row_of(example)
    shown = MaskedExample(
        masked=texts_of(here),
        original=None if original is None else texts_of(original),
        scope=masker.scope(here if original is None else original),
    )
    secret = masker.key.surrogates(masker.project)

    def mask(text: str | None) -> str | None:
        return text and mask_answer(text, shown, masker.policy, key=secret)

    # whatever the row says was asked must not reach a message of an error either
    of_original = original is not None and row.input is not None and _asks(original, row.input)
    reason = row.finish_reason
    if reason not in REASONS:
        reason = (mask(reason) or "")[:LONGEST_REASON] or None
    return replace(
        row,
        text=mask(row.text),
        error=mask(row.error),
        finish_reason=reason,
        input=None if of_original else row.input,
    )


def _asks(original: ExampleRow, text: str) -> bool:
    said = plain_text(text)
    parts = [plain_text(part) for part in (original.input, original.context or "") if part.strip()]
    return any(part in said for part in parts) or any(said and said in part for part in parts[:1])
