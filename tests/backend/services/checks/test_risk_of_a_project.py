"""The risk of a project: learned from its reviews, kept, and scored as a metric of a run."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import ReadRequest, ReadResult
from backend.errors import CannotCompute, Conflict, InvalidInput, NotFound
from backend.services.checks import risk
from backend.services.runs import scoring
from backend.services.runs.figures import model_figures
from backend.services.runs.risks import find_risk
from backend.settings import Settings
from backend.tables.review import Review, ReviewItem
from backend.tables.runs import Generation, Score, ScoreRun
from tests.backend.jobs.test_checker_jobs import faked
from tests.fixtures_checks import (
    CHECKS,
    build_judged_desk,
    is_wrong,
    review_all,
    score_run,
    work_on,
)
from tests.fixtures_review import Desk


@pytest.fixture
def desk(sessions: sessionmaker[Session], settings: Settings) -> Desk:
    """Reviewed and scored, on each database."""
    with sessions.begin() as session:
        desk = build_judged_desk(session)
        review_all(session, desk)
        scored = score_run(session, desk).id
    work_on(settings, sessions, scored)
    return desk


def fit(session: Session, desk: Desk, **options: Any) -> risk.FittedRisk:
    return risk.fit_material(risk.read_material(session, desk.project.id, **options))


def test_a_risk_is_fitted_kept_and_scored_by_a_worker(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk
) -> None:
    with sessions.begin() as session:
        fitted = fit(session, desk)
        row = risk.save_risk(session, desk.project.id, fitted)
        assert (row.version, row.n, row.positives, row.wrong_when) == (1, 90, 30, "marked")
        assert row.report["figures"][0]["value"] > 0.95
        assert {f["predictor"] for f in row.report["figures"]} == {"risk", "majority"}
        assert "invented~others" in row.report["features"]
        assert row.n_simulated == 0
        assert risk.save_risk(session, desk.project.id, fitted).version == 2
        asked = score_run(session, desk, (*CHECKS, "risk"))
        assert asked.metrics[-1]["metric"] == "risk:2"
        asked_id = asked.id
    work_on(settings, sessions, asked_id)
    with sessions() as session:
        rows = {
            row.generation_id: row
            for row in session.scalars(
                select(Score).where(Score.score_run_id == asked_id, Score.metric == "risk:2")
            )
        }
        outputs = session.scalars(select(Generation).where(Generation.run_id == desk.run.id)).all()
        assert set(rows) == {output.id for output in outputs}
        numbers = {example.id: n for n, example in enumerate(desk.examples)}
        for output in outputs:
            base = output.model_version_id == desk.models[0].id
            wrong = base and is_wrong(numbers[output.example_id])
            found = rows[output.id].value
            assert found is not None
            assert (found > 0.5) == wrong, output.text
            assert rows[output.id].signature.startswith("risk:2|strop:2|model:")
        worst = max(rows.values(), key=lambda row: row.value or 0)
        assert (worst.explanation or "").startswith("raised by ")
        assert any("is not in the source" in span["reason"] for span in worst.spans)
        by_model = [f for f in model_figures(session, asked_id) if f.spec.metric == "risk:2"]
        assert len(by_model) == 2
        assert all(f.figure is not None and f.figure.n == 90 for f in by_model)


def likelier_where_right(request: ReadRequest) -> ReadResult:
    """Only what is right is likelier with its source than without."""
    shown = "Read this text" in request.messages[-1]["content"]
    told = -0.5 if shown and "Somebody" not in request.answer else -3.0
    return ReadResult(request.key, (0, 1), (told, told))


def test_a_risk_learns_from_what_a_model_says_where_the_runs_have_it(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        desk = build_judged_desk(session)
        review_all(session, desk)
        scored = score_run(session, desk, ("repetition", "support:base")).id
    engine = faked(likely=likelier_where_right)
    work_on(settings, sessions, scored, engine)
    with sessions.begin() as session:
        fitted = risk.save_risk(session, desk.project.id, fit(session, desk))
        assert {"support:base", "support:base~others"} <= set(fitted.report["features"])
        assert fitted.report["figures"][0]["value"] > 0.95
        alone = score_run(session, desk, ("repetition", "risk")).id
        both = score_run(session, desk, ("repetition", "support:base", "risk")).id
    work_on(settings, sessions, alone, engine)
    work_on(settings, sessions, both, engine)
    with sessions() as session:
        lacks, found = (
            session.scalars(
                select(Score).where(Score.score_run_id == id_, Score.metric == "risk:1")
            ).all()
            for id_ in (alone, both)
        )
        texts = {one.id: str(one.text) for one in session.scalars(select(Generation))}
    assert len(lacks) == len(found) == 180
    assert all("score support:base too" in str(row.error) for row in lacks)
    for row in found:
        assert ((row.value or 0) > 0.5) == ("Somebody" in texts[row.generation_id])


def test_a_run_that_was_not_scored_by_its_checks_has_errors_that_say_so(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk
) -> None:
    with sessions.begin() as session:
        risk.save_risk(session, desk.project.id, fit(session, desk))
        asked = score_run(session, desk, ("invented", "overlap@task=a", "risk:1")[::2]).id
    work_on(settings, sessions, asked)
    with sessions() as session:
        found = session.scalars(
            select(Score.error).where(Score.score_run_id == asked, Score.metric == "risk:1")
        ).all()
    assert len(found) == 180
    (said,) = set(found)
    assert said is not None
    assert "score length, overlap, own_words too" in said


def test_what_was_not_written_has_no_risk(
    sessions: sessionmaker[Session], settings: Settings, desk: Desk
) -> None:
    with sessions.begin() as session:
        risk.save_risk(session, desk.project.id, fit(session, desk))
        output = session.scalars(select(Generation).order_by(Generation.id)).first()
        assert output is not None
        output.text, output.error = None, "too long"
        asked, failed = score_run(session, desk, (*CHECKS, "risk")).id, output.id
    work_on(settings, sessions, asked)
    with sessions() as session:
        row = session.scalar(
            select(Score).where(
                Score.score_run_id == asked,
                Score.generation_id == failed,
                Score.metric == "risk:1",
            )
        )
        assert row is not None
        assert row.error == "nothing was generated: too long"


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Session:
    """On SQLite only, for what does not depend on the backend."""
    return sqlite_sessions()


def scored_by_hand(session: Session, desk: Desk, metrics: tuple[str, ...] = CHECKS) -> ScoreRun:
    """Scores as if a worker had computed them."""
    from backend.services.metric_specs import BUILT_IN

    asked = score_run(session, desk, metrics)
    units = scoring.pending_units(session, asked.id)
    written = scoring.load_generations(session, [unit.generation_id for unit in units])
    others = scoring.load_others(session, written)
    rows = scoring.score_units(units, written, resolve=BUILT_IN.resolve, others=others)
    scoring.save_scores(session, asked.id, rows)
    return asked


def test_too_few_reviews_say_how_many_more_it_takes(session: Session) -> None:
    desk = build_judged_desk(session, splits={"train": 30})
    scored_by_hand(session, desk)
    with pytest.raises(CannotCompute, match="0 labels") as nothing:
        fit(session, desk)
    review_all(session, desk)
    with pytest.raises(CannotCompute, match="30 labels, 10 of them") as few:
        fit(session, desk)
    assert "30 more labels in all, 5 more hallucinations" in str(few.value)
    assert nothing.value.hint is not None


def test_a_project_without_scores_is_told_to_score(session: Session) -> None:
    desk = build_judged_desk(session, splits={"train": 3})
    with pytest.raises(CannotCompute, match="scored with a check"):
        fit(session, desk)
    scored_by_hand(session, desk, ("rougeL",))
    with pytest.raises(CannotCompute, match="scored with a check"):
        fit(session, desk)
    one, other = scored_by_hand(session, desk, ("length",)), build_judged_desk(session, name="else")
    with pytest.raises(NotFound, match=f"no score run {one.id}"):
        fit(session, other, score_run_ids=[one.id])
    with pytest.raises(NotFound):
        fit(session, desk, score_run_ids=[9999])


def test_reviews_of_the_test_split_do_not_count_and_a_risk_from_them_judges_no_test_outputs(
    session: Session,
) -> None:
    desk = build_judged_desk(session, splits={"test": 90})
    scored_by_hand(session, desk)
    review_all(session, desk)
    with pytest.raises(CannotCompute, match="0 labels") as none:
        fit(session, desk)
    assert "90 reviewed outputs of the test split" in str(none.value)
    row = risk.save_risk(session, desk.project.id, fit(session, desk, splits=["test"]))
    assert row.splits == ["test"]
    for metric in ("risk", "risk:1"):
        with pytest.raises(Conflict, match="to judge test outputs by it"):
            score_run(session, desk, (*CHECKS, metric))


@pytest.mark.parametrize("metric", ["risk", "risk:1", "risk:x", "risk:99999999999", "risk:²"])
def test_a_risk_that_is_not_there_is_refused(session: Session, metric: str) -> None:
    desk = build_judged_desk(session, splits={"train": 3})
    with pytest.raises(NotFound, match="This project has no risk"):
        score_run(session, desk, (metric,))


def test_no_database_is_asked_for_a_version_that_its_column_cannot_hold(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    """SQLite would look for any number; PostgreSQL fails at 2**31."""
    asked: list[object] = []

    @event.listens_for(sqlite_sessions.kw["bind"], "before_cursor_execute")
    def note(
        _: object, __: object, ___: str, parameters: tuple[object, ...], *____: object
    ) -> None:
        asked.extend(parameters)

    for version in ("2147483648", "99999999999", 2**31):
        with sqlite_sessions() as session, pytest.raises(NotFound, match=f"no risk:{version}"):
            find_risk(session, 1, version)
    assert [n for n in asked if isinstance(n, int) and n >= 2**31] == []
    assert len(asked) > 3


def test_an_output_stands_for_the_inverse_of_the_chance_with_which_it_was_drawn(
    session: Session,
) -> None:
    desk = build_judged_desk(session)
    scored_by_hand(session, desk)
    review_all(session, desk)
    alike = fit(session, desk)
    assert alike.report["n_effective"] == pytest.approx(90)
    items = session.scalars(select(ReviewItem).order_by(ReviewItem.id)).all()
    for n, item in enumerate(items):
        item.inclusion_probability = 0.1 if n % 2 else 1.0
    session.flush()
    weighted = fit(session, desk)
    sums = [45 * 1.0 + 45 * 10.0, 45 * 1.0 + 45 * 100.0]
    assert weighted.report["n_effective"] == pytest.approx(sums[0] ** 2 / sums[1])
    assert weighted.n == 90
    assert weighted.content["means"] != alike.content["means"]  # the model weighs them, too


def test_simulated_reviews_are_counted(session: Session) -> None:
    desk = build_judged_desk(session)
    scored_by_hand(session, desk)
    review_all(session, desk)
    for row in session.scalars(select(Review).limit(7)):
        row.simulated = True
    session.flush()
    assert fit(session, desk).n_simulated == 7


def test_which_answers_count_as_wrong_is_stated_and_must_be_asked(session: Session) -> None:
    desk = build_judged_desk(session)
    scored_by_hand(session, desk)
    review_all(session, desk)
    stated = risk.read_material(session, desk.project.id, wrong_when="quality>=4")
    assert sum(one.wrong for one in stated.labels.values()) == 60
    assert stated.wrong_when == "quality>=4"
    assert risk.read_material(session, desk.project.id).wrong_when == "marked"
    for text, said in (("absent<2", "absent"), ("quality", "wrong"), ("", "wrong")):
        with pytest.raises(InvalidInput, match=said):
            risk.read_material(session, desk.project.id, wrong_when=text)


def test_checks_that_not_all_runs_have_are_left_out_by_name(session: Session) -> None:
    desk = build_judged_desk(session, splits={"train": 90})
    review_all(session, desk)
    scored_by_hand(session, desk, ("length", "rougeL", "latency"))
    first = scored_by_hand(session, desk)
    material = risk.read_material(session, desk.project.id)
    assert material.score_run_ids == [first.id]
    both = risk.read_material(session, desk.project.id, score_run_ids=[first.id, first.id - 1])
    assert set(both.rows[0]) == set(CHECKS)
    assert both.left_out == {}


def test_what_reads_the_reference_is_no_check(session: Session) -> None:
    desk = build_judged_desk(session, splits={"train": 3})
    run = scored_by_hand(session, desk, ("length", "rougeL"))
    more = ("bertscore:tiny", "embedding:tiny", "evaluate:wer", "check:facts@1", "regex:x")
    run.metrics = [*run.metrics, *({**run.metrics[0], "metric": name} for name in more)]
    session.flush()
    found = risk.read_material(session, desk.project.id)
    assert set(found.rows[0]) == {"length", "check:facts@1", "regex:x"}
