"""The demo's rows: made by its world's own script, and imported as a team imports its data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from backend.cli.demo.steps import DATASET, SEED, Demo


def import_examples(
    demo: Demo,
    *,
    name: str = DATASET,
    made_with: Sequence[str] = (),
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> None:
    """Generate examples and import them, split by customer.

    Args:
        made_with: further options of `python -m training.demo.data`.
    """
    from backend.services.datasets.rows import ColumnMap, rows_from_table
    from backend.services.datasets.versions import import_dataset, split_counts
    from evaluators.files.readers import read_table

    file = make_data(demo, name, made_with)
    rows = rows_from_table(read_table(file), ColumnMap())
    with demo.installation.sessions.begin() as session:
        version = import_dataset(
            session,
            demo.project_id,
            name,
            rows,
            source_name=file.name,
            seed=SEED,
            fractions=fractions,
        )
        counts = split_counts(session, version.id)
    shown = ", ".join(f"{split} {n} ({g} customers)" for split, (n, g) in counts.items())
    typer.echo(f"Dataset {name} version {version.number}: {shown}.")


def make_data(demo: Demo, name: str, options: Sequence[str]) -> Path:
    """Write the world's rows to a file of the installation; the same options, the same rows."""
    stem = "demo" if name == DATASET else name.replace(" ", "-")
    file = demo.installation.settings.home / f"{stem}.jsonl"
    command = [sys.executable, "-m", "training.demo.data", "--out", str(file), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return file
