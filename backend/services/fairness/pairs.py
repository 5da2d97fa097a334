"""Counterfactual pairs: a dataset version made of another, in which only a person's group differs.

Of each row that can be exchanged safely there are three: as it is, exchanged, and a control. They
keep split and group of their row, are never trained on (the guard of training sets refuses the
version), and an ordinary generation run answers them. What was left out is counted with reasons.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.errors import CannotCompute, Conflict, InvalidInput, UnknownName, raised_as
from backend.schemas.turns import transcript
from backend.services import audit
from backend.services.datasets.masking.files import RowMask
from backend.services.datasets.versions import (
    ExampleRow,
    PreparedImport,
    find_version,
    list_dataset_versions,
    list_examples,
    prepare_import,
    store_import,
    stored_rows,
)
from backend.tables.datasets import DatasetVersion, Example, Split
from evaluators.errors import EvaluatorError
from evaluators.fairness.gendered_en import Unsafe
from evaluators.fairness.lexicon import LANGUAGES, Lexicon, load_lexicon, tell_language
from evaluators.fairness.swap import KINDS, RowTexts, SwappedRow, make_pair

METHOD = "counterfactual"
"""The method in the split recipe of a version of pairs."""
SUFFIX = "-counterfactual"
OF, SIDE, KIND, DIRECTION, WORDS, LANGUAGE = (
    "counterfactual_of",
    "counterfactual_side",
    "counterfactual_kind",
    "counterfactual_direction",
    "counterfactual_words",
    "counterfactual_language",
)
ORIGINAL, SWAPPED, CONTROL = "original", "swapped", "control"
SHOWN_REASONS = 40
MOST_ID = 170


@dataclass(frozen=True, slots=True)
class PairsPlan:
    """What pairs are made of.

    Attributes:
        dataset: NAME, or NAME@VERSION.
        language: of all rows; None tells it row by row.
        most: so many rows of a kind at most, drawn by the seed.
        lists: further YAML files of words.
    """

    dataset: str
    kinds: tuple[str, ...] = tuple(KINDS)
    split: str = Split.TEST
    language: str | None = None
    name: str | None = None
    most: int | None = None
    seed: int = 7
    lists: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class PairsVersion:
    """The version of pairs, how many rows each kind has, and why others have none."""

    version: DatasetVersion
    pairs: Mapping[str, int]
    skipped: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class DraftPairs:
    """Pairs that are not stored yet."""

    name: str
    of: int
    prepared: PreparedImport
    pairs: Mapping[str, int]
    skipped: Mapping[str, Mapping[str, int]]


def make_pairs(session: Session, project_id: int, plan: PairsPlan) -> PairsVersion:
    """`draft_pairs` and `store_pairs` in one, where nobody waits for the database."""
    return store_pairs(session, project_id, draft_pairs(session, project_id, plan))


def draft_pairs(session: Session, project_id: int, plan: PairsPlan) -> DraftPairs:
    """Make the pairs of a dataset's split; only reads, and takes seconds for many rows.

    Raises:
        NotFound: there is no such dataset.
        UnknownName: a kind that there is none of.
        InvalidInput: the dataset is one of pairs itself, or no such split or language.
        CannotCompute: no row can be exchanged; the reasons are in the hint.
    """
    _check(plan)
    version = find_version(session, project_id, plan.dataset)
    if is_pairs(version):
        raise InvalidInput(
            f"{plan.dataset} is made of counterfactual pairs already.",
            hint="Name the dataset that it was made of.",
        )
    rows = [row for row in stored_rows(session, version.id) if row.split == plan.split]
    with raised_as(InvalidInput, EvaluatorError):
        lexicons = {name: load_lexicon(name, plan.lists) for name in LANGUAGES}
    skipped: dict[str, Counter[str]] = {kind: Counter() for kind in plan.kinds}
    made = {kind: list(_pairs_of(kind, rows, plan, lexicons, skipped[kind])) for kind in plan.kinds}
    _draw(made, plan, skipped)
    counts = {kind: len(found) for kind, found in made.items()}
    reasons = {kind: dict(found.most_common()) for kind, found in skipped.items()}
    if not any(counts.values()):
        raise CannotCompute(
            f"No row of the {plan.split} split of {plan.dataset} can be exchanged.",
            hint=f"Left out: {_first_reasons(reasons)}.",
        )
    source = f"counterfactuals of {version.dataset.name}@{version.number}, {plan.split}"
    prepared = prepare_import(_rows(made), source_name=source)
    prepared = replace(prepared, recipe=_recipe(version, plan, lexicons, counts, reasons))
    name = plan.name or f"{version.dataset.name}{SUFFIX}"
    return DraftPairs(name, version.id, prepared, counts, reasons)


def store_pairs(session: Session, project_id: int, draft: DraftPairs) -> PairsVersion:
    """Store pairs as the next version of their dataset; the same again is the version that stands.

    Raises:
        Conflict: the name is that of a dataset that is not made of pairs.
    """
    _refuse_other(session, project_id, draft.name)
    result = store_import(session, project_id, draft.name, draft.prepared)
    audit.record(
        session,
        "counterfactuals.made",
        subject=f"dataset_version:{result.id}",
        project_id=project_id,
        detail={"of": draft.of, "pairs": sum(draft.pairs.values())},
    )
    return PairsVersion(result, draft.pairs, draft.skipped)


def list_pairs(session: Session, project_id: int) -> list[DatasetVersion]:
    """The versions of pairs of a project, the newest first."""
    return [v for v in reversed(list_dataset_versions(session, project_id)) if is_pairs(v)]


def _check(plan: PairsPlan) -> None:
    for kind in plan.kinds:
        if kind not in KINDS:
            raise UnknownName("kind of counterfactual", kind, KINDS)
    if not plan.kinds:
        raise InvalidInput("No kind is named.", hint=f"Of: {', '.join(KINDS)}.")
    if plan.split not in set(Split):
        raise InvalidInput(f"There is no split {plan.split!r}.", hint=f"Of: {', '.join(Split)}.")
    check_language(plan.language)


def check_language(language: str | None) -> None:
    """Raise InvalidInput for a language that there are no lists for; None is any."""
    if language is not None and language not in LANGUAGES:
        raise InvalidInput(
            f"There are no lists for the language {language!r}.",
            hint=f"Of: {', '.join(LANGUAGES)}; or leave it out, and it is told row by row.",
        )


def _refuse_other(session: Session, project_id: int, name: str) -> None:
    """Pairs are no next version of a dataset that people brought."""
    for version in list_dataset_versions(session, project_id):
        if version.dataset.name == name and not is_pairs(version):
            raise Conflict(
                f"There is a dataset {name!r} that is not made of pairs.",
                hint="Give the pairs another name: --name.",
            )


@dataclass(frozen=True, slots=True)
class _ExamplePair:
    row: ExampleRow
    language: str
    swapped: SwappedRow
    control: SwappedRow


def _pairs_of(
    kind: str,
    rows: Sequence[ExampleRow],
    plan: PairsPlan,
    lexicons: Mapping[str, Lexicon],
    skipped: Counter[str],
) -> Iterator[_ExamplePair]:
    for row in rows:
        asked = texts_of_row(row)
        language = plan.language or tell_language("\n".join(asked.prompt))
        if language is None:
            skipped["its language cannot be told"] += 1
            continue
        try:
            swapped, control = make_pair(asked, kind, lexicons[language], seed=plan.seed)
        except Unsafe as reason:
            skipped[str(reason)] += 1
        else:
            yield _ExamplePair(row, language, swapped, control)


def texts_of_row(row: ExampleRow) -> RowTexts:
    """The texts of a row; a conversation's are those of its messages."""
    turns = [turn["content"] for turn in row.messages] if row.messages else [row.input]
    context = [row.context] if row.context is not None else []
    return RowTexts(row.external_id, (*turns, *context), row.references)


def _draw(
    made: dict[str, list[_ExamplePair]], plan: PairsPlan, skipped: Mapping[str, Counter[str]]
) -> None:
    for kind, found in made.items():
        if plan.most is not None and len(found) > plan.most:
            chosen = sorted(random.Random(plan.seed).sample(range(len(found)), plan.most))
            skipped[kind]["not drawn, over the most"] += len(found) - len(chosen)
            made[kind] = [found[place] for place in chosen]


def _rows(made: Mapping[str, Sequence[_ExamplePair]]) -> list[ExampleRow]:
    """Rows of the new version; what was exchanged stands on each, and is erased with it."""
    rows: dict[str, ExampleRow] = {}
    for kind, found in made.items():
        for pair in found:
            source = pair.row
            first = _marked(source, source.external_id, ORIGINAL, "", "")
            rows.setdefault(first.external_id, first)
            for side, exchange in ((SWAPPED, pair.swapped), (CONTROL, pair.control)):
                name = f"{_short(source.external_id)}~{kind}~{side}"
                row = _exchanged(source, exchange)
                row = _marked(row, name, side, kind, exchange.direction, source.external_id)
                told = json.dumps(exchange.words, ensure_ascii=False)
                marks = {WORDS: told, LANGUAGE: pair.language}
                rows[name] = replace(row, slices={**row.slices, **marks})
    return list(rows.values())


def _short(external_id: str) -> str:
    """An id that leaves room for what is added to it, and is still one of its own."""
    if len(external_id) <= MOST_ID:
        return external_id
    digest = hashlib.sha256(external_id.encode("utf-8", "replace")).hexdigest()
    return f"{external_id[: MOST_ID - 13]}#{digest[:12]}"


def _exchanged(row: ExampleRow, exchange: SwappedRow) -> ExampleRow:
    texts = list(exchange.prompt)
    context = texts.pop() if row.context is not None else None
    references = exchange.answers
    row = replace(row, mask=row.mask and RowMask(row.mask.policy_id))  # its places have moved
    if row.messages is None:
        return replace(row, input=texts[0], context=context, references=references)
    turns = tuple({**turn, "content": text} for turn, text in zip(row.messages, texts, strict=True))
    return replace(
        row, input=transcript(turns), messages=turns, context=context, references=references
    )


def _marked(
    row: ExampleRow, name: str, side: str, kind: str, direction: str, of: str | None = None
) -> ExampleRow:
    marks = {OF: of or row.external_id, SIDE: side, KIND: kind, DIRECTION: direction}
    slices = {**row.slices, **{key: value for key, value in marks.items() if value}}
    if row.mask is not None:  # the original is kept with the row itself, and nowhere twice
        row = replace(row, mask=replace(row.mask, key_id=None, sealed=None))
    return replace(row, external_id=name, slices=slices, group=row.group or of or row.external_id)


def _recipe(
    version: DatasetVersion,
    plan: PairsPlan,
    lexicons: Mapping[str, Lexicon],
    counts: Mapping[str, int],
    reasons: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    return {
        "method": METHOD,
        "of": version.id,
        "of_digest": version.digest,
        "split": plan.split,
        "kinds": list(plan.kinds),
        "seed": plan.seed,
        "lists": {name: lexicon.digest for name, lexicon in lexicons.items()},
        "further_lists": [path.name for path in plan.lists],
        "pairs": dict(counts),
        "skipped": {kind: dict(list(r.items())[:SHOWN_REASONS]) for kind, r in reasons.items()},
    }


def _first_reasons(reasons: Mapping[str, Mapping[str, int]]) -> str:
    told = [
        f"{kind}: {n} {why}"
        for kind, found in reasons.items()
        for why, n in list(found.items())[:2]
    ]
    return "; ".join(told)[:400] or "there is no row"


def made_of(session: Session, examples: Sequence[Example]) -> list[Example]:
    """The rows of pairs that were made of these examples, in every version of their datasets."""
    wanted = {(e.dataset_version.dataset_id, e.external_id) for e in examples}
    projects = {e.dataset_version.dataset.project_id for e in examples}
    found: list[Example] = []
    for version in (v for project in sorted(projects) for v in list_pairs(session, project)):
        source = session.get(DatasetVersion, version.split_recipe["of"])
        names = {name for dataset, name in wanted if source and dataset == source.dataset_id}
        if names:
            rows = list_examples(session, version.id)
            found += [row for row in rows if row.slices.get(OF) in names]
    return found


def is_pairs(version: DatasetVersion) -> bool:
    """Whether a version is made of counterfactual pairs."""
    return version.split_recipe.get("method") == METHOD
