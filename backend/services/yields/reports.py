"""The yield of a set on a candidate: shares with n and interval, or the reason why there is none.

Intervals are Wilson's, over groups where one group gives several prompts. What cannot be judged is
counted beside n, and is neither fixed nor broken.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

from sqlalchemy.orm import Session

from backend.schemas.review.reports import Measured
from backend.schemas.yields import DiagnosisOut, OutcomeOut, TypeYieldOut, YieldOut
from backend.services.curation import FixedRule
from backend.services.review.reports.measured import noted, scaled, share_of, unknown
from backend.services.yields.outcomes import (
    Outcomes,
    ReplayOutcome,
    State,
    frozen_rule,
    replay_outcomes,
    worst_first,
)
from backend.services.yields.reviewed import CORRECTED, taught_before
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion

NO_HELD_BACK = "nothing was held back: freeze with hold_back"
NO_APPROVED = "the recipe took no output as approved (see its rule `approved`)"
NO_APPROVED_HELD = "no output of the groups held back was approved"
ALL_SEEN = "all that was held back had been taught to a model that it went on from"
NO_TIME = "no active time was measured on these reviews"


def yield_report(
    session: Session,
    frozen: TrainingSet,
    candidate: ModelVersion,
    *,
    rule: FixedRule | None = None,
    examples: int = 0,
) -> YieldOut:
    """The yield of a set on a candidate; what broke elsewhere is not looked for.

    Args:
        examples: show so many prompts, the wrong ones first.

    Raises:
        CannotCompute: nothing was replayed on this candidate.
        InvalidInput: the rule names a metric that there is not.
    """
    found = replay_outcomes(session, frozen, candidate, rule=rule)
    recipe = f"{found.signature}|set:{frozen.digest[:12]}|model:{candidate.label}"
    corrections = [o for o in found.all if o.reviewed.source == CORRECTED]
    approved = [o for o in found.all if o.reviewed.source != CORRECTED]
    seen = taught_before(session, candidate)
    trained = _fixed(corrections, recipe, held_back=False)
    held = _held(corrections, recipe, seen)
    minutes = _active_seconds(frozen, found) / 60
    return YieldOut(
        training_set=frozen.name,
        candidate=candidate.label,
        rule=str(found.rule),
        is_frozen_rule=found.rule == frozen_rule(frozen),
        signature=recipe,
        trained=trained,
        held_back=held,
        broken=_broken(approved, recipe, held_back=False),
        broken_held_back=_broken(approved, recipe, held_back=True),
        by_type=list(_by_type(corrections, recipe, seen)),
        per_hour=_per_hour(corrections, minutes, recipe),
        active_minutes=round(minutes, 1),
        counts=dict(Counter(str(outcome.state) for outcome in found.all)),
        unchanged=sum(o.unchanged for o in corrections if o.state is State.STILL_WRONG),
        unknown_reasons=dict(Counter(o.reason for o in found.all if o.reason)),
        diagnosis=diagnose(trained, held),
        simulated=any(outcome.reviewed.simulated for outcome in found.all),
        examples=[_shown_outcome(one) for one in worst_first(found.all)[:examples]],
        broken_elsewhere=unknown(NO_RUN),
    )


def _shown_outcome(one: ReplayOutcome) -> OutcomeOut:
    prompt = one.reviewed
    return OutcomeOut(
        review_id=prompt.review_id,
        example=prompt.example.external_id,
        state=one.state.value,
        held_back=prompt.held_back,
        error_types=list(prompt.error_types),
        wanted=prompt.text,
        before=prompt.before,
        answer=one.answer,
        reason=one.reason,
    )


def _held(corrections: Sequence[ReplayOutcome], recipe: str, seen: Collection[str]) -> Measured:
    """Of what was held back, the prompts that no model before this one was taught either."""
    held = [outcome for outcome in corrections if outcome.reviewed.held_back]
    if not held:
        return unknown(NO_HELD_BACK)
    unseen = [one for one in held if one.reviewed.example.content_digest not in seen]
    if not unseen:
        return unknown(ALL_SEEN)
    measured = _fixed(unseen, recipe, held_back=True)
    taught = len(held) - len(unseen)
    if not taught:
        return measured
    return noted(measured, f"{taught} left out, taught to a model that it went on from")


def _fixed(outcomes: Iterable[ReplayOutcome], recipe: str, *, held_back: bool) -> Measured:
    chosen = [outcome for outcome in outcomes if outcome.reviewed.held_back is held_back]
    return _share("yield_fixed", chosen, State.FIXED, recipe)


def _broken(approved: Sequence[ReplayOutcome], recipe: str, *, held_back: bool) -> Measured:
    chosen = [outcome for outcome in approved if outcome.reviewed.held_back is held_back]
    if not chosen:
        return unknown(NO_APPROVED_HELD if held_back else NO_APPROVED)
    return _share("yield_newly_broken", chosen, State.NEWLY_BROKEN, recipe)


def _share(name: str, outcomes: Sequence[ReplayOutcome], state: State, recipe: str) -> Measured:
    judged = [outcome for outcome in outcomes if outcome.state is not State.UNKNOWN]
    measured = share_of(
        f"{name}|{recipe}",
        [outcome.state is state for outcome in judged],
        clusters=[outcome.reviewed.cluster for outcome in judged],
    )
    missing = len(outcomes) - len(judged)
    return noted(measured, f"{missing} could not be judged") if missing else measured


def _by_type(
    corrections: Sequence[ReplayOutcome], recipe: str, seen: Collection[str]
) -> Iterable[TypeYieldOut]:
    counts = Counter(kind for o in corrections for kind in o.reviewed.error_types)
    for kind, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        chosen = [o for o in corrections if kind in o.reviewed.error_types]
        part = f"{recipe}|type:{kind}"
        yield TypeYieldOut(
            error_type=kind,
            trained=_fixed(chosen, part, held_back=False),
            held_back=_held(chosen, part, seen),
        )


def _active_seconds(frozen: TrainingSet, found: Outcomes) -> float:
    """Of all reviews that the recipe read; of those behind its rows where that was not kept."""
    seconds = sum(outcome.reviewed.active_seconds for outcome in found.all)
    kept = frozen.recipe.get("active_seconds")
    return seconds if kept is None else float(kept)


def _per_hour(corrections: Sequence[ReplayOutcome], minutes: float, recipe: str) -> Measured:
    """Fixed for each hour, given the time that was spent: the interval is that of the share."""
    unit = "corrections fixed per active hour"
    if minutes <= 0:
        return unknown(NO_TIME, unit=unit)
    share = _share("yield_per_hour", corrections, State.FIXED, recipe)
    return scaled(share, share.n * 60 / minutes, unit=unit)


HALF = 0.5


RULE = (
    "more training: of what was trained on, the whole interval of the share fixed lies below 1/2; "
    "else more ratings: the interval of what was trained on lies wholly above that of what was "
    "held back; else neither: both intervals lie at 1/2 or above; else INCONCLUSIVE."
)


class Bottleneck(StrEnum):
    """What holds the loop back."""

    MORE_TRAINING = "more training"
    MORE_RATINGS = "more ratings"
    NEITHER = "neither"
    INCONCLUSIVE = "INCONCLUSIVE"


def diagnose(trained: Measured, held_back: Measured) -> DiagnosisOut:
    """Apply RULE to the share fixed of what was trained on and of what was held back."""
    if trained.value is None or trained.low is None or trained.high is None:
        return _open(f"nothing is known of what was trained on: {trained.error}")
    taught = _shown("trained on", trained)
    if trained.high < HALF:
        said = f"{taught}: most of what it was shown it has not learnt. Train longer, or larger."
        return _found(Bottleneck.MORE_TRAINING, said)
    if held_back.value is None or held_back.low is None or held_back.high is None:
        return _open(f"{taught}; of what was held back nothing is known: {held_back.error}")
    both = f"{taught}, {_shown('held back', held_back)}"
    if trained.low > held_back.high:
        said = f"{both}: it has learnt these prompts and not the lesson. Rate more, and more kinds."
        return _found(Bottleneck.MORE_RATINGS, said)
    if trained.low >= HALF and held_back.low >= HALF:
        said = f"{both}: most corrections are learnt, and carry over to prompts never seen."
        return _found(Bottleneck.NEITHER, said)
    return _open(f"{both}: the intervals overlap{_more(trained, held_back)}")


def _found(bottleneck: Bottleneck, sentence: str) -> DiagnosisOut:
    return DiagnosisOut(bottleneck=bottleneck.value, sentence=sentence, rule=RULE)


def _open(reason: str) -> DiagnosisOut:
    return _found(Bottleneck.INCONCLUSIVE, f"{reason}.")


def _shown(what: str, measured: Measured) -> str:
    return (
        f"{what} {measured.value:.0%} fixed [{measured.low:.0%}, {measured.high:.0%}], "
        f"n={measured.n}"
    )


def _more(trained: Measured, held_back: Measured) -> str:
    """How many held-back corrections would part the intervals if the shares stay as they are.

    Both half-widths shrink with the square root of n, so that n grows with the square of their sum
    over the distance.
    """
    value, low = trained.value, trained.low
    held, high = held_back.value, held_back.high
    if value is None or low is None or held is None or high is None:
        return ""
    apart = value - held
    if apart <= 1e-9:
        return ""
    factor = (((value - low) + (high - held)) / apart) ** 2
    return f"; about {math.ceil(held_back.n * factor)} held back would part them"


NO_RUN = "no run on held-out examples shows both models"
