"""`strop webhook add|list|remove|test|deliveries|retry`: who is told of what happens in queues."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from backend.cli.common import in_project, open_installation
from backend.cli.options import JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_json, print_result, print_rows

app = group("Tell other programs what happens in queues.")
HookArgument = Annotated[int, Argument(help="Id from strop webhook list.")]


@app.command()
def add(
    url: Annotated[str, Argument(help="http or https address of the receiver.")],
    events: Annotated[str | None, Option(help="With commas; default: all that there are.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Tell an address of events, and print the secret that signs what it is sent."""
    from backend.services.accounts.sealing import open_seal
    from backend.services.webhooks import hooks as webhooks

    asked = webhooks.EVENTS if events is None else [e.strip() for e in events.split(",")]
    with in_project(project) as (installation, session, found):
        seal = open_seal(installation.settings)
        hook, secret = webhooks.add_webhook(session, found.id, url, seal=seal, events=asked)
        row = {"id": hook.id, "url": hook.url, "events": hook.events, "secret": secret}
    print_result(
        row,
        f"Webhook {row['id']} tells {row['url']} of {', '.join(hook.events)}.",
        f"Secret: {row['secret']}",
        json=json,
    )


@app.command("list")
def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the webhooks of the project, without their secrets."""
    from backend.services.webhooks import hooks as webhooks

    with in_project(project) as (_, session, found):
        rows = [
            {
                "id": hook.id,
                "url": hook.url,
                "events": ", ".join(hook.events),
                "state": "active" if hook.active else "removed",
            }
            for hook in webhooks.list_webhooks(session, found.id)
        ]
    print_rows(rows, columns=["id", "url", "events", "state"], json=json)


@app.command()
def remove(webhook_id: HookArgument) -> None:
    """Tell an address no more."""
    from backend.services.webhooks import hooks as webhooks

    with open_installation().sessions.begin() as session:
        hook = webhooks.remove_webhook(session, webhook_id)
        typer.echo(f"Webhook {hook.id} ({hook.url}) is removed.")


@app.command("test")
def send_test(webhook_id: HookArgument, json: JsonOption = False) -> None:
    """Send an event that tells of nothing, at once, and say what was answered.

    Exit code 2 when the receiver did not take it.
    """
    from backend.db import utc_now
    from backend.jobs.webhooks import deliver_now
    from backend.services.accounts.sealing import open_seal
    from backend.services.webhooks import hooks as webhooks

    installation = open_installation()
    with installation.sessions.begin() as session:
        delivery_id = webhooks.record_test(session, webhook_id, now=utc_now()).id
    settings = installation.settings
    outcome = deliver_now(
        installation.sessions,
        delivery_id,
        private=settings.webhook_private,
        seal=open_seal(settings),
    )
    taken = outcome.status is not None and 200 <= outcome.status < 300
    told = outcome.error or f"answered {outcome.status}"
    if json:
        row = {"delivery": delivery_id, "status": outcome.status, "error": outcome.error}
        print_json({**row, "taken": taken})
    else:
        typer.echo(f"Delivery {delivery_id}: {'taken, ' if taken else 'not taken: '}{told}")
    if not taken:
        raise typer.Exit(2)


@app.command()
def deliveries(
    webhook_id: HookArgument,
    limit: Annotated[int, Option(min=1, max=500, help="How many, newest first.")] = 20,
    json: JsonOption = False,
) -> None:
    """Show what was sent and is to be sent."""
    from backend.services.pages import PageAsk, page_of
    from backend.services.webhooks.hooks import get_webhook
    from backend.tables.webhooks import WebhookDelivery

    with open_installation().sessions() as session:
        hook = get_webhook(session, webhook_id)
        page = page_of(session, WebhookDelivery, PageAsk(limit), webhook_id=hook.id)
        rows = [
            {
                "id": one.id,
                "event": one.event,
                "key": one.key,
                "state": one.state,
                "attempts": one.attempts,
                "status": one.last_status,
                "error": one.last_error,
                "next": f"{one.next_attempt_at:%Y-%m-%d %H:%M:%S}",
            }
            for one in page.rows
        ]
    columns = ["id", "event", "key", "state", "attempts", "status", "error", "next"]
    print_rows(rows, columns=columns, json=json)


@app.command()
def retry(delivery_id: Annotated[int, Argument(help="Id from strop webhook deliveries.")]) -> None:
    """Have the worker send a failed delivery again, under the same id."""
    from backend.db import utc_now
    from backend.services.webhooks.hooks import retry_delivery

    with open_installation().sessions.begin() as session:
        again = retry_delivery(session, delivery_id, now=utc_now())
        typer.echo(f"Delivery {again.id} will be sent again.")
