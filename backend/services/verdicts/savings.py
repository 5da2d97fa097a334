"""Whether training paid beside the best prompt: in quality, and in prompt tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from backend.schemas.projects import Manifest
from backend.services.metric_specs import get_score_run
from backend.services.projects import manifest_of
from backend.services.runs.slices import PROMPT, usage_differences
from backend.services.verdicts.comparison import judge_lines
from backend.services.verdicts.verdict import Verdict
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.runs import ScoreRun
from backend.tables.verdicts import Comparison


def payoff_of(session: Session, comparison: Comparison) -> list[str]:
    """What a verdict says of training beside a prompt, in sentences; none where it compares no two
    such candidates."""
    run = get_score_run(session, comparison.score_run_id)
    old = session.get_one(ModelVersion, comparison.baseline_id)
    new = session.get_one(ModelVersion, comparison.candidate_id)
    bar = manifest_of(session.get_one(SuccessManifest, comparison.manifest_id))
    saved = token_savings(session, run, bar, old, new)
    return [*_in_quality(old, new, comparison.lines), *([] if saved is None else [saved])]


def _in_quality(
    old: ModelVersion, new: ModelVersion, lines: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Whether a trained model is shown to be better than a base, its own or another, with a
    prompt."""
    trained = new.without_prompt.adapter_path or new.without_prompt.training_run_id
    bare = old.without_prompt  # which nobody trained here, where it is another base
    untrained = old.is_base or (bare.is_own_base and bare.training_run_id is None)
    if not untrained or old.prompt is None or trained is None:
        return []
    compared = [line for line in lines if line.get("threshold") is None]
    if not any(line.get("evidence") for line in compared):
        return [
            f"Whether training paid beside {old.label} cannot be said: no line of the manifest "
            "that compares the two has a figure."
        ]
    better = ", ".join(line["metric"] for line in compared if _improvement(line)[0] > 0)
    worse = ", ".join(line["metric"] for line in compared if _improvement(line)[1] < 0)
    if better and worse:
        return [f"{new.label} is better than {old.label} in {better} and worse in {worse}."]
    if better:
        return [f"Training paid: {new.label} is better than {old.label} in {better}."]
    if worse:
        return [f"Training did not pay: {new.label} is worse than {old.label} in {worse}."]
    return [
        f"Training is not shown to pay: {new.label} is not shown to be better than {old.label}, "
        "a base with a prompt, in any line that compares the two."
    ]


def _improvement(line: Mapping[str, Any]) -> tuple[float, float]:
    """The interval of the improvement of a line, in which positive is better; around 0 where there
    is none."""
    evidence = line.get("evidence") or {}
    low, high = evidence.get("low"), evidence.get("high")
    if low is None or high is None:
        return (0.0, 0.0)
    return (low, high) if line.get("direction", "higher") == "higher" else (-high, -low)


def token_savings(
    session: Session, run: ScoreRun, bar: Manifest | None, old: ModelVersion, new: ModelVersion
) -> str | None:
    """The share of prompt tokens that the candidate saves, where its quality is not worse.

    None where both are asked with the same prompt, or no tokens were counted. The interval is that
    of the paired difference over the baseline's mean. Tokens of two tokenisers are told beside one
    another, and no share is made of them.
    """
    if old.prompt_id == new.prompt_id:
        return None
    usage = usage_differences(session, run, old.id, new.id, price=None)
    found = next(one.difference for one in usage if one.spec.metric == PROMPT)
    if found is None or not found.baseline:
        return None
    said = f"{new.label} reads {found.candidate:.0f} prompt tokens an answer, {old.label} "
    said += f"{found.baseline:.0f} (n={found.n})"
    if old.tokenizer_sha256 != new.tokenizer_sha256:
        return f"{said}, each by its own tokeniser: no share of one is a share of the other."
    if found.value >= 0:
        return f"{said}: it saves none."
    if why_not := _not_shown(session, run, bar, old, new):
        return f"{said}; the share that it saves is not stated: {why_not}."
    share = -found.value / found.baseline
    if found.low is None or found.high is None:
        why = found.note or "no interval"
        return f"{said}: it saves {share:.0%} ({why}), at a quality that is not worse."
    low, high = -found.high / found.baseline, -found.low / found.baseline
    return f"{said}: it saves {share:.0%} [{low:.0%}, {high:.0%}], at a quality that is not worse."


def _not_shown(
    session: Session, run: ScoreRun, bar: Manifest | None, old: ModelVersion, new: ModelVersion
) -> str | None:
    """Why it is not shown that the candidate is not worse; None where the manifest's lines hold."""
    lines = () if bar is None else bar.lines
    asked = [line for line in lines if line.least_improvement is not None]
    if bar is None or not asked:
        return "no line of a manifest says what is not worse (guardrail)"
    judged = judge_lines(session, bar, asked, run, old, new)
    open_ = [f"{one.line.title}: {one.verdict}" for one in judged if one.verdict != Verdict.PASS]
    return "; ".join(open_) or None
