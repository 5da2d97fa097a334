"""Who is told of what, and what became of it."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import exchange
from backend.schemas.common import Page


class Webhooks(Resource):
    """Who is told of what, and what became of it."""

    def add(self, project_id: int, body: exchange.WebhookIn) -> exchange.WebhookCreated:
        """Tell an address of events."""
        return self._create(exchange.WebhookCreated, f"/v1/projects/{project_id}/webhooks", body)

    def test(self, webhook_id: int) -> exchange.DeliveryOut:
        """Have an event sent that tells of nothing."""
        return self._post(exchange.DeliveryOut, f"/v1/webhooks/{webhook_id}/test")

    def deliveries(
        self, webhook_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[exchange.DeliveryOut]:
        """A page of what was and is to be sent, newest first."""
        return self._get(
            Page[exchange.DeliveryOut],
            f"/v1/webhooks/{webhook_id}/deliveries",
            limit=limit,
            cursor=cursor,
        )

    def retry(self, delivery_id: int) -> exchange.DeliveryOut:
        """Have a failed delivery sent again."""
        return self._post(exchange.DeliveryOut, f"/v1/webhook-deliveries/{delivery_id}/retry")

    def remove(self, webhook_id: int) -> exchange.WebhookOut:
        """Tell an address nothing any more; returns what was removed."""
        return self._delete(exchange.WebhookOut, f"/v1/webhooks/{webhook_id}")

    def list(self, project_id: int) -> list[exchange.WebhookOut]:
        """The webhooks of a project."""
        return self._list(exchange.WebhookOut, f"/v1/projects/{project_id}/webhooks")
