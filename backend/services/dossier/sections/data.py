"""Model and data by their digests: what was trained, on what, and what it was tested on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import func, select

from backend.errors import Conflict
from backend.services.curation import stored_lines
from backend.services.datasets.erased import check_seal, digest_of, kept_digests
from backend.services.datasets.versions import version_lines
from backend.services.derivation import withdrawn_rows
from backend.services.dossier.content import DossierTable, SectionContent, as_json, not_measured
from backend.services.dossier.subject import DossierSubject
from backend.services.verdicts.promotion import digests_of
from backend.tables.accounts import User
from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import AcceptedLeak, DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.review import Review

ELSEWHERE = "The candidate was not trained here: what it was taught is not known to Strop."


def tell_model(subject: DossierSubject) -> SectionContent:
    """Base, adapter, prompt and training."""
    rows = [
        [model.label, what, digest or "none here"]
        for model in (subject.candidate, subject.baseline)
        for what, digest in digests_of(model).items()
    ]
    said = [f"The candidate is {subject.candidate.label}, on the base {_base(subject.candidate)}."]
    if subject.training is None:
        said.append(ELSEWHERE)
        return SectionContent(said, [DossierTable(("model", "part", "sha256"), rows)])
    run = subject.training
    taught = "" if subject.training_set is None else repr(subject.training_set.name)
    said.append(
        f"It was trained as run {run.id}, begun {run.created_at:%Y-%m-%d %H:%M} UTC, on the set "
        f"{taught}."
    )
    config = [[key, str(value)] for key, value in sorted(run.config.items())]
    tables = [
        DossierTable(("model", "part", "sha256"), rows),
        DossierTable(("setting", "value"), config),
    ]
    return SectionContent(said, tables)


def _base(model: ModelVersion) -> str:
    """The last part of its name: a folder of this machine is nobody's concern."""
    return model.base_model.rstrip("/").rpartition("/")[2] or model.base_model


def tell_data(subject: DossierSubject) -> SectionContent:
    """The dataset of the run, its splits, and how test and training were kept apart."""
    version = subject.score_run.generation_run.dataset_version
    split = subject.score_run.generation_run.split
    query = (
        select(Example.split, func.count(Example.id), func.count(Example.group.distinct()))
        .where(Example.dataset_version_id == version.id)
        .group_by(Example.split)
    )
    rows = [list(row) for row in subject.session.execute(query.order_by(Example.split))]
    recipe = version.split_recipe
    accepted = subject.session.scalar(
        select(func.count(AcceptedLeak.id)).where(AcceptedLeak.project_id == subject.project.id)
    )
    return SectionContent(
        [
            f"Tested on the {split} split of {_label(version)}: {version.n_examples} examples in "
            f"all, sha256 {version.digest}, computed anew from the rows when this was made.",
            f"Split: {recipe.get('method', 'as given')}; near-duplicates kept on one side: "
            f"{recipe.get('near_duplicates_kept_together', 'not counted')}; rows left out as "
            f"leaks: {len(recipe.get('dropped_as_leaks', []))}.",
            f"Near-duplicates across the split that a person let stand: {accepted} in all.",
        ],
        [DossierTable(("split", "examples", "groups"), rows)],
    )


def _label(version: DatasetVersion) -> str:
    return f"dataset {version.dataset.name} version {version.number}"


def tell_training(subject: DossierSubject) -> SectionContent:
    """The training set by row, with provenance."""
    frozen = subject.training_set
    if frozen is None:
        return not_measured(ELSEWHERE)
    rows = _training_rows(subject)
    sources = Counter(row["source"] for row in rows)
    withdrawn = withdrawn_rows(subject.session, subject.candidate.without_prompt.id)
    left_out = frozen.recipe.get("left_out", {})
    dropped = len(frozen.recipe.get("dropped_as_leaks", []))
    return SectionContent(
        [
            f"The set {frozen.name!r} holds {frozen.n_rows} rows, sha256 {frozen.digest}, computed "
            "anew from the rows when this was made.",
            f"Reviews that are held out and were set aside: {frozen.recipe.get('n_refused', 0)}; "
            f"rows left out as near-duplicates of what is held out: {dropped}; left out for other "
            f"reasons: {sum(left_out.values()) if left_out else 0}.",
            f"Rows that rest on reviews withdrawn since: {withdrawn}.",
            *(["Simulated reviews are in it: no expert said what they say."] * frozen.simulated),
        ],
        [DossierTable(("source", "rows"), [list(pair) for pair in sorted(sources.items())])],
        {"training.json": as_json(rows)},
    )


def _training_rows(subject: DossierSubject) -> list[dict[str, Any]]:
    """Each row with its provenance; people under codes."""
    assert subject.training_set is not None
    query = (
        select(TrainingSetRow, Review.simulated, User.pseudonym)
        .outerjoin(Review, Review.id == TrainingSetRow.review_id)
        .outerjoin(User, User.id == Review.reviewer_id)
        .where(TrainingSetRow.training_set_id == subject.training_set.id)
        .order_by(TrainingSetRow.position)
    )
    return [
        {
            "position": row.position,
            "kind": row.kind,
            "source": row.source,
            "example": subject.examples.of(row.example_id),
            "reviewer": None if name is None else subject.reviewers.of(name),
            "simulated": bool(simulated),
        }
        for row, simulated, name in subject.session.execute(query)
    ]


def data_digests(subject: DossierSubject) -> list[dict[str, Any]]:
    """Rows of every dataset version that took part, and of the training set.

    With texts the rows are what the digest on record covers; without, the digest of each row.

    Raises:
        Conflict: what is stored is not what the digest on record covers.
    """
    found = []
    for version in _versions(subject):
        lines = version_lines(subject.session, version.id)
        thing = _Thing(f"dataset_version:{version.id}", _label(version), version.digest)
        found.append(_digest_of(subject, thing, lines, "\n".join(sorted(lines.values()))))
    if subject.training_set is not None:
        frozen = subject.training_set
        lines = stored_lines(subject.session, frozen.id)
        thing = _Thing(f"training_set:{frozen.id}", f"training set {frozen.name}", frozen.digest)
        covered = "".join(f"{line}\n" for line in lines.values())
        found.append(_digest_of(subject, thing, lines, covered))
    return found


class _Thing(NamedTuple):
    """What a digest on record covers."""

    subject: str
    name: str
    digest: str


def _digest_of(
    subject: DossierSubject, thing: _Thing, lines: Mapping[str, str], covered: str
) -> dict[str, Any]:
    """Its rows; of those that were erased the digests that they had."""
    sealed = check_seal(subject.session, thing.subject, lambda: lines)
    if not (sealed.same if sealed else digest_of(covered) == thing.digest):
        raise Conflict(
            f"The rows of {thing.name} are not those that its digest covers.",
            hint="Look with strop doctor --verify what was changed by hand.",
        )
    record = {"what": thing.name, "recorded": thing.digest}
    if subject.with_texts and sealed is None:
        return {**record, "rows": covered.split("\n"), "sha256": thing.digest, "erased": 0}
    kept = kept_digests(subject.session, thing.subject)
    rows = sorted(kept.get(part) or digest_of(line) for part, line in lines.items())
    whole = digest_of("\n".join(rows))
    return {**record, "rows": rows, "sha256": whole, "erased": sealed.n_erased if sealed else 0}


def _versions(subject: DossierSubject) -> list[DatasetVersion]:
    ids = {subject.score_run.generation_run.dataset_version_id}
    if subject.training_set is not None:
        taught = select(Example.dataset_version_id).join(
            TrainingSetRow, TrainingSetRow.example_id == Example.id
        )
        mine = taught.where(TrainingSetRow.training_set_id == subject.training_set.id)
        ids |= set(subject.session.scalars(mine.distinct()))
    return [subject.session.get_one(DatasetVersion, id_) for id_ in sorted(ids)]


def leak_record(subject: DossierSubject) -> dict[str, list[str]]:
    """Digests of the prompts that were taught and of those that were tested: none may be both."""
    run = subject.score_run.generation_run
    held_out = select(Example.content_digest).where(
        Example.dataset_version_id == run.dataset_version_id, Example.split == run.split
    )
    taught: Iterable[str] = ()
    if subject.training_set is not None:
        query = select(Example.content_digest).join(
            TrainingSetRow, TrainingSetRow.example_id == Example.id
        )
        mine = query.where(TrainingSetRow.training_set_id == subject.training_set.id)
        taught = subject.session.scalars(mine)
    return {
        "taught": sorted(set(taught)),
        "held_out": sorted(set(subject.session.scalars(held_out))),
    }
