"""A comparison in full: base and champion beside it, slices, flips to read, length and cost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute
from backend.schemas.verdicts import FlipsOut
from backend.services.projects import parse_manifest
from backend.services.runs.slices import SlicedFigure, find_flips, sliced_figures
from backend.services.verdicts.detail import describe_comparison
from backend.tables.runs import Generation
from backend.tables.verdicts import Comparison, Promotion
from tests.fixtures_trial import GOOD_BAR, Trial

PRICED = GOOD_BAR + "price: {prompt: 1, completion: 2, currency: EUR}\n"


@pytest.fixture
def trial(sqlite_sessions: sessionmaker[Session]) -> Iterator[Trial]:
    """v1 is right on eight of ten examples, the base on none."""
    with sqlite_sessions() as session:
        made = Trial(session, right=0.8, metrics=["exact_match", "f1"])
        for written in session.scalars(select(Generation)):
            right = written.model_version_id == made.v1.id
            written.prompt_tokens, written.completion_tokens = 100, 30 if right else 10
            written.latency_s = 0.5
        session.flush()
        yield made


def flips(trial: Trial, **options: object) -> FlipsOut:
    return find_flips(trial.session, trial.scores.id, trial.base.id, trial.v1.id, **options)  # type: ignore[arg-type]


def test_flips_are_counted_and_shown_with_both_texts(trial: Trial) -> None:
    found = flips(trial, limit=2)
    assert (found.metric, found.better, found.worse, found.same, found.n) == (
        "exact_match", 48, 0, 12, 60
    )  # fmt: skip
    assert [flip.change for flip in found.examples] == ["better", "better"]
    first = found.examples[0]
    assert (first.baseline_text, first.candidate_text) == ("no", first.input)
    assert (first.baseline_score, first.candidate_score) == (0.0, 1.0)
    assert first.references == [first.input]


def test_flips_the_other_way_are_worse_and_come_first(trial: Trial) -> None:
    scores, base, v1 = trial.scores.id, trial.base.id, trial.v1.id
    found = find_flips(trial.session, scores, v1, base, limit=1)
    assert (found.better, found.worse) == (0, 48)
    assert found.examples[0].change == "worse"


def test_flips_of_what_was_not_scored_are_refused_with_what_was(trial: Trial) -> None:
    with pytest.raises(CannotCompute, match="Scored: exact_match, f1"):
        flips(trial, metric="rougeL")


def slices(trial: Trial, bar: str = GOOD_BAR) -> dict[str, SlicedFigure]:
    found = sliced_figures(
        trial.session, trial.scores.id, trial.base.id, trial.v1.id, bar=parse_manifest(bar)
    )
    return {one.figure.spec.label: one for one in found}


def test_slices_are_the_manifests_and_the_datasets(trial: Trial) -> None:
    found = slices(trial)
    assert {label: one.named for label, one in found.items()} == {
        "exact_match@task=intent": True,
        "exact_match@task=reply": False,
    }
    for one in found.values():
        difference = one.figure.difference
        assert difference is not None
        assert (difference.n, difference.low <= difference.value <= difference.high) == (30, True)


def test_p_values_of_slices_are_adjusted_over_all_of_them(trial: Trial) -> None:
    for one in slices(trial).values():
        assert one.figure.difference is not None
        assert one.p_holm is not None
        assert one.p_holm >= one.figure.difference.p


def test_a_slice_without_an_example_says_why(trial: Trial) -> None:
    bar = "name: b\nlines: [{metric: exact_match, slice: {task: none}, margin: 0}]"
    one = slices(trial, bar)["exact_match@task=none"]
    assert one.figure.difference is None
    assert one.figure.error
    assert one.p_holm is None


def test_usage_is_paired_and_priced(trial: Trial) -> None:
    found = describe_comparison(trial.session, trial.judge(PRICED))
    usage = {one.spec.metric: one.difference for one in found.usage}
    assert set(usage) == {"prompt_tokens", "tokens", "latency", "cost"}
    tokens, cost = usage["tokens"], usage["cost"]
    assert tokens is not None
    assert cost is not None
    assert (tokens.baseline, tokens.candidate, tokens.value, tokens.n) == (10, 30, 20, 60)
    assert cost.value == pytest.approx(40 / 1_000_000)
    assert found.currency == "EUR"


def test_without_a_price_there_is_no_cost(trial: Trial) -> None:
    found = describe_comparison(trial.session, trial.judge(GOOD_BAR))
    assert [one.spec.metric for one in found.usage] == ["prompt_tokens", "tokens", "latency"]
    assert found.currency is None


def promote(trial: Trial, comparison: Comparison, model_id: int) -> None:
    trial.session.add(
        Promotion(
            project_id=trial.laid.project,
            alias="champion",
            model_version_id=model_id,
            action="promoted",
            comparison_id=comparison.id,
            reason="",
        )
    )
    trial.session.flush()


def test_what_is_absent_is_said(trial: Trial) -> None:
    found = describe_comparison(trial.session, trial.judge(GOOD_BAR))
    assert found.champion is None
    assert found.absent == [
        "There is no champion yet.",
        "Nobody looked for invented facts: score with --metrics invented.",
    ]


def test_the_champion_stands_beside_base_and_candidate(trial: Trial) -> None:
    row = trial.judge(GOOD_BAR)
    promote(trial, row, trial.base.id)
    found = describe_comparison(trial.session, row)
    assert found.champion == "base"
    assert {(one.baseline_id, one.candidate_id) for one in found.differences} == {
        (trial.base.id, trial.v1.id)
    }
    assert {figure.model for figure in found.figures} == {"base", "base:v1@1"}


def test_a_champion_that_took_no_part_is_said(trial: Trial) -> None:
    row = trial.judge(GOOD_BAR)
    stranger = trial.stranger()
    promote(trial, row, stranger.id)
    found = describe_comparison(trial.session, row)
    assert "base:v9@1 took no part in this run" in found.absent[0]
