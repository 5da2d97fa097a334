"""`strop user add|list|password|role|join|leave|sign-out|deactivate|reactivate`: people.

How they come in (links, second factor, accounts at a provider) is in ways_in.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer import Argument, Option

from backend.cli.accounts import ways_in
from backend.cli.common import open_installation
from backend.cli.options import JsonOption, group
from backend.cli.terminal.printing import print_json, print_rows
from backend.errors import InvalidInput

app = group("People and their roles.")

NameArgument = Annotated[str, Argument(help="Name to sign in with.")]
OfProject = Annotated[str, Option("--project", help="Name of the project.")]
FromStdin = Annotated[
    bool, Option("--password-stdin", help="Read the password from standard input.")
]
Generate = Annotated[
    bool, Option("--generate", help="Make a password and print it once (the default).")
]


@app.command()
def add(
    name: NameArgument,
    role: Annotated[str, Option(help="admin, lead, engineer or expert.")] = "expert",
    project: Annotated[
        list[str] | None, Option("--project", help="Project to work in; may be repeated.")
    ] = None,
    password_stdin: FromStdin = False,
    generate: Generate = False,
    json: JsonOption = False,
) -> None:
    """Add a person. Without --project they join the only project there is."""
    from backend.services.accounts.users import create_user
    from backend.services.projects import get_project

    generate = generate or not password_stdin
    password = _new_password(password_stdin, generate)
    with open_installation().sessions.begin() as session:
        if project or role == "admin":
            joined = [get_project(session, one).id for one in project or ()]
        else:
            joined = [get_project(session).id]
        user = create_user(session, name, role, password=password, project_ids=joined)
        shown = {"name": user.name, "role": user.role, "pseudonym": user.pseudonym}
    if generate:
        shown["password"] = password
    if json:
        print_json(shown)
        return
    typer.echo(f"{shown['name']} is {shown['role']}; others see {shown['pseudonym']}.")
    if generate:
        typer.echo(f"Password, shown this once: {password}")


def _new_password(from_stdin: bool, generate: bool) -> str:
    from backend.services.accounts.passwords import generate_password

    if from_stdin and generate:
        raise InvalidInput("--generate and --password-stdin exclude each other.")
    return generate_password() if generate else sys.stdin.readline().rstrip("\r\n")


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List everybody with role and pseudonym."""
    from backend.services.accounts.users import list_users

    with open_installation().sessions() as session:
        rows = [
            {
                "name": user.name,
                "role": user.role,
                "pseudonym": user.pseudonym,
                "projects": len(user.memberships),
                "active": "yes" if user.active else "no",
                "simulated": "simulated" if user.simulated else "",
            }
            for user in list_users(session)
        ]
    columns = ["name", "role", "pseudonym", "projects", "active", "simulated"]
    print_rows(rows, columns=columns, json=json)


@app.command()
def password(
    name: NameArgument, password_stdin: FromStdin = False, generate: Generate = False
) -> None:
    """Set a new password; whoever is signed in with the old one is signed out."""
    from backend.db import utc_now
    from backend.services.accounts.users import find_user, set_password

    generate = generate or not password_stdin
    new = _new_password(password_stdin, generate)
    with open_installation().sessions.begin() as session:
        set_password(session, find_user(session, name), new, now=utc_now())
    typer.echo(f"The password of {name} is changed.")
    if generate:
        typer.echo(f"Password, shown this once: {new}")


@app.command()
def deactivate(name: NameArgument) -> None:
    """Bar a person: sign-ins end, tokens are revoked, what they judged stays."""
    from backend.db import utc_now
    from backend.services.accounts.users import deactivate_user, find_user

    with open_installation().sessions.begin() as session:
        deactivate_user(session, find_user(session, name), now=utc_now())
    typer.echo(f"{name} can no longer sign in.")


@app.command()
def reactivate(name: NameArgument) -> None:
    """Let a barred person sign in again; tokens that were revoked stay so."""
    from backend.services.accounts.users import find_user, reactivate_user

    with open_installation().sessions.begin() as session:
        reactivate_user(session, find_user(session, name))
    typer.echo(f"{name} can sign in again.")


@app.command("role")
def set_role(
    name: NameArgument, role: Annotated[str, Argument(help="admin, lead, engineer or expert.")]
) -> None:
    """Give a person another role."""
    from backend.services.accounts import users

    with open_installation().sessions.begin() as session:
        users.set_role(session, users.find_user(session, name), role)
    typer.echo(f"{name} is {role}.")


@app.command()
def join(name: NameArgument, project: OfProject) -> None:
    """Let a person work in a further project."""
    from backend.services.accounts.users import add_member, find_user
    from backend.services.projects import get_project

    with open_installation().sessions.begin() as session:
        add_member(session, get_project(session, project).id, find_user(session, name).id)
    typer.echo(f"{name} works in {project}.")


@app.command()
def leave(name: NameArgument, project: OfProject) -> None:
    """End a person's access to a project and its queues; what they judged stays."""
    from backend.db import utc_now
    from backend.services.accounts.users import find_user, remove_member
    from backend.services.projects import get_project
    from backend.services.review.desk.submit import settle_queues

    with open_installation().sessions.begin() as session:
        project_id = get_project(session, project).id
        remove_member(session, project_id, find_user(session, name).id)
        settle_queues(session, project_id, now=utc_now())
    typer.echo(f"{name} no longer works in {project}.")


@app.command("sign-out")
def sign_out(name: NameArgument) -> None:
    """Sign a person out of every browser."""
    from backend.db import utc_now
    from backend.services.accounts.credentials import end_sessions
    from backend.services.accounts.users import find_user

    with open_installation().sessions.begin() as session:
        ended = end_sessions(session, find_user(session, name).id, now=utc_now())
    typer.echo(f"{name} is signed out of {ended} browsers.")


for _name, _command in ways_in.COMMANDS.items():
    app.command(_name)(_command)
