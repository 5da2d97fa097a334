"""Figures are computed once; whatever they rest on makes them be computed again when it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.services.projects import parse_manifest
from backend.services.rounds import round_outcome
from backend.services.runs.figures import KeptFigures, digest_of
from backend.services.runs.slices import sliced_figures
from backend.services.verdicts.detail import describe_comparison
from backend.tables.datasets import Example
from backend.tables.projects import SuccessManifest
from backend.tables.rounds import Round
from backend.tables.runs import Generation, Score
from backend.tables.verdicts import Comparison
from tests.fixtures_trial import GOOD_BAR, Trial

PRICED = GOOD_BAR + "price: {prompt: 1, completion: 2, currency: EUR}\n"


@pytest.fixture
def trial(sqlite_sessions: sessionmaker[Session]) -> Iterator[Trial]:
    with sqlite_sessions() as session:
        yield Trial(session, right=0.8, metrics=["exact_match", "invented", "chrf"])


@pytest.fixture
def judged(trial: Trial) -> Comparison:
    return trial.judge(PRICED)


def _views(trial: Trial, judged: Comparison, kept: KeptFigures | None) -> list[object]:
    """Everything that a page shows of a comparison and of its round."""
    session, pair = trial.session, (judged.baseline_id, judged.candidate_id)
    turn = Round(project_id=judged.project_id, number=1, plan={}, comparison_id=judged.id)
    bar = parse_manifest(GOOD_BAR)
    return [
        describe_comparison(session, judged, kept=kept),
        sliced_figures(session, judged.score_run_id, *pair, bar=bar, kept=kept),
        round_outcome(session, turn, kept=kept),
    ]


def test_a_second_view_computes_nothing_and_shows_the_same(
    trial: Trial, judged: Comparison
) -> None:
    kept = KeptFigures()
    first = _views(trial, judged, kept)
    computed = kept.computed
    assert computed > 10
    assert _views(trial, judged, kept) == first == _views(trial, judged, None)
    assert kept.computed == computed


def _a_score(trial: Trial) -> Score:
    query = select(Score).where(Score.metric == "exact_match").order_by(Score.id.desc())
    return trial.session.scalars(query.limit(1)).one()


def _change_a_value(trial: Trial) -> None:
    score = _a_score(trial)
    score.value = 1.0 - (score.value or 0.0)


def _replace_a_score(trial: Trial) -> None:
    """As after `--retry-failed`: the same number of rows, and on SQLite the same ids."""
    session, old = trial.session, _a_score(trial)
    values = {c.key: getattr(old, c.key) for c in Score.__table__.columns if c.key != "id"}
    session.delete(old)
    session.flush()
    session.add(Score(**{**values, "value": 1.0 - values["value"]}))


def _fail_a_score(trial: Trial) -> None:
    score = _a_score(trial)
    score.value, score.error = None, "no reference"


def _lose_a_score(trial: Trial) -> None:
    trial.session.delete(_a_score(trial))


def _take_longer(trial: Trial) -> None:
    for written in trial.session.scalars(select(Generation)):
        written.latency_s += written.id


def _regroup(trial: Trial) -> None:
    for example in trial.session.scalars(select(Example).where(Example.split == "test")):
        example.group = f"g{example.id // 5}"


def _draw_anew(trial: Trial) -> None:
    trial.scores.seed += 1


def _raise_the_price(trial: Trial) -> None:
    bar = trial.session.scalars(select(SuccessManifest)).one()
    bar.content = {**bar.content, "price": {**bar.content["price"], "prompt": 5.0}}


@pytest.mark.parametrize(
    "change",
    [
        _change_a_value,
        _replace_a_score,
        _fail_a_score,
        _lose_a_score,
        _take_longer,
        _regroup,
        _draw_anew,
        _raise_the_price,
    ],
)
def test_what_a_figure_rests_on_makes_it_be_computed_again(
    trial: Trial, judged: Comparison, change: Callable[[Trial], None]
) -> None:
    kept = KeptFigures()
    _views(trial, judged, kept)
    computed = kept.computed
    change(trial)
    trial.session.flush()
    assert _views(trial, judged, kept) == _views(trial, judged, None)
    assert kept.computed > computed


def test_the_figure_not_asked_for_the_longest_goes_first() -> None:
    kept = KeptFigures(most=2)
    for name in ("a", "b", "a", "c"):
        kept.get((name,), lambda: name)  # noqa: B023
    assert [kept.get((name,), lambda: "anew") for name in ("a", "c")] == ["a", "c"]
    assert kept.get(("b",), lambda: "anew") == "anew"


def test_what_raises_is_not_kept() -> None:
    kept = KeptFigures()
    with pytest.raises(ZeroDivisionError):
        kept.get(("a",), lambda: 1 // 0)
    assert kept.get(("a",), lambda: 2) == 2


def test_a_digest_is_of_all_of_long_rows() -> None:
    rows = [("x" * 1000, number) for number in range(100)]
    assert digest_of(rows) != digest_of([*rows[:50], ("x" * 999 + "y", 50), *rows[51:]])
