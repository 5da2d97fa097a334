"""The page on fairness: every figure with n and interval, and what cannot be told said so."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard.views.fairness.gaps import value_ends
from tests.dashboard.fake_client import HOSTILE, engineers_project
from tests.dashboard.test_pages import open_page, shown


@pytest.fixture
def project() -> dict[str, Any]:
    return engineers_project()


def test_gaps_have_n_and_interval_and_the_small_group_stays(project: dict[str, Any]) -> None:
    app = open_page("fairness", project)
    assert not app.exception
    page = shown(app)
    assert project["asked_parity"]["by"] == "sex"
    assert "n=82: apart" in page
    assert "The 95% hold for all 6 gaps at once" in page
    assert "cannot be told" in page
    assert "40, 2" in page  # outputs of both sides of the gap to the group of two


def test_pairs_are_shown_with_their_control_and_what_was_left_out(project: dict[str, Any]) -> None:
    page = shown(open_page("fairness", project))
    assert "gender: flip moves by 0.40 (0.20 to 0.60) more" in page
    assert "n=40" in page
    assert "1 comparisons lack an answer or a score" in page
    assert "gender: 40 pairs. Left out: 7 it names no gender; 2 the answer may depend" in page


def test_mentions_and_skew(project: dict[str, Any]) -> None:
    page = shown(open_page("fairness", project))
    assert "60 rows in 60 groups were read" in page
    assert "30 of 60" in page


def test_texts_are_never_markup(project: dict[str, Any]) -> None:
    page = shown(open_page("fairness", project))
    assert HOSTILE not in page
    assert "&lt;" in page


def test_a_measure_says_what_it_is_and_has_its_adjusted_p(project: dict[str, Any]) -> None:
    page = shown(open_page("fairness", project))
    assert "flip (any change)" in page
    assert "p (Holm)" in page
    assert "0.004" in page
    assert "female → male" in page


def test_all_models_are_drawn_on_one_axis(project: dict[str, Any]) -> None:
    report = project["fairness_parity"][0]
    lower = report.model_copy(deep=True)
    moved = [replace(one, low=-3.0) for one in lower.parities[0].groups]
    lower.parities[0] = replace(lower.parities[0], groups=moved)
    [ends] = value_ends([report, lower]).values()
    assert ends[0] == -3.0
    assert ends[1] == max(one.high for one in report.parities[0].groups)


def test_a_run_without_groups_says_how_a_dataset_names_them(project: dict[str, Any]) -> None:
    app = open_page("fairness", {**project, "fairness_keys": []})
    assert any('"slices"' in info.value for info in app.info)


def test_pairs_are_made_by_the_form(project: dict[str, Any]) -> None:
    names = ("letters", "letters-counterfactual")
    project["list_datasets"] = [SimpleNamespace(name=name) for name in names]
    app = open_page("fairness", project)
    datasets = next(box for box in app.selectbox if box.label == "Dataset")
    assert datasets.options == ["letters"]  # not the pairs themselves
    next(b for b in app.button if b.label == "Make pairs").click().run()
    assert project["made_pairs"].dataset == "letters"


def test_an_empty_project_says_what_to_do(project: dict[str, Any]) -> None:
    empty = {**project, "list_generation_runs": [], "list_training_sets": [], "fairness_pairs": []}
    app = open_page("fairness", empty)
    assert not app.exception
    said = " ".join(info.value for info in app.info)
    assert "strop fairness RUN" in said
    assert "strop set freeze" in said
