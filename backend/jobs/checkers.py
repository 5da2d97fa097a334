"""Work with a checker: that it is the one that was trained, and how good it is on what is held out.

After its training a checker is loaded by the engine of the settings, preflighted as any adapter is,
and asked what was kept out of its training. Asking again after a crash starts anew: it takes
seconds to minutes, and the figures are kept at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.db import portions, reading, utc_now
from backend.engines.base import Engine
from backend.jobs.preflight import check_and_record
from backend.jobs.running.parts import Parts, Workshop
from backend.services.checks.asker import EngineAsker
from backend.services.checks.checkers import checkers
from backend.services.models.preflight import report as preflight
from backend.services.models.versions import register_base, served_model, serving_groups
from backend.tables.models import ModelVersion
from evaluators.checks.checker.checker import judge_sentences, sentences_of
from evaluators.checks.checker.report import JudgedSentence, JudgedText, report_checker

CHUNK = 32
Asked = tuple[str, str]  # source and sentence


def measure_parts(shop: Workshop, training_run_id: int) -> Parts:
    """Preflight the checker of a finished training, ask it what was held out, keep the figures.

    Raises:
        EngineUnavailable: nobody serves it; its training stays done.
        PreflightFailed: what is served is not what was trained.
    """
    with reading(shop.sessions) as session:
        checker = checkers.checker_of_run(session, training_run_id)
        assert checker is not None
        trained = next(
            one
            for one in checkers.list_checkers(session, checker.project_id)
            if one.checker.id == checker.id
        )
        held, form = trained.checker.held_out, checkers.form_of(trained)
        rows = [*held["sentences"], *held["texts"]]
        sources = checkers.sources_of(session, rows)
        groups = checkers.groups_of(session, rows)
        probes = checkers.probes_of(session, trained)
        base, model = register_base(session, checker.project_id), trained.model
    engine = load_model(shop, shop.settings.engine, base, model)
    yield
    require_preflight(shop, engine, base, model, probes)
    yield
    told: dict[Asked, float | None] = {}
    asker = EngineAsker(engine, served_model(model))
    asked = list(dict.fromkeys(_questions(held, sources)))
    for some in portions(asked, CHUNK):
        judged = judge_sentences(some, asker, form)
        told |= {one: p for one, (p, _) in zip(some, judged, strict=True)}
        yield
    figures = _report(held, sources, groups, told)
    with shop.sessions.begin() as session:
        checkers.keep_figures(session, checker.id, figures, now=utc_now())


def load_model(shop: Workshop, name: str, base: ModelVersion, model: ModelVersion) -> Engine:
    """An engine that holds a model, with the base beside it where it is an adapter."""
    group = next(g for g in serving_groups(base, [model]) if model in g)
    return shop.engine_for(name, list(dict.fromkeys(map(served_model, group))))


def require_preflight(
    shop: Workshop,
    engine: Engine,
    base: ModelVersion,
    model: ModelVersion,
    probes: Sequence[Sequence[Any]],
) -> None:
    """Check an adapter as before a run, and keep the check as a row.

    Raises:
        PreflightFailed: it is not shown to be the adapter that was trained.
    """
    report = check_and_record(shop.sessions, engine, base, [model], probes, settings=shop.settings)
    preflight.require_passed(report)


def _questions(held: dict[str, Any], sources: dict[int, str]) -> list[Asked]:
    of_texts = [
        (sources[row["example"]], row["text"][a:b])
        for row in held["texts"]
        for a, b in sentences_of(row["text"])
    ]
    return [(sources[row["example"]], row["sentence"]) for row in held["sentences"]] + of_texts


def _report(
    held: dict[str, Any],
    sources: dict[int, str],
    groups: dict[int, str],
    told: dict[Asked, float | None],
) -> dict[str, Any]:
    sentences, texts = [], []
    for row in held["sentences"]:
        group, source, said = groups[row["example"]], sources[row["example"]], row["sentence"]
        judged = told[source, said]
        sentences.append(JudgedSentence(group, row["supported"], row["kind"], judged, source, said))
    for row in held["texts"]:
        group, source, said = groups[row["example"]], sources[row["example"]], row["text"]
        of_parts = tuple(told[source, said[a:b]] for a, b in sentences_of(said))
        texts.append(JudgedText(group, source, said, row["kind"], of_parts))
    return report_checker(sentences, texts)
