"""`strop worker`: run queued jobs until told to stop."""

from __future__ import annotations

from typing import Annotated

from typer import Option


def command(
    queues: Annotated[
        str | None, Option(help="Queues to listen to, of gen,score,gpu; default is all.")
    ] = None,
    until_idle: Annotated[
        bool, Option("--until-idle", help="End when nothing waits or runs any more.")
    ] = False,
    pulse: Annotated[
        int | None, Option(hidden=True, help="File descriptor for signs of life.")
    ] = None,
) -> None:
    """Run queued jobs; Ctrl+C gives them back to the queue."""
    import logging

    from backend.cli.common import open_installation
    from backend.jobs.worker import run_worker
    from backend.logs import log_without_words
    from backend.services.queue import ALL_QUEUES

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    chosen = [name.strip() for name in queues.split(",")] if queues else list(ALL_QUEUES)
    log_without_words()
    settings = open_installation().settings
    run_worker(settings, queues=chosen, until_idle=until_idle, pulse=pulse)
