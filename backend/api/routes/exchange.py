"""A queue out of and into other tools: files that stream, answers that come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from backend.api.deps import NowDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.api.streams import stream_text
from backend.schemas.exchange import ImportIn, ImportOut, OffsetsName
from backend.services.exchange import argilla, review_exports
from backend.services.exchange.label_studio import labelling_config
from backend.services.exchange.review_imports import import_reviews
from backend.services.exchange.text_offsets import Offsets
from backend.services.review.reports.contents import queue_facts

router = APIRouter(tags=["review queues"])
PIECE = 64 * 1024
MEDIA_TYPES = {
    review_exports.FileKind.JSONL: "application/jsonl",
    review_exports.FileKind.JSON: "application/json",
    review_exports.FileKind.CSV: "text/csv; charset=utf-8",
}


@router.get("/review-queues/{queue_id}/export", response_class=StreamingResponse)
def export_queue(
    queue_id: int,
    serving: ServingDep,
    format: Annotated[
        str, Query(max_length=40, description="ratings, votes, label-studio or argilla.")
    ] = "ratings",
    file: Annotated[
        str | None, Query(max_length=10, description="jsonl, csv or json; default by format.")
    ] = None,
    after: Annotated[
        int | None, Query(ge=1, description="Go on after the rows of this item.")
    ] = None,
    all: Annotated[bool, Query(description="Also gold items, verdicts and extra answers.")] = False,
    offsets: Annotated[
        OffsetsName, Query(description="What the offsets of marks count.")
    ] = "code_points",
    people: Annotated[
        bool, Query(description="Name annotators to Label Studio, by pseudonym.")
    ] = True,
) -> StreamingResponse:
    """The queue as a file, a page of items at a time.

    Every row names its item. A download that broke off goes on with `after`, the last item whose
    rows are whole; what follows is the rest of the same file.
    """
    kind = review_exports.file_kind(review_exports.export_format(format), file)
    ask = review_exports.ExportAsk(
        all_purposes=all, offsets=Offsets(offsets), addresses=None if people else {}
    )
    pieces = review_exports.export_text(
        serving.reading, queue_id, format, ask, kind=kind, after=after
    )
    return stream_text(
        _joined(pieces),
        filename=f"review-queue-{queue_id}-{format}.{kind}",
        media_type=MEDIA_TYPES[kind],
    )


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    """Fewer, larger pieces: each costs the server a turn."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)


class Xml(Response):
    """An XML document."""

    media_type = "application/xml"


@router.get("/review-queues/{queue_id}/label-studio-config", response_class=Xml)
def show_labelling_config(queue_id: int, session: SessionDep) -> Xml:
    """The labelling configuration of Label Studio for this queue's rubric, as XML."""
    facts = queue_facts(session, queue_id)
    xml = labelling_config(facts.rubric, pair=facts.kind == "pair")
    return Xml(xml)


@router.get("/review-queues/{queue_id}/argilla-settings")
def show_argilla_settings(queue_id: int, session: SessionDep) -> dict[str, Any]:
    """Fields and questions of Argilla for this queue's rubric."""
    facts = queue_facts(session, queue_id)
    return argilla.settings_of(facts.rubric, pair=facts.kind == "pair")


@router.post("/review-queues/{queue_id}/imports", status_code=201)
def import_answers(
    queue_id: int, body: ImportIn, session: SessionDep, now: NowDep, once: OnceDep
) -> ImportOut:
    """Take answers that were given in another tool; sent again, nothing is taken twice."""
    found = import_reviews(
        session,
        queue_id,
        body.rows,
        source=body.source,
        people=body.people,
        offsets=Offsets(body.offsets),
        now=now,
    )
    return once.answer(found)
