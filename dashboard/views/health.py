"""Health: what an examination of the data found, what mending brings, and a way to experts."""

from __future__ import annotations

import streamlit as st

from backend.errors import StropError
from backend.schemas.health import (
    HealthFindingOut,
    HealthIn,
    HealthKindOut,
    HealthReportOut,
    HealthReviewIn,
)
from backend.schemas.review.reports import Measured
from dashboard.components.address import address_of, choose
from dashboard.components.figures.figures import interval_text
from dashboard.components.frame import (
    Cell,
    FigureText,
    PageLink,
    Tag,
    heading,
    moment,
    problems_shown,
    sentences_html,
    show_done,
    table_html,
    tiles_html,
)
from dashboard.components.marked_text import plain
from dashboard.session import current_client, current_project

KINDS = ("kind", "severity", "flagged", "share of rows", "train", "validation", "test", "confirmed")
EXAMPLES = ("example", "split", "in", "what was found", "text")
SEVERITIES = {"severe": "fail", "warning": "inconclusive", "note": ""}
SPLITS = ("train", "validation", "test")
SHOWN, EXCERPT = 10, 160
COMMAND = "strop dataset health NAME"
LIVE_SECONDS = 2.0


def show() -> None:
    """Draw the page."""
    heading("Health", "Whether the data are fit to train and to test on")
    reports = current_client().datasets.health_reports(current_project().id)
    if not reports:
        st.info(f"No dataset was examined yet: `{COMMAND}`, or below.")
    else:
        by_id = {one.id: one for one in reports}
        titles = {i: f"Report {i}: {r.dataset}, {moment(r.created_at)}" for i, r in by_id.items()}
        _show_report(by_id[choose("report", "Health report", titles)])
    _show_enough()
    with st.expander("Examine a dataset", expanded=not reports):
        _show_form()


def _show_report(report: HealthReportOut) -> None:
    if report.finished_at is None:
        _show_unfinished(report)
        return
    st.html(tiles_html(tiles(report)))
    looked = [one for one in report.kinds if one.problem is None]
    st.html(table_html(KINDS, [kind_row(one) for one in looked], title="Kinds of findings"))
    worth = sorted(
        (one for one in looked if one.severity is not None or one.details),
        key=lambda one: [*SEVERITIES, None].index(one.severity),
    )
    if worth:
        names = {one.kind: one for one in worth}
        kind = st.selectbox(
            "Look at", list(names), format_func=lambda name: names[name].title, key="health-kind"
        )
        _show_kind(report, names[kind or next(iter(names))])
    missing = [one for one in report.kinds if one.problem is not None]
    if missing:
        with st.expander(f"Could not be looked for: {len(missing)}"):
            st.html(sentences_html(f"{one.title}: {one.problem}" for one in missing))


def _show_unfinished(report: HealthReportOut) -> None:
    if report.error:
        st.error(plain(f"The examination ended: {report.error}"))
        return

    def wait() -> None:
        now = current_client().datasets.health(report.id)
        if now.finished_at is not None or now.error:
            st.rerun()
        st.info(f"The job is {now.state}. The report appears here when it is done.")

    st.fragment(wait, run_every=LIVE_SECONDS)()


def tiles(report: HealthReportOut) -> list[tuple[str, Cell, str]]:
    """What was examined, and how grave the worst of it is."""
    worst: Cell = severity_tag(report.worst) or "nothing"
    seed = report.recipe.get("seed")
    return [
        ("Rows", report.n, report.dataset),
        ("References are", str(report.task), f"seed {seed}"),
        ("Worst finding", worst, ""),
        ("Digest", str(report.digest)[:12], "of rows and splits"),
    ]


def severity_tag(severity: str | None) -> Tag | None:
    """A severity in its colour; None where nothing was found."""
    return None if severity is None else Tag(severity, SEVERITIES.get(severity, ""))


def kind_row(one: HealthKindOut) -> list[Cell]:
    """A kind in the table."""
    share = one.share
    flagged = one.flagged > 0
    return [
        one.title,
        severity_tag(one.severity) or "nothing found",
        one.flagged if flagged else "",
        FigureText(f"{share.value:.2%} [{share.low:.2%}, {share.high:.2%}] of {one.n}")
        if share is not None and flagged
        else "",
        *(one.by_split.get(split, "") for split in SPLITS),
        confirmed_text(one.confirmed),
    ]


def confirmed_text(share: Measured | None) -> str:
    """What experts said of such findings in this project; empty where they said nothing."""
    if share is None:
        return ""
    note = f", {share.note}" if share.note else ""
    return f"{interval_text(share.value, share.low, share.high, scale=1.0)} n={share.n}{note}"


def _show_kind(report: HealthReportOut, one: HealthKindOut) -> None:
    said = [one.gain.sentence] if one.gain is not None else []
    todo = [f"To do: {one.remedy}"] if one.severity is not None else []
    st.html(sentences_html([*said, *(f"{note}." for note in one.notes), *todo]))
    if one.details:
        columns = list(dict.fromkeys(key for row in one.details for key in row))
        rows = [[_figure(row.get(column)) for column in columns] for row in one.details]
        names = [column.replace("_", " ") for column in columns]
        st.html(table_html(names, rows, title=one.title))
    if not one.flagged:
        return
    page = current_client().datasets.findings(report.id, kind=one.kind, limit=SHOWN)
    title = f"The first {len(page.items)} findings"
    st.html(table_html(EXAMPLES, [example_row(row) for row in page.items], title=title))
    _show_send(report, one)


def _figure(value: object) -> Cell:
    match value:
        case bool():
            return "yes" if value else ""
        case float():
            return FigureText(f"{value:.3f}")
        case int():
            return value
        case None:
            return ""
    return str(value)


def example_row(row: HealthFindingOut) -> list[Cell]:
    """A finding with what stands around its place."""
    return [row.external_id, row.split, row.part, row.why, excerpt(row.text, row.start)]


def excerpt(text: str, start: int | None) -> str:
    """The text around a place, from its beginning where there is none."""
    first = max(0, (start or 0) - EXCERPT // 2)
    cut = " ".join(text[first : first + EXCERPT].split())
    return ("… " if first else "") + cut + (" …" if first + EXCERPT < len(text) else "")


def _show_send(report: HealthReportOut, one: HealthKindOut) -> None:
    show_done("health-sent")
    with st.form("health-send", border=False):
        left, middle, right, last = st.columns([2, 1, 1, 1], vertical_alignment="bottom")
        name = left.text_input("Queue", f"{one.kind} {report.id}", key=f"health-name-{one.kind}")
        splits = [split for split in SPLITS if one.by_split.get(split)]
        split = middle.selectbox("Split", splits, key=f"health-split-{one.kind}")
        most = one.by_split.get(split or "", 1)
        n = right.number_input("Items, at random", 1, None, min(most, 50), key="health-items")
        sent = last.form_submit_button("Send to review", type="primary")
    if not sent:
        return
    with problems_shown():
        given = HealthReviewIn.model_validate(
            {"name": name.strip(), "kinds": [one.kind], "split": split, "n_items": int(n)}
        )
        queue = current_client().datasets.review_findings(report.id, given)
        notes = " ".join(queue.notes)
        show_done(
            "health-sent",
            f"Opened the queue {queue.queue} with {queue.n_items} items. {notes}",
            link=PageLink(f"Watch {queue.queue}", address_of("queues", queue=queue.queue_id)),
        )
        st.rerun()


def _show_enough() -> None:
    """What more rows would bring, of candidates that were trained here."""
    st.subheader("How much is enough")
    try:
        told = current_client().yields.forecast(current_project().id)
    except StropError as error:
        st.caption(plain(f"No curve of candidates yet: {error}"))
        return
    rows: list[list[Cell]] = [[p.candidate, p.rows, _measured(p.figure)] for p in told.points]
    rows.append(["forecast", told.target, _measured(told.forecast)])
    st.html(table_html(("candidate", "rows", told.metric), rows, title="Curve of candidates"))
    st.html(sentences_html(told.notes))


def _measured(figure: Measured) -> Cell:
    if figure.value is None:
        return figure.error or "cannot be computed"
    return FigureText(
        f"{interval_text(figure.value, figure.low, figure.high, scale=1.0)} n={figure.n}"
    )


def _show_form() -> None:
    client, project = current_client(), current_project()
    versions = client.datasets.list(project.id)
    if not versions:
        st.info("There is no dataset yet: `strop dataset import FILE`")
        return
    with st.form("health-ask", border=False):
        labels = [f"{one.name}@{one.number}" for one in versions]
        dataset = st.selectbox("Dataset", labels, key="health-dataset")
        encoder = st.text_input(
            "Encoder, for copies in meaning and for labels; may be left empty",
            key="health-encoder",
            help="A folder below the project's own in the artifact root, as embedding:FOLDER.",
        )
        if not st.form_submit_button("Examine", type="primary"):
            return
    with problems_shown():
        given = {"dataset": dataset, "encoder": encoder.strip() or None}
        client.datasets.ask_health(project.id, HealthIn.model_validate(given))
        st.query_params.pop("report", None)
        st.rerun()
