"""What analyses find, in the shape in which it is also answered over HTTP.

Only values: nothing here imports numpy or the like, so that whoever asks a server can do without.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RiskFigure:
    """One figure of one predictor, n outputs; no bounds where all resamples are alike.

    The note says why there are none, or that no prediction is wrong, which the bounds rest on.
    """

    predictor: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Outputs of similar risk: mean risk, rate of hallucinations with its Wilson interval."""

    risk: float
    rate: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class: rates with their 95% Wilson intervals; None where undefined, with the reason."""

    label: str
    support: int
    predicted: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    f1: float
    note: str


@dataclass(frozen=True, slots=True)
class RaterPair:
    """Two raters on the n items that both rated; None with a note where kappa is undefined.

    `percent` is exact; `signature` names the weights of kappa, and is empty without one.
    """

    first: str
    second: str
    n: int
    percent: float | None
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
    note: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class GroupFigure:
    """One group's own figure at the plain level, or the reason why there is none."""

    group: str
    n: int
    failed: int = 0
    clusters: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    error: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """The figure of a group minus that of another group, or of REST.

    Attributes:
        low, high: hold with all other gaps of the family at once; None: nothing can be told.
        said: APART, WITHIN, BEYOND or UNTOLD.
    """

    group: str
    other: str
    n: int
    n_other: int
    value: float | None
    low: float | None
    high: float | None
    said: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Parity:
    """A figure by the groups of one key.

    Attributes:
        largest: the largest gap between two groups; of no difference at all it is above 0, too,
            so that only its bounds say something.
        low, high: bounds of the largest gap; high is None where a group cannot be told.
        between: the two groups of the largest gap.
        n, unnamed: units in a group, and units that do not say theirs.
        level, each: of all gaps at once, and of every single one for that.
        family: how many gaps the level is shared by.
    """

    metric: str
    key: str
    groups: tuple[GroupFigure, ...]
    gaps: tuple[Gap, ...]
    largest: float | None
    low: float | None
    high: float | None
    between: tuple[str, str] | None
    n: int
    unnamed: int
    level: float
    each: float
    family: int
    scale: float | None
    better: str
    said: str
    signature: str
    margin: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class EqualisedOdds:
    """The larger of the largest gaps of the two rates; bounds None where one cannot be told."""

    label: str
    key: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Mention:
    """In how many rows a group is mentioned, the share with its interval, and by which words."""

    kind: str
    group: str
    rows: int
    n: int
    value: float
    low: float | None
    high: float | None
    words: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Skew:
    """The odds of an outcome in rows of one group, against those of the others of its kind.

    Attributes:
        value, low, high: the odds ratio.
        pmi: base 2, of outcome and group among rows that mention the kind; None where none has it.
        q: p adjusted over all skews that were looked for.
    """

    kind: str
    group: str
    outcome: str
    with_outcome: int
    n: int
    others_with: int
    n_others: int
    value: float
    low: float
    high: float
    pmi: float | None
    p: float
    q: float
    found: bool


@dataclass(frozen=True, slots=True)
class MentionReport:
    """What an audit of rows found.

    Attributes:
        unread: rows of no language that there are lists for.
        outcomes: what the outcomes are.
        looked_for: skews that were tested.
    """

    n: int
    groups: int
    unread: int
    mentions: tuple[Mention, ...]
    skews: tuple[Skew, ...]
    outcomes: str
    looked_for: int
    level: float
    false_share: float
    lists: str


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its interval."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Contrast:
    """How far something moves with the group and with the control, and the excess.

    Attributes:
        measure: ANSWER (share of an answer's words that change), FLIP (any change), LENGTH
            (relative), REFUSAL (declined or not), or a metric (size of its change).
        swapped, control: means with their intervals.
        value, low, high, p: of the excess; p_holm over all contrasts of the report.
        failed: rows that lack an answer or a score on a side.
    """

    kind: str
    measure: str
    n: int
    clusters: int
    failed: int
    swapped: Mean
    control: Mean
    value: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    said: str
    signature: str
    level: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shift:
    """Which way something moves, from one group to another: swapped minus original.

    Rows are turned so that all go from the group first in the alphabet to the other.
    """

    kind: str
    measure: str
    direction: str
    n: int
    clusters: int
    value: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    signature: str
