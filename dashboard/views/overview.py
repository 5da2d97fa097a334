"""The project at a glance: the bar, the latest verdict, the models, what is running, the queues."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.models import ModelVersionOut
from backend.schemas.projects import Manifest, ManifestOut
from backend.schemas.queue import JobOut
from backend.schemas.review.queues import ReviewQueueOut
from backend.schemas.verdicts import ComparisonOut
from dashboard.components.address import address_of
from dashboard.components.frame import (
    Cell,
    FigureText,
    PageLink,
    Tag,
    escape,
    facts_html,
    heading,
    moment,
    simulated_tag,
    table_html,
    verdict_tag,
)
from dashboard.session import current_client, current_project
from dashboard.views.review.queue_choice import NO_QUEUE

SUBJECTS = {
    "generate": "generation run",
    "score": "score run",
    "train": "training run",
    "draft": "drafting",
}
STATE_TAGS = {"done": "pass", "failed": "fail", "cancelled": "fail", "stopped": "inconclusive"}
PAGES = {"generate": ("runs", "run"), "train": ("training", "training")}
NEWEST_JOBS = 8


def show() -> None:
    """Draw the page."""
    client, project = current_client(), current_project()
    heading(project.name, f"Base model {project.base_model}")
    bar, verdict = st.columns([1, 1], gap="large")
    with bar:
        _show_bar(client.projects.manifests(project.id))
    with verdict:
        _show_verdict(client.verdicts.list(project.id))
    models, queues = st.columns([1, 1], gap="large")
    with models:
        _show_models(client.models.list(project.id))
    with queues:
        _show_queues(client.queues.list(project.id))
    _show_jobs(client.jobs.list(project.id))


def _show_bar(manifests: Sequence[ManifestOut]) -> None:
    st.subheader("The bar")
    if not manifests:
        st.info("No bar is set, so nothing can be trained. Set it first: `strop manifest set FILE`")
        return
    current = manifests[-1]
    manifest = Manifest.model_validate(current.content)
    lines = "".join(f"<li>{escape(line.title)}</li>" for line in manifest.lines)
    st.html(f"<ul style='margin:0 0 .7rem;padding-left:1.1rem'>{lines}</ul>")
    facts: dict[str, Cell] = {
        "baseline": manifest.baseline,
        "alpha": f"{manifest.alpha:g} (two-sided, per line)",
        "version": f"{current.version}, set {moment(current.created_at)}",
        "digest": current.digest[:16],
    }
    st.html(facts_html(facts))


def _show_verdict(comparisons: Sequence[ComparisonOut]) -> None:
    st.subheader("Latest verdict")
    if not comparisons:
        st.info("No candidate has been judged yet: `strop gate CANDIDATE`")
        return
    newest = max(comparisons, key=lambda comparison: comparison.id)
    facts: dict[str, Cell] = {
        "verdict": verdict_tag(newest.verdict),
        **({"to know first": tag} if (tag := simulated_tag(newest.n_simulated)) else {}),
        "candidate": PageLink(newest.candidate, address_of("verdicts", comparison=newest.id)),
        "baseline": newest.baseline,
        "when": moment(newest.created_at),
    }
    st.html(facts_html(facts))
    reasons = [[verdict_tag(line["verdict"]), line["title"]] for line in newest.lines]
    st.html(table_html(["verdict", "line of the bar"], reasons, title="Lines of the bar"))


def _show_models(models: Sequence[ModelVersionOut]) -> None:
    st.subheader("Models")
    rows: list[list[Cell]] = [
        [
            PageLink(model.label, address_of("lineage", of=model.label)),
            ", ".join(model.aliases),
            model.adapter_rank,
            _what_it_is(model),
            FigureText(f"{model.created_at:%Y-%m-%d}"),
        ]
        for model in models
    ]
    st.html(table_html(["model", "alias", "rank", "sha256", "since"], rows))


def _what_it_is(model: ModelVersionOut) -> str:
    if model.kind == "served":
        return f"served elsewhere as {model.base_model}"
    if model.kind == "outputs":
        return "outputs imported, not proved"
    return (model.adapter_sha256 or model.base_sha256)[:10]


def _show_queues(queues: Sequence[ReviewQueueOut]) -> None:
    st.subheader("Review queues")
    if not queues:
        st.info(NO_QUEUE)
        return
    rows: list[list[Cell]] = [
        [
            PageLink(queue.name, address_of("queues", queue=queue.id)),
            queue.kind,
            f"{queue.progress.done} of {queue.progress.total}",
            "closed" if queue.closed else f"{queue.progress.leased} at work",
        ]
        for queue in queues
    ]
    st.html(table_html(["queue", "kind", "done", "now"], rows, title="Review queues"))


def _show_jobs(jobs: Sequence[JobOut]) -> None:
    st.subheader("Jobs")
    if not jobs:
        st.info("Nothing has run yet: `strop run`")
        return
    rows: list[list[Cell]] = [
        [
            _subject(job),
            Tag(job.state, STATE_TAGS.get(job.state, "")),
            moment(job.started_at) if job.started_at else "waits",
            _duration(job),
            job.error or "",
        ]
        for job in jobs[:NEWEST_JOBS]
    ]
    st.html(table_html(["what", "state", "started", "took", "reason"], rows, title="Jobs"))


def _subject(job: JobOut) -> Cell:
    """What a job is about, with the way to its page where it has one."""
    text = f"{SUBJECTS.get(job.kind, job.kind)} {job.subject_id}"
    if job.kind not in PAGES:
        return text
    page, name = PAGES[job.kind]
    return PageLink(text, address_of(page, **{name: job.subject_id}))


def _duration(job: JobOut) -> str:
    if job.started_at is None or job.finished_at is None:
        return ""
    return f"{(job.finished_at - job.started_at).total_seconds():.1f} s"
