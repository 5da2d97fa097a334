"""Masking: the policy, what was found, and the originals, whose every reading is recorded."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import CurrentUser, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.masking import MaskingOut, MaskingPolicyIn, MaskingPolicyOut, OriginalOut
from backend.services.datasets.masking import stored
from backend.services.datasets.masking.identifiers.kinds import title_of
from backend.services.datasets.masking.keys import MaskingKey, keys_of
from backend.tables.masking import MaskingPolicyVersion

router = APIRouter(tags=["masking"])


def _show_policy(row: MaskingPolicyVersion, keys: list[MaskingKey]) -> MaskingPolicyOut:
    here = bool(keys) and keys[0].key_id == row.key_id
    return MaskingPolicyOut.of(row, key_is_here=here)


@router.get("/projects/{project_id}/masking")
def show_masking(project_id: int, session: SessionDep, serving: ServingDep) -> MaskingOut:
    """The masking policy, and how much of which kind it found."""
    keys = keys_of(serving.settings.masking_keys)
    row = stored.find_policy(session, project_id)
    facts = stored.masking_facts(session, project_id)
    here = {key.key_id for key in keys}
    return MaskingOut(
        policy=None if row is None else _show_policy(row, keys),
        by_kind=facts.by_kind,
        titles={kind: title_of(kind) for kind in facts.by_kind},
        n_masked=facts.n_masked,
        n_unmasked=facts.n_unmasked,
        n_originals=sum(facts.originals.values()),
        originals_openable=sum(n for key, n in facts.originals.items() if key in here),
    )


@router.post("/projects/{project_id}/masking-policies", status_code=201)
def set_masking_policy(
    project_id: int,
    body: MaskingPolicyIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    once: OnceDep,
) -> MaskingPolicyOut:
    """Set the masking policy; the same content under the same key is the version that stands."""
    keys = keys_of(serving.settings.masking_keys)
    row = stored.set_masking_policy(
        session, project_id, body.source, keys=keys, created_by_id=user.id
    )
    return once.answer(_show_policy(row, keys))


@router.get("/examples/{example_id}/original")
def show_original(example_id: int, session: SessionDep, serving: ServingDep) -> OriginalOut:
    """The row from which a masked example was made."""
    keys = keys_of(serving.settings.masking_keys)
    return OriginalOut(
        example_id=example_id, original=stored.read_original(session, example_id, keys)
    )
