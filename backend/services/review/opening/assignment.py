"""Whom reviews are for: a person, or people with a skill, by the slice of the item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.review.opening.frames import parse_slice
from backend.tables.accounts import Membership, User

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Assignment:
    """Slices (`key=value`) -> a person or a skill; what no slice names is for anybody.

    Attributes:
        people: the first review of such an item is this person's.
        skills: every review of such an item asks for this skill.
        deal: give every slot to a person of its own, in turn, so that all get alike many.
    """

    people: Mapping[str, int] = field(default_factory=dict)
    skills: Mapping[str, str] = field(default_factory=dict)
    deal: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether everything is for anybody."""
        return not (self.people or self.skills or self.deal)


class SlotAudience(NamedTuple):
    """Whom a slot is for: one person, or anybody with a skill; both None for anybody."""

    person_id: int | None = None
    skill: str | None = None


def members_of_groups(session: Session, project_id: int, groups: Sequence[str]) -> list[int]:
    """Active members of the project who are in any of the groups, in order of id.

    Raises:
        InvalidInput: a group that nobody is in; the hint lists those that exist.
    """
    query = (
        select(Membership.user_id, Membership.groups)
        .join(User, User.id == Membership.user_id)
        .where(Membership.project_id == project_id, User.active)
        .order_by(Membership.user_id)
    )
    members = [(user_id, set(names)) for user_id, names in session.execute(query)]
    known = sorted(set().union(*(names for _, names in members)))
    if empty := [group for group in groups if group not in known]:
        raise InvalidInput(
            f"Nobody in this project is in the group {empty[0]!r}.",
            hint=f"Groups: {', '.join(known) or 'none'}.",
        )
    return [user_id for user_id, names in members if names & set(groups)]


def assign_slots(
    assignment: Assignment,
    slices: Sequence[Mapping[str, str]],
    required: Sequence[int],
    *,
    reviewer_ids: Sequence[int],
    skills_of: Mapping[int, set[str]],
) -> list[list[SlotAudience]]:
    """For each item whom each of its required reviews is for.

    Args:
        slices: of each item.
        required: reviews of each item, by distinct people.
        skills_of: skills of each reviewer.

    Raises:
        InvalidInput: a slice that no item has, a person who is no reviewer or lacks the skill that
            the item asks for, or a skill that fewer reviewers have than an item asks for.
    """
    people = {parse_slice(s, slices): person for s, person in assignment.people.items()}
    skills = {parse_slice(s, slices): skill for s, skill in assignment.skills.items()}
    if strangers := set(people.values()) - set(reviewer_ids):
        raise InvalidInput(f"{len(strangers)} of the people assigned are not reviewers.")
    dealer = _Dealer(list(dict.fromkeys(reviewer_ids)), skills_of) if assignment.deal else None
    wanted = []
    for found, n in zip(slices, required, strict=True):
        skill = _first(skills, found)
        _check_skill(skill, n, skills_of, reviewer_ids)
        person = _first(people, found)
        if person is not None and skill is not None and skill not in skills_of.get(person, set()):
            raise InvalidInput(
                f"An item is assigned to one person and asks for the skill {skill!r}, which that "
                "person lacks: nobody could ever take it.",
                hint="Give the person the skill, or assign the slice to somebody who has it.",
            )
        wanted.append(_slots_of_item(n, person, skill, dealer))
    return wanted


def _slots_of_item(
    n: int, person: int | None, skill: str | None, dealer: _Dealer | None
) -> list[SlotAudience]:
    named = [] if person is None else [person]
    if dealer is not None:
        named += dealer.deal(n - len(named), skill, but=named)
    return [SlotAudience(who, skill) for who in named] + [SlotAudience(None, skill)] * (
        n - len(named)
    )


def _first(mapping: Mapping[tuple[str, str], V], slices: Mapping[str, str]) -> V | None:
    return next((v for (key, value), v in mapping.items() if slices.get(key) == value), None)


def _check_skill(
    skill: str | None, n: int, skills_of: Mapping[int, set[str]], reviewer_ids: Sequence[int]
) -> None:
    if skill is None:
        return
    able = [user_id for user_id in reviewer_ids if skill in skills_of.get(user_id, set())]
    if len(able) < n:
        raise InvalidInput(
            f"{n} reviews ask for the skill {skill!r} and {len(able)} of the reviewers have it.",
            hint="Name reviewers with the skill, or give it to members of the project.",
        )


class _Dealer:
    """Gives each slot to the person who was dealt fewest so far."""

    def __init__(self, people: Sequence[int], skills_of: Mapping[int, set[str]]) -> None:
        self._dealt = dict.fromkeys(people, 0)
        self._skills_of = skills_of

    def deal(self, n: int, skill: str | None, *, but: Sequence[int]) -> list[int]:
        able = [
            person
            for person in self._dealt
            if person not in but and (skill is None or skill in self._skills_of.get(person, set()))
        ]
        chosen = sorted(able, key=self._dealt.__getitem__)[:n]
        for person in chosen:
            self._dealt[person] += 1
        return chosen


def skills_of_members(
    session: Session, project_id: int, user_ids: Sequence[int]
) -> dict[int, set[str]]:
    """The skills that these people have in the project."""
    query = select(Membership.user_id, Membership.skills).where(
        Membership.project_id == project_id, Membership.user_id.in_(user_ids)
    )
    return {user_id: set(skills) for user_id, skills in session.execute(query)}
