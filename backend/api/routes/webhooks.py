"""Webhooks of a project: whom it tells, and what became of what was told."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import NowDep, PageDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.common import Page
from backend.schemas.exchange import DeliveryOut, WebhookCreated, WebhookIn, WebhookOut
from backend.services.pages import page_of
from backend.services.webhooks import hooks as webhook_deliveries
from backend.services.webhooks import hooks as webhooks
from backend.tables.webhooks import WebhookDelivery

router = APIRouter(tags=["webhooks"])


@router.get("/projects/{project_id}/webhooks")
def list_webhooks(project_id: int, session: SessionDep) -> list[WebhookOut]:
    """The webhooks of a project, without their secrets; removed ones are not active."""
    found = webhooks.list_webhooks(session, project_id)
    return [WebhookOut.model_validate(hook) for hook in found]


@router.post("/projects/{project_id}/webhooks", status_code=201)
def add_webhook(
    project_id: int, body: WebhookIn, session: SessionDep, serving: ServingDep, once: OnceDep
) -> WebhookCreated:
    """Tell an address of events. The secret is shown here and nowhere else."""
    events = webhooks.EVENTS if body.events is None else body.events
    hook, secret = webhooks.add_webhook(
        session, project_id, body.url, seal=serving.seal, events=events, secret=body.secret
    )
    return once.answer(WebhookCreated.of(hook, secret=secret))


@router.delete("/webhooks/{webhook_id}")
def remove_webhook(webhook_id: int, session: SessionDep) -> WebhookOut:
    """Tell this address no more."""
    return WebhookOut.model_validate(webhooks.remove_webhook(session, webhook_id))


@router.post("/webhooks/{webhook_id}/test", status_code=202)
def test_webhook(webhook_id: int, session: SessionDep, now: NowDep, once: OnceDep) -> DeliveryOut:
    """Have the worker send an event that tells of nothing."""
    made = webhooks.record_test(session, webhook_id, now=now)
    return once.answer(DeliveryOut.model_validate(made))


@router.get("/webhooks/{webhook_id}/deliveries")
def list_deliveries(webhook_id: int, session: SessionDep, page: PageDep) -> Page[DeliveryOut]:
    """What was sent and is to be sent, newest first."""
    found = page_of(session, WebhookDelivery, page, webhook_id=webhook_id)
    shown = [DeliveryOut.model_validate(delivery) for delivery in found.rows]
    return Page[DeliveryOut](items=shown, next=found.next)


@router.post("/webhook-deliveries/{delivery_id}/retry")
def retry_delivery(delivery_id: int, session: SessionDep, now: NowDep) -> DeliveryOut:
    """Send a failed delivery again, under the same id."""
    again = webhook_deliveries.retry_delivery(session, delivery_id, now=now)
    return DeliveryOut.model_validate(again)
