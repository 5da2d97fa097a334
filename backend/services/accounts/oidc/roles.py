"""What a person's groups at the provider mean here: a role, and projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import ProviderError
from backend.services.accounts.oidc.registration import Registration
from backend.tables.accounts import Role

HIGHEST_FIRST = (Role.ADMIN, Role.LEAD, Role.ENGINEER, Role.EXPERT)
MOST_GROUPS = 10_000


@dataclass(frozen=True, slots=True)
class GroupAccess:
    """What the groups give: a role, None for no access; and the projects by name."""

    role: str | None
    projects: frozenset[str]


def groups_of(claims: Mapping[str, Any], claim: str) -> list[str] | None:
    """The groups that a claim lists; None where there is no such claim.

    A claim of that very name comes first; else its dots lead inwards.

    Raises:
        ProviderError: the provider says only that there are too many to say.
    """
    found: Any = claims.get(claim)
    if found is None:
        _refuse_too_many(claims, claim)
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    if isinstance(found, list):
        return [group for group in found[:MOST_GROUPS] if isinstance(group, str)]
    return None


def _refuse_too_many(claims: Mapping[str, Any], claim: str) -> None:
    """Tell groups that are too many to list (Core 1.0, 5.6.2) from none."""
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, Mapping) and claim in elsewhere:
        raise ProviderError(
            "The provider does not list your groups: you are in too many.",
            hint="Have it send only the groups of this application.",
        )


def access_of(groups: list[str], registration: Registration) -> GroupAccess:
    """The highest role that one of the groups has, and the projects of all of them."""
    given = {registration.roles[group] for group in groups if group in registration.roles}
    projects = {name for group in groups for name in registration.projects.get(group, ())}
    role = next((str(role) for role in HIGHEST_FIRST if role in given), None)
    return GroupAccess(role, frozenset(projects) if role else frozenset())
