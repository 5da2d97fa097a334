"""What an erasure does with every column that can hold a text: one line each.

A column of strings of 80 characters or more, or of JSON, has a line in EXAMPLES; a table that names
a person has one for each such column in PEOPLE too, or for the table as a whole. A test walks the
tables and holds these lists against them, so that a new column has to say what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_LABEL = 40
"""Characters up to which an answer or a class counts as a label, and stays."""
COMMON = 5
"""Rows of a dataset version that share the value of a slice, for it to be a category that stays."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What stands in place of what is erased.

    Attributes:
        said: `Erased on DATE: REASON`.
        groups: new names of groups that go as a whole, by the old ones.
        common: values of slices that COMMON rows or more share, and that therefore stay.
    """

    said: str
    groups: Mapping[str, str] = field(default_factory=dict)
    common: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class KeptColumn:
    """It stays; `why` in words."""

    why: str


@dataclass(frozen=True, slots=True)
class Searched:
    """Wherever a passage of an erased text stands in it, the passage is blacked out."""


@dataclass(frozen=True, slots=True)
class Blank:
    """Of a row that hangs on an erased example it becomes `value`; other rows are searched.

    Attributes:
        value: from what stood there and the notice to what stands there from now on.
    """

    value: Callable[[Any, Notice], Any]


Fate = KeptColumn | Searched | Blank


def _said(old: Any, notice: Notice) -> Any:
    return None if old is None else notice.said


def _nothing(old: Any, notice: Notice) -> None:
    return None


def _empty(old: Any, notice: Notice) -> list[Any]:
    return []


def _turn(old: Any, notice: Notice) -> Any:
    return None if old is None else [{"role": "user", "content": notice.said}]


def _categories(old: Any, notice: Notice) -> dict[str, Any]:
    return {k: v for k, v in (old or {}).items() if (k, str(v)) in notice.common}


def _short(old: Any, notice: Notice) -> Any:
    return old if old is None or len(old) <= LONGEST_LABEL else notice.said


def _labels(old: Any, notice: Notice) -> Any:
    """A value of JSON without its long strings; numbers and labels stay."""
    match old:
        case str():
            return _short(old, notice)
        case dict():
            return {key: _labels(value, notice) for key, value in old.items()}
        case list():
            return [_labels(value, notice) for value in old]
    return old


def _places(old: Any, notice: Notice) -> list[Any]:
    """Where something was marked, without what was said of it."""
    kept = ("start", "end", "kind")
    return [{key: span[key] for key in kept if key in span} for span in old or []]


NAME, ID, LABEL = "a name", "an id, by which what was erased is known", "a label of the project's"
LEAD, SECRET, LOG = "a lead's own words, and hashed", "no text", "a log without texts"
PLACE, NUMBERS = "a path or an address", "numbers, ids and settings"

EXAMPLES: dict[str, Fate] = {
    "accepted_leaks.reason": Searched(),
    "adjudications.reason": Blank(_said),
    "audit_entries.detail": KeptColumn(LOG),
    "audit_entries.subject": KeptColumn(LOG),
    "audit_entries.who": KeptColumn("the name of a system's user or of a worker"),
    "check_benches.checks": KeptColumn(NAME),
    "check_benches.report": Searched(),
    "check_benches.sources": KeptColumn(NUMBERS),
    "check_benches.splits": KeptColumn(NAME),
    "checkers.figures": Searched(),
    "checkers.form": KeptColumn("the form of a question, from the code"),
    "checkers.held_out": Searched(),
    "comparisons.lines": Searched(),
    "comparisons.preflight": Searched(),
    "corrections.reason": Blank(_nothing),
    "corrections.text": Blank(_said),
    "dataset_versions.source_name": KeptColumn(NAME),
    "dataset_versions.split_recipe": Searched(),
    "datasets.name": KeptColumn(NAME),
    "dossier_answers.text": Searched(),
    "draftings.asked": Searched(),
    "draftings.figures": Searched(),
    "draftings.name": KeptColumn(NAME),
    "draftings.params": KeptColumn(NUMBERS),
    "draftings.stopped": Searched(),
    "drafts.answer": Blank(_said),
    "drafts.detail": Blank(_labels),
    "drafts.input": Blank(_said),
    "erasures.example_ids": KeptColumn(ID),
    "erasures.found": KeptColumn(NUMBERS),
    "erasures.keys": KeptColumn("digests"),
    "erasures.reason": KeptColumn("the reason that is shown in place of what was erased"),
    "erasures.subject": KeptColumn(ID),
    "examples.context": Blank(_nothing),
    "examples.external_id": KeptColumn(ID),
    "examples.group": Blank(lambda old, notice: notice.groups.get(old, old)),
    "examples.input": Blank(_said),
    "examples.messages": Blank(_turn),
    "examples.provenance": Blank(_labels),
    "examples.references": Blank(_empty),
    "examples.slices": Blank(_categories),
    "exports_made.target": KeptColumn(PLACE),
    "generation_runs.example_ids": KeptColumn(ID),
    "generation_runs.params": KeptColumn(NUMBERS),
    "generations.error": Blank(lambda old, notice: notice.said),
    "generations.text": Blank(_nothing),
    "generations.token_logprobs": KeptColumn("numbers"),
    "gold_answers.answer": Blank(_labels),
    "gold_answers.explanation": Blank(_said),
    "gold_answers.withdrawn_reason": Searched(),
    "gold_results.contest_reason": Blank(_said),
    "gold_results.resolution_reason": Blank(_said),
    "grading_notes.external_id": KeptColumn(ID),
    "grading_notes.note": Blank(_said),
    "health_findings.others": KeptColumn(ID),
    "health_findings.why": Blank(_said),
    "health_queues.confirmed_when": KeptColumn(LABEL),
    "health_queues.kinds": KeptColumn(NAME),
    "health_reports.asked": KeptColumn(NUMBERS),
    "health_reports.content": Searched(),
    "held_back_rows.completion": Blank(_said),
    "identities.issuer": KeptColumn(NAME),
    "identities.subject": KeptColumn("who somebody is to a provider; it goes with the person"),
    "idempotency_keys.body": KeptColumn(
        "sealed; opened and searched where the key of the house is"
    ),
    "idempotency_keys.key": KeptColumn(ID),
    "jobs.arguments": Searched(),
    "jobs.error": Searched(),
    "judge_licences.criterion": KeptColumn(LABEL),
    "judge_licences.evidence": Searched(),
    "judge_licences.reason": Searched(),
    "judge_verdicts.error": Searched(),
    "judge_verdicts.reason": Blank(_said),
    "judges.criterion": KeptColumn(LABEL),
    "judges.prompt": Searched(),
    "judges.scale": KeptColumn(LABEL),
    "memberships.groups": KeptColumn(NAME),
    "memberships.skills": KeptColumn(NAME),
    "example_masks.spans": KeptColumn("the row is deleted"),
    "masked_originals.sealed": KeptColumn("the row is deleted"),
    "masking_policies.content": KeptColumn(LEAD),
    "masking_policies.source": KeptColumn(LEAD),
    "model_versions.adapter_path": KeptColumn(PLACE),
    "model_versions.base_model": KeptColumn(PLACE),
    "model_versions.name": KeptColumn(NAME),
    "model_versions.training_facts": Searched(),
    "preflights.checks": Searched(),
    "preflights.fingerprint": Searched(),
    "preflights.model_ids": KeptColumn(ID),
    "projects.base_model": KeptColumn(PLACE),
    "projects.name": KeptColumn(NAME),
    "promotions.evidence": KeptColumn("figures and digests; a trigger refuses every change"),
    "promotions.override": KeptColumn("a lead's own words; a trigger refuses every change"),
    "promotions.reason": KeptColumn("a lead's own words; a trigger refuses every change"),
    "prompts.search": Searched(),
    "prompts.spec": Searched(),
    "provider_sessions.id_token": KeptColumn(SECRET),
    "provider_sessions.sid": KeptColumn(SECRET),
    "queue_members.pause_reason": Searched(),
    "queue_routings.evidence": Searched(),
    "queue_routings.metric": KeptColumn(NAME),
    "queue_routings.wrong_when": KeptColumn(LABEL),
    "ratings.criterion": KeptColumn(LABEL),
    "ratings.value": Blank(_short),
    "review_items.stratum": KeptColumn(LABEL),
    "review_items.why": Searched(),
    "review_queues.design": Searched(),
    "review_queues.name": KeptColumn(NAME),
    "review_queues.rules": KeptColumn(NUMBERS),
    "review_slots.required_skill": KeptColumn(NAME),
    "reviews.comment": Blank(_nothing),
    "reviews.draft": Blank(lambda old, notice: {}),
    "reviews.seconds_by_criterion": KeptColumn("numbers"),
    "reviews.skip_reason": Blank(_said),
    "reviews.withdrawn_reason": Blank(_said),
    "risk_models.content": Searched(),
    "risk_models.report": Searched(),
    "risk_models.score_run_ids": KeptColumn(ID),
    "risk_models.splits": KeptColumn(NAME),
    "risk_models.wrong_when": KeptColumn(LABEL),
    "round_events.text": Searched(),
    "rounds.error": Searched(),
    "rounds.plan": KeptColumn(NUMBERS),
    "rounds.waits_for": Searched(),
    "routing_events.sentence": Searched(),
    "rubric_versions.content": KeptColumn(LEAD),
    "rubric_versions.name": KeptColumn(NAME),
    "score_runs.metrics": KeptColumn(NAME),
    "scores.error": Searched(),
    "scores.explanation": Blank(_nothing),
    "scores.label": Blank(_short),
    "scores.metric": KeptColumn(NAME),
    "score_signatures.text": KeptColumn("the recipe of a number"),
    "scores.spans": Blank(_places),
    "scores.stats": Blank(_labels),
    "second_factors.secret": KeptColumn(SECRET),
    "spans.kind": KeptColumn(LABEL),
    "spans.note": Blank(_nothing),
    "success_manifests.content": KeptColumn(LEAD),
    "success_manifests.source": KeptColumn(LEAD),
    "synthetic_queues.approves": KeptColumn(LABEL),
    "synthetic_queues.criterion": KeptColumn(LABEL),
    "tokens.name": KeptColumn(NAME),
    "training_runs.adapter_name": KeptColumn(NAME),
    "training_runs.config": KeptColumn(NUMBERS),
    "training_runs.output_dir": KeptColumn(PLACE),
    "training_runs.result": Searched(),
    "training_set_rows.completion": Blank(_said),
    "training_set_rows.prompt": Blank(_empty),
    "training_set_rows.rejected": Blank(_nothing),
    "training_sets.name": KeptColumn(NAME),
    "training_sets.recipe": Searched(),
    "users.name": KeptColumn(NAME),
    "users.password_hash": KeptColumn(SECRET),
    "webhook_deliveries.key": KeptColumn(ID),
    "webhook_deliveries.last_error": Searched(),
    "webhook_deliveries.payload": Searched(),
    "webhooks.events": KeptColumn(NAME),
    "webhooks.secret": KeptColumn(SECRET),
    "webhooks.url": KeptColumn(PLACE),
    "workers.host": KeptColumn(NAME),
    "workers.queues": KeptColumn(NAME),
}
"""By `table.column`: what erasing an example does with it."""

DELETED = ("masked_originals", "example_masks")
"""Tables of which the rows of an erased example (`example_id`) are deleted, where there are any."""

STAYS = "the work of the house: known by the pseudonym, which stays"
DECISION = "the reason of a decision that stands"

PEOPLE: dict[str, str] = {
    "accepted_leaks": DECISION,
    "access_links": "deleted",
    "dossier_answers": STAYS,
    "draftings": STAYS,
    "erasures": DECISION,
    "exports_made": "what left the house, by whom by id alone",
    "generation_runs": STAYS,
    "gold_answers": STAYS,
    "health_reports": STAYS,
    "gold_results": "what they said of known answers goes, the results stay",
    "grading_notes": STAYS,
    "idempotency_keys": "deleted",
    "identities": "deleted, and the sessions at the provider",
    "jobs": "their name goes out of the reasons",
    "judges": STAYS,
    "login_sessions": "deleted",
    "masking_policies": STAYS,
    "memberships": "deleted",
    "promotions": DECISION,
    "prompts": STAYS,
    "queue_members": "the reason of a pause goes, the counters stay",
    "recovery_codes": "deleted",
    "retention_rules": STAYS,
    "review_slots": "what they hold is given back",
    "reviews": "drafts, comments and reasons go, ratings and corrections stay",
    "risk_models": STAYS,
    "rounds": STAYS,
    "routing_events": STAYS,
    "second_factors": "deleted",
    "success_manifests": DECISION,
    "tokens": "revoked, their names go",
    "training_runs": STAYS,
}
"""By table that names a person: what erasing them does with it."""
