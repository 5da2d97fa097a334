"""A queue's design and rules in sentences, so that a lead need not read names of fields.

Pure functions of what the queue stores; unknown keys are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from pydantic import ValidationError

from backend.schemas.review.queues import DesignKind, StratumOut
from dashboard.components.figures.measured import share_words
from dashboard.components.frame import Cell, FigureText

STRATA_COLUMNS = ["part", "could be drawn", "drawn", "chance of one", "what it is"]
PREVIEW_COLUMNS = ["part", "could be drawn", "would be drawn", "chance of one", "what it is"]
KINDS: tuple[DesignKind, ...] = ("random", "stratified", "active")
SKIP_WORDS = {
    "others": "A skipped item goes to somebody else.",
    "me": "A skipped item comes back to the same person later.",
    "out": "A skipped item leaves the queue.",
}


def design_sentences(design: Mapping[str, Any]) -> list[str]:
    """How the items were chosen, what was left out, and who overlaps."""
    taken, frame = int(design.get("n_items", 0)), int(design.get("n_candidates", 0))
    lines = [_kind_sentence(str(design.get("kind") or "random"), design, taken, frame)]
    overlap, shared = int(design.get("overlap", 1)), int(design.get("n_overlap", 0))
    if overlap > 1 and shared:
        lines.append(
            f"{shared} of the {taken} items go to {overlap} different people each; they come first,"
            " so that agreement is known early."
        )
    else:
        lines.append("Every item goes to one person, so agreement cannot be measured.")
    if n := int(design.get("n_without_output", 0)):
        lines.append(f"{n} outputs could not be written by the model and are left out.")
    if n := int(design.get("n_identical", 0)):
        lines.append(f"{n} pairs had the same text on both sides; they are ties and not shown.")
    lines.append(f"Order and sides were drawn with seed {design.get('seed', 'unknown')}.")
    return lines


def _kind_sentence(kind: str, design: Mapping[str, Any], taken: int, frame: int) -> str:
    chosen: DesignKind | None = next((k for k in KINDS if k == kind), None)
    if chosen is None:
        return f"{taken} of {frame} items, by the design {kind}."
    match chosen:
        case "random":
            if taken == frame:
                return f"All {frame} items that there are."
            chance = share_words(taken / frame) if frame else "none"
            return (
                f"A simple random sample: {taken} of {frame} items, each with the same chance"
                f" ({chance})."
            )
        case "stratified":
            return f"A random sample within each {_slice_key(design)}: {taken} of {frame} in all."
        case "active":
            return (
                f"{taken} of {frame} items: a random anchor that stands for the whole, and targeted"
                " parts on top of it. Figures weigh every item by its chance of being drawn."
            )
        case _:
            assert_never(chosen)


def _slice_key(design: Mapping[str, Any]) -> str:
    strata = strata_of(design)
    return strata[0].name.partition("=")[0] if strata else "slice"


def strata_of(design: Mapping[str, Any]) -> list[StratumOut]:
    """The parts of a stored design; none where it has none or in a shape of an older version."""
    try:
        return [StratumOut.model_validate(part) for part in design.get("strata") or []]
    except ValidationError:
        return []


def strata_rows(strata: Sequence[StratumOut]) -> list[list[Cell]]:
    """Table rows: part, size, drawn, chance in words, what it is."""
    return [
        [
            part.name.replace("_", " "),
            part.n_frame,
            FigureText(_drawn_words(part)),
            _chance_words(part),
            part.why + (f" {part.n_without} lacked its measure." if part.n_without else ""),
        ]
        for part in strata
    ]


def _chance_words(part: StratumOut) -> str:
    if not part.n_frame:
        return "none could be drawn"
    return share_words(min(1.0, part.n_asked / part.n_frame))


def _drawn_words(part: StratumOut) -> str:
    if part.n_drawn == part.n_asked:
        return str(part.n_drawn)
    return f"{part.n_drawn} of {part.n_asked} asked for"


def rule_sentences(rules: Mapping[str, Any]) -> list[str]:
    """The rules of a queue, each as a sentence; those that are off are left out."""
    lines = [SKIP_WORDS.get(str(rules.get("skip_policy", "others")), "")]
    lines += [_share_rule(rules), _extra_rule(rules), _adjudication_rule(rules), _gold_rule(rules)]
    lines += [_revise_rule(rules), _mask_rule(rules), _budget_rule(rules)]
    return [line for line in lines if line]


def _share_rule(rules: Mapping[str, Any]) -> str:
    share = rules.get("max_share")
    return f"One person gives at most {share:.0%} of the reviews." if share else ""


def _extra_rule(rules: Mapping[str, Any]) -> str:
    bound = rules.get("extra_below")
    if not bound:
        return ""
    return f"An item on which reviewers agree less than {bound:.0%} gets one more reviewer."


def _adjudication_rule(rules: Mapping[str, Any]) -> str:
    bound = rules.get("adjudicate_above")
    if bound is None:
        return "Disagreements are not sent to an adjudicator."
    return f"A disagreement above {bound:.2g} (0 to 1) waits for an adjudicator."


def _gold_rule(rules: Mapping[str, Any]) -> str:
    first, every = int(rules.get("gold_onboarding", 0)), int(rules.get("gold_every", 0))
    if not first and not every:
        return "No items with a known answer are mixed in."
    parts = ([f"{first} at the start"] if first else []) + (
        [f"one after every {every} others"] if every else []
    )
    bound, least = rules.get("gold_bound", 0.7), rules.get("gold_minimum", 4)
    return (
        f"Items with a known answer: {' and '.join(parts)}. Who meets fewer than {bound:.0%} of at"
        f" least {least} is paused, told so kindly, and you are told."
    )


def _revise_rule(rules: Mapping[str, Any]) -> str:
    minutes = int(rules.get("revise_minutes", 60))
    if not minutes:
        return "An answer cannot be taken back after it was submitted."
    return f"A person may revise an own answer for {minutes} minutes."


def _mask_rule(rules: Mapping[str, Any]) -> str:
    texts = len(rules.get("mask") or [])
    names = "The names of the models are" if rules.get("mask_models", True) else ""
    if texts:
        more = f"{texts} more text{'s' if texts > 1 else ''} that would give a model away are"
        return f"{names.removesuffix(' are') + ' and ' if names else ''}{more} blacked out."
    return f"{names} blacked out in the outputs." if names else ""


def _budget_rule(rules: Mapping[str, Any]) -> str:
    minutes, cost = rules.get("minutes_budget"), rules.get("cost_per_hour")
    parts = []
    if minutes:
        parts.append(f"The budget is {minutes:.0f} minutes of active review.")
    if cost:
        parts.append(f"An hour of review costs {cost:g} {rules.get('currency', '')}.")
    return " ".join(parts)
