"""Imported outputs: a run like any other, taken once, with what is not proved of it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import Base, utc_now
from backend.engines import ENGINES
from backend.engines.base import GenerationResult, SamplingParams
from backend.errors import Conflict, InvalidInput, NotFound, StropError, UnknownName
from backend.rubrics import find_rubric
from backend.services import queue, review
from backend.services.accounts.users import create_user
from backend.services.curation.recipes import Recipe
from backend.services.curation.sets import freeze_training_set, training_rows
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.lineage.trace import model_node
from backend.services.metric_specs import BUILT_IN, get_score_run
from backend.services.models.versions import find_model, register_adapter, serving_groups
from backend.services.projects import set_manifest
from backend.services.runs import generation, scoring
from backend.services.runs.figures import model_figures
from backend.services.runs.importing.imported import (
    NOT_GIVEN,
    UNPROVED,
    Imported,
    import_outputs,
    provenance,
    queue_scoring,
)
from backend.services.runs.importing.output_rows import ImportedOutput, ImportedOutputs
from backend.services.runs.slices import usage_differences
from backend.services.training.runs import create_training_run
from backend.services.training.start import resolve_start
from backend.services.verdicts import comparison, promotion
from backend.settings import Settings
from backend.tables.accounts import Role
from backend.tables.datasets import Example
from backend.tables.erasure import Erasure
from backend.tables.models import ModelVersion
from backend.tables.runs import Generation, GenerationRun, Score, ScoreRun
from backend.tables.training import TrainingRun
from tests.fixtures_review import BAD as WRONG
from tests.fixtures_review import build_desk, review_next
from tests.fixtures_runs import Laid, lay_down_project, lay_down_run
from tests.fixtures_trial import GOOD_BAR, Trial


def given(
    texts: Mapping[str, str | None], *, model: str = "vendor", **said: Any
) -> ImportedOutputs:
    """A file with these texts by id; None is a failure."""
    return ImportedOutputs(
        "out.jsonl",
        [
            ImportedOutput(
                row, id_, model, text=text, error="refused" if text is None else None, **said
            )
            for row, (id_, text) in enumerate(texts.items(), start=1)
        ],
    )


def said_by(n: int = 6, *, start: int = 0, word: str = "say") -> dict[str, str | None]:
    """Right texts for the examples of the laid project."""
    return {f"e{i}": f"{word} {i}" for i in range(start, n)}


def take(session: Session, laid: Laid, outputs: ImportedOutputs, **asked: Any) -> Imported:
    """Import into the laid project."""
    if "with_run" not in asked:
        asked = {"dataset": "tickets", **asked}
    return import_outputs(session, laid.project, outputs, **asked)


def score(session: Session, score_run_id: int) -> None:
    """What the scoring job does."""
    units = scoring.pending_units(session, score_run_id)
    written = scoring.load_generations(session, [unit.generation_id for unit in units])
    scoring.save_scores(session, score_run_id, scoring.score_units(units, written))


def rows_stored(session: Session) -> dict[str, int]:
    """How many rows each table has."""
    tables = Base.metadata.sorted_tables
    return {t.name: session.scalar(select(func.count()).select_from(t)) or 0 for t in tables}


def test_outputs_are_a_run_that_is_written_and_scored(session: Session) -> None:
    laid = lay_down_project(session)
    made = take(session, laid, given({**said_by(5), "e5": None}))
    assert (made.run.engine, made.run.split, made.run.example_ids) == ("import", "test", None)
    assert [(m.label, m.kind, m.base_sha256) for m in made.models] == [("vendor@1", "outputs", "")]
    assert generation.run_progress(session, made.run.id).model_dump() == {
        "done": 6,
        "total": 6,
        "failed": 1,
    }
    [job] = queue_scoring(session, made, ["exact_match"], allowed=BUILT_IN)
    score(session, job.subject_id)
    [figure] = model_figures(session, job.subject_id)
    assert figure.figure is not None
    assert (figure.figure.value, figure.figure.n, figure.figure.failed) == (1.0, 5, 1)


def test_what_is_not_proved_not_covered_and_not_given_is_said(session: Session) -> None:
    laid = lay_down_project(session)
    made = take(session, laid, given(said_by(4), tokens=3))
    assert made.run.example_ids == list(laid.examples[:4])
    said = " ".join(made.notes)
    assert f"vendor@1: {UNPROVED}." in said
    assert "2 of the 6 examples of the test split of tickets@1 have no output" in said
    assert "said of them: prompt_tokens, seconds, logprobs, finish_reason." in said
    assert provenance(session, made.run) == [
        f"vendor@1: {UNPROVED}.",
        "It covers 4 of the 6 test examples.",
    ]
    node = model_node(session, made.models[0])
    assert node.facts == ["outputs imported, not proved to be of a model"]


def test_a_run_of_all_that_was_not_erased_is_whole(session: Session) -> None:
    """It covers what it was given, so that its figures are of that."""
    laid = lay_down_project(session)
    erasure = Erasure(project_id=laid.project, kind="example", subject="e5", reason="asked for")
    session.add(erasure)
    session.flush()
    session.get_one(Example, laid.examples[5]).erasure_id = erasure.id
    found = take(session, laid, given(said_by(5)))
    assert found.run.example_ids == list(laid.examples[:5])
    run = scoring.create_score_run(session, generation_run_id=found.run.id, metrics=["length"])
    score(session, run.id)
    (figure,) = model_figures(session, run.id)
    assert figure.error is None
    assert generation.run_progress(session, found.run.id).missing == 0


def test_several_models_and_samples_lack_nothing(session: Session) -> None:
    laid = lay_down_project(session)
    rows = [*given(said_by(3), model="large").rows, *given(said_by(2), model="small").rows]
    rows.append(ImportedOutput(9, "e0", "small", sample=1, text="again"))
    made = take(session, laid, ImportedOutputs("out.jsonl", rows))
    assert [model.label for model in made.models] == ["large@1", "small@1"]
    assert generation.run_progress(session, made.run.id).missing == 0
    lacking = select(func.count()).where(Generation.error == NOT_GIVEN)
    assert session.scalar(lacking) == 12 - len(rows)
    assert "large@1: 3 outputs not given, counted as failed." in made.notes


@pytest.mark.parametrize(
    ("again", "repeated", "runs", "revision"),
    [
        (given(said_by()), True, 1, 1),
        (ImportedOutputs("renamed.jsonl", given(said_by()).rows[::-1]), True, 1, 1),
        (given({**said_by(), "e0": "other"}), False, 2, 2),
        (given(said_by(4)), False, 2, 1),
        (given(said_by(), tokens=4), False, 2, 1),
        (given(said_by(), model="other"), False, 2, 1),
    ],
)
def test_the_same_again_is_taken_once(
    sessions: sessionmaker[Session],
    again: ImportedOutputs,
    repeated: bool,
    runs: int,
    revision: int,
) -> None:
    with sessions.begin() as session:
        laid = lay_down_project(session)
        first = take(session, laid, given(said_by())).run.id
    with sessions.begin() as session:
        made = take(session, laid, again)
        assert (made.repeated, made.run.id == first) == (repeated, repeated)
        assert made.models[0].revision == revision
    with sessions.begin() as session:
        assert session.scalar(select(func.count(GenerationRun.id))) == runs


def test_a_file_of_before_is_known_after_another(session: Session) -> None:
    laid = lay_down_project(session)
    old, new = given(said_by()), given(said_by(word="tell"))
    first = take(session, laid, old)
    assert take(session, laid, new).models[0].label == "vendor@2"
    back = take(session, laid, old)
    assert (back.repeated, back.run.id, back.models) == (True, first.run.id, first.models)


def test_outputs_of_another_split_are_of_the_same_revision(session: Session) -> None:
    laid = lay_down_project(session)
    first = take(session, laid, given(said_by()))
    more = take(session, laid, given({"e6": "say 6"}), split="train")
    assert (more.models, more.run.split) == (first.models, "train")


def test_two_at_once_are_one_run(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        laid = lay_down_project(session)

    def second() -> tuple[int, bool]:
        with sessions.begin() as session:
            made = take(session, laid, given(said_by()))
            return made.run.id, made.repeated

    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as session:
            first = take(session, laid, given(said_by())).run.id
            waiting = pool.submit(second)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
        assert waiting.result(20) == (first, True)
    with sessions.begin() as session:
        assert session.scalar(select(func.count(Generation.id))) == 6


def test_a_scoring_is_asked_for_once(session: Session) -> None:
    laid = lay_down_project(session)
    jobs = [
        job.subject_id
        for metrics in (["exact_match"], ["exact_match"], ["rouge1"], [])
        for job in queue_scoring(
            session, take(session, laid, given(said_by())), metrics, allowed=BUILT_IN
        )
    ]
    assert jobs == [jobs[0], jobs[0], jobs[2], jobs[2]]


def _two_datasets(session: Session) -> Laid:
    laid = lay_down_project(session)
    other = [ExampleRow(f"x{i}", f"ask {i}", references=("a",), split="test") for i in range(3)]
    import_dataset(session, laid.project, "banking", other, source_name="made")
    newer = [ExampleRow(f"n{i}", f"new {i}", references=("a",), split="test") for i in range(2)]
    import_dataset(session, laid.project, "tickets", newer, source_name="made")
    return laid


OLD = {"dataset": "tickets", "dataset_version": 1}
BAD: dict[str, tuple[ImportedOutputs, dict[str, Any], type[StropError], str]] = {
    "unknown ids": (
        given({**said_by(2), "zz": "a", "yy": "b"}),
        OLD,
        InvalidInput,
        "out.jsonl: row 3: 2 of 4 ids are not in the test split of tickets@1: "
        "2 in no dataset of this project (zz, yy).",
    ),
    "ids of another split": (
        given({**said_by(2), "e6": "a"}),
        OLD,
        InvalidInput,
        "row 3: 1 of 3 ids is not in the test split of tickets@1: 1 in its train split (e6).",
    ),
    "ids of another version": (
        given({"n0": "a", "n1": "a"}),
        OLD,
        InvalidInput,
        "2 of 2 ids are not in the test split of tickets@1: 2 in tickets@2 (n0, n1).",
    ),
    "ids of another dataset": (
        given({f"x{i}": "a" for i in range(3)}),
        OLD,
        InvalidInput,
        "3 in the dataset banking (x0, x1, x2).",
    ),
    "the newest version": (given(said_by()), {"dataset": "tickets"}, InvalidInput, "in tickets@1"),
    "another input": (
        given({"e0": "a"}, input="how do I pay?"),
        OLD,
        InvalidInput,
        "row 1: the input is not what the example 'e0' asks, in 1 row (e0).",
    ),
    "a name of weights": (given({"e0": "a"}, model="v1"), OLD, InvalidInput, "'v1' names a model"),
    "no dataset": (given({"e0": "a"}), {}, InvalidInput, "No dataset is named."),
    "no such dataset": (given({"e0": "a"}), {"dataset": "zz"}, NotFound, "no dataset 'zz'"),
    "no such split": (given({"e0": "a"}), {**OLD, "split": "dev"}, InvalidInput, "no split 'dev'"),
    "no such run": (given({"e0": "a"}), {"with_run": 99}, NotFound, "There is no run 99."),
}


def test_what_does_not_fit_leaves_nothing(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        laid = _two_datasets(session)
        before = rows_stored(session)
    for name, (outputs, asked, error, said) in BAD.items():
        with sessions.begin() as session:
            with pytest.raises(error) as refused:
                import_outputs(session, laid.project, outputs, **asked)
            assert said in str(refused.value), name
            assert "\n" not in str(refused.value), name
        with sessions.begin() as session:
            assert rows_stored(session) == before, name


@pytest.mark.parametrize("said", ["SAY  0", "Answer this: say 0", "the number is 0"])
def test_an_input_with_an_instruction_around_it_fits(session: Session, said: str) -> None:
    laid = lay_down_project(session)
    assert take(session, laid, given({"e0": "a"}, input=said)).outputs == 1


class TestJoin:
    """Outputs beside the models of a run on the same examples."""

    @pytest.fixture
    def trial(self, session: Session) -> Trial:
        return Trial(session, right=1.0, metrics=["exact_match"])

    def _join(self, trial: Trial, *, word: str = "tell") -> Imported:
        run = trial.scores.generation_run
        return take(trial.session, trial.laid, given(said_by(60, word=word)), with_run=run.id)

    def _scored(self, trial: Trial, made: Imported, metrics: Sequence[str] = ()) -> ScoreRun:
        [job] = queue_scoring(trial.session, made, metrics, allowed=BUILT_IN)
        score(trial.session, job.subject_id)
        return get_score_run(trial.session, job.subject_id)

    def test_they_are_one_more_model_and_nothing_else_moves(self, trial: Trial) -> None:
        session = trial.session
        query = select(Generation.id, Generation.text).order_by(Generation.id)
        before = session.execute(query).all()
        scores = session.scalar(select(func.count(Score.id)))
        made = self._join(trial)
        assert [m.label for m in made.run.models] == ["base", "base:v1@1", "vendor@1"]
        assert session.execute(query).all()[: len(before)] == before
        assert session.scalar(select(func.count(Score.id))) == scores
        assert self._join(trial).repeated
        assert generation.run_progress(session, made.run.id).missing == 0

    def test_scores_of_before_say_what_lacks_and_new_ones_are_asked_for(self, trial: Trial) -> None:
        made = self._join(trial)
        old = model_figures(trial.session, trial.scores.id)
        assert "Only 0 of 60 outputs are scored with exact_match." in str(old[-1].error)
        new = self._scored(trial, made)
        assert new.id != trial.scores.id
        [_, v1, vendor] = model_figures(trial.session, new.id)
        assert [f.figure and f.figure.value for f in (v1, vendor)] == [1.0, 0.0]
        assert self._scored(trial, self._join(trial)).id == new.id
        assert self._scored(trial, made, ["rouge1"]).id > new.id

    @pytest.mark.parametrize(
        ("roles", "word", "verdict", "standing"),
        [
            (("vendor", "v1"), "tell", "PASS", "PASS"),
            (("v1", "vendor"), "say", "INCONCLUSIVE", "INCONCLUSIVE"),
            (("vendor", "base"), "tell", "FAIL", "PASS"),
        ],
    )
    def test_a_verdict_says_what_no_preflight_proves(
        self, trial: Trial, roles: tuple[str, str], word: str, verdict: str, standing: str
    ) -> None:
        session, project = trial.session, trial.laid.project
        scores = self._scored(trial, self._join(trial, word=word))
        old, new = (find_model(session, project, name) for name in roles)
        bar = GOOD_BAR.replace("margin: 0.2", "margin: -0.1")
        row = comparison.compare_models(
            session,
            manifest_row=set_manifest(session, project, bar),
            score_run=scores,
            baseline=old,
            candidate=new,
        )
        assert row.preflight is not None
        assert (row.verdict, row.preflight["verdict"]) == (verdict, standing)
        assert "vendor@1: outputs imported, no preflight" in row.preflight["reason"]
        if new.only_outputs:
            with pytest.raises(Conflict, match="vendor@1 cannot be promoted: only outputs"):
                promotion.plan_promotion(session, row, override="we like it")
            held = promotion.decide_promotion(session, row, decided_by_id=None)
            assert held.action == "held"
        if verdict == "PASS":
            evidence = promotion.evidence_of(session, row)
            assert "outputs imported" in evidence["preflight"]["reason"]

    def test_what_they_took_is_not_invented(self, trial: Trial) -> None:
        made = self._join(trial)
        scores = self._scored(trial, made, ["exact_match", "latency"])
        usage = usage_differences(
            trial.session, scores, trial.base.id, made.models[0].id, price=None
        )
        assert {one.difference for one in usage} == {None}
        assert "does not say what it took" in str(usage[0].error)
        latency = model_figures(trial.session, scores.id)[-1]
        assert latency.spec.metric == "latency"
        assert latency.figure is None

    def test_they_can_be_voted_on_beside_an_own_model(self, trial: Trial) -> None:
        made, session, project = self._join(trial), trial.session, trial.laid.project
        person = create_user(session, "eva", Role.EXPERT, project_ids=[project]).id
        rubric = review.save_rubric(session, project, find_rubric("blind_pair"))
        opened = review.open_queue(
            session,
            "votes",
            review.Opening(
                project_id=project,
                kind="pair",
                generation_run_id=made.run.id,
                rubric_version_id=rubric.id,
                model_ids=[trial.v1.id, made.models[0].id],
                reviewer_ids=[person],
                seed=7,
                n_items=4,
            ),
        )
        assert set(review.models_of_queue(session, opened.id)) == {
            trial.v1.id,
            made.models[0].id,
        }

    def test_what_the_run_does_not_cover_is_left_out_and_what_lacks_fails(
        self, session: Session
    ) -> None:
        laid = lay_down_project(session)
        run = generation.create_run(
            session,
            project_id=laid.project,
            dataset_version_id=laid.version,
            split="test",
            model_ids=laid.models[:1],
            engine="fake",
            params=SamplingParams(),
            example_ids=laid.examples[:2],
        )
        with pytest.raises(Conflict, match=f"Run {run.id} still lacks 2 outputs"):
            take(session, laid, given(said_by()), with_run=run.id)
        write_all(session, run)
        made = take(session, laid, given(said_by(start=1)), with_run=run.id)
        assert "vendor@1: 1 output not given, counted as failed." in made.notes
        assert f"4 outputs left out: of examples that run {run.id} does not cover." in made.notes
        assert generation.clear_failed(session, run.id) == 0  # nobody here could try it again
        with pytest.raises(InvalidInput, match="none of its outputs is of an example that run"):
            take(session, laid, given(said_by(start=4), model="other"), with_run=run.id)

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"split": "train"}, "is on the test split of tickets@1, not on the train split of"),
            ({"dataset": "banking"}, "not on the test split of banking@1"),
        ],
    )
    def test_a_run_says_itself_what_it_is_on(
        self, trial: Trial, asked: dict[str, str], said: str
    ) -> None:
        run = trial.scores.generation_run
        with pytest.raises(InvalidInput, match=said):
            take(trial.session, trial.laid, given({"e0": "a"}), with_run=run.id, **asked)

    def test_as_many_samples_as_the_run_has(self, session: Session) -> None:
        laid = lay_down_project(session)
        run = lay_down_run(session, laid, models=1, samples=2)
        write_all(session, run)
        with pytest.raises(InvalidInput, match=f"1 sample of each example, and run {run.id} has 2"):
            take(session, laid, given(said_by()), with_run=run.id)


def write_all(session: Session, run: GenerationRun) -> None:
    """Answer everything that the run lacks."""
    requests = generation.pending_requests(session, run.id)
    generation.save_generations(
        session, run.id, [GenerationResult(request.key, text="a") for request in requests]
    )


def _model(session: Session, laid: Laid) -> ModelVersion:
    return take(session, laid, given(said_by())).models[0]


REFUSALS: dict[str, tuple[Callable[[Session, Laid, Settings], object], str]] = {
    "run": (
        lambda session, laid, _: generation.create_run(
            session,
            project_id=laid.project,
            dataset_version_id=laid.version,
            split="test",
            model_ids=[_model(session, laid).id],
            engine="fake",
            params=SamplingParams(),
        ),
        "Of vendor@1 only outputs were imported: there is nothing to run.",
    ),
    "resume": (
        lambda session, laid, _: generation.require_resumable(
            take(session, laid, given(said_by())).run
        ),
        "was imported: no engine here can write what it lacks.",
    ),
    "train from": (
        lambda session, laid, _: resolve_start(
            session, laid.project, _model(session, laid).label, {}
        ),
        "There are no weights of vendor@1 here to train from.",
    ),
    "weights under the name": (
        lambda session, laid, settings: register_adapter(
            session,
            laid.project,
            _model(session, laid).name,
            settings.artifacts / "x",
            settings=settings,
        ),
        "'vendor' names outputs that were imported, and no weights.",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_there_is_nothing_to_run_or_train(session: Session, settings: Settings, name: str) -> None:
    act, said = REFUSALS[name]
    with pytest.raises(StropError) as refused:
        act(session, lay_down_project(session), settings)
    assert said in str(refused.value)


def test_a_name_is_of_outputs_or_of_a_training_and_not_of_both(
    session: Session, settings: Settings
) -> None:
    trial = Trial(session, right=1.0, metrics=["exact_match"])
    trial.train(set_manifest(session, trial.laid.project, GOOD_BAR))
    session.scalars(select(TrainingRun)).one().adapter_name = "v7"
    with pytest.raises(InvalidInput, match="'v7' names a model that is registered or trained"):
        take(session, trial.laid, given({"e0": "a"}, model="v7"))
    take(session, trial.laid, given({"e0": "a"}))
    with pytest.raises(InvalidInput, match="'vendor' names outputs that were imported"):
        create_training_run(
            session,
            project_id=trial.laid.project,
            training_set_id=1,
            adapter_name="vendor",
            config={},
            settings=settings,
        )


def test_no_engine_is_asked_for_them(session: Session) -> None:
    laid = lay_down_project(session)
    run = lay_down_run(session, laid, models=2)
    write_all(session, run)
    made = take(session, laid, given(said_by()), with_run=run.id)
    for model in (laid.models[0], made.models[0].id):
        written = select(Generation).where(Generation.model_version_id == model)
        session.delete(session.scalars(written).first())
    session.flush()
    [asked] = generation.pending_requests(session, run.id)
    assert asked.model == "base"
    base = find_model(session, laid.project, "base")
    assert serving_groups(base, made.run.models) == [made.run.models[:2]]
    assert "import" not in ENGINES
    with pytest.raises(UnknownName):
        lay_down_run(session, laid, engine="import")


def test_scores_made_before_the_outputs_came_do_not_count_as_theirs(session: Session) -> None:
    laid = lay_down_project(session)
    run = lay_down_run(session, laid, models=1)
    write_all(session, run)
    early = scoring.create_score_run(session, generation_run_id=run.id, metrics=["exact_match"])
    early.created_at = utc_now() - timedelta(seconds=5)
    made = take(session, laid, given(said_by()), with_run=run.id)
    [job] = queue_scoring(session, made, ["exact_match"], allowed=BUILT_IN)
    assert (job.kind, job.subject_id != early.id) == (queue.JobKind.SCORE, True)


def test_a_correction_of_an_imported_output_is_trained_on_and_of_a_held_out_one_is_not(
    session: Session,
) -> None:
    desk = build_desk(session, splits={"train": 2, "test": 2})
    project = desk.project.id
    for split in ("train", "test"):
        outputs = given({f"{split}-0": "wrong"}, model="vendor")
        made = import_outputs(session, project, outputs, dataset="tickets", split=split)
        queue_ = desk.open(
            session,
            f"of {split}",
            generation_run_id=made.run.id,
            model_ids=[made.models[0].id],
            reviewer_ids=[desk.experts[0].id],
        )
        said = review.Answer(ratings=WRONG, correction="right")
        review_next(session, queue_, desk.experts[0], said)
    recipe = Recipe.model_validate({"queues": ["of train", "of test"]})
    frozen = freeze_training_set(session, project_id=project, name="s", recipe=recipe)
    [row] = training_rows(session, frozen.id)
    where = (row.provenance["example"], row.provenance["model"])
    assert (row.completion, where) == ("right", ("train-0", "vendor@1"))
