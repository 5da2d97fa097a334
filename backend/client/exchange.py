"""Queues in the formats of other tools, out and in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backend.client.wire import Resource
from backend.schemas import exchange


class Exchange(Resource):
    """Queues in the formats of other tools, out and in."""

    def export_queue(
        self, queue_id: int, format: str, *, file: str | None = None, after: int | None = None
    ) -> Iterator[bytes]:
        """The queue as a file, in pieces as they arrive; with `after`, the rest after that item.

        Formats: ratings, votes, label-studio, argilla. Files: jsonl, csv or json.
        """
        query = {"format": format, "file": file, "after": after}
        said = {name: value for name, value in query.items() if value is not None}
        return self._stream(f"/v1/review-queues/{queue_id}/export", **said)

    def labelling_config(self, queue_id: int) -> bytes:
        """The labelling configuration of Label Studio, as XML."""
        return b"".join(self._stream(f"/v1/review-queues/{queue_id}/label-studio-config"))

    def argilla_settings(self, queue_id: int) -> dict[str, Any]:
        """The settings of a dataset of Argilla 2 for the queue's rubric."""
        return self._object(f"/v1/review-queues/{queue_id}/argilla-settings")

    def import_reviews(self, queue_id: int, body: exchange.ImportIn) -> exchange.ImportOut:
        """Take answers that were given in another tool."""
        return self._create(exchange.ImportOut, f"/v1/review-queues/{queue_id}/imports", body)
