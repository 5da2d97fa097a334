"""What the commands share that move an alias: who signs, and the servers that are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

if TYPE_CHECKING:
    from backend.services.models.serving import Move, ServingReport
    from backend.settings import Settings

SignerOption = Annotated[str, Option("--as", help="User name of the lead who signs.")]
ExpectedOption = Annotated[
    str | None,
    Option(
        "--expect",
        help="The model that the alias points at as you saw it (v2@1, none): refused when it has "
        "moved since.",
    ),
]
UnservedOption = Annotated[
    str | None,
    Option(
        "--allow-unserved",
        help="Reason to move it though a server does not serve it; servers stay as they are.",
    ),
]


def serve(move: Move, settings: Settings) -> ServingReport:
    """Have the configured servers serve the model; says what each of them made of it."""
    from functools import partial

    from backend.engines import open_server
    from backend.services.models.serving import serve_move

    if settings.serving_urls:
        typer.echo(f"Asking {len(settings.serving_urls)} server(s) ...", err=True)
    report = serve_move(move, settings.serving_urls, partial(open_server, settings=settings))
    typer.echo(report.sentence, err=True)
    return report
