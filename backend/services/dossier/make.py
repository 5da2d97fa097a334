"""A dossier: put together, checked by the checker that lies in it, and signed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotFound
from backend.services.dossier import check_dossier
from backend.services.dossier.answers import read_answers
from backend.services.dossier.content import as_json
from backend.services.dossier.inputs import Inputs, collect_inputs
from backend.services.dossier.pages import Index, index_files
from backend.services.dossier.sections import SECTIONS
from backend.services.dossier.sections.bar import bar_digests, bar_record
from backend.services.dossier.sections.data import data_digests, leak_record
from backend.services.dossier.sections.results import figures_table
from backend.services.dossier.signing import public_key, sign_files
from backend.services.dossier.subject import DossierSubject, subject_of
from backend.tables.models import ModelVersion
from backend.tables.verdicts import Comparison

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CHECKER = "check_dossier.py"
DRAWING = "from evaluators.statistics.draws import VERSION, draw\n"


@dataclass(frozen=True, slots=True)
class Dossier:
    """A signed archive.

    Attributes:
        name: of the file, as it is offered.
        first: its first line: the candidate and the verdict.
        checked: what the checker said of each thing, "" where it holds.
        unanswered: questions that the team has not answered.
    """

    name: str
    first: str
    public_key: str
    content: bytes
    checked: list[tuple[str, str]]
    unanswered: list[str]

    @property
    def not_recomputed(self) -> list[str]:
        """Figures that the checker takes as they are said, each with the reason."""
        return [f"{what}: {why}" for what, why in self.checked if why]


def comparison_of(session: Session, project_id: int, candidate: ModelVersion) -> Comparison:
    """The newest comparison of a candidate.

    Raises:
        NotFound: it was never compared, so that there is nothing to make a dossier of.
    """
    query = select(Comparison).where(
        Comparison.project_id == project_id, Comparison.candidate_id == candidate.id
    )
    row = session.scalar(query.order_by(Comparison.id.desc()).limit(1))
    if row is None:
        raise NotFound(
            f"{candidate.label} was never compared by the bar, so there is nothing to make a "
            "dossier of.",
            hint="Judge it first: strop gate CANDIDATE",
        )
    return row


def make_dossier(
    session: Session, comparison: Comparison, key: Ed25519PrivateKey, *, with_texts: bool = False
) -> Dossier:
    """The dossier of a comparison; the same records and key give the same bytes.

    It only reads, for seconds; whoever gives it out records that.

    Args:
        with_texts: put texts of examples and reviewers in; without, only codes and digests.

    Raises:
        Conflict: the records are not what the verdict or a digest was made of.
        InvalidInput: it would be too large.
    """
    subject = subject_of(session, comparison, with_texts=with_texts)
    inputs = collect_inputs(subject)
    told = {name: section.tell(subject) for name, section in SECTIONS.items()}
    told["results"].tables.append(figures_table(inputs.figures))
    index = Index(
        first=_first(subject),
        facts=_facts(subject, key),
        told=told,
        answers=read_answers(session, subject.project.id),
    )
    content = {
        **index_files(index),
        **{name: data for one in told.values() for name, data in one.files.items()},
        **_records(subject, inputs),
        CHECKER: checker_source(),
    }
    checked = _check(content)
    archive = sign_files(content, key)
    name = f"dossier-{comparison.id}.tar"
    return Dossier(name, index.first, public_key(key), archive, checked, index.open_questions)


def checker_source() -> bytes:
    """The checker, as it lies in every dossier; what it imports of Strop is written out in it."""
    checker = files("backend.services.dossier").joinpath(CHECKER).read_text("utf-8")
    drawing = files("evaluators.statistics").joinpath("draws.py").read_text("utf-8")
    before, wanted, after = checker.partition(DRAWING)
    if not wanted:
        raise RuntimeError(f"{CHECKER} does not import what draws.")
    return (before + drawing + after).encode()


def _first(subject: DossierSubject) -> str:
    row = subject.comparison
    simulated = f", {row.n_simulated} votes simulated" if row.n_simulated else ""
    return (
        f"{row.verdict}{simulated}: {subject.candidate.label} against {subject.baseline.label} "
        f"in {subject.project.name}"
    )


def _facts(subject: DossierSubject, key: Ed25519PrivateKey) -> dict[str, str]:
    row = subject.comparison
    return {
        "project": subject.project.name,
        "comparison": str(row.id),
        "judged": f"{row.created_at:%Y-%m-%d %H:%M} UTC",
        "signed by the key": public_key(key),
        "texts in it": "yes" if subject.with_texts else "no",
        "to check it": f"python3 {CHECKER} THIS.tar PUBLIC_KEY",
    }


def _records(subject: DossierSubject, inputs: Inputs) -> dict[str, bytes]:
    records: dict[str, Any] = {
        "bar.json": bar_record(subject, inputs),
        "digests.json": [*bar_digests(subject), *data_digests(subject)],
        "leaks.json": leak_record(subject),
        "figures.json": inputs.figures,
        "examples.json": inputs.places,
        **inputs.scores,
    }
    return {name: as_json(content) for name, content in records.items()}


def _check(content: dict[str, bytes]) -> list[tuple[str, str]]:
    """What the checker says; nothing leaves that it would not let pass.

    Raises:
        Conflict: something does not hold.
    """
    found = list(check_dossier.faults(content))
    wrong = [f"{what}: {why}" for what, why in found if why and not why.startswith("NOT")]
    if wrong:
        raise Conflict(
            f"The records do not hold together: {wrong[0]}.",
            hint="Judge anew with strop gate; strop doctor --verify looks whether somebody changed "
            "records by hand.",
        )
    return found
