"""What the fake client answers about fairness; names and texts try to be markup."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

from backend.schemas.fairness import (
    Contrast,
    CounterfactualExample,
    CounterfactualReportOut,
    PairsIn,
    PairsOut,
    ParityReportOut,
    SetMentions,
    Shift,
    SliceKeyOut,
)
from evaluators.fairness.lexicon import shipped_lexicon
from evaluators.fairness.measures import ScoredMeasure
from evaluators.fairness.mentions import TaughtRow, audit_rows
from evaluators.fairness.parity import compare_groups
from evaluators.metric import Metric
from evaluators.results import Mean
from evaluators.types import Score

SKIPPED = {"gender": {"it names no gender": 7, "the answer may depend on it: 'pregnan'": 2}}


class FakeFairness:
    """Everything from `project["fairness_…"]`; what is made is kept in `made_pairs`."""

    project: dict[str, Any]
    made_pairs: list[PairsIn]

    def fairness_pairs(self, project_id: int) -> list[PairsOut]:
        return list(self.project.get("fairness_pairs", []))

    def fairness_make_pairs(self, project_id: int, body: PairsIn) -> PairsOut:
        self.project["made_pairs"] = body
        return pairs_shown("letters-counterfactual@2")

    def fairness_answers(self, run_id: int) -> list[CounterfactualReportOut]:
        return list(self.project["fairness_answers"])

    def fairness_slice_keys(self, generation_run_id: int) -> list[SliceKeyOut]:
        return list(self.project.get("fairness_keys", [SliceKeyOut(key="sex", groups=2)]))

    def fairness_parity(self, score_run_id: int, **asked: Any) -> list[ParityReportOut]:
        self.project["asked_parity"] = asked
        return list(self.project["fairness_parity"])

    def fairness_mentions(self, training_set_id: int) -> SetMentions:
        found: SetMentions = self.project["fairness_mentions"]
        return found


def pairs_shown(dataset: str, **changed: Any) -> PairsOut:
    values = {
        "dataset_version_id": 9,
        "dataset": dataset,
        "n_examples": 120,
        "of": 1,
        "split": "test",
        "pairs": {"gender": 40},
        "skipped": SKIPPED,
        "run_ids": [4],
    }
    return PairsOut(**{**values, **changed})


def parity_report(hostile: str) -> ParityReportOut:
    """Forty outputs of a group by a hostile name, forty of another, and two of a third."""
    scores = [Score(float(i % 10 < 9)) for i in range(40)]
    scores += [Score(float(i % 10 < 4)) for i in range(40)] + [Score(1.0)] * 2
    groups = [hostile] * 40 + ["f"] * 40 + ["x"] * 2
    measure = ScoredMeasure(Metric("f1", 1, lambda samples: []), scores, [None] * 82)
    found = compare_groups([measure], {"sex": groups})
    return ParityReportOut(
        model_version_id=1,
        model="base",
        of="score run 1",
        by="code",
        parities=found,
    )


def answers_report(hostile: str) -> CounterfactualReportOut:
    side = Mean(value=0.5, low=0.4, high=0.6, n=40)
    contrast = Contrast(
        kind="gender", measure="flip", n=40, clusters=20, failed=1, swapped=side,
        control=replace(side, value=0.1, low=0.0, high=0.2), value=0.4, low=0.2, high=0.6,
        p=0.001, p_holm=0.004, said="changes more than the control", signature="s", level=0.95,
        note="",
    )  # fmt: skip
    shift = Shift(
        kind="gender", measure="words", direction="female>male", n=40, clusters=20, value=3.0,
        low=1.0, high=5.0, p=0.01, p_holm=0.01, signature="s",
    )  # fmt: skip
    example = CounterfactualExample(
        row=hostile, kind="gender", direction="female>male", change=1.0, excess=1.0,
        words=[["she", hostile]], original=hostile, swapped=hostile, control=hostile,
    )  # fmt: skip
    return CounterfactualReportOut(
        model_version_id=1, model="base", run_id=4, samples=1, pairs={"gender": 40},
        skipped=SKIPPED, contrasts=[contrast], shifts=[shift], examples=[example],
    )  # fmt: skip


@cache
def mention_report(hostile: str) -> SetMentions:
    rows = [
        TaughtRow(f"{'she' if i % 2 else 'he'} has the card and is here {i}",
            hostile if i % 2 else "call", f"g{i}", "en")
        for i in range(60)
    ]  # fmt: skip
    lexicons = {name: shipped_lexicon(name) for name in ("en", "de")}
    found = audit_rows(rows, lexicons=lexicons)
    told = {field.name: getattr(found, field.name) for field in fields(found)}
    return SetMentions(training_set_id=1, name=hostile, digest="0" * 64, **told)


def fairness_things(hostile: str) -> dict[str, Any]:
    """One of everything that the page on fairness shows."""
    return {
        "fairness_pairs": [pairs_shown("letters-counterfactual@1")],
        "fairness_answers": [answers_report(hostile)],
        "fairness_parity": [parity_report(hostile)],
        "fairness_mentions": mention_report(hostile),
    }
