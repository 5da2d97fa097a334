"""`strop mask FILE`: what masking finds in a file; `strop mask policy`: what a project masks.

strop mask letters.jsonl                     needs no project: what is found, and how it would read
strop mask letters.jsonl --policy policy.yaml --out masked.jsonl
strop mask policy set policy.yaml            from now on the project's imports are masked
strop mask original 17 --as ANN              the row that example 17 was; the look is recorded
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import acting_person, in_project
from backend.cli.inputs import read_rows, read_text
from backend.cli.options import (
    FILE_HELP,
    AsOption,
    JsonOption,
    MapOption,
    ProjectOption,
    group,
    takes,
)
from backend.cli.terminal.output import ForceOption, check_target, whole_file
from backend.cli.terminal.printing import print_json, print_notes, print_table, shown_text

if TYPE_CHECKING:
    from backend.services.datasets.masking.files import Masker
    from backend.services.datasets.versions import ExampleRow

SHOWN, SHOWN_CHARACTERS = 3, 600


app = group(
    "Mask what identifies people: strop mask FILE, or a project's policy.", default_verb="file"
)
policy_app = group("What a project masks: set, show.")
app.add_typer(policy_app, name="policy")


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """What `strop mask FILE` is asked for."""

    file: Annotated[str, Argument(help=f"FILE or FOLDER. {FILE_HELP}")]
    policy: Annotated[
        Path | None, Option(help="YAML policy; default: every kind, both languages.")
    ] = None
    map_: MapOption = None
    out: Annotated[Path | None, Option(help="Write the masked rows here, as JSONL.")] = None
    force: ForceOption = False
    show: Annotated[int, Option(min=0, help="Masked rows shown.")] = SHOWN
    json: JsonOption = False


@app.command("file")
@takes(MaskOptions)
def file_(asked: MaskOptions) -> None:
    """Mask the rows of a file as an import would, and store nothing; `file` may be left out.

    Surrogates are drawn from STROP_MASKING_KEY; without it from a key for this once, so that they
    differ from run to run. A project draws others than this command.
    """
    from backend.services.datasets.importing.incoming import rows_of
    from backend.settings import load_settings
    from evaluators.files.mapping import Notes

    if asked.out is not None:
        check_target(asked.out, force=asked.force)
    notes, settings = Notes(), load_settings()
    readings = read_rows([asked.file], notes, asked.map_, need_reference=False)
    masker, passing = _masker(asked.policy, settings.masking_keys)
    if passing:
        notes.add("STROP_MASKING_KEY is not set: these surrogates are of this run alone.")
    masked = masker.mask(rows_of(readings))
    if asked.out is not None:
        with whole_file(asked.out, force=asked.force) as stream:
            stream.writelines(f"{json.dumps(_plain(r), ensure_ascii=False)}\n" for r in masked)
    if asked.json:
        print_json(_summary(masked, asked.show))
    else:
        _show_masked(masked, asked.show)
        print_notes(notes)


def _masker(policy: Path | None, setting: str | None) -> tuple[Masker, bool]:
    """What rows of a file are masked with, and whether its key is one for this once."""
    from backend.services.datasets.masking.files import Masker
    from backend.services.datasets.masking.keys import keys_of, passing_key
    from backend.services.datasets.masking.policy import parse_policy

    parsed = parse_policy("" if policy is None else read_text(policy))
    parsed = parsed.model_copy(update={"originals": "drop"})
    keys = keys_of(setting)
    return Masker(parsed, 0, keys[0] if keys else passing_key(), "a file"), not keys


def _plain(row: ExampleRow) -> dict[str, Any]:
    from backend.services.datasets.importing.incoming import row_as_dict

    spans = [] if row.mask is None else [dict(span) for span in row.mask.spans]
    return {**row_as_dict(row), "masked": spans}


def _summary(rows: Sequence[ExampleRow], shown: int) -> dict[str, Any]:
    counts = _counts(rows)
    return {
        "rows": len(rows),
        "with_findings": sum(bool(row.mask and row.mask.spans) for row in rows),
        "by_kind": dict(counts.most_common()),
        "shown": [_plain(row) for row in rows[:shown]],
    }


def _counts(rows: Sequence[ExampleRow]) -> Counter[str]:
    return Counter(span["kind"] for row in rows if row.mask for span in row.mask.spans)


def _show_masked(rows: Sequence[ExampleRow], shown: int) -> None:
    from backend.services.datasets.masking.identifiers.kinds import title_of

    found = [{"kind": k, "what": title_of(k), "found": n} for k, n in _counts(rows).most_common()]
    print_table(found, columns=["kind", "what", "found"])
    for row in rows[:shown]:
        typer.echo(shown_text(f"\n{row.external_id}"))
        for name, text in _texts(row):
            typer.echo(shown_text(f"    {name}: {text}"))
    n_rows = sum(bool(row.mask and row.mask.spans) for row in rows)
    typer.echo(f"\n{len(rows)} rows, surrogates in {n_rows} of them. Nothing was stored.")


def _texts(row: ExampleRow) -> Iterator[tuple[str, str]]:
    """The masked texts, each surrogate between ‹ and ›, long ones cut."""
    from backend.services.datasets.masking.files import texts_of

    spans = [] if row.mask is None else row.mask.spans
    for name, text in texts_of(row).items():
        own = sorted((s for s in spans if s["field"] == name), key=lambda s: -s["start"])
        for span in own:
            start, end = span["start"], span["end"]
            text = f"{text[:start]}‹{text[start:end]}›{text[end:]}"
        more = f" ... ({len(text):,} characters)" if len(text) > SHOWN_CHARACTERS else ""
        yield name, re.sub(r"\s*\n\s*", " / ", text[:SHOWN_CHARACTERS].strip()) + more


@policy_app.command("set")
def set_policy(
    file: Annotated[Path, Argument(help="YAML file.", exists=True, dir_okay=False)],
    project: ProjectOption = None,
) -> None:
    """Set what the project masks; other content, or another key, is a new version.

    From then on rows come in masked or not at all, and nothing that came in unmasked is run or
    learned from. STROP_MASKING_KEY has to be set, for this command and for every import.
    """
    from backend.services.datasets.masking.keys import keys_of
    from backend.services.datasets.masking.stored import masking_facts, set_masking_policy

    source = read_text(file)
    with in_project(project) as (installation, session, found):
        keys = keys_of(installation.settings.masking_keys)
        row = set_masking_policy(session, found.id, source, keys=keys)
        bare = masking_facts(session, found.id).n_unmasked
        typer.echo(f"Masking policy version {row.version}, sha256 {row.digest}, key {row.key_id}.")
        if bare:
            typer.echo(
                f"note: {bare} examples came in before and are not masked: import them again, and "
                "erase the old ones (strop example erase).",
                err=True,
            )


@policy_app.command("show")
def show_policy(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show the policy that stands, and what was found by it."""
    from backend.services.datasets.masking.identifiers.kinds import title_of
    from backend.services.datasets.masking.stored import current_policy, masking_facts

    with in_project(project) as (_, session, found):
        row = current_policy(session, found.id)
        facts = masking_facts(session, found.id)
    if json:
        print_json(
            {
                "version": row.version,
                "digest": row.digest,
                "key_id": row.key_id,
                "policy": row.content,
                "by_kind": facts.by_kind,
                "examples_masked": facts.n_masked,
                "examples_unmasked": facts.n_unmasked,
                "originals": facts.originals,
            }
        )
        return
    typer.echo(f"Masking policy version {row.version}, sha256 {row.digest[:12]}, key {row.key_id}.")
    lines = [{"field": name, "value": _line(value)} for name, value in row.content.items()]
    print_table(lines, columns=["field", "value"])
    kinds = [{"what": title_of(kind), "found": n} for kind, n in facts.by_kind.items()]
    print_table(kinds, columns=["what", "found"])
    typer.echo(
        f"{facts.n_masked} examples are masked, {facts.n_unmasked} are not; "
        f"{sum(facts.originals.values())} originals are kept, encrypted."
    )


def _line(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


@app.command()
def original(
    example: Annotated[int, Argument(help="Id of an example.")],
    as_: AsOption = None,
    project: ProjectOption = None,
) -> None:
    """Print the row that a masked example was; a lead or an admin may, and the look is recorded."""
    from backend.services.datasets.masking.keys import keys_of
    from backend.services.datasets.masking.stored import look_at_original

    with in_project(project) as (installation, session, found):
        person = acting_person(session, as_)
        keys = keys_of(installation.settings.masking_keys)
        print_json(look_at_original(session, found.id, example, person.id, keys))
