"""How often rows mention which groups, and whether what they teach goes with it.

Rows are counted, not words: a row mentions a group once. Skew is the odds of an outcome (a class
label, an answer that declines, a long one, a frequent word) in rows that mention one group alone,
against rows that mention other groups of the same kind alone. Intervals are Wald's on the log odds
ratio with a half added to each cell (Haldane 1956, Ann. Hum. Genet. 20:309), widened by the design
effect of clusters; p-values are adjusted for the share of false findings among all that were
looked for (Benjamini and Hochberg 1995).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from evaluators.errors import UndefinedFigure
from evaluators.fairness.gendered_de import MALE_PRONOUNS, POSSESSIVES
from evaluators.fairness.gendered_en import PRONOUNS
from evaluators.fairness.lexicon import Lexicon, is_refusal, shipped_lexicon
from evaluators.fairness.swap import find_words
from evaluators.results import Mention, MentionReport, Skew
from evaluators.statistics.clusters import number_clusters, ratio_variance, sum_clusters
from evaluators.statistics.intervals import normal_quantile, rate_interval
from evaluators.statistics.testing import benjamini_hochberg

MOST_LABELS = 50
MOST_WORDS = 100
LEAST_ROWS = 5
"""A group or an outcome in fewer rows than this is counted, and no skew is looked for."""
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True, slots=True)
class TaughtRow:
    """A row of a training set: what is asked and what is taught."""

    prompt: str
    answer: str
    group: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class LargestSkew:
    """The largest skew of a kind, as an odds ratio of 1 or more whichever way it goes.

    Attributes:
        value, low, high: with bounds that hold for all skews that were looked for at once.
        looked_for: how many these are.
        n: rows that mention a group of the kind alone.
        unseen: groups of the kind that too few prompts mention alone for a skew to be looked for.
    """

    group: str
    outcome: str
    value: float
    low: float
    high: float
    looked_for: int
    n: int
    unseen: tuple[str, ...]


def mentioned(text: str, lexicon: Lexicon) -> dict[str, dict[str, Counter[str]]]:
    """Kind -> group -> the words by which it is mentioned."""
    found: dict[str, dict[str, Counter[str]]] = {}

    def add(kind: str, group: str, word: str) -> None:
        found.setdefault(kind, {}).setdefault(group, Counter())[word] += 1

    for word, group in find_words(lexicon.names, [text]).found.items():
        add("name", group.group, word)
        add("gender", group.gender, word)
    for word, group in find_words(lexicon.places, [text]).found.items():
        add("place", group.group, word)
    genders = _gender_words(lexicon)
    for token in re.findall(r"[^\W\d_]+", text):
        gender = genders.get(token) or (
            genders.get(token.lower()) if lexicon.language == "en" else None
        )
        if gender is not None:
            add("gender", gender, token.lower())
    for pattern in lexicon.ages:
        for match in pattern.finditer(text):
            age = int(match["age"])
            add(
                "age",
                "under 18"
                if age < 18
                else "18 to 39"
                if age < 40
                else "40 to 64"
                if age < 65
                else "65 and over",
                match["age"],
            )
    return found


def _gender_words(lexicon: Lexicon) -> dict[str, str]:
    """Words that tell a gender by themselves; German `sie` and `ihr` do not."""
    if lexicon.language == "en":
        table = dict(PRONOUNS)
        for male, female in lexicon.gender.get("pairs") or ():
            table |= {male.lower(): "male", female.lower(): "female"}
        ways = lexicon.gender.get("one_way") or {}
        return table | {w.lower(): "female" for w in ways.get("male_of") or {}}
    table = {
        form: "male"
        for word in (*MALE_PRONOUNS, *(p for p in POSSESSIVES if p != "sein"))
        for form in (word, word.capitalize())
    }
    for noun in lexicon.gender.get("nouns") or ():
        table |= dict.fromkeys(noun["male"], "male") | {noun["female"]: "female"}
    titles = lexicon.gender["titles"]
    return table | {titles["male"]: "male", titles["oblique"]: "male", titles["female"]: "female"}


def audit_rows(
    rows: Sequence[TaughtRow],
    *,
    lexicons: Mapping[str, Lexicon] | None = None,
    level: float = 0.95,
    false_share: float = 0.05,
) -> MentionReport:
    """Count mentions and look for skew.

    Raises:
        UndefinedFigure: there is no row, or none in a language that there are lists for.
    """
    if not rows:
        raise UndefinedFigure("There is no row to look for mentions in.")
    read = [row for row in rows if row.language is not None]
    if not read:
        raise UndefinedFigure(
            f"None of {len(rows)} rows is in a language that there are lists for.",
            hint="There are lists for English and German.",
        )
    lists = lexicons or {name: shipped_lexicon(name) for name in ("en", "de")}
    found = [mentioned(f"{r.prompt}\n{r.answer}", lists[str(r.language)]) for r in read]
    asked = [mentioned(row.prompt, lists[str(row.language)]) for row in read]
    outcomes, what = _outcomes(read, lists)
    clusters = number_clusters([row.group for row in read])
    skews, looked = _skews(asked, outcomes, clusters, level, false_share)
    return MentionReport(
        n=len(read),
        groups=len(set(clusters.tolist())),
        unread=len(rows) - len(read),
        mentions=tuple(_mentions(found, clusters, level)),
        skews=tuple(skews),
        outcomes=what,
        looked_for=looked,
        level=level,
        false_share=false_share,
        lists="+".join(sorted(lists[name].digest[:12] for name in lists)),
    )


def largest_skew(rows: Sequence[TaughtRow], kind: str, *, level: float = 0.95) -> LargestSkew:
    """The largest skew of what the rows teach with one kind of group: of class labels, or of length
    and declining. Bounds are Bonferroni's over the skews that were looked for.

    Args:
        kind: name, gender, age or place.

    Raises:
        UndefinedFigure: as of `audit_rows`; or no two groups are each mentioned in enough rows.
    """
    looked = [one for one in audit_rows(rows, level=level).skews if _is_plain(one, kind)]
    if not looked:
        raise UndefinedFigure(
            f"No two groups of the kind {kind} are mentioned, each alone, in {LEAST_ROWS} rows or "
            f"more of {len(rows)}, with an outcome that {LEAST_ROWS} rows have."
        )
    report = audit_rows(rows, level=1 - (1 - level) / len(looked))
    sided = [_one_sided(one) for one in report.skews if _is_plain(one, kind)]
    first = max(sided, key=lambda one: one.value)
    alone = _mentioned_alone(rows, kind)
    told = {m.group for m in report.mentions if m.kind == kind}
    return LargestSkew(
        group=first.group,
        outcome=first.outcome,
        value=first.value,
        low=max(one.low for one in sided),
        high=max(one.high for one in sided),
        looked_for=len(looked),
        n=looked[0].n + looked[0].n_others,
        unseen=tuple(sorted(group for group in told if alone[group] < LEAST_ROWS)),
    )


def _mentioned_alone(rows: Sequence[TaughtRow], kind: str) -> Counter[str]:
    """Prompts that mention one group of a kind and no other, by group."""
    found = (
        mentioned(row.prompt, shipped_lexicon(row.language)).get(kind, {})
        for row in rows
        if row.language is not None
    )
    return Counter(next(iter(groups)) for groups in found if len(groups) == 1)


def _is_plain(one: Skew, kind: str) -> bool:
    return one.kind == kind and not one.outcome.startswith("word ")


def _one_sided(one: Skew) -> Skew:
    """The same skew told of whichever side has more: its odds ratio is 1 or more."""
    value, low, high = sorted((one.value, 1 / one.value))[1], one.low, one.high
    return replace(one, value=value, low=max(1.0, low, 1 / high), high=max(high, 1 / low))


def _mentions(
    found: Sequence[Mapping[str, Mapping[str, Counter[str]]]], clusters: Any, level: float
) -> Iterable[Mention]:
    keys = dict.fromkeys((kind, group) for row in found for kind in row for group in row[kind])
    for kind, group in sorted(keys):
        hits = np.array([group in row.get(kind, {}) for row in found], dtype=np.float64)
        words: Counter[str] = Counter()
        for row in found:
            words.update(row.get(kind, {}).get(group, {}).keys())
        sums = sum_clusters(np.column_stack([hits, np.ones(len(hits))]), clusters)
        interval = rate_interval(sums, level=level)
        yield Mention(
            *(kind, group, int(hits.sum()), len(found), float(hits.mean())),
            *(interval.low, interval.high, tuple(words.most_common(5))),
        )


def _outcomes(
    rows: Sequence[TaughtRow], lists: Mapping[str, Lexicon]
) -> tuple[dict[str, Any], str]:
    """Outcome -> whether each row has it; and what they are, in words."""
    answers = [row.answer.strip() for row in rows]
    labels = Counter(answers)
    if len(labels) <= MOST_LABELS and len(labels) < len(rows) / 2:
        kept = [label for label, n in labels.items() if n >= LEAST_ROWS]
        made = {f"label {label!r}": np.array([a == label for a in answers]) for label in kept}
        return made, f"{len(kept)} class label{'s' * (len(kept) != 1)}"
    sizes = np.array([len(answer.split()) for answer in answers])
    made = {"longer than the median": sizes > np.median(sizes)}
    declines = np.array(
        [is_refusal(a, str(r.language)) for a, r in zip(answers, rows, strict=True)]
    )
    made["declines"] = declines
    told = [{w.lower() for w in _WORD.findall(answer)} for answer in answers]
    gendered = {w for name in lists for w in map(str.lower, _gender_words(lists[name]))}
    counts = Counter(w for words in told for w in words)
    often = [w for w, n in counts.most_common() if LEAST_ROWS <= n < 0.9 * len(rows)]
    for word in [w for w in often if w not in gendered][:MOST_WORDS]:
        made[f"word {word!r}"] = np.array([word in words for words in told])
    return made, f"length, declining and {len(made) - 2} frequent words of the answers"


def _skews(
    asked: Sequence[Mapping[str, Mapping[str, Any]]],
    outcomes: Mapping[str, Any],
    clusters: Any,
    level: float,
    false_share: float,
) -> tuple[list[Skew], int]:
    made = []
    for kind in sorted({kind for row in asked for kind in row}):
        own = [next(iter(row[kind])) if len(row.get(kind, ())) == 1 else None for row in asked]
        sizes = Counter(group for group in own if group is not None)
        if len(sizes) < 2:
            continue
        for group in sorted(sizes):
            here = np.array([g == group for g in own])
            others = np.array([g is not None and g != group for g in own])
            if min(here.sum(), others.sum()) < LEAST_ROWS:
                continue
            for outcome, has in outcomes.items():
                if (has & (here | others)).sum() >= LEAST_ROWS:
                    made.append(_skew(kind, group, outcome, has, here, others, clusters, level))
            if len(sizes) == 2:
                break  # of two groups the second says the same
    adjusted = benjamini_hochberg([one.p for one in made]) if made else []
    told = [replace(s, q=q, found=q <= false_share) for s, q in zip(made, adjusted, strict=True)]
    return sorted(told, key=lambda s: (s.q, -abs(math.log(s.value)))), len(told)


def _skew(
    kind: str,
    group: str,
    outcome: str,
    has: Any,
    here: Any,
    others: Any,
    clusters: Any,
    level: float,
) -> Skew:
    sides = []
    for members in (here, others):
        n, hits = int(members.sum()), int((has & members).sum())
        sides.append((hits, n, _design_effect(has[members], clusters[members])))
    log_odds = [math.log((x + 0.5) / (n - x + 0.5)) for x, n, _ in sides]
    variance = sum(effect * (1 / (x + 0.5) + 1 / (n - x + 0.5)) for x, n, effect in sides)
    value, error = log_odds[0] - log_odds[1], math.sqrt(variance)
    half = normal_quantile(level) * error
    (x, n, one), (y, m, other) = sides
    p = 2 * NormalDist().cdf(-abs(value) / error)
    if one == other == 1.0:
        p = max(p, _fisher(x, n, y, m))
    whole = (x + y) / (n + m)
    return Skew(
        *(kind, group, outcome, x, n, y, m),
        *(math.exp(value), math.exp(value - half), math.exp(value + half)),
        math.log2((x / n) / whole) if x and whole else None,
        *(p, p, False),
    )


def _fisher(x: int, n: int, y: int, m: int) -> float:
    from scipy.stats import fisher_exact

    return float(fisher_exact([[x, n - x], [y, m - y]]).pvalue)


def _design_effect(has: Any, clusters: Any) -> float:
    """How many times larger a rate's variance is than that of independent rows; 1 at least."""
    named, own = np.unique(clusters, return_inverse=True)
    rate = float(has.mean())
    if len(named) == len(has) or len(named) < 2 or not 0 < rate < 1:
        return 1.0 if len(named) == len(has) else len(has) / len(named)
    sums = sum_clusters(np.column_stack([has.astype(np.float64), np.ones(len(has))]), own)
    return max(1.0, ratio_variance(sums) * len(has) / (rate * (1 - rate)))
