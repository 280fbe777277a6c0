from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sandbox import SimulatedClock
from tests.sandbox.caller import Caller, line, messages_of

FROZEN = "Invoice not of valid status for modification"


def post(app: Caller, invoice: dict[str, Any], **fields: Any) -> httpx.Response:
    return app.post("Invoices", {"InvoiceID": invoice["InvoiceID"]} | fields)


def refusal(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 400, answer.text
    return messages_of(answer)


def amounts(invoice: dict[str, Any]) -> tuple[Any, ...]:
    return (invoice["SubTotal"], invoice["TotalTax"], invoice["Total"])


def test_a_created_invoice_is_given_back_whole(app: Caller) -> None:
    invoice = app.invoice(InvoiceNumber="SAIT-1", Reference="membership:renewal-1")
    assert invoice["Status"] == "AUTHORISED"
    assert invoice["InvoiceNumber"] == "SAIT-1"
    assert invoice["Reference"] == "membership:renewal-1"
    assert invoice["AmountDue"] == 1150.00
    assert invoice["CurrencyCode"] == "ZAR"
    assert invoice["StatusAttributeString"] == "OK"
    assert invoice["LineItems"][0]["AccountCode"] == "200"


def test_dates_are_written_twice(app: Caller) -> None:
    invoice = app.invoice()
    assert invoice["Date"] == "/Date(1795132800000+0000)/"
    assert invoice["DateString"] == "2026-11-20T00:00:00"
    assert invoice["DueDateString"] == "2026-12-20T00:00:00"
    assert invoice["UpdatedDateUTC"] == "/Date(1795161600000+0000)/"
    assert invoice["UpdatedDateUTCString"] == "2026-11-20T08:00:00Z"


@pytest.mark.parametrize(
    ("kind", "lines", "expected"),
    [
        ("Exclusive", [line(1000)], (1000, 150, 1150)),
        ("Exclusive", [line("0.10"), line("0.10")], (0.20, 0.04, 0.24)),
        ("Exclusive", [line("345.83")], (345.83, 51.87, 397.70)),
        ("Inclusive", [line(1150)], (1000, 150, 1150)),
        ("Inclusive", [line("0.10")], (0.09, 0.01, 0.10)),
        ("NoTax", [line(1000)], (1000, 0, 1000)),
        ("Exclusive", [line(1000, TaxType="ZERORATED")], (1000, 0, 1000)),
        ("Exclusive", [line(1000, TaxType="EXEMPTOUTPUT")], (1000, 0, 1000)),
        ("Exclusive", [line(1000, TaxAmount="149.99")], (1000, 149.99, 1149.99)),
        ("Exclusive", [line(1000, DiscountRate=10)], (900, 135, 1035)),
        ("Exclusive", [line("33.333", Quantity=3)], (99.99, 15.00, 114.99)),
    ],
)
def test_tax_is_rounded_on_each_line(
    app: Caller,
    kind: str,
    lines: list[dict[str, Any]],
    expected: tuple[float, float, float],
) -> None:
    invoice = app.invoice(LineAmountTypes=kind, LineItems=lines)
    assert amounts(invoice) == expected


def test_unit_amounts_keep_four_places_on_request(app: Caller) -> None:
    body = app.draft(LineItems=[line("33.3333", Quantity=3)])
    two = app.put("Invoices", body).json()["Invoices"][0]
    four = app.put("Invoices", body, unitdp=4).json()["Invoices"][0]
    assert two["LineItems"][0]["UnitAmount"] == 33.33
    assert four["LineItems"][0]["UnitAmount"] == 33.3333
    assert four["SubTotal"] == 100.00


def test_the_tax_type_comes_from_the_account(app: Caller) -> None:
    plain = line()
    del plain["TaxType"]
    invoice = app.invoice(LineItems=[plain])
    assert invoice["LineItems"][0]["TaxType"] == "OUTPUT3"


def test_a_line_amount_must_match(app: Caller) -> None:
    answer = app.put("Invoices", app.draft(LineItems=[line(1000, LineAmount=999)]))
    assert "does not match the expected line total" in refusal(answer)[0]


def test_a_missing_quantity_or_price_follows_from_the_line_amount(app: Caller) -> None:
    bare = {"Description": "x", "AccountCode": "200", "LineAmount": 40}
    lines = app.invoice(LineItems=[bare, bare | {"Quantity": 4}])["LineItems"]
    assert [(n["Quantity"], n["UnitAmount"]) for n in lines] == [(1, 40), (4, 10)]


def test_numbers_are_unique(app: Caller) -> None:
    app.invoice(InvoiceNumber="SAIT-1")
    answer = app.put("Invoices", app.draft(InvoiceNumber="SAIT-1"))
    assert refusal(answer) == ["Invoice # must be unique."]


def test_a_missing_number_is_assigned(app: Caller) -> None:
    first, second = app.invoice(), app.invoice()
    assert [first["InvoiceNumber"], second["InvoiceNumber"]] == ["INV-0001", "INV-0002"]


def test_post_with_a_known_number_silently_edits(app: Caller) -> None:
    invoice = app.invoice(InvoiceNumber="SAIT-1")
    answer = app.post("Invoices", app.draft(InvoiceNumber="SAIT-1", Reference="oops"))
    assert answer.json()["Invoices"][0]["InvoiceID"] == invoice["InvoiceID"]
    assert app.read(invoice)["Reference"] == "oops"
    assert len(app.xero.control.ledger()["invoices"]) == 1


def test_put_does_not_edit(app: Caller) -> None:
    invoice = app.invoice()
    body = app.draft(InvoiceID=invoice["InvoiceID"], Reference="oops")
    assert refusal(app.put("Invoices", body))


def test_post_with_a_paid_number_is_refused(app: Caller) -> None:
    app.pay(app.invoice(InvoiceNumber="SAIT-1"))
    body = app.draft(InvoiceNumber="SAIT-1", LineItems=[line(1)])
    assert refusal(app.post("Invoices", body)) == [FROZEN]


def test_the_number_of_a_voided_invoice_is_not_free(app: Caller) -> None:
    post(app, app.invoice(InvoiceNumber="SAIT-1"), Status="VOIDED")
    answer = app.put("Invoices", app.draft(InvoiceNumber="SAIT-1"))
    assert refusal(answer) == ["Invoice # must be unique."]


def test_a_renumbered_invoice_frees_its_number(app: Caller) -> None:
    post(app, app.invoice(InvoiceNumber="SAIT-1"), InvoiceNumber="SAIT-1-old")
    assert app.invoice(InvoiceNumber="SAIT-1")


def test_the_number_of_a_deleted_draft_is_free(app: Caller) -> None:
    draft = app.invoice(InvoiceNumber="SAIT-1", Status="DRAFT")
    post(app, draft, Status="DELETED")
    assert app.invoice(InvoiceNumber="SAIT-1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"LineItems": [line(AccountCode="999")]}, "Account code '999' is not a valid"),
        ({"LineItems": [line(AccountCode="090")]}, "Account code '090' is not a valid"),
        ({"LineItems": [line(AccountCode="299")]}, "Account code '299' is not a valid"),
        ({"LineItems": [line(TaxType="OUTPUT9")]}, "TaxType code 'OUTPUT9'"),
        ({"LineItems": [line(TaxType="INPUT3")]}, "TaxType code 'INPUT3'"),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"LineItems": [line(Description="")]}, "Description must be specified"),
        ({"LineItems": [line(AccountCode="")]}, "Account code must be specified"),
        ({"LineItems": [line(-1)]}, "must not be negative"),
        ({"DueDate": None}, "DueDate cannot be empty"),
        ({"CurrencyCode": "USD"}, "not subscribed to currency USD"),
        ({"Reference": "x" * 256}, "Reference"),
        ({"InvoiceNumber": "x" * 256}, "number"),
        ({"Url": "https://go.xero.com/x"}, "Url"),
        ({"Url": "nonsense"}, "Url"),
        ({"BrandingThemeID": "00000000-0000-0000-0000-000000000001"}, "branding"),
        ({"Type": "ACCPAY"}, "type is not valid"),
        ({"Status": "PAID"}, "PAID"),
        ({"Status": "VOIDED"}, "VOIDED"),
        ({"Contact": None}, "A Contact must be specified"),
        (
            {"Contact": {"ContactID": "00000000-0000-0000-0000-000000000001"}},
            "not found",
        ),
    ],
)
def test_an_invoice_that_breaks_a_rule_is_refused(
    app: Caller, changes: dict[str, Any], message: str
) -> None:
    answer = app.put("Invoices", app.draft(**changes))
    assert any(message in said for said in refusal(answer)), answer.text
    assert app.xero.control.ledger()["invoices"] == []


def test_a_draft_may_be_incomplete(app: Caller) -> None:
    bare = {"Description": "later"}
    assert app.invoice(Status="DRAFT", DueDate=None, LineItems=[bare])


def test_the_date_defaults_to_the_organisations_today(
    app: Caller, clock: SimulatedClock
) -> None:
    clock.advance(15 * 3_600)  # 23:00 in Greenwich, already tomorrow in Johannesburg
    app.renew()
    assert app.invoice(Date=None)["DateString"] == "2026-11-21T00:00:00"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DRAFT", "SUBMITTED"),
        ("DRAFT", "AUTHORISED"),
        ("DRAFT", "DELETED"),
        ("SUBMITTED", "DRAFT"),
        ("SUBMITTED", "AUTHORISED"),
        ("SUBMITTED", "DELETED"),
        ("AUTHORISED", "VOIDED"),
    ],
)
def test_allowed_transitions(app: Caller, before: str, after: str) -> None:
    invoice = app.invoice(Status=before)
    assert post(app, invoice, Status=after).status_code == 200
    assert app.read(invoice)["Status"] == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("AUTHORISED", "DRAFT"),
        ("AUTHORISED", "DELETED"),
        ("AUTHORISED", "PAID"),
        ("DRAFT", "VOIDED"),
        ("DRAFT", "PAID"),
    ],
)
def test_forbidden_transitions(app: Caller, before: str, after: str) -> None:
    answer = post(app, app.invoice(Status=before), Status=after)
    assert refusal(answer) == [FROZEN]


@pytest.mark.parametrize("end", ["VOIDED", "DELETED"])
def test_nothing_changes_after_the_end(app: Caller, end: str) -> None:
    start = "AUTHORISED" if end == "VOIDED" else "DRAFT"
    invoice = app.invoice(Status=start)
    post(app, invoice, Status=end)
    assert refusal(post(app, invoice, Reference="x")) == [FROZEN]


def test_a_voided_invoice_owes_nothing(app: Caller) -> None:
    invoice = app.invoice()
    post(app, invoice, Status="VOIDED")
    voided = app.read(invoice)
    assert (voided["AmountDue"], voided["Total"]) == (0, 1150)


def test_an_invoice_with_a_payment_cannot_be_voided(app: Caller) -> None:
    invoice = app.invoice()
    app.pay(invoice, "1.00")
    assert "cannot be voided" in refusal(post(app, invoice, Status="VOIDED"))[0]


def test_submitted_lines_replace_the_old_ones(app: Caller) -> None:
    invoice = app.invoice(LineItems=[line(1), line(2)])
    kept = invoice["LineItems"][1]["LineItemID"]
    post(app, invoice, LineItems=[line(3, LineItemID=kept), line(4)])
    lines = app.read(invoice)["LineItems"]
    assert [n["UnitAmount"] for n in lines] == [3, 4]
    assert lines[0]["LineItemID"] == kept


def test_lines_stay_when_none_are_sent(app: Caller) -> None:
    invoice = app.invoice(LineItems=[line(1), line(2)])
    post(app, invoice, Reference="x")
    assert app.read(invoice)["LineItems"] == invoice["LineItems"]


@pytest.mark.parametrize(
    "changes",
    [
        {"Reference": "x"},
        {"DueDate": "2027-01-31"},
        {"InvoiceNumber": "NEW"},
        {"Url": "https://example.com/x"},
    ],
)
def test_a_part_paid_invoice_can_still_change_these(
    app: Caller, changes: dict[str, Any]
) -> None:
    invoice = app.invoice()
    app.pay(invoice, "1.00")
    assert post(app, invoice, **changes).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"Date": "2026-11-19"},
        {"LineItems": [line(1)]},
        {"LineItems": [line(1000), line(1)]},
        {"LineAmountTypes": "NoTax"},
    ],
)
def test_a_part_paid_invoice_keeps_its_amounts(
    app: Caller, changes: dict[str, Any]
) -> None:
    invoice = app.invoice()
    app.pay(invoice, "1.00")
    assert refusal(post(app, invoice, **changes)) == [FROZEN]


def test_descriptions_of_a_part_paid_invoice_may_change(app: Caller) -> None:
    invoice = app.invoice()
    app.pay(invoice, "1.00")
    assert post(app, invoice, LineItems=[line(Description="New")]).status_code == 200
    assert app.read(invoice)["LineItems"][0]["Description"] == "New"


def test_quiet_changes_of_a_part_paid_invoice_do_not_move_its_date(
    app: Caller, clock: SimulatedClock
) -> None:
    invoice = app.invoice()
    app.pay(invoice, "1.00")
    before = app.read(invoice)["UpdatedDateUTC"]
    clock.advance(60)
    post(app, invoice, DueDate="2027-01-31", SentToContact=True)
    after = app.read(invoice)
    assert after["DueDateString"] == "2027-01-31T00:00:00"
    assert after["UpdatedDateUTC"] == before
    post(app, invoice, Reference="x")
    assert app.read(invoice)["UpdatedDateUTC"] != before


@pytest.mark.parametrize("name", ["PeriodLockDate", "EndOfYearLockDate"])
def test_a_locked_period_is_refused(app: Caller, name: str) -> None:
    app.xero.control.set_organisation(**{name: "2026-11-20"})
    (message,) = refusal(app.put("Invoices", app.draft()))
    kind = "period lock" if name == "PeriodLockDate" else "end of year lock"
    assert message.startswith(f"The document date cannot be before the {kind} date")
    assert app.invoice(Date="2026-11-21")


def test_a_locked_invoice_cannot_be_voided(app: Caller) -> None:
    invoice = app.invoice()
    app.xero.control.set_organisation(PeriodLockDate=date(2026, 11, 30).isoformat())
    assert "period lock" in refusal(post(app, invoice, Status="VOIDED"))[0]


def test_an_enabled_currency_is_accepted(app: Caller) -> None:
    app.xero.control.set_organisation(Currencies=["ZAR", "USD"])
    assert app.invoice(CurrencyCode="USD")["CurrencyCode"] == "USD"


def test_an_archived_contact_is_refused(app: Caller) -> None:
    contact = app.contact()
    app.xero.control.archive_contact(contact["ContactID"])
    body = app.draft(Contact={"ContactID": contact["ContactID"]})
    assert "archived" in refusal(app.put("Invoices", body))[0]


def test_contact_fields_in_an_invoice_rewrite_the_contact(app: Caller) -> None:
    person = {"FirstName": "Sue", "LastName": "J", "EmailAddress": "s@example.com"}
    contact = app.contact(ContactPersons=[person])
    key = {"ContactID": contact["ContactID"]}
    app.invoice(Contact=key)
    assert app.get(f"Contacts/{key['ContactID']}").json()["Contacts"][0][
        "ContactPersons"
    ]
    app.invoice(Contact=key | {"EmailAddress": "new@example.com"})
    changed = app.get(f"Contacts/{key['ContactID']}").json()["Contacts"][0]
    assert changed["EmailAddress"] == "new@example.com"
    assert changed["ContactPersons"] == []


def test_an_unknown_name_in_an_invoice_creates_a_contact(app: Caller) -> None:
    app.invoice(Contact={"Name": "Out of nowhere"})
    names = [c["Name"] for c in app.xero.control.ledger()["contacts"]]
    assert names == ["Out of nowhere"]


def test_a_refused_invoice_creates_no_contact(app: Caller) -> None:
    app.put("Invoices", app.draft(Contact={"Name": "Nobody"}, LineItems=[]))
    assert app.xero.control.ledger()["contacts"] == []


def test_nothing_to_pay_is_paid_at_once(app: Caller) -> None:
    invoice = app.invoice(LineItems=[line(0)])
    assert (invoice["Status"], invoice["AmountDue"]) == ("PAID", 0)


def test_a_refused_batch_has_nevertheless_created_the_good_ones(app: Caller) -> None:
    good, bad = app.draft(InvoiceNumber="A"), app.draft(LineItems=[])
    answer = app.put("Invoices", {"Invoices": [good, bad]})
    body = answer.json()
    assert answer.status_code == 400
    assert (body["ErrorNumber"], body["Type"]) == (10, "ValidationException")
    assert body["Message"] == "A validation exception occurred"
    assert len(body["Elements"]) == 1
    assert list(app.xero.control.invoices()) == ["A"]


@pytest.mark.parametrize("spelling", ["false", "False"])
def test_every_element_is_answered_when_errors_are_not_summarised(
    app: Caller, spelling: str
) -> None:
    drafts = [app.draft(InvoiceNumber=n) for n in ("A", "A", "B")]
    answer = app.put("Invoices", {"Invoices": drafts}, summarizeErrors=spelling)
    elements = answer.json()["Invoices"]
    assert answer.status_code == 200
    assert [e["StatusAttributeString"] for e in elements] == ["OK", "ERROR", "OK"]
    assert [e["HasErrors"] for e in elements] == [False, True, False]
    assert elements[1]["InvoiceID"] == "00000000-0000-0000-0000-000000000000"
    assert elements[1]["ValidationErrors"] == [{"Message": "Invoice # must be unique."}]
    assert elements[1]["InvoiceNumber"] == "A"


def test_emailing_answers_204_and_marks_as_sent(app: Caller) -> None:
    invoice = app.invoice(InvoiceNumber="A")
    answer = app.post(f"Invoices/{invoice['InvoiceID']}/Email")
    assert (answer.status_code, answer.content) == (204, b"")
    assert app.read(invoice)["SentToContact"] is True
    (sent,) = app.xero.control.ledger()["emails"]
    assert (sent["invoice_number"], sent["to"]) == ("A", "t@example.com")


def test_emailing_needs_an_address(app: Caller) -> None:
    contact = app.contact("No mail")
    invoice = app.invoice(Contact={"ContactID": contact["ContactID"]})
    answer = app.post(f"Invoices/{invoice['InvoiceID']}/Email")
    assert "email" in refusal(answer)[0]


@pytest.mark.parametrize("status", ["DRAFT", "DELETED", "VOIDED"])
def test_emailing_needs_a_document_to_send(app: Caller, status: str) -> None:
    invoice = app.invoice(Status="AUTHORISED" if status == "VOIDED" else "DRAFT")
    if status != "DRAFT":
        post(app, invoice, Status=status)
    assert refusal(app.post(f"Invoices/{invoice['InvoiceID']}/Email"))


def test_emails_have_a_daily_limit_of_the_organisations_day(
    app: Caller, clock: SimulatedClock
) -> None:
    app.xero.control.set_limits(emails_per_day=2)
    path = f"Invoices/{app.invoice()['InvoiceID']}/Email"
    statuses = [app.post(path).status_code for _ in range(3)]
    clock.advance(14 * 3_600)  # midnight in Johannesburg
    app.renew()
    assert [*statuses, app.post(path).status_code] == [204, 204, 400, 204]


def test_sent_to_contact_is_for_approved_invoices(app: Caller) -> None:
    answer = app.put("Invoices", app.draft(Status="DRAFT", SentToContact=True))
    assert "SentToContact" in refusal(answer)[0]


def test_online_invoice_has_a_public_address(app: Caller) -> None:
    path = f"Invoices/{app.invoice()['InvoiceID']}/OnlineInvoice"
    first, again = app.get(path).json(), app.get(path).json()
    url = first["OnlineInvoices"][0]["OnlineInvoiceUrl"]
    assert url.startswith("https://in.xero.com/")
    assert again["OnlineInvoices"][0]["OnlineInvoiceUrl"] == url


def test_a_draft_is_not_online(app: Caller) -> None:
    invoice = app.invoice(Status="DRAFT")
    assert app.get(f"Invoices/{invoice['InvoiceID']}/OnlineInvoice").status_code == 400


def test_history_can_be_added_and_read(app: Caller) -> None:
    path = f"Invoices/{app.invoice()['InvoiceID']}/History"
    record = {"HistoryRecords": [{"Details": "Settled by the daemon"}]}
    assert app.put(path, record).status_code == 200
    records = app.get(path).json()["HistoryRecords"]
    assert records[0]["Details"] == "Settled by the daemon"


def test_a_history_note_has_at_most_2500_characters(app: Caller) -> None:
    path = f"Invoices/{app.invoice()['InvoiceID']}/History"
    too_long = {"HistoryRecords": [{"Details": "x" * 2_501}]}
    assert app.put(path, too_long).status_code == 400


def test_amounts_are_exact(app: Caller) -> None:
    invoice = app.invoice(LineItems=[line("1234567890.12")])
    (kept,) = app.xero.control.ledger()["invoices"]
    assert Decimal(kept["Total"]) == Decimal("1419753073.64")
    assert invoice["Total"] == 1419753073.64


def test_an_invoice_is_found_by_number_too(app: Caller) -> None:
    app.invoice(InvoiceNumber="SAIT-1")
    assert app.get("Invoices/SAIT-1").status_code == 200
