"""One erasure of examples from beginning to end.

    ask          a row that says what is to go, committed before anything goes
    erase        files, then rows, seals and the audit entry in one transaction
    scrub        freed pages of the database

Whoever is killed in between leaves the row, by which a worker or the next command goes on: until
the transaction ends every text is where it was, after it none is. Work that is under way is decided
here too: answers that a run still writes are not taken, an item that somebody holds is taken back,
a training that reads a row is cancelled.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput, NotFound
from backend.services import audit
from backend.services.curation import digests
from backend.services.datasets import versions
from backend.services.datasets.erased import erased_digest, said_of, seal_rows
from backend.services.datasets.queries import in_project, rows_for, values_for
from backend.services.erasure import under_way
from backend.services.erasure.columns import COMMON, Notice
from backend.services.erasure.files import black_out_logs, clean_files, clear_leftovers
from backend.services.erasure.kept_answers import clear_answers
from backend.services.erasure.passages import Passages
from backend.services.erasure.people import erase_person, name_of
from backend.services.erasure.requests import (
    ErasureRequest,
    ErasureScope,
    exports_with,
    learned_from,
    sets_with,
)
from backend.services.erasure.rows import (
    FROZEN,
    HANGS,
    blank_ids,
    blank_rows,
    common_slices,
    hanging_ids,
    search_rows,
    shared_output,
    shared_text,
    texts_of,
)
from backend.services.erasure.scrub import scrub_database
from backend.services.models.adapter_files import project_artifacts
from backend.services.projects import lock_project
from backend.settings import Settings
from backend.tables.accounts import User
from backend.tables.curation import HeldBackRow, TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.erasure import ErasedRow, Erasure, ErasureKind, ErasureState

LONGEST_REASON = 500
ERASURES_FILE = "erasures.jsonl"
NOTED = ("project_id", "kind", "subject", "reason", "example_ids", "person_id", "keys")
PARTS: dict[str, tuple[type[TrainingSetRow] | type[HeldBackRow], str]] = {
    "training_set_rows": (TrainingSetRow, "row"),
    "held_back_rows": (HeldBackRow, "held"),
}


def ask_erasure(
    session: Session,
    project_id: int,
    wanted: ErasureRequest,
    *,
    reason: str,
    by_id: int | None,
    now: datetime,
) -> Erasure:
    """Lay down what is to be erased; nothing is gone yet.

    Raises:
        InvalidInput: no reason is given, or one that cannot be shown in a line.
    """
    erasure = Erasure(
        project_id=project_id,
        kind=ErasureKind.EXAMPLE,
        subject=wanted.subject,
        reason=checked_reason(reason),
        example_ids=list(wanted.example_ids),
        keys=wanted.keys,
        found={"copies": wanted.n_copies, "groups": [list(pair) for pair in wanted.groups]},
        asked_by_id=by_id,
        asked_at=now,
    )
    session.add(erasure)
    session.flush()
    return erasure


def checked_reason(reason: str) -> str:
    """The reason as one line. Raises InvalidInput for none, a long one or one with NUL."""
    line = " ".join(reason.split())
    if not line or "\0" in line:
        raise InvalidInput("Say why it is erased.", hint="--reason 'consent withdrawn'; no names.")
    if len(line) > LONGEST_REASON:
        raise InvalidInput(f"The reason has more than {LONGEST_REASON} characters.")
    return line


def get_erasure(session: Session, erasure_id: int, *, lock: bool = False) -> Erasure:
    """An erasure by its id, read anew where its row is locked; or NotFound."""
    found = session.get(Erasure, erasure_id, with_for_update=lock, populate_existing=lock)
    if found is None:
        raise NotFound(f"There is no erasure {erasure_id}.")
    return found


def list_erasures(session: Session, project_id: int | None = None) -> list[Erasure]:
    """The erasures of a project, or all with those of people, newest first."""
    query = select(Erasure).order_by(Erasure.id.desc())
    if project_id is not None:
        query = query.where(Erasure.project_id == project_id)
    return list(session.scalars(query))


def carry_out(
    sessions: sessionmaker[Session], settings: Settings, erasure_id: int, *, now: datetime
) -> Erasure:
    """Bring an erasure to its end, from wherever it stands.

    It stays ERASED where the database was busy; a worker tries again.
    """
    with sessions.begin() as session:
        erasure = erase_now(session, erasure_id, settings, now=now)
    tables = {*(erasure.found.get("rows") or ()), *(erasure.found.get("elsewhere") or ())}
    return scrub(sessions, erasure_id, tables, now=now)


def scrub(
    sessions: sessionmaker[Session], erasure_id: int, tables: set[str], *, now: datetime
) -> Erasure:
    """Have the freed pages written away; an erasure that is through with it is DONE."""
    engine = sessions.kw["bind"]
    assert isinstance(engine, Engine)
    why_not = scrub_database(engine, tables)
    with sessions.begin() as session:
        erasure = get_erasure(session, erasure_id)
        if why_not is None and erasure.state == ErasureState.ERASED:
            erasure.state, erasure.done_at = ErasureState.DONE, now
        elif why_not is not None:
            erasure.found = {**erasure.found, "waits": why_not}
        return erasure


def resume_erasures(sessions: sessionmaker[Session], settings: Settings, *, now: datetime) -> int:
    """Bring every erasure to its end that is not; returns how many there were."""
    with sessions() as session:
        query = select(Erasure.id).where(Erasure.state != ErasureState.DONE).order_by(Erasure.id)
        waiting = list(session.scalars(query))
    for erasure_id in waiting:
        carry_out(sessions, settings, erasure_id, now=now)
    return len(waiting)


def erase_now(session: Session, erasure_id: int, settings: Settings, *, now: datetime) -> Erasure:
    """Erase in this transaction, and write it down; an erasure that is through stays as it is."""
    erasure = get_erasure(session, erasure_id, lock=True)
    if erasure.state != ErasureState.ASKED:
        return erasure
    if erasure.kind == ErasureKind.PERSON:
        taken: list[ErasedRow] = []
        found = erase_person(session, erasure, now=now)
    else:
        found, taken = _erase_examples(session, erasure, settings, now=now)
    erasure.found = found.as_dict()
    erasure.state, erasure.erased_at = ErasureState.ERASED, now
    session.flush()
    audit.record(
        session,
        f"{erasure.kind}.erased",
        subject=f"erasure:{erasure.id}",
        project_id=erasure.project_id,
        detail={
            "rows": found.rows,
            "examples": len(erasure.example_ids),
            "sets": len(found.sets),
            "adapters": found.adapters,
            "digest": erased_digest(taken),
        },
    )
    note_in_file(settings, erasure)
    session.expire_all()
    return get_erasure(session, erasure_id)


def note_in_file(settings: Settings, erasure: Erasure) -> None:
    """A line in `erasures.jsonl` of the home, by which a backup that is older is brought up to it.

    It holds ids and the reason; written again after a crash, it is the same line twice.
    """
    line = {"erasure": erasure.id} | {name: getattr(erasure, name) for name in NOTED}
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / ERASURES_FILE).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def replay_erasures(
    sessions: sessionmaker[Session], settings: Settings, lines: Iterable[str], *, now: datetime
) -> list[Erasure]:
    """Erase again what was erased after a backup was made; what is gone already stays as it is.

    Args:
        lines: of the `erasures.jsonl` of the installation that went on.

    Raises:
        InvalidInput: a line is none of such a file.
    """
    done = []
    for number, line in enumerate(filter(str.strip, lines), start=1):
        try:
            told = json.loads(line)
            kind, ids = ErasureKind(told["kind"]), [int(id_) for id_ in told["example_ids"]]
            values = {name: told[name] for name in ("project_id", "subject", "person_id", "keys")}
            reason = checked_reason(told["reason"])
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"Line {number} is no erasure of {ERASURES_FILE}.") from error
        with sessions.begin() as session:
            ids = _standing(session, values["project_id"], ids)
            if not ids and not _is_named(session, kind, values["person_id"]):
                continue
            erasure = Erasure(kind=kind, reason=reason, example_ids=ids, asked_at=now, **values)
            session.add(erasure)
            session.flush()
        done.append(carry_out(sessions, settings, erasure.id, now=now))
    return done


def _standing(session: Session, project_id: int | None, ids: Sequence[int]) -> list[int]:
    """Those of a project that are not erased."""
    if project_id is None:
        return []
    query = in_project(select(Example.id), project_id).where(Example.erasure_id.is_(None))
    return sorted(values_for(session, query, Example.id, ids))


def _is_named(session: Session, kind: ErasureKind, person_id: int | None) -> bool:
    """Whether a person who was to be erased still has a name."""
    person = None if person_id is None else session.get(User, person_id)
    return kind is ErasureKind.PERSON and person is not None and person.name != name_of(person.id)


def _erase_examples(
    session: Session, erasure: Erasure, settings: Settings, *, now: datetime
) -> tuple[ErasureScope, list[ErasedRow]]:
    assert erasure.project_id is not None
    project_id, ids = erasure.project_id, [int(id_) for id_ in erasure.example_ids]
    lock_project(session, project_id)
    said = said_of(now, erasure.reason)
    sets = sets_with(session, ids)
    found = ErasureScope(copies=int(erasure.found.get("copies") or 0))
    found.trainings = under_way.cancel_trainings(session, [one.id for one in sets], erasure, now)
    came_in, written = texts_of(session, ids)
    passages = Passages(came_in, shared_text(session, ids))
    skip = {table: hanging_ids(session, table, ids) for table in HANGS}
    outputs = Passages(written, shared_output(session, ids, skip))
    sealing = _Sealing(session, erasure.id, now)
    sealing.versions(ids)
    for table in FROZEN:
        sealing.rows(table, skip[table])
    groups = enumerate(erasure.found.get("groups") or (), start=1)
    # A group that goes as a whole keeps its rows together under a name that says nothing.
    renamed = {name: f"erased group {erasure.id}.{n}" for n, (_, name) in groups}
    notice = Notice(said, renamed, common_slices(session, ids, COMMON))
    found.slots = under_way.take_back(session, ids, said, now)
    found.runs = under_way.answer_runs(session, ids, said)
    found.elsewhere = _search(session, (passages, outputs), skip, sealing, notice)
    roots = [settings.home.absolute() / "training", project_artifacts(settings, project_id)]
    _clean_files(roots, settings.home, (passages, outputs), found)
    clear_answers(session, settings, (passages, outputs), found.elsewhere)
    found.rows = blank_rows(session, ids, notice, erasure.id)
    touched = {one.id for one in sets} | sealing.sets
    named = select(TrainingSet.name).where(TrainingSet.id.in_(touched))
    found.sets = list(session.scalars(named.order_by(TrainingSet.id)))
    found.adapters = [model.label for model in learned_from(session, touched)]
    found.exports = exports_with(session, ids, touched)
    return found, sealing.taken


def _search(
    session: Session,
    both: Sequence[Passages],
    skip: dict[str, list[int]],
    sealing: _Sealing,
    notice: Notice,
) -> dict[str, int]:
    counts: Counter[str] = Counter()

    def frozen(table: str, ids: Sequence[int]) -> None:
        sealing.rows(table, ids)
        blank_ids(session, table, ids, notice, sealing.erasure_id)

    for passages in both:
        counts.update(search_rows(session, passages, skip=skip, frozen=frozen))
    return dict(counts)


def _clean_files(
    roots: Sequence[Path], home: Path, both: Sequence[Passages], found: ErasureScope
) -> None:
    clear_leftovers(roots)
    for passages in both:
        cleaned = clean_files(roots, passages)
        logs = black_out_logs(home, passages)
        found.files = sorted({*found.files, *cleaned.changed, *logs})
        found.unread = sorted({*found.unread, *cleaned.unread})


class _Sealing:
    """Keeps the digests of frozen rows before they go, once for each row."""

    def __init__(self, session: Session, erasure_id: int, now: datetime) -> None:
        self.session, self.erasure_id, self.now = session, erasure_id, now
        self.taken: list[ErasedRow] = []
        self.sets: set[int] = set()

    def versions(self, example_ids: Sequence[int]) -> None:
        """Seal the dataset versions of these examples."""
        by_version: dict[int, set[str]] = defaultdict(set)
        query = select(Example.dataset_version_id, Example.id)
        for version_id, id_ in rows_for(self.session, query, Example.id, example_ids):
            by_version[version_id].add(str(id_))
        for version_id, parts in by_version.items():
            recorded = self.session.get_one(DatasetVersion, version_id).digest
            stored = versions.stored_rows(self.session, version_id)
            self._seal(
                f"dataset_version:{version_id}",
                versions.version_lines(self.session, version_id),
                parts,
                intact=versions.rows_digest(stored) == recorded,
            )

    def rows(self, table: str, ids: Sequence[int]) -> None:
        """Seal the training sets of these rows."""
        rows, prefix = PARTS[table]
        by_set: dict[int, set[str]] = defaultdict(set)
        query = select(rows.training_set_id, rows.position)
        for set_id, position in rows_for(self.session, query, rows.id, ids):
            by_set[set_id].add(f"{prefix}:{position}")
        for set_id, parts in by_set.items():
            self.sets.add(set_id)
            recorded = self.session.get_one(TrainingSet, set_id).digest
            self._seal(
                f"training_set:{set_id}",
                digests.stored_lines(self.session, set_id),
                parts,
                intact=digests.stored_digest(self.session, set_id) == recorded,
            )

    def _seal(self, subject: str, lines: dict[str, str], parts: set[str], *, intact: bool) -> None:
        session, erasure_id, now = self.session, self.erasure_id, self.now
        self.taken += seal_rows(session, erasure_id, subject, lines, parts, intact=intact, now=now)
