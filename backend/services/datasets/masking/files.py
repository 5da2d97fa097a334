"""The rows of an import masked: one row is one document, and all are masked or none.

A row's identifiers outside its texts are masked too: its group always, by a pseudonym that is the
same for the same group; its id where something was found in it (or always, by the policy).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from backend.errors import InvalidInput
from backend.services.datasets.masking.documents import (
    MaskedDocument,
    find_identifiers,
    language_of,
    mask_document,
)
from backend.services.datasets.masking.identifiers.checks import plain_of
from backend.services.datasets.masking.identifiers.names import tokens_of
from backend.services.datasets.masking.keys import MaskingKey
from backend.services.datasets.masking.policy import MaskingPolicy

if TYPE_CHECKING:
    from backend.services.datasets.versions import ExampleRow

ENOUGH_WORDS = 25  # by which the language of a row can be told
MOST_UNTOLD = 0.5
_SHORT = 12


@dataclass(frozen=True, slots=True)
class RowMask:
    """That a row is masked, and what is kept of it.

    Attributes:
        policy_id: the version of the policy by which.
        spans: where surrogates stand, as plain values.
        key_id, sealed: the original, encrypted, and the name of its key; None where it is dropped.
    """

    policy_id: int
    spans: tuple[Mapping[str, Any], ...] = ()
    key_id: str | None = None
    sealed: str | None = None


@dataclass(frozen=True, slots=True)
class Masker:
    """What the rows of a project are masked with.

    Attributes:
        project: what the keys of surrogates are drawn for; two projects have other surrogates.
    """

    policy: MaskingPolicy
    policy_id: int
    key: MaskingKey
    project: str

    def mask(self, rows: Sequence[ExampleRow]) -> list[ExampleRow]:
        """The rows masked, each with its mask; rows that carry one stay as they are.

        Raises:
            InvalidInput: texts in a language that the policy does not name.
            CannotCompute: no surrogate is left for an identifier.
        """
        bare = [row for row in rows if row.mask is None]
        check_languages([texts_of(row) for row in bare], self.policy)
        secret = self.key.surrogates(self.project)
        return [row if row.mask is not None else self._mask(row, secret) for row in rows]

    def row_pseudonym(self, given: str) -> str:
        """The id that a row has here where its own tells of somebody."""
        return _pseudonym(self.key.surrogates(self.project), "row", given)

    def scope(self, row: ExampleRow) -> bytes:
        """What surrogates are consistent in: the same prompt is masked alike wherever it stands, so
        that it is known again; or the whole group, by the policy.
        """
        if self.policy.consistent == "group" and row.group is not None:
            return f"group {row.group}".encode()
        return f"prompt {row.content_digest}".encode()

    def _mask(self, row: ExampleRow, secret: bytes) -> ExampleRow:
        document = mask_document(texts_of(row), self.policy, key=secret, scope=self.scope(row))
        mask = RowMask(self.policy_id, tuple(map(asdict, document.spans)))
        if self.policy.originals == "encrypt":
            mask = replace(mask, key_id=self.key.key_id, sealed=self.key.seal(original_json(row)))
        return replace(
            with_texts(row, document.texts),
            external_id=self._id(row.external_id, document, secret),
            group=None if row.group is None else _pseudonym(secret, "group", row.group),
            provenance=None if row.provenance is None else {"imported": True},
            mask=mask,
        )

    def _id(self, given: str, document: MaskedDocument, secret: bytes) -> str:
        """The id of a row, or its pseudonym where it tells of somebody."""
        if self.policy.ids == "found" and not _tells(given, document, self.policy):
            return given
        return _pseudonym(secret, "row", given)


def _pseudonym(secret: bytes, what: str, value: str) -> str:
    digest = hmac.digest(secret, f"{what}\x1f{value}".encode("utf-8", "surrogatepass"), "sha256")
    return f"{what}-{digest.hex()[:_SHORT]}"


def _tells(given: str, document: MaskedDocument, policy: MaskingPolicy) -> bool:
    """Whether an id holds what was found in the texts, or something that would be found in them."""
    plain, words = plain_of(given), {token.folded for token in tokens_of(given)}
    for kind, original, _ in document.found:
        if kind == "PERSON" and words & {t.folded for t in tokens_of(original) if len(t.text) > 2}:
            return True
        if len(one := plain_of(original)) >= 4 and one in plain:
            return True
    spaced = given.replace("_", " ").replace("-", " ").title()
    return any(find_identifiers(text, policy, day_first=False) for text in {given, spaced})


def texts_of(row: ExampleRow) -> dict[str, str]:
    """The texts of a row by their fields: of a conversation its messages, and no transcript."""
    texts: dict[str, str] = {}
    if row.messages is None:
        texts["input"] = row.input
    else:
        texts |= {f"messages.{n}": turn["content"] for n, turn in enumerate(row.messages)}
    if row.context is not None:
        texts["context"] = row.context
    texts |= {f"references.{n}": text for n, text in enumerate(row.references)}
    return texts | {f"slices.{name}": str(value) for name, value in row.slices.items()}


def with_texts(row: ExampleRow, texts: Mapping[str, str]) -> ExampleRow:
    """A row with other texts, by the fields of `texts_of`."""
    from backend.schemas.turns import transcript

    messages = None
    if row.messages is not None:
        messages = tuple(
            {**turn, "content": texts[f"messages.{n}"]} for n, turn in enumerate(row.messages)
        )
    return replace(
        row,
        input=texts["input"] if messages is None else transcript(messages),
        messages=messages,
        context=None if row.context is None else texts["context"],
        references=tuple(texts[f"references.{n}"] for n in range(len(row.references))),
        slices={name: texts[f"slices.{name}"] for name in row.slices},
    )


def original_json(row: ExampleRow) -> str:
    """A row as the vault keeps it."""
    return json.dumps(
        {
            "id": row.external_id,
            "input": row.input,
            "messages": None if row.messages is None else [dict(turn) for turn in row.messages],
            "context": row.context,
            "references": list(row.references),
            "group": row.group,
            "slices": dict(row.slices),
            **({} if row.provenance is None else {"provenance": dict(row.provenance)}),
        },
        ensure_ascii=False,
    )


def original_row(kept: Mapping[str, Any]) -> ExampleRow:
    """A row of the vault, as it came in."""
    from backend.services.datasets.versions import ExampleRow

    messages = kept["messages"]
    return ExampleRow(
        external_id=kept["id"],
        input=kept["input"],
        context=kept["context"],
        references=tuple(kept["references"]),
        group=kept["group"],
        slices=kept["slices"],
        messages=None if messages is None else tuple(messages),
        provenance=kept.get("provenance"),
    )


def check_languages(documents: Sequence[Mapping[str, str]], policy: MaskingPolicy) -> None:
    """Refuse texts of languages that the policy does not name, or most of which are of none known.

    Raises:
        InvalidInput: with the number of the first such row.
    """
    long = [
        (number, text)
        for number, texts in enumerate(documents, start=1)
        if len((text := "\n".join(texts.values())).split()) >= ENOUGH_WORDS
    ]
    told = [(number, language_of(text)) for number, text in long]
    named = ", ".join(policy.languages)
    strange = [n for n, language in told if language not in (None, *policy.languages)]
    if strange:
        raise InvalidInput(
            f"Row {strange[0]} is in a language that the masking policy does not name ({named}).",
            hint="Add the language to the policy, or leave such rows out; nothing was stored.",
        )
    untold = [n for n, language in told if language is None]
    if len(untold) > MOST_UNTOLD * max(1, len(told)):
        raise InvalidInput(
            f"{len(untold)} of {len(told)} rows are in no language that masking knows (first: row "
            f"{untold[0]}); it knows English and German.",
            hint="Leave such rows out, or import them into a project without a masking policy.",
        )
