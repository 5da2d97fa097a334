"""What a lead reads about a review queue: its progress, its figures, its reviewers.

Every number is a `Measured`: value, interval and n together, or the reason why there is none.
Reviewers appear by pseudonym only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from pydantic import ConfigDict, Field

from backend.schemas.common import ResponseBody
from evaluators.results import RaterPair


class Measured(ResponseBody):
    """Value and interval with n and recipe, or in `error` the reason why there is none.

    `unit` is in words, empty for shares and scores. A value without bounds has a note that says
    why.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    level: float = 0.95
    unit: str = ""
    rough: bool = False
    note: str = ""
    signature: str | None = None
    error: str | None = None


class DayOut(ResponseBody):
    """Reviews and active minutes of one day (UTC)."""

    day: date
    reviews: int
    minutes: float


class ForecastOut(ResponseBody):
    """When the queue will be done at the pace so far; `error` says why this cannot be said yet.

    `per_active_day` are reviews on a day on which anybody reviewed; `earliest` and `latest` bound
    the finish with probability `level`; `minutes_left` are active minutes of what remains.
    """

    remaining: int
    active_days: int
    per_active_day: Measured
    finish_on: date | None = None
    earliest: date | None = None
    latest: date | None = None
    level: float = 0.8
    minutes_left: Measured
    sentence: str
    error: str | None = None


class CriterionTimeOut(ResponseBody):
    """Active seconds that one question takes."""

    criterion: str
    seconds: Measured


class TimeOut(ResponseBody):
    """What reviews take. A verdict is an item with at least one counted review; all active time on
    it counts, that of skips, extra answers and adjudications too. Known answers are on top."""

    minutes_per_review: Measured
    minutes_per_verdict: Measured
    cost_per_verdict: Measured
    currency: str | None = None
    total_minutes: float
    gold_minutes: float
    budget_minutes: float | None = None
    by_criterion: list[CriterionTimeOut]


class QueueReportOut(ResponseBody):
    """How a queue stands, when it will be done, and what it costs."""

    queue_id: int
    total: int
    done: int
    leased: int
    open: int
    n_reviews: int
    n_simulated: int
    finished_at: datetime | None
    days: list[DayOut]
    forecast: ForecastOut
    time: TimeOut


class AgreementOut(ResponseBody):
    """One coefficient on one criterion; n counts items that several people had."""

    criterion: str
    coefficient: str
    figure: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterPairOut(RaterPair):
    """Two reviewers on one criterion: of n items that both judged, share equal, Cohen's kappa."""

    criterion: str


class WorstItemOut(ResponseBody):
    """An item on which reviewers disagree, with what differs in words.

    `disagreement` is 0 where all are alike and 1 where they are as far apart as can be.
    """

    item_id: int
    position: int
    disagreement: float
    reason: str
    n_reviews: int
    adjudicated: bool


class AgreementNoteOut(ResponseBody):
    """What has to be known beside a low alpha on one criterion: skewed answers, or votes."""

    criterion: str
    sentence: str


class AgreementReportOut(ResponseBody):
    """How far reviewers agree: by criterion, two by two, and where least."""

    # What a pair of raters leaves to its defaults is sent, too.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    coefficients: list[AgreementOut]
    notes: list[AgreementNoteOut] = Field(default_factory=list)
    raters: list[RaterPairOut]
    worst: list[WorstItemOut]


class EstimateOut(ResponseBody):
    """What a criterion says of all outputs of a model, from the reviewed ones.

    `figure` is the prediction-powered one where scores narrow it, else `plain`; `metric` names the
    scores (of several, those chosen most often, each time on the other ratings), `correlation` is
    theirs with the ratings. `option` is set for shares of a category. Of `n_items` outputs the
    design took `n_drawn`; `n_reviewed` have a counted answer, of `n_reviews` in all.
    """

    criterion: str
    option: str | None
    model_version_id: int | None
    model: str
    figure: Measured
    plain: Measured
    method: str
    metric: str | None
    correlation: float | None
    n_items: int
    n_drawn: int
    n_reviewed: int
    n_reviews: int
    n_simulated: int


class WatchPoint(ResponseBody):
    """The interval after so many votes; it may be read at any time."""

    votes: int
    value: float
    low: float
    high: float


class WatchOut(ResponseBody):
    """An A/B that may be looked at and stopped at any time. The win rate is that of b, ties half.

    Attributes:
        decision: "better" (the interval lies above 1/2 + margin), "not_better" (below it).
        votes: those that stand, `cannot_judge` among them; `withdrawn` were cast and withdrawn
            since, which takes no decision back.
        planned: votes of the fixed plan; `saved` are those that a decided test need not gather.
        decided_at: votes given when it was decided.
        more, more_low, more_high: further votes until decided, median and 80% range of simulations;
            None is more than `more_limit`.
    """

    model_a_id: int
    model_b_id: int
    model_a: str
    model_b: str
    margin: float
    figure: Measured
    decision: Literal["better", "not_better", "undecided"]
    sentence: str
    votes: int
    cannot_judge: int = 0
    withdrawn: int = 0
    planned: int
    decided_at: int | None = None
    saved: int | None = None
    more: int | None = None
    more_low: int | None = None
    more_high: int | None = None
    more_limit: int | None = None
    n_simulated: int
    series: list[WatchPoint]


class EffectOut(ResponseBody):
    """Something that ought not to sway a review, and whether it does.

    `name` is side, length, order or fatigue; `subject` what it was measured on. `p` is of no
    effect at all.
    """

    name: Literal["side", "length", "order", "fatigue"]
    subject: str
    figure: Measured
    p: float | None = None
    sentence: str


class ReviewerQualityOut(ResponseBody):
    """One reviewer: work, time, agreement with others, known answers, and what is odd.

    `agreement` is the share of the others' answers to the same questions that are equal, by item;
    `gold` the mean score on known answers that stand.
    """

    pseudonym: str
    simulated: bool
    submitted: int
    skipped: int
    minutes: Measured
    agreement: Measured
    gold: Measured
    paused: bool
    pause_reason: str | None
    warnings: list[str]
