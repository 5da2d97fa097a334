"""How long the pages of a comparison and of the rounds take to compute, once and again.

python -m tests.benchmarks.comparison_views [--examples 1500] [--views 5] [--out FILE]

A project on SQLite with base, champion and candidate on the same test examples, six metrics, and
four rounds that were judged on them. Each address is asked of an API that has kept no figure, and
then again of the same API; both sides of the ratio are taken in the same run, by turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from backend.api.app import create_app
from backend.db import connect, migrate, utc_now
from backend.engines.base import GenerationResult
from backend.services.accounts.credentials import create_token
from backend.services.accounts.users import create_user
from backend.services.projects import set_manifest
from backend.services.runs import generation, scoring
from backend.services.verdicts import comparison
from backend.settings import Settings
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.rounds import Phase, Round, RoundState
from backend.tables.verdicts import Promotion
from tests.benchmarks._ratios import Ratio, keep
from tests.fixtures_runs import lay_down_project, lay_down_run

METRICS = ["exact_match", "token_f1", "rougeL", "bleu", "chrf", "invented"]
BAR = "name: bar\nlines: [{metric: token_f1, margin: 0.0}, {metric: bleu, margin: 0.0}]"
WORDS = ("order", "parcel", "refund", "card", "late", "sent", "paid", "office", "week", "offer")
ROUNDS = 4


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1500)
    parser.add_argument("--views", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        migrate(settings.url)
        sessions = connect(settings)
        token, paths = _lay_down(sessions, args.examples)
        found = [
            _summary(name, args.examples, [*_times(settings, sessions, token, path, args.views)])
            for name, path in paths.items()
        ]
    if args.out:
        args.out.write_text(json.dumps(found, indent=2), encoding="utf-8")
    keep(args.out, [Ratio(f"{one['metric']}: first view over the next", one["ratios"],
                          load=(one["load"], os.getloadavg()[0])) for one in found])  # fmt: skip


def _lay_down(sessions: sessionmaker[Session], examples: int) -> tuple[str, dict[str, str]]:
    """The project; returns an admin's token, and the addresses by what they show."""
    with sessions.begin() as session:
        laid = lay_down_project(session, examples=examples, adapters=2)
        drawn = random.Random(7)
        for row in session.scalars(select(Example)):
            row.references = [" ".join(drawn.choices(WORDS, k=30))]
            row.context = row.references[0]
        session.flush()
        run = lay_down_run(session, laid, models=3)
        generation.save_generations(session, run.id, _answers(session, run.id, drawn))
        scores = scoring.create_score_run(session, generation_run_id=run.id, metrics=METRICS)
        units = scoring.pending_units(session, scores.id)
        written = scoring.load_generations(session, [unit.generation_id for unit in units])
        scoring.save_scores(session, scores.id, scoring.score_units(units, written))
        base, champion, candidate = (session.get_one(ModelVersion, i) for i in laid.models)
        session.add(_promoted(laid.project, champion.id))
        judged = comparison.compare_models(
            session,
            manifest_row=set_manifest(session, laid.project, BAR),
            score_run=scores,
            baseline=base,
            candidate=candidate,
        )
        session.add_all(_round(laid.project, n + 1, judged.id) for n in range(ROUNDS))
        admin = create_user(session, "ada", "admin")
        return create_token(session, admin, "bench", now=utc_now()).value, {
            "comparison": f"/v1/comparisons/{judged.id}",
            "its slices": f"/v1/comparisons/{judged.id}/slices",
            f"list of {ROUNDS} rounds": f"/v1/projects/{laid.project}/rounds",
            "score run": f"/v1/score-runs/{scores.id}",
        }


def _answers(session: Session, run_id: int, drawn: random.Random) -> list[GenerationResult]:
    """Each model keeps more of the reference's words than the one before; the rest is drawn."""
    references = {row.id: row.references[0].split() for row in session.scalars(select(Example))}
    results = []
    for request in generation.pending_requests(session, run_id):
        model_id, example_id, _ = generation.parse_unit_key(request.key)
        kept = 0.4 + 0.1 * model_id
        text = [w if drawn.random() < kept else drawn.choice(WORDS) for w in references[example_id]]
        logprobs = (-0.5,) * len(text)
        results.append(GenerationResult(request.key, text=" ".join(text), token_logprobs=logprobs))
    return results


def _promoted(project_id: int, model_id: int) -> Promotion:
    return Promotion(
        project_id=project_id,
        alias="champion",
        model_version_id=model_id,
        action="promoted",
        reason="made for the benchmark",
    )


def _round(project_id: int, number: int, comparison_id: int) -> Round:
    return Round(
        project_id=project_id,
        number=number,
        plan={"adapter": "v2"},
        phase=Phase.END,
        state=RoundState.FINISHED,
        comparison_id=comparison_id,
    )


def _times(
    settings: Settings, sessions: sessionmaker[Session], token: str, path: str, views: int
) -> Iterator[tuple[float, float]]:
    """Seconds of the first view of an API that has kept nothing, and of its second."""
    for _ in range(views):
        with _api(settings, sessions, token) as client:
            yield _view(client, path), _view(client, path)


@contextmanager
def _api(settings: Settings, sessions: sessionmaker[Session], token: str) -> Iterator[TestClient]:
    app = create_app(settings, sessions)
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
        client.get("/healthz").raise_for_status()
        yield client


def _view(client: TestClient, path: str) -> float:
    began = time.perf_counter()
    client.get(path).raise_for_status()
    return time.perf_counter() - began


def _summary(name: str, examples: int, times: list[tuple[float, float]]) -> dict[str, Any]:
    """Medians of both sides and of the ratio of each pair, printed and returned."""
    first, again = (statistics.median(side) for side in zip(*times, strict=True))
    ratios = sorted(before / after for before, after in times)
    found = {
        "metric": f"{name}, s",
        "examples": examples,
        "metrics": len(METRICS),
        "first": round(first, 3),
        "again": round(again, 3),
        "ratio": round(statistics.median(ratios), 1),
        "lowest_ratio": round(ratios[0], 1),
        "highest_ratio": round(ratios[-1], 1),
        "ratios": ratios,
        "n": len(times),
        "load": round(os.getloadavg()[0], 1),
    }
    print(
        f"{name}: {found['first']} s at first, {found['again']} s again, {found['ratio']} times "
        f"({found['lowest_ratio']} to {found['highest_ratio']}), n={found['n']}, "
        f"{examples} examples, {len(METRICS)} metrics, load {found['load']}",
        flush=True,
    )
    return found


if __name__ == "__main__":
    main()
