"""Webhook events are stored once, whoever stores them at the same moment."""

import threading
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from core.clock import SystemClock
from core.db import reference
from core.db.models import ContactRead, InvoiceRead, WebhookEvent
from core.metrics import Metrics
from core.waking import LaneName
from core.webhook_events import WebhookEvent as Event
from core.webhook_receiving import WebhookReceiver
from tests.core.db.crowd import together
from tests.core.db.rows import NOW

pytestmark = pytest.mark.usefixtures("books")


class Nobody:
    """Is told, and does nothing."""

    def lane(self, tenant: str, lane: LaneName) -> None: ...

    def messages(self, inbox_ids: Sequence[int]) -> None: ...

    def relay(self) -> None: ...


def test_the_same_events_in_another_order_wait_for_no_one() -> None:
    """Xero sends again what was not answered in time, grouped as it likes."""
    reference.put_tenant("main", "xero-main", "The Institute", NOW)
    rounds = [
        [
            Event("xero-main", category, "UPDATE", f"{category}-{part}-{n}", NOW)
            for n in range(25)
            for category in ("INVOICE", "CONTACT")
        ]
        for part in range(8)
    ]
    start = threading.Barrier(2)

    def store(who: int) -> None:
        receiver = WebhookReceiver(Nobody(), SystemClock(), Metrics())
        for events in rounds:
            start.wait(30)
            receiver.store(events if who == 0 else events[::-1])

    with capture_logs() as logs:
        together(2, store)
    assert [entry for entry in logs if entry["event"] == "transaction.deadlocked"] == []
    assert WebhookEvent.select().count() == 400
    assert (InvoiceRead.select().count(), ContactRead.select().count()) == (200, 200)
