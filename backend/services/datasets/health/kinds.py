"""Every kind of examination: one entry in one table, with all that it needs to know.

A kind is pure over the rows; what it needs and does not find it says as a reason, and is told as
not looked for, never as found healthy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import CannotCompute, UnknownName
from backend.services.datasets.health.damage import (
    find_cut,
    find_empty,
    find_encoding,
    find_residue,
)
from backend.services.datasets.health.drift import find_drift
from backend.services.datasets.health.enough import find_curve, find_small_slices
from backend.services.datasets.health.findings import (
    FindingSeverity,
    HealthMaterial,
    KindFindings,
    KindReport,
)
from backend.services.datasets.health.labels import find_label_errors
from backend.services.datasets.health.outliers import find_length_outliers, find_other_languages
from backend.services.datasets.health.repeats import (
    encoder_name,
    find_contradictions,
    find_exact,
    find_near,
    find_semantic,
)
from backend.services.datasets.health.support import find_unsupported
from backend.services.datasets.versions import rows_digest

VERSION = 1
"""Of all examinations; raised whenever any could find something else."""


@dataclass(frozen=True, slots=True)
class HealthKind:
    """One kind of examination.

    Attributes:
        title: what it looks for, as a heading.
        needs: what it looks at, in words.
        find: finds it; raises CannotCompute with the reason where it cannot.
        remedy: what to do about it.
        severe_from: severe where the share of flagged rows is at least this with 95% confidence;
            None: never by its share alone.
    """

    title: str
    needs: str
    find: Callable[[HealthMaterial], KindFindings]
    remedy: str
    severe_from: float | None


KINDS: dict[str, HealthKind] = {
    "duplicates": HealthKind(
        "Exact copies", "input and reference", find_exact, "Import them once.", 0.05
    ),
    "near_duplicates": HealthKind(
        "Near copies",
        "input",
        find_near,
        "Keep them in one group, so that no split parts them; leave out what adds nothing.",
        0.2,
    ),
    "semantic_duplicates": HealthKind(
        "Copies in meaning",
        "input and an encoder that is named",
        find_semantic,
        "Look at a sample; leave out what adds nothing.",
        0.2,
    ),
    "label_errors": HealthKind(
        "Labels that are likely wrong",
        "references that are classes",
        find_label_errors,
        "Send them to review; corrections of training rows enter the next set.",
        0.03,
    ),
    "contradictions": HealthKind(
        "Same input, other reference",
        "input and reference",
        find_contradictions,
        "Let an expert say which stands; leave the other out.",
        0.01,
    ),
    "unsupported": HealthKind(
        "References that their source does not support",
        "context and reference",
        find_unsupported,
        "Send them to review; or give the source that the reference was written from.",
        None,
    ),
    "length": HealthKind(
        "Far too long or too short",
        "texts",
        find_length_outliers,
        "Look at them; a training may cut what is too long.",
        None,
    ),
    "language": HealthKind(
        "Other languages",
        "texts of four words and more",
        find_other_languages,
        "Make the language a slice, or leave the rows out.",
        None,
    ),
    "residue": HealthKind(
        "Residue of templates, models and web pages",
        "texts",
        find_residue,
        "Strip it at the source of the data.",
        0.005,
    ),
    "empty": HealthKind(
        "Empty texts", "every row", find_empty, "Fill them or leave the rows out.", 0.001
    ),
    "cut": HealthKind(
        "Cut texts", "texts of eight words and more", find_cut, "Export them without a limit.", 0.05
    ),
    "encoding": HealthKind(
        "Damaged letters",
        "texts",
        find_encoding,
        "Read the file as UTF-8; get the original where letters are lost.",
        0.005,
    ),
    "small_slices": HealthKind(
        "Slices too small for the bar",
        "a bar and a test split",
        find_small_slices,
        "Add test rows of the slice, or ask less of it.",
        None,
    ),
    "drift": HealthKind(
        "Shift between splits",
        "splits",
        find_drift,
        "Split anew by group, unless the shift is what is to be tested.",
        None,
    ),
    "learning_curve": HealthKind(
        "How much is enough",
        "references that are classes",
        find_curve,
        "Add rows while the curve rises; mend labels where it is flat.",
        None,
    ),
}


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found in a set of rows, with the recipe by which it can be found again."""

    n: int
    splits: dict[str, int]
    task: str
    digest: str
    recipe: dict[str, Any]
    kinds: tuple[KindReport, ...]

    @property
    def worst(self) -> FindingSeverity | None:
        """The worst severity of anything found; None where nothing was."""
        found = {one.severity for one in self.kinds if one.severity is not None}
        return next((severity for severity in FindingSeverity if severity in found), None)

    def as_dict(self, *, rows: bool = True) -> dict[str, Any]:
        """Plain values; without the rows where they are kept apart."""
        return {
            "n": self.n,
            "splits": self.splits,
            "task": self.task,
            "digest": self.digest,
            "recipe": self.recipe,
            "worst": None if self.worst is None else str(self.worst),
            "kinds": [one.as_dict(rows=rows) for one in self.kinds],
        }


def check_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """The kinds that are named, each once; all where none is.

    Raises:
        UnknownName: there is no such kind.
    """
    for name in names:
        if name not in KINDS:
            raise UnknownName("kind of finding", name, KINDS)
    return tuple(name for name in KINDS if name in names) if names else tuple(KINDS)


def examine(material: HealthMaterial, kinds: Sequence[str] = ()) -> Examination:
    """Look for every kind, or for those that are named; the same rows and seed give the same.

    Raises:
        UnknownName: there is no such kind.
        CannotCompute: there is no row.
    """
    names = check_kinds(kinds)
    return put_together(material, [look_for(name, material) for name in names])


def put_together(material: HealthMaterial, reports: Sequence[KindReport]) -> Examination:
    """What single kinds found, as one examination."""
    recipe = {
        "health": VERSION,
        "kinds": [one.kind for one in reports],
        "seed": material.seed,
        "encoder": None if material.encoder is None else encoder_name(material.encoder),
        "alike": material.alike if material.encoder else None,
    }
    return Examination(
        n=len(material.rows),
        splits=dict(material.splits),
        task=str(material.task),
        digest=rows_digest(material.rows),
        recipe=recipe,
        kinds=tuple(reports),
    )


def look_for(name: str, material: HealthMaterial) -> KindReport:
    """One kind: what it found, or why it could not look.

    Raises:
        CannotCompute: there is no row.
    """
    if not material.rows:
        raise CannotCompute("There is no row to examine.")
    kind = KINDS[name]
    try:
        found = kind.find(material)
    except CannotCompute as error:
        return KindReport(name, kind.title, kind.remedy, None, None, str(error))
    return KindReport(name, kind.title, kind.remedy, _severity(kind, found), found)


def _severity(kind: HealthKind, found: KindFindings) -> FindingSeverity | None:
    """What the kind says itself; else by the share of rows that is sure to be flagged."""
    if found.severity is not None:
        return found.severity
    if not found.rows:
        return None
    share = found.share
    if kind.severe_from is None or share is None:
        return FindingSeverity.NOTE
    return FindingSeverity.SEVERE if share[1] >= kind.severe_from else FindingSeverity.WARNING
