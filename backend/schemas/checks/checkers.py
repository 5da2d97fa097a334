"""Checkers, as shown."""

from __future__ import annotations

from datetime import datetime

from backend.schemas.common import ResponseBody


class CheckerFigure(ResponseBody):
    """A figure on what was held out, with its interval; of planted errors, so simulated.

    `predictor` is check, or a check without a model that judged the same sentences or texts;
    `metric` is `difference` where it is the AUROC of the checker less that of the predictor.
    """

    predictor: str = "check"
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int


class CheckerKind(ResponseBody):
    """What a checker finds of one kind of error."""

    kind: str
    found: CheckerFigure


class CheckerOut(ResponseBody):
    """A trained checker; figures are empty until it was measured.

    `metric` is the name by which runs are scored with it; `sentences` counts what it was taught
    with by where it comes from.
    """

    metric: str
    model: str
    training_run_id: int
    training_set: str
    sentences: dict[str, int]
    source_bytes: int
    figures: list[CheckerFigure]
    beside: list[CheckerFigure]
    texts: list[CheckerFigure]
    kinds: list[CheckerKind]
    false_alarms: CheckerFigure | None
    groups: int
    failed: int
    trained_at: datetime
