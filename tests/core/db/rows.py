"""Rows with everything that the schema asks for; a test says only what matters."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.db import intents, invoices
from core.db.invoices import InvoiceState
from core.db.models import Intent, Invoice
from core.messages import Envelope, OutboundMessage

NOW = datetime(2026, 11, 20, 8, 0, 0, 123456, tzinfo=UTC)

_numbers = itertools.count(1)


def invoice(**changed: Any) -> Invoice:
    values: dict[str, Any] = {
        "tenant": "main",
        "workflow": "membership",
        "reference": "membership:renewal-1",
        "state": InvoiceState.READY,
        "payer_member_id": "100001",
        "payer": {"id": "100001"},
        "draft": {},
        "currency": "ZAR",
        "total": Decimal("100.00"),
        "created_at": NOW,
    }
    return invoices.add(**{**values, **changed})


def intent(**changed: Any) -> Intent:
    values: dict[str, Any] = {
        "tenant": "main",
        "kind": "invoices",
        "method": "PUT",
        "path": "Invoices",
        "body": b"{}",
        "idempotency_key": f"key-{next(_numbers)}",
        "holder": "here/1",
        "created_at": NOW,
        "held_at": NOW,
    }
    return intents.add(**{**values, **changed})


def envelope(message_id: str = "m-1", **changed: Any) -> Envelope:
    values: dict[str, Any] = {
        "specversion": "1.0",
        "id": message_id,
        "source": "/platform",
        "type": "membership.renewal_due",
        "subject": "renewal-1",
        "time": NOW,
        "data": {"a": 1},
    }
    return Envelope(**{**values, **changed})


def outbound(fact: str, **changed: Any) -> OutboundMessage:
    values: dict[str, Any] = {
        "type": "invoice.raised",
        "subject": "renewal-1",
        "data": {},
        "fact": (fact,),
    }
    return OutboundMessage(**{**values, **changed})
