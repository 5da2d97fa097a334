"""Masking in the database: policies, where surrogates stand, originals, and who may see them.

Who needs a policy asks `masker_of`; whoever stores rows or learns from them asks
`settle_masks` and `refuse_unmasked_examples`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.services.accounts.access import require_in_project
from backend.services.accounts.users import may_sign, require_project_access
from backend.services.audit import record
from backend.services.datasets.masking.files import Masker, RowMask
from backend.services.datasets.masking.keys import MaskingKey, key_named, require_key
from backend.services.datasets.masking.policy import MaskingPolicy, parse_policy, policy_digest
from backend.services.datasets.queries import in_project, rows_for, values_for
from backend.services.projects import lock_project
from backend.tables.accounts import User
from backend.tables.datasets import Example
from backend.tables.masking import ExampleMask, MaskedOriginal, MaskingPolicyVersion

if TYPE_CHECKING:
    from backend.services.datasets.versions import ExampleRow

INSERT_ROWS = 500
AGAIN = "Import them again: strop dataset import"


def set_masking_policy(
    session: Session,
    project_id: int,
    source: str,
    *,
    keys: Sequence[MaskingKey],
    created_by_id: int | None = None,
) -> MaskingPolicyVersion:
    """Set the masking policy; the same content under the same key is the version that stands.

    Args:
        source: YAML, see `policy`.
        keys: the keys of STROP_MASKING_KEY (`keys_of`); the first one is the policy's.

    Raises:
        InvalidInput: it is no policy, or there is no key.
        UnknownName: a kind that there is not.
    """
    policy = parse_policy(source)
    key = require_key(keys, why="A masking policy needs a key for its surrogates")
    digest = policy_digest(policy)
    lock_project(session, project_id)
    current = find_policy(session, project_id)
    if current is not None and (current.digest, current.key_id) == (digest, key.key_id):
        return current
    row = MaskingPolicyVersion(
        project_id=project_id,
        version=1 if current is None else current.version + 1,
        digest=digest,
        content=policy.model_dump(mode="json"),
        source=source,
        key_id=key.key_id,
        created_by_id=created_by_id,
    )
    session.add(row)
    session.flush()
    record(
        session,
        "masking_policy.set",
        subject=f"masking_policy:{row.id}",
        project_id=project_id,
        detail={"version": row.version, "digest": digest},
    )
    return row


def find_policy(session: Session, project_id: int) -> MaskingPolicyVersion | None:
    """The newest version of the masking policy, if one was set."""
    return session.scalar(
        select(MaskingPolicyVersion)
        .where(MaskingPolicyVersion.project_id == project_id)
        .order_by(MaskingPolicyVersion.version.desc())
        .limit(1)
    )


def current_policy(session: Session, project_id: int) -> MaskingPolicyVersion:
    """The masking policy. Raises Conflict where none was set."""
    row = find_policy(session, project_id)
    if row is None:
        raise Conflict(
            "The project has no masking policy, so nothing is masked.",
            hint="Set one: strop mask policy set FILE",
        )
    return row


def policy_of(row: MaskingPolicyVersion) -> MaskingPolicy:
    """The policy as masking reads it."""
    return MaskingPolicy.model_validate(row.content)


def masker_of(session: Session, project_id: int, keys: Sequence[MaskingKey]) -> Masker | None:
    """What rows of the project are masked with; None where it masks nothing.

    Raises:
        InvalidInput: it masks, and there is no key.
        Conflict: the policy's key is not the one in use.
    """
    row = find_policy(session, project_id)
    if row is None or not policy_of(row).active:
        return None
    key = require_key(keys, why="The project masks what comes in")
    if key.key_id != row.key_id:
        raise Conflict(
            f"The first key in STROP_MASKING_KEY is {key.key_id}, and the masking policy was set "
            f"with {row.key_id}.",
            hint="Put that key first; or set the policy anew with this one, and rows that come in "
            "again get other surrogates.",
        )
    return Masker(policy_of(row), row.id, key, f"project {project_id}")


def settle_masks(
    session: Session, project_id: int, rows: Sequence[ExampleRow], source: str
) -> list[ExampleRow]:
    """The rows, none of which is unmasked where the project masks.

    What a model drafted here came of masked texts, and counts as masked; what it drafted from
    documents outside the project does not.

    Raises:
        InvalidInput: a row is not masked.
    """
    row = find_policy(session, project_id)
    if row is None or not policy_of(row).active:
        return list(rows)
    n_bare = sum(one.mask is None and not _is_of_masked(one) for one in rows)
    if n_bare:
        raise InvalidInput(
            f"{source}: the project masks what comes in, and {n_bare} of {len(rows)} rows are not "
            "masked.",
            hint="They are of before the policy, or of elsewhere: strop dataset import masks.",
        )
    made = RowMask(row.id)
    return [one if one.mask is not None else replace(one, mask=made) for one in rows]


def _is_of_masked(row: ExampleRow) -> bool:
    told = row.provenance or {}
    here = row.origin is not None and not told.get("imported")
    return here and told.get("document_sha256") is None


def masks(session: Session, project_id: int) -> bool:
    """Whether the project masks what comes in."""
    row = find_policy(session, project_id)
    return row is not None and policy_of(row).active


def store_masks(session: Session, dataset_version_id: int, rows: Sequence[ExampleRow]) -> None:
    """Keep where the surrogates of a new version stand, and its originals."""
    masks = {row.external_id: row.mask for row in rows if row.mask is not None}
    if not masks:
        return
    query = select(Example.external_id, Example.id)
    here = session.execute(query.where(Example.dataset_version_id == dataset_version_id))
    found = [(id_, masks[name]) for name, id_ in here if name in masks]
    spans = [
        {"example_id": id_, "policy_id": mask.policy_id, "spans": list(mask.spans)}
        for id_, mask in found
    ]
    vault = [
        {"example_id": id_, "key_id": mask.key_id, "sealed": mask.sealed}
        for id_, mask in found
        if mask.sealed is not None
    ]
    for table, values in ((ExampleMask, spans), (MaskedOriginal, vault)):
        if values:
            session.execute(insert(table), values)


def with_masks(session: Session, rows: Iterable[tuple[int, ExampleRow]]) -> list[ExampleRow]:
    """Rows of stored examples with the masks that these have, by the examples' ids."""
    pairs = list(rows)
    masks: dict[int, RowMask] = {}
    query = select(ExampleMask, MaskedOriginal).outerjoin(
        MaskedOriginal, MaskedOriginal.example_id == ExampleMask.example_id
    )
    for mask, kept in rows_for(session, query, ExampleMask.example_id, [id_ for id_, _ in pairs]):
        sealed = (None, None) if kept is None else (kept.key_id, kept.sealed)
        masks[mask.example_id] = RowMask(mask.policy_id, tuple(mask.spans), *sealed)
    return [replace(row, mask=masks.get(id_)) for id_, row in pairs]


def refuse_unmasked_examples(
    session: Session, project_id: int, example_ids: Sequence[int], what: str
) -> None:
    """Raise InvalidInput where the project masks and one of these examples is not masked.

    Args:
        what: what is refused, as the message begins.
    """
    if not example_ids or not masks(session, project_id):
        return
    query = select(ExampleMask.example_id)
    masked = values_for(session, query, ExampleMask.example_id, example_ids)
    n_bare = len(set(example_ids).difference(masked))
    if n_bare:
        raise InvalidInput(
            f"{what}: {n_bare} of its examples came in before the project's masking policy, and are"
            " not masked.",
            hint=AGAIN,
        )


def refuse_unmasked_version(
    session: Session, project_id: int, dataset_version_id: int, what: str
) -> None:
    """`refuse_unmasked_examples` of a whole dataset version, but for what was erased."""
    if masks(session, project_id):
        query = select(Example.id).where(
            Example.dataset_version_id == dataset_version_id, Example.erasure_id.is_(None)
        )
        refuse_unmasked_examples(session, project_id, list(session.scalars(query)), what)


def read_original(session: Session, example_id: int, keys: Sequence[MaskingKey]) -> dict[str, Any]:
    """The row from which a masked example was made.

    Who calls this records the look: routes by `backend.api.rules`.

    Raises:
        NotFound: no such example, it is not masked, or its original was dropped or erased.
        Conflict: its key is not in STROP_MASKING_KEY, or what is stored was changed.
    """
    if session.get(ExampleMask, example_id) is None:
        raise NotFound(f"Example {example_id} is not masked.", hint="Its texts are as they came.")
    kept = session.get(MaskedOriginal, example_id)
    if kept is None:
        raise NotFound(f"The original of example {example_id} was not kept, or was erased.")
    found: dict[str, Any] = json.loads(key_named(keys, kept.key_id).open(kept.sealed))
    return found


def look_at_original(
    session: Session,
    project_id: int,
    example_id: int,
    person_id: int,
    keys: Sequence[MaskingKey],
) -> dict[str, Any]:
    """`read_original` for somebody at a command line: a lead of the project or an admin.

    The look is recorded in the same transaction.

    Raises:
        Forbidden: the person is neither.
        NotFound, Conflict: as of `read_original`; also an example of another project.
    """
    require_in_project(session, project_id, example_id=example_id)
    person = session.get_one(User, person_id)
    if not may_sign(person):
        raise Forbidden(
            f"{person.name} may not see originals.", hint="A lead of the project or an admin may."
        )
    require_project_access(session, person, project_id)
    found = read_original(session, example_id, keys)
    told = {"route": "strop mask original", "of": "originals", "n": 1}
    subject = f"example:{example_id}"
    record(session, "texts.read", subject=subject, project_id=project_id, detail=told)
    return found


@dataclass(frozen=True, slots=True)
class MaskingFacts:
    """What masking did in a project.

    Attributes:
        by_kind: how many surrogates stand in its examples, by kind.
        n_masked, n_unmasked: its examples, without those that were erased.
        originals: how many originals are kept, by the name of the key that opens them.
    """

    by_kind: dict[str, int]
    n_masked: int
    n_unmasked: int
    originals: dict[str, int]


def masking_facts(session: Session, project_id: int) -> MaskingFacts:
    """Count what masking did in a project."""
    of_project = in_project(select(Example.id), project_id).where(Example.erasure_id.is_(None))
    counts: Counter[str] = Counter()
    n_masked = 0
    spans = select(ExampleMask.spans).where(ExampleMask.example_id.in_(of_project))
    for found in session.scalars(spans.execution_options(yield_per=INSERT_ROWS)):
        n_masked += 1
        counts.update(span["kind"] for span in found)
    keys = session.execute(
        select(MaskedOriginal.key_id, func.count())
        .where(MaskedOriginal.example_id.in_(of_project))
        .group_by(MaskedOriginal.key_id)
    ).all()
    n_examples = session.scalar(select(func.count()).select_from(of_project.subquery())) or 0
    return MaskingFacts(
        by_kind=dict(counts.most_common()),
        n_masked=n_masked,
        n_unmasked=n_examples - n_masked,
        originals=dict(keys),
    )
