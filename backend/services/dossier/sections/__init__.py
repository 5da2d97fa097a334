"""What a dossier tells, section by section: one entry is one heading.

To tell of a further stage, add an entry: its heading, under which headings of the two frameworks it
stands, what it tells, and the function that reads it. A section whose stage has nothing says that
it was not measured.

The frameworks, in words of our own: NIST AI 100-1 (AI Risk Management Framework 1.0, 2023), ch. 5,
and Regulation (EU) 2024/1689 (AI Act), annex IV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backend.services.dossier.content import SectionContent
from backend.services.dossier.sections import bar, data, decisions, results, reviews, stages
from backend.services.dossier.subject import DossierSubject

GOVERN, MAP, MEASURE, MANAGE = "Govern", "Map", "Measure", "Manage"
NIST: dict[str, str] = {
    GOVERN: "who decides, by which rules, and what is recorded of it",
    MAP: "what the model is for, what it was made of, whom it may touch",
    MEASURE: "what was measured, how, on how much, and how sure it is",
    MANAGE: "what was decided on it, what is watched, what is done when it fails",
}
ANNEX_IV: dict[int, str] = {
    1: "General description",
    2: "Elements of the system and how it was developed",
    3: "Monitoring, functioning and control",
    4: "Why the measures of performance are the right ones",
    5: "Risk management",
    6: "Changes over the life of the system",
    7: "Standards applied",
    8: "Declaration of conformity",
    9: "Watching it after it is in use",
}


@dataclass(frozen=True, slots=True)
class DossierSection:
    """One heading of a dossier.

    Attributes:
        nist: under which function of the AI RMF it stands.
        annex: to which points of annex IV it belongs.
        tells: one sentence on what it tells, for the index.
    """

    heading: str
    nist: str
    annex: tuple[int, ...]
    tells: str
    tell: Callable[[DossierSubject], SectionContent]


SECTIONS: dict[str, DossierSection] = {
    "bar": DossierSection(
        "The bar, set first",
        GOVERN,
        (4, 6),
        "What had to be shown, since when, in which versions, and whether it moved.",
        bar.tell_bar,
    ),
    "audit": DossierSection(
        "Who did what",
        GOVERN,
        (3, 6),
        "How far the audit log was sealed when it was decided.",
        stages.tell_audit,
    ),
    "model": DossierSection(
        "The model",
        MAP,
        (1, 2),
        "Base, adapter, prompt and training, by their digests.",
        data.tell_model,
    ),
    "data": DossierSection(
        "The data it was tested on",
        MAP,
        (2,),
        "Dataset, split, rows by digest, and how test and training were kept apart.",
        data.tell_data,
    ),
    "training": DossierSection(
        "The data it was taught",
        MAP,
        (2,),
        "Every row of the training set by digest, with where it came from.",
        data.tell_training,
    ),
    "masking": DossierSection(
        "Personal data masked",
        MAP,
        (2, 5),
        "Which policy masked identifiers, and how many were found.",
        stages.tell_masking,
    ),
    "results": DossierSection(
        "Results",
        MEASURE,
        (2, 4),
        "Every figure with its n, its interval and its recipe, and the verdict of each line.",
        results.tell_results,
    ),
    "reviews": DossierSection(
        "What people said",
        MEASURE,
        (2, 3),
        "Ratings and votes by reviewers under codes, how far they agree, what is simulated.",
        reviews.tell_reviews,
    ),
    "preflight": DossierSection(
        "Was it the model that was meant",
        MEASURE,
        (2, 3),
        "Checks before the run that what was served is what was registered.",
        stages.tell_preflight,
    ),
    "health": DossierSection(
        "Health of the data",
        MEASURE,
        (2, 5),
        "Copies, wrong labels, contradictions and the like in the datasets.",
        stages.tell_health,
    ),
    "fairness": DossierSection(
        "Fairness",
        MEASURE,
        (2, 3, 5),
        "Whether groups of people are served alike, and answers do not change with a name.",
        stages.tell_fairness,
    ),
    "canaries": DossierSection(
        "Memorisation",
        MEASURE,
        (2, 5),
        "Whether secrets planted in the training set can be drawn out again.",
        stages.tell_canaries,
    ),
    "decisions": DossierSection(
        "Decisions",
        MANAGE,
        (3, 6),
        "Every promotion, hold and rollback: who, when, and why.",
        decisions.tell_decisions,
    ),
    "limits": DossierSection(
        "What is known against it",
        MANAGE,
        (3, 5, 9),
        "What is simulated, withdrawn, unproved or missing, gathered from all of the above.",
        decisions.tell_limits,
    ),
}
