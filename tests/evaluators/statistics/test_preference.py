"""Votes, win rates, judges and strengths: published figures and invariances."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.statistics.preference import bradley_terry
from evaluators.statistics.votes import Vote, VoteWinner, judge_agreement, majority, win_rates

SWAPPED = {VoteWinner.A: VoteWinner.B, VoteWinner.B: VoteWinner.A}


def swap(vote: Vote) -> Vote:
    return replace(
        vote,
        model_a=vote.model_b,
        model_b=vote.model_a,
        winner=SWAPPED.get(vote.winner, vote.winner),
        length_a=vote.length_b,
        length_b=vote.length_a,
    )


def simulated_votes(seed: int, n: int = 600, side: float = 0.0) -> list[Vote]:
    rng = np.random.default_rng(seed)
    strength = {"x": 0.8, "y": 0.0, "z": -0.8}
    votes = []
    for i in range(n):
        a, b = rng.choice(list(strength), 2, replace=False)
        lengths = rng.normal(0, 1, 2)
        x = strength[a] - strength[b] + side + 0.5 * (lengths[0] - lengths[1])
        logits = np.array([x / 2, -x / 2, -0.5])
        p = np.exp(logits) / np.exp(logits).sum()
        winner = rng.choice(["a", "b", "tie"], p=p)
        votes.append(Vote(f"i{i % 200}", "r", str(a), str(b), VoteWinner(winner), *lengths))
    return votes


VOTES = st.lists(
    st.builds(
        Vote,
        item=st.sampled_from("12345"),
        rater=st.sampled_from(["judge", "p", "q"]),
        model_a=st.just("m"),
        model_b=st.sampled_from(["n", "o"]),
        winner=st.sampled_from(VoteWinner),
    ),
    min_size=1,
    max_size=30,
)


@given(VOTES, st.data())
@settings(max_examples=60, deadline=None)
def test_swapping_sides_changes_nothing(votes: list[Vote], data: st.DataObject) -> None:
    turned = [swap(v) if data.draw(st.booleans()) else v for v in votes]
    assert win_rates(turned) == win_rates(votes)
    if any(v.rater == "judge" for v in votes):
        try:
            ours = judge_agreement(votes, "judge")
        except UndefinedFigure:
            return
        assert judge_agreement(turned, "judge") == ours


def test_strengths_do_not_depend_on_sides() -> None:
    votes = simulated_votes(0)
    turned = [swap(v) if i % 3 else v for i, v in enumerate(votes)]
    for length in (False, True):
        one, two = bradley_terry(votes, length=length), bradley_terry(turned, length=length)
        for a, b in zip(one.strengths, two.strengths, strict=True):
            assert (a.value, a.low) == pytest.approx((b.value, b.low), abs=1e-7)


def test_strengths_side_and_length_are_recovered() -> None:
    fit = bradley_terry(simulated_votes(1, 4000, side=0.4), side=True, length=True)
    truth = {"x": 0.8, "y": 0.0, "z": -0.8, "side": 0.4, "log tie": -0.5}
    for estimate in (*fit.strengths, *fit.effects):
        if estimate.name in truth:
            assert estimate.low - 0.05 < truth[estimate.name] < estimate.high + 0.05
    length = next(e for e in fit.effects if e.name == "length")
    assert length.value == pytest.approx(0.5 * np.sqrt(2), abs=0.1)  # per standard deviation


def test_a_model_that_never_lost_has_no_finite_strength() -> None:
    votes = [Vote("1", "r", "best", "x", VoteWinner.A), Vote("2", "r", "x", "best", VoteWinner.B)]
    with pytest.raises(UndefinedFigure, match="no finite estimate"):
        bradley_terry(votes)


def test_models_that_never_met() -> None:
    votes = [Vote("1", "r", a, b, VoteWinner.TIE) for a, b in (("a", "b"), ("c", "d"))]
    with pytest.raises(UndefinedFigure, match="never met"):
        bradley_terry(votes)


def test_lengths_must_be_there() -> None:
    votes = [Vote("1", "r", "a", "b", VoteWinner.TIE)]
    with pytest.raises(InvalidValues, match="1 votes lack a length"):
        bradley_terry(votes, length=True)


def test_a_tie_is_half_a_win() -> None:
    votes = [
        Vote(str(i), "r", "m", "n", w)
        for i, w in enumerate(
            [VoteWinner.A, VoteWinner.TIE, VoteWinner.BOTH_BAD, VoteWinner.B, VoteWinner.A]
        )
    ]
    rate = win_rates(votes)[0]
    assert (rate.model, rate.value) == ("m", 0.6)
    assert (rate.wins, rate.losses, rate.ties, rate.n) == (2, 1, 2, 5)


def test_no_majority_is_a_tie() -> None:
    votes = [Vote("1", r, "m", "n", w) for r, w in (("p", VoteWinner.A), ("q", VoteWinner.B))]
    assert majority(votes) is None
    assert majority([*votes, votes[0]]) == "m"


def test_an_unknown_judge_is_named() -> None:
    with pytest.raises(UndefinedFigure, match=r"'gpt' has no vote\. Raters are p"):
        judge_agreement([Vote("1", "p", "a", "b", VoteWinner.A)], "gpt")


def test_textbook_strengths(public_data: Path) -> None:
    path = public_data / "agreement/bradley_terry_textbook.json"
    citations, cycle = json.loads(path.read_text())["cases"]
    names, wins = citations["items"], citations["wins"]
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    votes = [Vote(f"{i} {j}", "r", names[i], names[j], VoteWinner.A) for i, j in pairs]
    fit = bradley_terry(votes, weights=[wins[i][j] for i, j in pairs], clustered=False)
    found = {e.name: e.value for e in fit.strengths}
    ours = [found[name] - found[names[0]] for name in names]
    assert ours == pytest.approx(citations["expected_log_ability_ref_first"], abs=1e-4)
    votes = [Vote("1", "r", f"m{a}", f"m{b}", VoteWinner.A) for a, b in cycle["wins_pairs"]]
    found = {e.name: e.value for e in bradley_terry(votes).strengths}
    expected = cycle["expected_log_ability_mean_zero"]
    assert [found[f"m{i}"] for i in range(3)] == pytest.approx(expected, abs=1e-4)


def mtbench_votes(folder: Path) -> list[Vote]:
    votes = []
    for name in ("human", "gpt4_pair"):
        for line in (folder / f"mtbench_human/{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            if name == "human" and not row["judge"].startswith("expert"):
                continue
            winner = {"model_a": VoteWinner.A, "model_b": VoteWinner.B}.get(
                row["winner"], VoteWinner.TIE
            )
            item = str(row["question_id"])
            votes.append(Vote(item, row["judge"], row["model_a"], row["model_b"], winner))
    return votes


@pytest.mark.parametrize("turned", [False, True])
def test_mtbench_judge_and_people(public_data: Path, turned: bool) -> None:
    votes = mtbench_votes(public_data)
    if turned:
        votes = [swap(v) if i % 2 else v for i, v in enumerate(votes)]
    rows = {(r.between, r.by, r.ties): (r.agree, r.n) for r in judge_agreement(votes, "gpt4_pair")}
    assert rows["gpt4_pair - human", "vote", "counted"] == (886, 1343)
    assert rows["gpt4_pair - human", "vote", "left out"] == (727, 859)
    assert rows["human - human", "vote", "counted"] == (454, 721)
    assert rows["human - human", "vote", "left out"] == (388, 479)


# What the votes do not identify, and what they show no variance of.


def cast(*votes: tuple[str, str, str]) -> list[Vote]:
    """Votes of one rater on items of their own: model shown first, second, and the winner."""
    return [Vote(str(i), "r", a, b, VoteWinner(won)) for i, (a, b, won) in enumerate(votes)]


@pytest.mark.parametrize("side", [False, True])
@pytest.mark.parametrize("winner", [VoteWinner.TIE, VoteWinner.BOTH_BAD])
@pytest.mark.parametrize("models", ["xy", "xyz"])
def test_ties_alone_identify_no_strength(models: str, winner: VoteWinner, side: bool) -> None:
    pairs = [(a, b, winner.value) for a in models for b in models if a != b] * 6
    with pytest.raises(UndefinedFigure, match=f"Every one of the {len(pairs)} votes is a tie"):
        bradley_terry(cast(*pairs), side=side)


def test_a_side_that_always_wins_has_no_finite_effect() -> None:
    votes = cast(*[("x", "y", "a"), ("y", "x", "a")] * 12)
    with pytest.raises(UndefinedFigure, match="x, side: no finite estimate"):
        bradley_terry(votes, side=True)
    assert bradley_terry(votes).strengths[0].value == pytest.approx(0)


def test_a_model_that_is_always_shown_first_cannot_be_told_from_its_side() -> None:
    votes = cast(*[("x", "y", "a"), ("x", "y", "b"), ("x", "y", "a")] * 8)
    with pytest.raises(UndefinedFigure, match="x, side: no finite estimate"):
        bradley_terry(votes, side=True)


@pytest.mark.parametrize(
    ("winners", "width"),
    [
        ("ab", 1.3),  # on every item one vote each way
        ("aab", 1.4),
        ("aaabb" * 4, 1.3),  # many votes prove no more than their items
    ],
)
def test_items_that_are_all_alike_give_no_certainty(winners: str, width: float) -> None:
    votes = [
        Vote(str(item), f"r{i}", "x", "y", VoteWinner(won))
        for item in range(20)
        for i, won in enumerate(winners)
    ]
    found = bradley_terry(votes)
    x = next(one for one in found.strengths if one.name == "x")
    share = winners.count("a") / len(winners)
    assert x.value == pytest.approx(np.log(share / (1 - share)) / 2, abs=1e-6)
    assert x.high - x.low > 0.8 * width / 2
    assert "an item as one vote" in found.signature


def test_a_model_of_ties_among_others_has_an_interval() -> None:
    votes = cast(
        *[("x", "y", "a"), ("y", "x", "a"), ("x", "y", "a")] * 8,
        *[("x", "z", "tie"), ("z", "y", "tie")] * 8,
    )
    found = {one.name: one for one in bradley_terry(votes).strengths}
    assert found["z"].high - found["z"].low > 0.3
