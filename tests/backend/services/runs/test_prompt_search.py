"""A search tries prompts on the validation split alone, and keeps the best with what was tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationResult, SamplingParams
from backend.errors import InvalidInput, NotFound
from backend.services.datasets.prompts.prompts import (
    Choose,
    add_prompt,
    find_prompt,
    list_prompts,
    parse_prompt,
    prompt_spec,
)
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.metric_specs import BUILT_IN
from backend.services.models.versions import find_model, list_models
from backend.services.runs import generation, scoring
from backend.services.runs.prompt_search import (
    PromptSearch,
    SearchPlan,
    check_kept_name,
    conclude_search,
    start_search,
)
from backend.tables.datasets import DatasetVersion
from backend.tables.models import Prompt
from backend.tables.runs import GenerationRun
from backend.tables.verdicts import Promotion
from tests.fixtures_runs import lay_down_project

WORDS = [
    "apple",
    "brick",
    "cloud",
    "drum",
    "eagle",
    "flute",
    "grape",
    "house",
    "ink",
    "jar",
    "kite",
    "lamp",
    "moon",
    "nest",
    "oak",
    "pen",
]


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Session:
    """On SQLite only: nothing here depends on the backend."""
    return sqlite_sessions()


@pytest.fixture
def version(session: Session) -> DatasetVersion:
    """A project with two wordings and sixteen examples, half of them to validate with."""
    laid = lay_down_project(session)
    add_prompt(session, laid.project, "good", parse_prompt("system: Say the word."))
    add_prompt(session, laid.project, "bad", parse_prompt("system: Say nothing."))
    rows = [
        ExampleRow(
            word, f"What of {word}?", references=(word,), split="train" if n % 2 else "validation"
        )
        for n, word in enumerate(WORDS)
    ]
    return import_dataset(session, laid.project, "words", rows, source_name="f")


def start(session: Session, version: DatasetVersion, **changed: Any) -> PromptSearch:
    plan = {"prompts": ("good", "bad"), "ks": (0, 2), "metric": "exact_match"}
    plan |= {"chosen_by": (Choose.BM25, Choose.FIXED)}
    encoders = changed.pop("encoders", None)
    return start_search(
        session,
        find_model(session, version.dataset.project_id, "base"),
        version,
        SearchPlan(**{**plan, **changed}),
        engine="fake",
        params=SamplingParams(),
        allowed=BUILT_IN,
        encoders=encoders,
    )


def answer(session: Session, begun: PromptSearch, *, bare_is_right: bool = False) -> None:
    """Right where the good system message is asked, longer prompts included, else wrong."""
    written = []
    for request in generation.pending_requests(session, begun.run_id):
        word = request.messages[-1]["content"].removeprefix("What of ").removesuffix("?")
        bare = request.messages[0]["role"] == "user"
        right = bare_is_right if bare else request.messages[0]["content"] == "Say the word."
        size = sum(len(m["content"]) for m in request.messages)
        text = word if right else "no"
        written.append(
            GenerationResult(request.key, text=text, prompt_tokens=size, completion_tokens=1)
        )
    generation.save_generations(session, begun.run_id, written)
    units = scoring.pending_units(session, begun.score_run_id)
    texts = scoring.load_generations(session, [unit.generation_id for unit in units])
    scoring.save_scores(session, begun.score_run_id, scoring.score_units(units, texts))


def test_the_best_for_another_model_is_not_kept_as_that_of_the_base(
    session: Session, version: DatasetVersion
) -> None:
    project = version.dataset.project_id
    base, brief, v1 = (find_model(session, project, m) for m in ("base", "base+good", "v1"))
    check_kept_name(v1, "best-for-v1")
    for asked in (base, brief):
        check_kept_name(asked, "best-prompt")
    with pytest.raises(InvalidInput, match="stands for the base with its best prompt"):
        check_kept_name(v1, "best-prompt")


def test_a_prompt_that_mostly_fails_is_not_chosen_by_the_rest(
    session: Session, version: DatasetVersion
) -> None:
    begun = start(session, version, prompts=("good",), ks=(0, 2), chosen_by=(Choose.BM25,))
    written, asked = [], 0
    for request in generation.pending_requests(session, begun.run_id):
        word = request.messages[-1]["content"].removeprefix("What of ").removesuffix("?")
        long = len(request.messages) > 2
        asked += long
        fails = long and asked > 1
        text = word if long or word in WORDS[:6] else "no"
        said = {"error": "too long"} if fails else {"text": text}
        written.append(GenerationResult(request.key, **said, prompt_tokens=9, completion_tokens=1))
    generation.save_generations(session, begun.run_id, written)
    units = scoring.pending_units(session, begun.score_run_id)
    texts = scoring.load_generations(session, [unit.generation_id for unit in units])
    scoring.save_scores(session, begun.score_run_id, scoring.score_units(units, texts))
    kept, record = conclude_search(session, begun.score_run_id, name="best")
    assert prompt_spec(kept).shots is None
    assert [row.get("failed", 0) for row in record["tried"]] == [0, 0, 7]


def test_the_best_is_kept_with_all_that_was_tried(
    session: Session, version: DatasetVersion
) -> None:
    begun = start(session, version)
    run = session.get_one(GenerationRun, begun.run_id)
    assert (run.split, len(run.models)) == ("validation", 7)
    answer(session, begun)
    kept, record = conclude_search(session, begun.score_run_id, name="best-prompt")
    assert kept.label == "best-prompt@1"
    assert prompt_spec(kept) == parse_prompt("system: Say the word.")  # of equals the shortest
    assert record["winner"] == "good@1"
    assert kept.search == record
    assert [row["value"] for row in record["tried"]] == [1.0] * 3 + [0.0] * 4
    first = record["tried"][0]
    assert (first["candidate"], first["n"]) == ("base+good@1", 8)
    assert {"low", "high", "tokens in", "signature"} <= first.keys()
    assert "looks better than it is" in record["notes"][0]
    assert find_model(session, run.project_id, "best-prompt").label == "base+best-prompt@1"


def test_the_model_as_it_is_may_be_as_good(session: Session, version: DatasetVersion) -> None:
    begun = start(session, version)
    answer(session, begun, bare_is_right=True)
    _, record = conclude_search(session, begun.score_run_id, name="best-prompt")
    assert record["tried"][0]["candidate"] == "base"
    assert record["notes"][1] == "Without any prompt base is at least as good here."


def test_what_was_only_tried_is_in_lists_that_ask_for_it(
    session: Session, version: DatasetVersion
) -> None:
    project = version.dataset.project_id
    before = [model.label for model in list_models(session, project)]
    begun = start(session, version, prompts=("good",), ks=(0, 2), chosen_by=(Choose.BM25,))
    answer(session, begun)
    conclude_search(session, begun.score_run_id, name="best-prompt")
    find_model(session, project, "best-prompt")
    tried = "good.v1.k2.bm25"
    shown = [prompt.label for prompt in list_prompts(session, project)]
    assert shown == ["bad@1", "best-prompt@1", "good@1"]
    assert f"{tried}@1" in {p.label for p in list_prompts(session, project, tried=True)}
    models = [model.label for model in list_models(session, project, tried=False)]
    assert models == [*before, "base+good@1", "base+best-prompt@1"]
    hidden = find_model(session, project, f"base+{tried}")
    assert hidden in list_models(session, project)
    session.add(
        Promotion(
            project_id=project,
            alias="champion",
            model_version_id=hidden.id,
            action="promoted",
            reason="-",
        )
    )
    session.flush()
    assert hidden in list_models(session, project, tried=False)
    add_prompt(session, project, tried, prompt_spec(find_prompt(session, project, tried)))
    assert f"{tried}@1" in {prompt.label for prompt in list_prompts(session, project)}


def test_shots_of_a_search_are_chosen_by_an_encoder_that_is_named(
    session: Session, version: DatasetVersion, tmp_path: Path
) -> None:
    (tmp_path / "minilm").mkdir()
    ways = {"chosen_by": (Choose.ENCODER, Choose.FIXED), "ks": (2,), "prompts": ("good",)}
    begun = start(session, version, encoder="minilm", encoders=tmp_path, **ways)
    run = session.get_one(GenerationRun, begun.run_id)
    shots = [prompt_spec(m.prompt).shots for m in run.models if m.prompt is not None]
    assert [(s.choose, s.encoder) for s in shots if s] == [
        (Choose.ENCODER, "minilm"),
        (Choose.FIXED, None),
    ]


def test_a_second_search_finds_its_prompts_again(session: Session, version: DatasetVersion) -> None:
    one, two = start(session, version), start(session, version, limit=4)
    names = session.scalars(select(Prompt.name)).all()
    assert len(names) == len(set(names)) == 6
    runs = [session.get_one(GenerationRun, begun.run_id) for begun in (one, two)]
    assert [m.id for m in runs[0].models] == [m.id for m in runs[1].models]
    assert len(runs[1].example_ids or ()) == 4


def test_a_second_search_with_the_same_winner_loses_neither(
    session: Session, version: DatasetVersion
) -> None:
    records = []
    for limit in (None, 4):
        begun = start(session, version, limit=limit)
        answer(session, begun)
        for _ in range(2):  # as a command that was repeated
            kept, record = conclude_search(session, begun.score_run_id, name="best-prompt")
        records.append(record)
    assert kept.label == "best-prompt@1"
    assert kept.search is not None
    assert kept.search["tried"] == records[1]["tried"]
    assert [one["tried"] for one in kept.search["earlier"]] == [records[0]["tried"]]


REFUSED = {
    "nothing": ({"ks": ()}, "tries nothing"),
    "too many shots": ({"ks": (65,)}, "65 shots"),
    "too much": ({"ks": tuple(range(12))}, "tries 46 prompts"),
    "several metrics": ({"metric": "rouge"}, "stands for rouge1, rouge2"),
    "no encoder": ({"chosen_by": (Choose.ENCODER,)}, "an encoder that is named"),
    "an encoder for nothing": ({"encoder": "e"}, "none that is not asked for"),
    "an encoder that is not there": (
        {"chosen_by": (Choose.BM25, Choose.ENCODER), "encoder": "e"},
        "no encoder 'e'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_searched(session: Session, version: DatasetVersion, case: str) -> None:
    changed, said = REFUSED[case]
    with pytest.raises(InvalidInput, match=said):
        start(session, version, **changed)


def test_without_a_validation_split(session: Session, version: DatasetVersion) -> None:
    rows = [ExampleRow("a", "What of a?", references=("a",), split="test")]
    other = import_dataset(session, version.dataset.project_id, "o", rows, source_name="f")
    with pytest.raises(InvalidInput, match="o@1 has no validation split"):
        start(session, other)


def test_best_prompt_before_a_search(session: Session, version: DatasetVersion) -> None:
    with pytest.raises(NotFound, match="no prompt 'best-prompt'"):
        find_model(session, version.dataset.project_id, "best-prompt")
    assert find_prompt(session, version.dataset.project_id, "good").version == 1
