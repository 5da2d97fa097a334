"""Whether training paid beside a prompt is said only where it is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationResult, SamplingParams
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.models.versions import find_model
from backend.services.projects import set_manifest
from backend.services.runs import generation, scoring
from backend.services.verdicts.comparison import compare_models
from backend.services.verdicts.savings import payoff_of
from backend.tables.models import ModelKind
from tests.fixtures_runs import lay_down_preflight, lay_down_project

GUARDED = "name: bar\nbaseline: best-prompt\nlines:\n  - {metric: exact_match, guardrail: 0.1}\n"
BETTER = GUARDED.replace("guardrail: 0.1", "margin: 0.0")
ABSOLUTE = GUARDED.replace("guardrail: 0.1", "threshold: 0.5")
Shares = Mapping[str, float]


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Session:
    """On SQLite only: nothing here depends on the backend."""
    return sqlite_sessions()


def payoff(
    session: Session,
    bar: str,
    right: Shares,
    tokens: Mapping[str, int],
    *,
    kind: ModelKind = ModelKind.WEIGHTS,
) -> list[str]:
    """What is said of v1 beside the base with its best prompt, by who is right how often."""
    laid = lay_down_project(session, examples=60, adapters=1)
    add_prompt(session, laid.project, "best-prompt", parse_prompt("system: Be brief."))
    labels = ("best-prompt", "v1", "v1+best-prompt")
    if kind != ModelKind.WEIGHTS:
        elsewhere = find_model(session, laid.project, "v1")
        elsewhere.kind, elsewhere.adapter_path = kind, None
    models = {label: find_model(session, laid.project, label) for label in labels}
    run = generation.create_run(
        session,
        project_id=laid.project,
        dataset_version_id=laid.version,
        split="test",
        model_ids=[model.id for model in models.values()],
        engine="fake",
        params=SamplingParams(),
    )
    lay_down_preflight(session, run)
    labelled = {model.id: label for label, model in models.items()}
    seen = dict.fromkeys(labels, 0)
    written = []
    for request in generation.pending_requests(session, run.id):
        label = labelled[generation.parse_unit_key(request.key)[0]]
        seen[label] += 1
        said = request.messages[-1]["content"].partition("\n")[0]
        good = seen[label] <= 60 * right.get(label, 0.0)
        count = tokens.get(label, 0) and tokens[label] + seen[label] % (3 if label == "v1" else 1)
        text = said if good else "no"
        written.append(
            GenerationResult(request.key, text=text, prompt_tokens=count, completion_tokens=2)
        )
    generation.save_generations(session, run.id, written)
    scores = scoring.create_score_run(session, generation_run_id=run.id, metrics=["exact_match"])
    units = scoring.pending_units(session, scores.id)
    texts = scoring.load_generations(session, [unit.generation_id for unit in units])
    scoring.save_scores(session, scores.id, scoring.score_units(units, texts))
    row = compare_models(
        session,
        manifest_row=set_manifest(session, laid.project, bar),
        score_run=scores,
        baseline=models["best-prompt"],
        candidate=models["v1"],
    )
    return payoff_of(session, row)


TOKENS = {"best-prompt": 100, "v1": 20, "v1+best-prompt": 100}


def test_tokens_are_saved_where_quality_is_not_worse(session: Session) -> None:
    quality, tokens = payoff(session, GUARDED, {"best-prompt": 0.5, "v1": 0.5}, TOKENS)
    assert quality.startswith("Training is not shown to pay: base:v1@1 is not shown")
    assert tokens == (
        "base:v1@1 reads 21 prompt tokens an answer, base+best-prompt@1 100 (n=60): it saves 79% "
        "[79%, 79%], at a quality that is not worse."
    )


def test_training_that_paid(session: Session) -> None:
    quality, _ = payoff(session, BETTER, {"best-prompt": 0.2, "v1": 0.9}, TOKENS)
    assert quality == ("Training paid: base:v1@1 is better than base+best-prompt@1 in exact_match.")


def test_what_was_not_trained_on_the_base_is_no_training_that_paid(session: Session) -> None:
    right = {"best-prompt": 0.2, "v1": 0.9}
    said = payoff(session, BETTER, right, TOKENS, kind=ModelKind.SERVED)
    assert not any("raining" in sentence for sentence in said)


WHY_NOT = {
    "worse": (
        GUARDED,
        {"best-prompt": 0.9, "v1": 0.3},
        "Training did not pay",
        "by more than 0.1: FAIL",
    ),
    "no line says": (
        ABSOLUTE,
        {"best-prompt": 0.5, "v1": 0.5},
        "Whether training paid beside base+best-prompt@1 cannot be said",
        r"what is not worse \(guardrail\)",
    ),
}


@pytest.mark.parametrize("case", WHY_NOT)
def test_the_share_is_not_stated_otherwise(session: Session, case: str) -> None:
    bar, right, begins, why = WHY_NOT[case]
    quality, tokens = payoff(session, bar, right, TOKENS)
    assert quality.startswith(begins)
    assert "the share that it saves is not stated" in tokens
    assert re.search(why, tokens)
    assert "%" not in tokens


def test_a_longer_prompt_saves_none(session: Session) -> None:
    _, tokens = payoff(session, GUARDED, {}, {"best-prompt": 20, "v1": 30})
    assert tokens.endswith("it saves none.")


def test_without_token_counts_nothing_is_said_of_them(session: Session) -> None:
    assert len(payoff(session, GUARDED, {}, {})) == 1
