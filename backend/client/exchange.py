"""The client's way to exports, imports and webhooks; part of `backend.client.StropClient`."""

from __future__ import annotations

from collections.abc import Iterator

from backend.client.wire import Wire
from backend.schemas import exchange
from backend.schemas.common import Page


class ExchangeClient(Wire):
    """A queue out of and into other tools, and whom a project tells of what happens."""

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

    def import_reviews(self, queue_id: int, body: exchange.ImportGiven) -> exchange.ImportShown:
        """Take answers that were given in another tool."""
        return self._create(exchange.ImportShown, f"/v1/review-queues/{queue_id}/imports", body)

    def list_webhooks(self, project_id: int) -> list[exchange.WebhookShown]:
        """The webhooks of a project."""
        return self._get_list(exchange.WebhookShown, f"/v1/projects/{project_id}/webhooks")

    def add_webhook(self, project_id: int, body: exchange.WebhookGiven) -> exchange.WebhookMade:
        """Tell an address of events."""
        return self._create(exchange.WebhookMade, f"/v1/projects/{project_id}/webhooks", body)

    def test_webhook(self, webhook_id: int) -> exchange.DeliveryShown:
        """Have an event sent that tells of nothing."""
        return self._post(exchange.DeliveryShown, f"/v1/webhooks/{webhook_id}/test")

    def list_deliveries(
        self, webhook_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[exchange.DeliveryShown]:
        """A page of what was and is to be sent, newest first."""
        return self._get(
            Page[exchange.DeliveryShown],
            f"/v1/webhooks/{webhook_id}/deliveries",
            limit=limit,
            cursor=cursor,
        )
