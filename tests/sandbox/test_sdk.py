"""Xero's own SDK reads what the stand-in writes (facts section 11)."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from xero_python.accounting import AccountingApi
from xero_python.accounting import models as accounting
from xero_python.api_client import ApiClient, oauth2
from xero_python.api_client.configuration import Configuration
from xero_python.exceptions import AccountingBadRequestException, RateLimitException
from xero_python.identity import IdentityApi

from tests.sandbox.caller import Caller


@pytest.fixture
def client(app: Caller) -> Iterator[ApiClient]:
    configuration = Configuration()
    configuration.oauth2_token = oauth2.OAuth2Token(
        client_id=app.xero.client_id, client_secret=app.xero.client_secret
    )
    token = app.tokens | {
        "scope": app.tokens["scope"].split(),
        "expires_at": 4_000_000_000,
    }
    made = ApiClient(
        configuration,
        oauth2_token_getter=lambda: token,
        oauth2_token_saver=lambda _: None,
    )
    yield made
    made.rest_client.pool_manager.clear()


@pytest.fixture
def api(app: Caller, client: ApiClient) -> AccountingApi:
    return AccountingApi(client, base_url=app.xero.api_url)


def invoice_of(contact_id: str, **fields: Any) -> accounting.Invoice:
    return accounting.Invoice(
        type="ACCREC",
        status="AUTHORISED",
        contact=accounting.Contact(contact_id=contact_id),
        date=date(2026, 11, 20),
        due_date=date(2026, 12, 20),
        line_items=[
            accounting.LineItem(
                description="Membership 2027",
                quantity=1.0,
                unit_amount=1000.0,
                account_code="200",
                tax_type="OUTPUT3",
            )
        ],
        **fields,
    )


def create(app: Caller, api: AccountingApi, *numbers: str) -> Any:
    contact_id = app.xero.control.seed_contacts(
        [{"Name": "Zoë Müller", "EmailAddress": "z@example.com"}]
    )[0]
    drafts = [invoice_of(contact_id, invoice_number=n) for n in numbers]
    return api.create_invoices(
        app.tenant_id,
        accounting.Invoices(invoices=drafts),
        summarize_errors=False,
        idempotency_key="one",
    ).invoices


def test_settings_are_read(app: Caller, api: AccountingApi) -> None:
    (organisation,) = api.get_organisations(app.tenant_id).organisations
    assert organisation.base_currency.value == "ZAR"
    assert organisation.timezone.value == "SOUTHAFRICASTANDARDTIME"
    assert api.get_accounts(app.tenant_id).accounts
    assert api.get_tax_rates(app.tenant_id).tax_rates
    assert api.get_branding_themes(app.tenant_id).branding_themes
    assert api.get_currencies(app.tenant_id).currencies


def test_connections_are_read(app: Caller, client: ApiClient) -> None:
    identity = IdentityApi(client, base_url=app.xero.url)
    (connection,) = identity.get_connections()
    assert connection.tenant_id == app.tenant_id


def test_contacts_are_created_and_read(app: Caller, api: AccountingApi) -> None:
    drafts = [
        accounting.Contact(name="Zoë", contact_number="1"),
        accounting.Contact(name="Zoë", contact_number="2"),
    ]
    body = accounting.Contacts(contacts=drafts)
    made = api.create_contacts(app.tenant_id, body, summarize_errors=False).contacts
    assert [c.has_validation_errors for c in made] == [False, True]
    assert made[1].validation_errors[0].message.startswith("The contact name Zoë")
    listed = api.get_contacts(app.tenant_id, page=1).contacts
    assert [c.name for c in listed] == ["Zoë"]
    (found,) = api.get_contact_by_contact_number(app.tenant_id, "1").contacts
    assert found.contact_id == made[0].contact_id


def test_invoices_are_created_and_read(app: Caller, api: AccountingApi) -> None:
    good, bad = create(app, api, "A", "A")
    assert (good.total, good.status_attribute_string) == (Decimal("1150.00"), "OK")
    assert good.due_date == date(2026, 12, 20)
    assert bad.has_errors
    assert bad.validation_errors[0].message == "Invoice # must be unique."
    for listed in (
        api.get_invoices(app.tenant_id, page=1),
        api.get_invoices(app.tenant_id, summary_only=True),
        api.get_invoices(app.tenant_id, i_ds=[good.invoice_id]),
        api.get_invoice(app.tenant_id, good.invoice_id),
    ):
        assert [i.invoice_number for i in listed.invoices] == ["A"]


def test_emails_links_and_history_are_understood(
    app: Caller, api: AccountingApi
) -> None:
    (invoice,) = create(app, api, "A")
    empty = accounting.RequestEmpty()
    assert api.email_invoice(app.tenant_id, invoice.invoice_id, empty) is None
    (online,) = api.get_online_invoice(
        app.tenant_id, invoice.invoice_id
    ).online_invoices
    assert online.online_invoice_url
    api.create_invoice_history(
        app.tenant_id,
        invoice.invoice_id,
        accounting.HistoryRecords([accounting.HistoryRecord(details="Hello")]),
    )
    records = api.get_invoice_history(app.tenant_id, invoice.invoice_id)
    assert records.history_records[0].details == "Hello"


def test_payments_are_created_deleted_and_read(app: Caller, api: AccountingApi) -> None:
    (invoice,) = create(app, api, "A")
    draft = accounting.Payment(
        invoice=accounting.Invoice(invoice_id=invoice.invoice_id),
        account=accounting.Account(code="090"),
        date=date(2026, 11, 20),
        amount=1150.0,
        reference="EFT",
    )
    (made,) = api.create_payment(app.tenant_id, draft).payments
    assert made.amount == Decimal("1150.00")
    (read,) = api.get_invoices(app.tenant_id, page=1).invoices
    assert (read.status, read.payments[0].reference) == ("PAID", "EFT")
    deleted = accounting.PaymentDelete(status="DELETED")
    api.delete_payment(app.tenant_id, made.payment_id, deleted)
    (listed,) = api.get_payments(app.tenant_id, page=1).payments
    assert listed.status == "DELETED"
    body = accounting.Payments(payments=[draft, draft])
    both = api.create_payments(app.tenant_id, body, summarize_errors=False).payments
    assert [p.has_validation_errors for p in both] == [False, True]


def test_credit_notes_are_created_and_allocated(
    app: Caller, api: AccountingApi
) -> None:
    (invoice,) = create(app, api, "A")
    draft = accounting.CreditNote(
        type="ACCRECCREDIT",
        status="AUTHORISED",
        contact=accounting.Contact(contact_id=invoice.contact.contact_id),
        date=date(2026, 11, 20),
        line_items=invoice.line_items,
    )
    body = accounting.CreditNotes(credit_notes=[draft])
    (note,) = api.create_credit_notes(app.tenant_id, body).credit_notes
    allocation = accounting.Allocation(
        invoice=accounting.Invoice(invoice_id=invoice.invoice_id),
        amount=1150.0,
        date=date(2026, 11, 20),
    )
    api.create_credit_note_allocation(
        app.tenant_id,
        note.credit_note_id,
        accounting.Allocations(allocations=[allocation]),
    )
    (read,) = api.get_credit_notes(app.tenant_id, page=1).credit_notes
    assert (read.status, read.remaining_credit) == ("PAID", Decimal("0.00"))


def test_errors_arrive_as_the_sdks_exceptions(app: Caller, api: AccountingApi) -> None:
    body = accounting.Contacts(contacts=[accounting.Contact(name="<bad>")])
    with pytest.raises(AccountingBadRequestException) as refused:
        api.create_contacts(app.tenant_id, body)
    assert "not allowed" in refused.value.reason
    app.xero.control.fault("429_concurrent")
    with pytest.raises(RateLimitException) as limited:
        api.get_organisations(app.tenant_id)
    assert limited.value.rate_limit == "concurrent"
