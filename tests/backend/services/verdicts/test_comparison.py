"""A comparison judges every line of the manifest and keeps the evidence; what lacks is no pass."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import case, delete, update
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.db import connect
from backend.errors import CannotCompute, Conflict, InvalidInput, NotFound
from backend.schemas.projects import ManifestLine
from backend.services import review
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.datasets.versions import import_dataset
from backend.services.projects import set_manifest
from backend.services.verdicts import comparison, promotion
from backend.services.verdicts.verdict import change_since_training, judge_line
from backend.settings import Settings
from backend.tables.models import ModelVersion
from backend.tables.review import ReviewItem, ReviewQueue
from backend.tables.runs import Generation, ScoreRun
from backend.tables.verdicts import Comparison
from tests.fixtures_review import (
    Desk,
    build_desk,
    make_rows,
    run_over,
    score_answers,
    vote_on_pairs,
)
from tests.fixtures_trial import GOOD_BAR, Trial


def _verdicts(row: Comparison) -> list[str]:
    return [line["verdict"] for line in row.lines]


@pytest.mark.parametrize(
    ("right", "expected", "verdicts"),
    [
        (1.0, "PASS", ["PASS", "PASS", "PASS"]),
        (0.8, "INCONCLUSIVE", ["INCONCLUSIVE", "PASS", "PASS"]),
        (0.5, "FAIL", ["FAIL", "PASS", "PASS"]),
    ],
)
def test_verdict_follows_the_intervals(
    session: Session, right: float, expected: str, verdicts: list[str]
) -> None:
    row = Trial(session, right=right, metrics=["exact_match"]).judge(GOOD_BAR)
    assert (row.verdict, _verdicts(row)) == (expected, verdicts)


@pytest.mark.parametrize(
    ("preflights", "verdict", "standing"),
    [
        ((True,), "PASS", "PASS"),
        ((), "INCONCLUSIVE", "INCONCLUSIVE"),
        ((False,), "FAIL", "FAIL"),
        ((True, False), "FAIL", "FAIL"),
        ((False, True), "PASS", "PASS"),
    ],
)
def test_without_a_passing_preflight_there_is_no_pass(
    sqlite_sessions: sessionmaker[Session],
    preflights: tuple[bool, ...],
    verdict: str,
    standing: str,
) -> None:
    with sqlite_sessions() as session:
        trial = Trial(session, right=1.0, metrics=["exact_match"], preflights=preflights)
        row = trial.judge(GOOD_BAR)
        assert _verdicts(row) == ["PASS", "PASS", "PASS"]
        assert row.preflight is not None
        assert (row.verdict, row.preflight["verdict"]) == (verdict, standing)


def test_the_preflight_says_how_many_checks_and_which_failed(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        passed = Trial(session, right=1.0, metrics=["exact_match"]).judge(GOOD_BAR).preflight
        assert passed is not None
        assert passed["reason"] == "checks passed: 1; noted without a verdict: 1"
    with sqlite_sessions() as session:
        trial = Trial(session, right=1.0, metrics=["exact_match"], preflights=(False,))
        failed = trial.judge(GOOD_BAR).preflight
        assert failed is not None
        assert failed["reason"].endswith("failed: they differ")


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("{metric: exact_match, guardrail: 0.1}", "PASS"),
        ("{metric: exact_match, direction: lower, guardrail: 0.1}", "FAIL"),
        ("{metric: win_rate, margin: 0.1}", "INCONCLUSIVE"),
    ],
)
def test_a_guardrail_is_not_worse_by_more_than_its_margin(
    sqlite_sessions: sessionmaker[Session], line: str, verdict: str
) -> None:
    with sqlite_sessions() as session:
        trial = Trial(session, right=1.0, metrics=["exact_match"])
        row = trial.judge(f"name: bar\nlines: [{line}]")
        assert _verdicts(row) == [verdict]


def test_a_bar_that_moved_after_training_is_told(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions() as session:
        trial = Trial(session, right=1.0, metrics=["exact_match"])
        before = set_manifest(session, trial.laid.project, GOOD_BAR)
        trial.train(before)
        same = change_since_training(session, trial.judge(GOOD_BAR))
        moved = change_since_training(session, trial.judge(GOOD_BAR.replace("0.8", "0.5")))
        trial.v1.training_run_id = None
        unknown = change_since_training(session, trial.judge(GOOD_BAR))
    assert (same.changed, same.diff) == (False, [])
    assert moved.changed
    assert "version 1" in moved.sentence
    assert "version 2" in moved.sentence
    assert "-  - {metric: exact_match, threshold: 0.8}" in moved.diff
    assert "+  - {metric: exact_match, threshold: 0.5}" in moved.diff
    assert unknown.changed is None


def test_a_prompt_of_the_baseline_that_came_after_training_is_told(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        trial = Trial(session, right=1.0, metrics=["exact_match"])
        trial.train(set_manifest(session, trial.laid.project, GOOD_BAR))
        row = trial.judge(GOOD_BAR)
        prompt = add_prompt(session, trial.laid.project, "brief", parse_prompt("system: Be brief."))
        session.get_one(ModelVersion, row.baseline_id).prompt = prompt
        moved = change_since_training(session, row)
        both = change_since_training(session, trial.judge(GOOD_BAR.replace("0.8", "0.5")))
    assert moved.changed
    assert moved.sentence.startswith("THE BASELINE CHANGED after training began")
    assert both.sentence.startswith("THE BAR CHANGED after training began")
    assert "THE BASELINE CHANGED" in both.sentence


def test_p_values_are_adjusted_over_the_lines(session: Session) -> None:
    row = Trial(session, right=0.6, metrics=["exact_match"]).judge(GOOD_BAR)
    alone, margin, intent = (line["evidence"] for line in row.lines)
    assert "p_holm" not in alone
    assert margin["p_holm"] >= margin["p"]
    assert max(margin["p_holm"], intent["p_holm"]) == max(margin["p"], intent["p"])
    assert min(margin["p_holm"], intent["p_holm"]) == 2 * min(margin["p"], intent["p"])


def test_evidence_has_n_interval_signature_and_both_sides(session: Session) -> None:
    row = Trial(session, right=1.0, metrics=["exact_match"]).judge(GOOD_BAR)
    threshold, margin, intent = (line["evidence"] for line in row.lines)
    assert (threshold["n"], margin["n"], intent["n"]) == (60, 60, 30)
    assert (margin["baseline"], margin["candidate"], margin["value"]) == (0.0, 1.0, 1.0)
    assert threshold["low"] <= threshold["value"] <= threshold["high"]
    assert all("exact_match" in line["evidence"]["signature"] for line in row.lines)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{metric: rougeL, threshold: 0.1}", "rougeL"),
        ("{metric: win_rate, threshold: 0.5}", "No blind votes"),
        ("{metric: exact_match, slice: {task: nonesuch}, margin: 0}", "exact_match"),
    ],
)
def test_line_without_a_figure_is_never_a_pass(session: Session, line: str, reason: str) -> None:
    row = Trial(session, right=1.0, metrics=["exact_match"]).judge(
        f"name: bar\nlines: [{line}, {{metric: exact_match, margin: 0}}]"
    )
    assert (row.verdict, _verdicts(row)) == ("INCONCLUSIVE", ["INCONCLUSIVE", "PASS"])
    assert reason in row.lines[0]["reason"]


def test_figures_all_alike_without_a_bound_are_no_pass(session: Session) -> None:
    """Equal lengths tell nothing of the next ones: no interval, so no verdict."""
    row = Trial(session, right=0.0, metrics=["length"]).judge(
        "name: bar\nlines: [{metric: length, margin: -5}]"
    )
    assert _verdicts(row) == ["INCONCLUSIVE"]
    assert "has no interval: all values are alike" in row.lines[0]["reason"]


def test_scores_of_both_are_found_and_a_missing_run_is_said(session: Session) -> None:
    trial = Trial(session, right=1.0, metrics=["exact_match"])
    project = trial.laid.project
    found = comparison.newest_scores_of_both(session, project, trial.base, trial.v1)
    assert found.id == trial.scores.id
    stranger = ModelVersion(
        project_id=project,
        name="v9",
        revision=1,
        base_model="tiny",
        adapter_path="v9",
        **dict.fromkeys(("base_sha256", "tokenizer_sha256", "template_sha256"), "0"),
    )
    session.add(stranger)
    session.flush()
    with pytest.raises(NotFound, match="never scored in one held-out run"):
        comparison.newest_scores_of_both(session, project, trial.base, stranger)
    with pytest.raises(NotFound, match="never judged"):
        comparison.newest_comparison(session, project, stranger.id)
    assert comparison.newest_pair_queue(session, project, trial.base, trial.v1) is None
    assert review.list_queues(session, project) == []


@pytest.mark.parametrize(("right", "code"), [(1.0, 0), (0.5, 2), (0.8, 3)])
def test_gate_command_ends_with_the_code_of_its_verdict(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    right: float,
    code: int,
) -> None:
    from backend.db import connect

    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        trial = Trial(session, right=right, metrics=["exact_match"])
        set_manifest(session, trial.laid.project, GOOD_BAR)
    with pytest.raises(SystemExit) as ended:
        main(["gate", "v1"])
    assert ended.value.code == code
    assert "exact_match at least 0.8" in capsys.readouterr().out


# What is evidence, and what is not.


class Evidence:
    """Votes and scores of the desk's two models, on any split."""

    def __init__(
        self, session: Session, split: str, *, name: str, desk: Desk | None = None
    ) -> None:
        self.session = session
        self.desk = desk or build_desk(session, splits={"train": 20, "validation": 20, "test": 20})
        self.run = run_over(session, self.desk, self.desk.version, split=split)
        elsewhere = [e.id for e in self.desk.examples if e.split != split]
        session.execute(
            delete(Generation).where(
                Generation.run_id == self.run.id, Generation.example_id.in_(elsewhere)
            )
        )
        session.expire_all()
        chosen = {"generation_run_id": self.run.id}
        self.queue = self.desk.open(session, name, kind="pair", **chosen)
        self.scores = score_answers(session, self.run, "exact_match")

    def judge(
        self,
        *,
        scores: ScoreRun | None = None,
        queue: ReviewQueue | None = None,
        candidate: ModelVersion | None = None,
    ) -> Comparison:
        return comparison.compare_models(
            self.session,
            manifest_row=set_manifest(self.session, self.desk.project.id, BLIND_BAR),
            score_run=scores or self.scores,
            baseline=self.desk.models[0],
            candidate=candidate or self.desk.models[1],
            queue=queue or self.queue,
        )


@pytest.mark.parametrize("split", ["train", "validation"])
def test_only_the_test_split_is_evidence(sessions: sessionmaker[Session], split: str) -> None:
    with sessions() as session:
        good = Evidence(session, "test", name="held out")
        bad = Evidence(session, split, name="newer", desk=good.desk)
        project, models = good.desk.project.id, good.desk.models
        assert comparison.newest_pair_queue(session, project, *models) == good.queue
        assert comparison.newest_scores_of_both(session, project, *models) == good.scores
        with pytest.raises(InvalidInput, match=f"the queue 'newer' is on the {split} split"):
            good.judge(queue=bad.queue)
        with pytest.raises(InvalidInput, match=f"is on the {split} split"):
            good.judge(scores=bad.scores)
        assert good.judge().verdict == "INCONCLUSIVE"
        row = good.judge()
        row.verdict, row.preflight = "PASS", {"verdict": "PASS", "reason": ""}
        row.score_run_id = bad.scores.id
        with pytest.raises(Conflict, match=f"is on the {split} split"):
            promotion.plan_promotion(session, row)


def test_evidence_is_of_the_project_the_models_and_the_dataset(
    sessions: sessionmaker[Session],
) -> None:
    with sessions() as session:
        mine = Evidence(session, "test", name="mine")
        elsewhere = build_desk(session, splits={"test": 9}, name="other")
        theirs = Evidence(session, "test", name="theirs", desk=elsewhere)
        with pytest.raises(NotFound, match="of another"):
            mine.judge(queue=theirs.queue)
        with pytest.raises(NotFound, match="of another"):
            mine.judge(scores=theirs.scores)
        stranger = ModelVersion(
            project_id=mine.desk.project.id,
            name="v9",
            revision=1,
            base_model="tiny",
            adapter_path="v9",
            **dict.fromkeys(("base_sha256", "tokenizer_sha256", "template_sha256"), "0"),
        )
        session.add(stranger)
        session.flush()
        with pytest.raises(InvalidInput, match="do not both take part in score run"):
            mine.judge(candidate=stranger)
        single = mine.desk.open(session, "single", generation_run_id=mine.run.id)
        with pytest.raises(InvalidInput, match="shows single outputs"):
            mine.judge(queue=single)
        other = import_dataset(
            session, mine.desk.project.id, "letters", make_rows({"test": 9}), source_name="x"
        )
        run = run_over(session, mine.desk, other, split="test")
        votes = mine.desk.open(session, "letters", kind="pair", generation_run_id=run.id)
        models = mine.desk.models
        newest = comparison.newest_pair_queue(
            session, mine.desk.project.id, *models, scores=mine.scores
        )
        assert newest == mine.queue
        with pytest.raises(InvalidInput, match="are on another dataset"):
            mine.judge(queue=votes)


BLIND_BAR = "name: bar\nlines: [{metric: win_rate, threshold: 0.5}]"


@pytest.mark.parametrize(
    ("winners", "verdict"),
    [("vvvvvvvvvvvvvvvv", "PASS"), ("vvvvvbvvbv", "INCONCLUSIVE"), ("bbbbbbbbbbbbbbbb", "FAIL")],
)
def test_blind_votes_are_judged_by_an_interval_that_may_be_watched(
    sqlite_sessions: sessionmaker[Session], winners: str, verdict: str
) -> None:
    with sqlite_sessions() as session:
        desk = build_desk(session, splits={"test": 40})
        queue = desk.open(session, "blind", kind="pair")
        base, candidate = desk.models
        vote_on_pairs(session, desk, queue, winners)
        evidence = comparison._vote_evidence(session, queue, base, candidate, 0.95)
        flipped = comparison._vote_evidence(session, queue, candidate, base, 0.95)
        line = ManifestLine(metric="win_rate", threshold=0.5)
        assert judge_line(line, evidence).verdict == verdict
        assert evidence.value == pytest.approx(winners.count("v") / len(winners))
        assert (flipped.low, flipped.high) == pytest.approx((1 - evidence.high, 1 - evidence.low))


def test_a_verdict_on_simulated_votes_says_so(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        desk = build_desk(session, splits={"test": 40})
        run = run_over(session, desk, desk.version, split="test")
        queue = desk.open(session, "blind", kind="pair", generation_run_id=run.id)
        vote_on_pairs(session, desk, queue, "vv")
        vote_on_pairs(session, desk, queue, "v" * 14, simulated=True)
        row = comparison.compare_models(
            session,
            manifest_row=set_manifest(session, desk.project.id, BLIND_BAR),
            score_run=score_answers(session, run, "exact_match"),
            baseline=desk.models[0],
            candidate=desk.models[1],
            queue=queue,
        )
        assert row.n_simulated == 14
        [line] = row.lines
        assert (line["evidence"]["n_votes"], line["evidence"]["n_simulated"]) == (16, 14)
        assert "14 of 16 votes simulated" in line["reason"]
        decision = promotion.decide_promotion(session, row, decided_by_id=None)
        assert "by manifest (14 votes simulated)" in decision.reason
        assert (decision.evidence or {})["n_simulated"] == 14
        assert promotion.simulated_votes(session, decision) == 14


def test_a_line_on_a_slice_takes_the_votes_of_that_slice(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        desk = build_desk(session, splits={"test": 40})
        for n, example in enumerate(desk.examples):
            example.slices = {"task": "intent" if n % 4 else "reply"}
        queue = desk.open(session, "blind", kind="pair")
        vote_on_pairs(session, desk, queue, "v" * 40)
        [*_, last] = review.queue_votes(session, queue.id)
        last_item = session.get_one(ReviewItem, last.item_id)
        task = last_item.generation_a.example.slices
        whole = comparison._vote_evidence(session, queue, *desk.models, 0.95)
        part = comparison._vote_evidence(session, queue, *desk.models, 0.95, slice=task)
        assert whole.n == 40
        assert part.n == part.n_votes == {"intent": 30, "reply": 10}[task["task"]]
        with pytest.raises(CannotCompute, match="in the slice of win_rate@task=other"):
            comparison._vote_evidence(session, queue, *desk.models, 0.95, slice={"task": "other"})


def test_few_votes_promise_no_number_of_further_ones(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        desk = build_desk(session, splits={"test": 20})
        queue = desk.open(session, "blind", kind="pair")
        vote_on_pairs(session, desk, queue, "vvbv")
        evidence = comparison._vote_evidence(session, queue, *desk.models, 0.95, threshold=0.5)
        judged = judge_line(ManifestLine(metric="win_rate", threshold=0.5), evidence)
        assert judged.more is None
        assert "cannot be told yet" in judged.reason


def test_votes_of_people_are_not_called_simulated(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions() as session:
        desk = build_desk(session, splits={"test": 40})
        queue = desk.open(session, "blind", kind="pair")
        vote_on_pairs(session, desk, queue, "v" * 12)
        evidence = comparison._vote_evidence(session, queue, *desk.models, 0.95)
        assert evidence.n_simulated == 0
        line = ManifestLine(metric="win_rate", threshold=0.5)
        assert "simulated" not in judge_line(line, evidence).reason


def test_the_gate_says_in_words_that_the_bar_moved_and_what_the_preflight_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from backend.db import connect

    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        trial = Trial(session, right=1.0, metrics=["exact_match"])
        trial.train(set_manifest(session, trial.laid.project, GOOD_BAR))
        set_manifest(session, trial.laid.project, GOOD_BAR.replace("0.8", "0.5"))
    with pytest.raises(SystemExit) as ended:
        main(["gate", "v1"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "preflight passed" in said
    assert "checks passed: 1" in said
    assert "THE BAR CHANGED after training began: trained under version 1" in said
    assert "-  - {metric: exact_match, threshold: 0.8}" in said


def test_flips_slices_and_usage_are_printed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        trial = Trial(session, right=0.8, metrics=["exact_match"])
        set_manifest(session, trial.laid.project, GOOD_BAR)
    with pytest.raises(SystemExit) as ended:
        main(["compare", "base", "v1", "--flips", "2", "--slices"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "base:v1@1 is better on 48 and worse on 0 of 60 examples; 12 are equal." in said
    assert said.count("BETTER: example") == 2
    assert "task=reply" in said
    assert "tokens" in said


def test_what_a_prompt_costs_is_said_in_json_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        trial = Trial(session, right=0.8, metrics=["exact_match"])
        brief = add_prompt(session, trial.laid.project, "brief", parse_prompt("system: Brief."))
        trial.v1.prompt = brief
        of_v1 = case((Generation.model_version_id == trial.v1.id, 10), else_=40)
        session.execute(update(Generation).values(prompt_tokens=of_v1))
        set_manifest(session, trial.laid.project, GOOD_BAR)
    with pytest.raises(SystemExit):
        main(["compare", "base", "v1", "--json"])
    rows = json.loads(capsys.readouterr().out)
    said = {row["metric"]: row["savings"] for row in rows if "savings" in row}
    assert list(said) == ["prompt_tokens"]
    assert "prompt tokens an answer, base " in said["prompt_tokens"]
