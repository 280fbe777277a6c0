"""Reading Xero's webhook bodies."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhook_events import WebhookEvent, WebhookUnreadable, read_webhook

#: As in facts/xero.md, section 8.
INVOICE_UPDATED = {
    "resourceUrl": "https://api.xero.com/api.xro/2.0/Invoices/8f6c1d5e",
    "resourceId": "8f6c1d5e-0000-4000-8000-000000000001",
    "eventDateUtc": "2026-09-28T10:11:12.345",
    "eventType": "UPDATE",
    "eventCategory": "INVOICE",
    "tenantId": "c0ffee00-0000-4000-8000-000000000001",
    "tenantType": "ORGANISATION",
}


def body(*entries: object) -> bytes:
    return json.dumps(
        {
            "events": entries,
            "firstEventSequence": 1,
            "lastEventSequence": len(entries),
            "entropy": "S0m3R4ndom",
        }
    ).encode()


def only_event(**changed: object) -> WebhookEvent:
    (event,) = read_webhook(body({**INVOICE_UPDATED, **changed})).events
    return event


def test_an_event_says_what_changed_where_and_when() -> None:
    assert only_event() == WebhookEvent(
        tenant_id="c0ffee00-0000-4000-8000-000000000001",
        category="INVOICE",
        event_type="UPDATE",
        resource_id="8f6c1d5e-0000-4000-8000-000000000001",
        event_at=datetime(2026, 9, 28, 10, 11, 12, 345_000, UTC),
    )


@pytest.mark.parametrize(
    "written",
    [
        "2026-09-28T10:11:12",
        "2026-09-28T10:11:12.0000000",
        "2026-09-28T10:11:12Z",
        "2026-09-28T12:11:12+02:00",
    ],
)
def test_times_are_utc_with_or_without_saying_so(written: str) -> None:
    expected = datetime(2026, 9, 28, 10, 11, 12, tzinfo=UTC)
    assert only_event(eventDateUtc=written).event_at == expected


def test_a_category_of_tomorrow_is_kept_as_it_is() -> None:
    event = only_event(eventCategory="CREDITNOTE", data={"Type": "ACCRECCREDIT"})
    assert event.category == "CREDITNOTE"
    assert only_event(eventCategory="BUDGET_2").category == "BUDGET_2"


def test_a_probe_has_no_events() -> None:
    assert read_webhook(body()).events == []


@pytest.mark.parametrize(
    "changed",
    [
        {"resourceId": None},
        {"resourceId": 7},
        {"resourceId": ""},
        {"resourceId": "x" * 65},
        {"resourceId": "a\x00b"},
        {"tenantId": "\ud800"},
        {"eventDateUtc": "yesterday"},
        {"eventDateUtc": 1_790_000_000},
        {"eventDateUtc": "0001-01-01T00:00:00+14:00"},
        {"eventCategory": ["INVOICE"]},
    ],
)
def test_one_odd_entry_does_not_cost_its_neighbours(changed: dict[str, object]) -> None:
    read = read_webhook(body({**INVOICE_UPDATED, **changed}, INVOICE_UPDATED))
    assert len(read.events) == 1
    assert read.unreadable == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b'{"events": {}}',
        b'{"events": [1, null, []]}',
        b"[" * 500_000,
        b'{"events": ' + b"9" * 5_000 + b"}",
    ],
    ids=lambda rubbish: rubbish[:20].decode("latin-1"),
)
def test_rubbish_is_refused(rubbish: bytes) -> None:
    with pytest.raises(WebhookUnreadable):
        read_webhook(rubbish)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=3,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(INVOICE_UPDATED, json_values)))
def test_no_entry_raises_anything_else(entry: dict[str, object]) -> None:
    assert read_webhook(body(entry, INVOICE_UPDATED)).events


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_anything_else(content: bytes) -> None:
    try:
        read_webhook(content)
    except WebhookUnreadable:
        return
