"""Costs: what runs, trainings, rounds and reviewed items took, and in money where prices stand."""

from __future__ import annotations

import streamlit as st

from backend.schemas.costs import (
    CostReport,
    CostTotal,
    ReviewCost,
    RoundCost,
    RunCost,
    TrainingCost,
)
from dashboard.components.figures.measured import measured_cell
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    heading,
    problems_shown,
    sentences_html,
    table_html,
)
from dashboard.session import current_client, current_project

RUNS = ("run", "of", "models", "answers", "tokens read", "tokens written", "generating",
        "scoring", "processor", "GPU", "money")  # fmt: skip
TRAININGS = ("training", "adapter", "by the clock", "processor", "GPU", "tokens", "money")
ROUNDS = ("round", "state", "by the clock", "processor", "GPU", "tokens of runs",
          "tokens trained on", "minutes of experts", "simulated", "money")  # fmt: skip
REVIEWS = ("queue", "reviews", "simulated", "minutes in all", "money in all", "minutes an item",
           "money an item")  # fmt: skip
CHOICES = (20, 50, 200)


def show() -> None:
    """Draw the page."""
    heading("Costs", "What was spent, in seconds, tokens, minutes of experts, and money")
    with problems_shown():
        limit = st.selectbox("Of each kind the newest", CHOICES, width=220)
        told = current_client().costs.of(current_project().id, limit=limit)
        if not (told.runs or told.trainings or told.rounds or told.reviews):
            st.info("Nothing was run, trained or reviewed yet: `strop run`, `strop round start`.")
            return
        _show_tables(told)
        st.html(sentences_html(told.prices.sentences))
        with st.expander("What is not recorded, and why"):
            st.html(sentences_html([*told.notes, *told.reasons]))


def _show_tables(told: CostReport) -> None:
    tables = (
        ("Reviewed items", REVIEWS, [review_row(one) for one in told.reviews]),
        ("Rounds", ROUNDS, [round_row(one) for one in told.rounds]),
        ("Trainings", TRAININGS, [training_row(one) for one in told.trainings]),
        ("Runs, generating and scoring by the clock", RUNS, [run_row(one) for one in told.runs]),
    )
    for title, columns, rows in tables:
        if rows:
            st.subheader(title)
            st.html(table_html(columns, rows, title=title))


def run_row(one: RunCost) -> list[Cell]:
    """A run in the table; its many figures may wrap, so that none is cut off."""
    failed = f", {one.failed} failed" if one.failed else ""
    return [
        one.run_id,
        f"{one.dataset} {one.split}",
        ", ".join(one.models),
        f"{one.answers}{failed}",
        one.prompt_tokens.words,
        one.completion_tokens.words,
        *(spent.words for spent in (one.generating, one.scoring, one.processor, one.gpu)),
        one.money.words,
    ]


def training_row(one: TrainingCost) -> list[Cell]:
    """A training in the table."""
    spent = (one.clock, one.processor, one.gpu, one.tokens, one.money)
    return [one.training_run_id, one.adapter, *map(sum_cell, spent)]


def round_row(one: RoundCost) -> list[Cell]:
    """A round in the table; money in each currency in which a price was stated."""
    spent = (one.clock, one.processor, one.gpu, one.tokens, one.trained_tokens, one.minutes)
    money = " + ".join(part.words for part in one.money)
    return [
        one.number,
        one.state,
        *map(sum_cell, spent),
        _simulated(one.n_simulated),
        FigureText(money) if money else "unknown",
    ]


def review_row(one: ReviewCost) -> list[Cell]:
    """A queue in the table: in all, and for each item that was judged."""
    return [
        one.name,
        one.reviews,
        _simulated(one.n_simulated),
        sum_cell(one.minutes),
        sum_cell(one.money),
        measured_cell(one.minutes_per_item, with_unit=False),
        measured_cell(one.money_per_item),
    ]


def sum_cell(spent: CostTotal) -> Cell:
    """A sum on one line; "unknown" where nothing is recorded, for which a reason stands below."""
    return FigureText(spent.words) if spent.value is not None else spent.words


def _simulated(n: int) -> Tag | None:
    return Tag(f"{n} simulated", "simulated") if n else None
