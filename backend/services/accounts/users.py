"""People: names and pseudonyms, roles, membership of projects, who they are by their password.

Whether a name exists cannot be told from how long a refusal takes. What a browser or a program
shows in place of a password is in credentials.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from backend.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    UnknownName,
)
from backend.services.accounts.credentials import end_sessions
from backend.services.accounts.passwords import hash_password, matches
from backend.tables.accounts import Membership, Role, Token, User
from backend.tables.projects import Project
from backend.tables.sign_in import SecondFactor

BAD_LOGIN = "Name or password is wrong."


def create_user(
    session: Session,
    name: str,
    role: str,
    *,
    password: str | None = None,
    project_ids: Collection[int] = (),
    simulated: bool = False,
) -> User:
    """Make a person with a pseudonym of their own; without a password nobody can sign in as them.

    Raises:
        Conflict: the name is taken.
        InvalidInput: no such role, or a password that is too short.
        NotFound: no such project.
    """
    check_role(role)
    if session.scalar(select(User.id).where(func.lower(User.name) == name.lower())) is not None:
        raise Conflict(f"A user named {name!r} exists already.", hint="Choose another name.")
    user = User(
        name=name,
        pseudonym=_new_pseudonym(session, role),
        role=str(role),
        password_hash=None if password is None else hash_password(password, name=name),
        simulated=simulated,
    )
    session.add(user)
    session.flush()
    for project_id in project_ids:
        add_member(session, project_id, user.id)
    return user


def _new_pseudonym(session: Session, role: str) -> str:
    taken = set(session.scalars(select(User.pseudonym)))
    while True:  # random, so that it says nothing of who came first
        pseudonym = f"{role}-{secrets.randbelow(36**4):06x}"
        if pseudonym not in taken:
            return pseudonym


def add_member(session: Session, project_id: int, user_id: int) -> Membership:
    """Give a user access to a project; giving it again changes nothing."""
    if session.get(Project, project_id) is None:
        raise NotFound(f"There is no project {project_id}.")
    found = session.scalar(
        select(Membership).where(Membership.project_id == project_id, Membership.user_id == user_id)
    )
    if found is not None:
        return found
    membership = Membership(project_id=project_id, user_id=user_id)
    session.add(membership)
    session.flush()
    return membership


def remove_member(session: Session, project_id: int, user_id: int) -> None:
    """End a user's access to a project, its queues among it; what they judged stays."""
    found = session.scalar(
        select(Membership).where(Membership.project_id == project_id, Membership.user_id == user_id)
    )
    if found is None:
        raise NotFound("The person is no member of this project.")
    session.delete(found)
    session.flush()


def get_user(session: Session, user_id: int) -> User:
    """The user of that id. Raises NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(f"There is no user {user_id}.")
    return user


def set_role(session: Session, user: User, role: str) -> None:
    """Give a person another role.

    Raises:
        InvalidInput: no such role.
        Conflict: nobody would be left who may change roles.
    """
    check_role(role)
    if role != Role.ADMIN:
        _keep_an_admin(session, user)
    user.role = role
    session.flush()


def check_role(role: str) -> None:
    """InvalidInput for what is no role."""
    if role not in set(Role):
        raise InvalidInput(f"There is no role {role!r}.", hint=f"Roles: {', '.join(Role)}.")


def _keep_an_admin(session: Session, user: User) -> None:
    # Locked, so that of two admins who bar each other at once the second sees the first.
    admins = select(User.id).where(User.role == Role.ADMIN, User.active)
    found = set(session.scalars(admins.order_by(User.id).with_for_update()))
    if found == {user.id}:
        raise Conflict(f"{user.name} is the only admin.", hint="Make somebody else admin first.")


def reactivate_user(session: Session, user: User) -> None:
    """Let a barred person sign in again; sessions and tokens that were ended stay so."""
    user.active, user.barred_by = True, None
    session.flush()


def find_user(session: Session, name: str) -> User:
    """The user of that name, for whoever holds this machine. Raises NotFound.

    A name that a request holds is looked up by `find_member`.
    """
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        raise NotFound(
            f"There is no user named {name!r}.",
            hint="See: strop user list. Add one: strop user add NAME --role ROLE",
        )
    return user


def find_member(session: Session, project_id: int, name: str) -> User:
    """The active person of that name who belongs to the project; admins belong to every project.

    Raises:
        UnknownName: nobody of this project is named so. Whether somebody elsewhere is, is not told.
    """
    belongs = User.id.in_(select(Membership.user_id).where(Membership.project_id == project_id))
    query = select(User).where(User.active, belongs | (User.role == Role.ADMIN))
    user = session.scalar(query.where(User.name == name))
    if user is None:
        members = (user.name for user in list_users(session, project_id=project_id) if user.active)
        raise UnknownName("active person of this project", name, members)
    return user


def list_users(session: Session, *, project_id: int | None = None) -> list[User]:
    """Users by name; with a project, its members and nobody else."""
    query = select(User).order_by(User.name)
    if project_id is not None:
        query = query.join(Membership).where(Membership.project_id == project_id)
    return list(session.scalars(query))


def change_password(
    session: Session, user: User, *, current: str, new: str, keep: str | None, now: datetime
) -> None:
    """Change one's own password; other browsers that are signed in are signed out.

    Args:
        keep: the secret of the session that asks, which goes on.

    Raises:
        Forbidden: `current` is not the password.
        InvalidInput: the new one is too short, or one of those that are tried first.
    """
    if not matches(user.password_hash, current):
        raise Forbidden("That is not your password.", hint="Check it and try again.")
    user.password_hash = hash_password(new, name=user.name)
    _forget_begun_factor(session, user)
    end_sessions(session, user.id, now=now, keep=keep)
    session.flush()


def set_password(session: Session, user: User, password: str, *, now: datetime) -> None:
    """Change a password; whoever is signed in with the old one is signed out."""
    user.password_hash = hash_password(password, name=user.name)
    _forget_begun_factor(session, user)
    end_sessions(session, user.id, now=now)
    session.flush()


def _forget_begun_factor(session: Session, user: User) -> None:
    """Whoever had the old password may have seen the secret that waits for its first code."""
    begun = SecondFactor.user_id == user.id, SecondFactor.confirmed_at.is_(None)
    session.execute(delete(SecondFactor).where(*begun))


def deactivate_user(session: Session, user: User, *, now: datetime) -> None:
    """Bar a user from now on: sessions end, tokens are revoked; what they judged stays.

    Raises:
        Conflict: the only admin.
    """
    _keep_an_admin(session, user)
    bar_user(session, user, by="admin", now=now)


def bar_user(session: Session, user: User, *, by: str, now: datetime) -> None:
    """Bar a user, the only admin too: `by` is `admin`, or `provider` for lack of a group."""
    user.active, user.barred_by = False, by
    end_sessions(session, user.id, now=now)
    for token in session.scalars(select(Token).where(Token.user_id == user.id)):
        token.revoked_at = token.revoked_at or now
    session.flush()


def verify_password(session: Session, name: str, password: str) -> User:
    """The user whose name and password these are.

    An unknown, barred or passwordless name costs one hash like any other.

    Raises:
        NotAuthenticated: always with the same words.
    """
    user = session.scalar(select(User).where(User.name == name))
    known = user is not None and user.active and user.password_hash is not None
    stored = user.password_hash if known and user is not None else None
    if not matches(stored, password) or user is None:
        raise NotAuthenticated(BAD_LOGIN, hint="Check both and try again.")
    return user


def id_of_name(session: Session, name: str) -> int | None:
    """Whose name that is, for the log of tries; None where nobody's."""
    return session.scalar(select(User.id).where(User.name == name))


def visible_projects(session: Session, user: User) -> list[Project]:
    """All projects for an admin, an engineer's or a lead's own, none for an expert."""
    query = select(Project).order_by(Project.id)
    if user.role == Role.ADMIN:
        return list(session.scalars(query))
    if user.role == Role.EXPERT:
        return []
    return list(session.scalars(query.join(Membership).where(Membership.user_id == user.id)))


def require_project_access(session: Session, user: User, project_id: int) -> None:
    """Let admins pass, and engineers and leads of the project.

    Raises:
        Forbidden: an expert.
        NotFound: an engineer of elsewhere, who may not know that the project exists.
    """
    if user.role == Role.EXPERT:
        raise Forbidden("Experts work in their review queues.", hint="Ask an engineer for this.")
    if user.role == Role.ADMIN:
        if session.get(Project, project_id) is not None:
            return
    elif session.scalar(
        select(Membership.id).where(
            Membership.project_id == project_id, Membership.user_id == user.id
        )
    ):
        return
    raise NotFound("There is no such project, or it is not yours.")


def may_sign(user: User) -> bool:
    """Whether a person may sign promotions: leads and admins who have not left."""
    return user.active and user.role in (Role.LEAD, Role.ADMIN)


def began_by_a_lead(session: Session, user_id: int | None) -> bool:
    """Whether what somebody began may promote without being signed; nobody is the machine's own
    command line, which reaches the database anyway."""
    return user_id is None or may_sign(session.get_one(User, user_id))


def require_lead(session: Session, user_id: int, project_id: int) -> User:
    """The person, if they may sign for the project.

    Raises:
        Forbidden: neither a lead nor an admin.
        NotFound: a lead of elsewhere.
    """
    user = session.get_one(User, user_id)
    if not may_sign(user):
        raise Forbidden(
            f"Promotions are signed by a lead; {user.name} is {user.role}.",
            hint="Ask a lead, or add one: strop user add NAME --role lead",
        )
    require_project_access(session, user, project_id)
    return user
