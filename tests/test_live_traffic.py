"""The simulation of live traffic against theory: Erlang, the integral of the rate, sums by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import live_traffic
from tests.benchmarks.live_traffic import (
    WEEK,
    Busiest,
    Plan,
    busiest_hour,
    draw_arrivals,
    draw_held,
    erlang_c,
    fewest_servers,
    money,
    plan_with,
    rate_at,
    scoring_cores,
    servers_by_hour,
    storage,
    waits_of,
)

SMALL = Plan(month=30e6, batch=16)


def test_erlangs_formula_has_its_known_values() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)  # M/M/1: the load itself
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(100, 60.0) < 1e-4


@pytest.mark.parametrize(("places", "load"), [(1, 0.6), (8, 0.85)])
def test_waits_are_those_of_an_m_m_k_queue_within_the_error_of_the_simulation(
    places: int, load: float
) -> None:
    """Mean service 1 s; of 16 runs the mean share that waits, mean wait and 95% quantile."""
    rate = load * places
    waiting = erlang_c(places, rate)
    theory = [
        waiting,
        waiting / (places - rate),
        max(0.0, math.log(waiting / 0.05) / (places - rate)),
    ]
    found = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        arrivals = np.cumsum(rng.exponential(1 / rate, 12_000))
        waits = waits_of(arrivals.tolist(), rng.exponential(1.0, 12_000).tolist(), places)[2_000:]
        found.append([(waits > 0).mean(), waits.mean(), np.quantile(waits, 0.95)])
    errors = np.std(found, axis=0, ddof=1) / 4
    assert (errors / theory < 0.06).all()  # so that a wrong queue would be seen
    assert (np.abs(np.mean(found, axis=0) - theory) < 4 * errors).all()


def test_a_request_takes_the_place_that_is_free_first() -> None:
    assert waits_of([0.0, 1.0, 2.0, 3.0], [10.0, 3.0, 1.0, 1.0], 2).tolist() == [0, 0, 2, 2]


def test_a_week_of_the_rate_is_its_share_of_the_month_and_the_peak_is_as_stated() -> None:
    plan = Plan()
    seconds = np.arange(0.0, 7 * 86_400, 60)
    rates = rate_at(plan, seconds)
    assert sum(WEEK) == pytest.approx(7)
    assert rates.sum() * 60 == pytest.approx(1e8 / 30 * 7)
    assert rates.max() == pytest.approx(plan.mean_rate * plan.peak_factor)
    assert seconds[rates.argmax()] == 14 * 3600
    assert plan.mean_rate == pytest.approx(38.58, abs=0.01)


@pytest.mark.parametrize("burst", [0.0, 0.3])
def test_arrivals_follow_the_rate_and_bursts_keep_its_mean(burst: float) -> None:
    plan = replace(SMALL, month=3e6, burst=burst)
    counts = [
        len(draw_arrivals(plan, 0.0, 86_400.0, np.random.default_rng(seed))) for seed in range(8)
    ]
    expected = 1e5 * WEEK[0]
    # of a day: Poisson, and of 1440 minutes each with its own factor
    one = math.sqrt(expected + (burst * expected) ** 2 / 1440 * (1 + plan.day_swing**2 / 2))
    assert abs(np.mean(counts) - expected) < 4 * one / math.sqrt(8)
    spread = np.std(counts, ddof=1)
    assert 0.3 * one < spread < 2.2 * one


def test_places_are_held_as_long_as_stated() -> None:
    held = draw_held(SMALL, 200_000, np.random.default_rng(1))
    assert held.mean() == pytest.approx(SMALL.held, rel=0.02)
    assert SMALL.held == pytest.approx(200 * 0.02 + 16 * 800 / 20_000)
    assert SMALL.full_rate * SMALL.held == pytest.approx(16)


def test_with_one_server_less_the_bound_is_missed() -> None:
    needed, hours = fewest_servers(SMALL, [0])
    assert hours[0].p95_wait < SMALL.wait_bound
    assert busiest_hour(SMALL, needed - 1, 0).p95_wait >= SMALL.wait_bound
    assert needed * SMALL.full_rate > SMALL.mean_rate * SMALL.peak_factor * 0.9
    assert busiest_hour(SMALL, needed, 0) == hours[0]
    peak = SMALL.mean_rate * SMALL.peak_factor * 3600
    assert 0.97 * peak < hours[0].requests < 1.01 * peak  # those of one hour


def test_the_bound_is_kept_under_every_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(plan: Plan, servers: int, seed: int) -> Busiest:
        return Busiest(servers, 1, 0.0, p95_wait=0.0 if servers >= 20 + seed else 9.0, p95_held=1.0)

    monkeypatch.setattr(live_traffic, "busiest_hour", told)
    assert fewest_servers(SMALL, [0, 3, 1])[0] == 23


def test_rows_bytes_cores_and_money_are_as_by_hand() -> None:
    plan = Plan(burst=0.0, spare=1, packed=4.0)
    kept = storage(plan)
    assert kept["GB of Parquet a month"] == pytest.approx(1e8 * 1000 * 4 / 4 / 1e9)
    assert kept["requests of the busiest day"] == pytest.approx(1e8 / 30 * 1.15)
    assert kept["rows written a second at the peak"] == pytest.approx(38.58 * 2.07 * 3, rel=1e-3)
    assert kept["GB in PostgreSQL"] == pytest.approx(1e8 * 600 / 1e9)
    assert scoring_cores(plan)["cores on average"] == pytest.approx(38.58 * 0.0029475, rel=1e-3)
    costs = money(plan, 9)
    assert costs["servers, always on"] == 10 * 720 * 2.5
    assert costs["servers, by the hour"] < costs["servers, always on"]
    assert costs["experts"] == pytest.approx(2000 * 2 / 60 * 60)
    by_hour = servers_by_hour(plan, 9)
    assert (len(by_hour), max(by_hour), min(by_hour)) == (168, 10, 2)
    assert scoring_cores(replace(plan, scored=0.0))["cores at the peak"] == 0


def test_other_figures_are_taken_and_wrong_ones_refused() -> None:
    changed = plan_with(["month=5e6", "batch=8"])
    assert (changed.month, changed.batch) == (5e6, 8)
    for wrong in ("prise=3", "month=0", "month=-1", "prefill=nan", "batch=many"):
        with pytest.raises(ValueError):  # noqa: PT011
            plan_with([wrong])


def test_it_says_that_it_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "live.json"
    options = ["--out", str(out), "--seeds", "1", "--data", str(tmp_path), "--set", "month=300000"]
    monkeypatch.setattr("sys.argv", ["live_traffic", *options])
    live_traffic.main()
    printed = capsys.readouterr().out
    assert printed.count("simulated, ") == len(live_traffic.VARIANTS)
    assert "assumed, its data are not here" in printed
    assert json.loads(out.read_text())["simulated"] is True
