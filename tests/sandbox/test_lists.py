from typing import Any

import httpx
import pytest

from sandbox import SimulatedClock
from tests.sandbox.caller import Caller, line


def numbers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [invoice["InvoiceNumber"] for invoice in answer.json()["Invoices"]]


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [contact["Name"] for contact in answer.json()["Contacts"]]


def invoices(app: Caller, *numbers_: str, **fields: Any) -> list[dict[str, Any]]:
    return [app.invoice(InvoiceNumber=number, **fields) for number in numbers_]


def test_unpaged_lists_are_stripped_and_paged_ones_are_not(app: Caller) -> None:
    invoices(app, "A")
    unpaged, paged = app.get("Invoices").json(), app.get("Invoices", page=1).json()
    assert unpaged["Invoices"][0]["LineItems"] == []
    assert "pagination" not in unpaged
    assert len(paged["Invoices"][0]["LineItems"]) == 1
    assert paged["pagination"] == {
        "page": 1,
        "pageSize": 100,
        "pageCount": 1,
        "itemCount": 1,
    }


def test_unpaged_contacts_lack_their_persons(app: Caller) -> None:
    app.contact(ContactPersons=[{"FirstName": "Sue"}])
    assert app.get("Contacts").json()["Contacts"][0]["ContactPersons"] == []
    assert app.get("Contacts", page=1).json()["Contacts"][0]["ContactPersons"]


def test_pages_do_not_overlap(app: Caller) -> None:
    invoices(app, "A", "B", "C")
    pages = [app.get("Invoices", page=n, pageSize=2) for n in (1, 2, 3)]
    assert [len(numbers(p)) for p in pages] == [2, 1, 0]
    assert sorted(n for p in pages for n in numbers(p)) == ["A", "B", "C"]
    assert pages[0].json()["pagination"]["pageCount"] == 2


def test_a_page_has_at_most_a_thousand(app: Caller) -> None:
    answer = app.get("Invoices", page=1, pageSize=5_000).json()
    assert answer["pagination"]["pageSize"] == 1_000


def test_list_filters_force_paging(app: Caller) -> None:
    (invoice,) = invoices(app, "A")
    answer = app.get("Invoices", IDs=invoice["InvoiceID"]).json()
    assert answer["pagination"]["itemCount"] == 1
    assert answer["Invoices"][0]["LineItems"]


def test_filters_by_lists(app: Caller) -> None:
    first, second, _ = invoices(app, "A", "B", "C")
    ids = f"{first['InvoiceID']},{second['InvoiceID']}"
    contact_id = first["Contact"]["ContactID"]
    assert sorted(numbers(app.get("Invoices", IDs=ids))) == ["A", "B"]
    assert numbers(app.get("Invoices", InvoiceNumbers="C")) == ["C"]
    assert len(numbers(app.get("Invoices", ContactIDs=contact_id))) == 3
    assert numbers(app.get("Invoices", Statuses="DRAFT,PAID")) == []


def test_a_summary_has_neither_lines_nor_payments(app: Caller) -> None:
    app.pay(app.invoice(InvoiceNumber="A"))
    answer = app.get("Invoices", summaryOnly="true").json()
    assert "LineItems" not in answer["Invoices"][0]
    assert "Payments" not in answer["Invoices"][0]
    assert answer["Invoices"][0]["AmountDue"] == 0
    assert answer["pagination"]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('Status=="AUTHORISED"', ["A", "B"]),
        ('Status=="PAID"', ["C"]),
        ('Status=="AUTHORISED" AND AmountDue>1000', ["B"]),
        ('Status=="AUTHORISED" && AmountDue<1000', ["A"]),
        ('InvoiceNumber=="A" OR InvoiceNumber=="C"', ["A", "C"]),
        ('(InvoiceNumber=="A" || InvoiceNumber=="B") AND AmountDue>1000', ["B"]),
        ('Reference=="membership:renewal-1"', ["A"]),
        ('Reference!=null && Reference.StartsWith("member")', ["A"]),
        ('Reference==""', ["B", "C"]),
        ("Reference==null", ["B", "C"]),
        ('Contact.Name=="thabo NKOSI"', ["A", "B", "C"]),
        ('Contact.ContactNumber=="100123"', []),
        ("Date>=DateTime(2026,11,20) AND Date<DateTime(2026,11,21)", ["A", "B", "C"]),
        ("DueDate<DateTime(2026,12,1)", []),
        ("AmountPaid>=1150.00", ["C"]),
        ('Type=="ACCREC"', ["A", "B", "C"]),
        ("SentToContact==false", ["A", "B", "C"]),
        ('InvoiceNumber.Contains("b")', ["B"]),
    ],
)
def test_conditions(app: Caller, condition: str, found: list[str]) -> None:
    app.invoice(
        InvoiceNumber="A", Reference="membership:renewal-1", LineItems=[line(100)]
    )
    app.invoice(InvoiceNumber="B")
    app.pay(app.invoice(InvoiceNumber="C"))
    answer = app.get("Invoices", where=condition, page=1, order="InvoiceNumber")
    assert numbers(answer) == found


@pytest.mark.parametrize(
    "condition",
    [
        "Nonsense",
        'Unknown=="x"',
        'Reference=="a"b"',
        'Reference=="a',
        "Status==PAID",
        'AmountDue>"x"',
        "Date>=DateTime(2026,13,1)",
        'Status=="A" AND',
        '(Status=="A"',
        'Status=="A")',
        'Status~"A"',
        "Status.StartsWith(1)",
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(
    app: Caller, condition: str
) -> None:
    invoices(app, "A")
    answer = app.get("Invoices", where=condition, page=1)
    assert answer.status_code == 400
    assert answer.json()["ErrorNumber"] == 16
    assert answer.json()["Type"] == "QueryParseException"


def test_contacts_are_found_without_regard_to_case_and_accents(app: Caller) -> None:
    app.contact("Zoë Müller", EmailAddress="Zoe@example.com")
    for condition in ('Name=="zoe muller"', 'EmailAddress=="zoe@EXAMPLE.com"'):
        assert names(app.get("Contacts", where=condition)) == ["Zoë Müller"]


def test_contacts_are_searched_in_their_names_and_numbers(app: Caller) -> None:
    app.contact("Thabo", ContactNumber="100123", EmailAddress="t@example.com")
    app.contact("Sipho", LastName="Nkosi")
    assert names(app.get("Contacts", searchTerm="1001")) == ["Thabo"]
    assert names(app.get("Contacts", searchTerm="EXAMPLE")) == ["Thabo"]
    assert names(app.get("Contacts", searchTerm="nkosi")) == ["Sipho"]


def test_invoices_are_searched_in_number_and_reference(app: Caller) -> None:
    invoices(app, "SAIT-1", Reference='has "quotes"')
    assert numbers(app.get("Invoices", searchTerm='"quotes"')) == ["SAIT-1"]
    assert numbers(app.get("Invoices", searchTerm="sait")) == ["SAIT-1"]


def test_archived_contacts_are_left_out_unless_asked_for(app: Caller) -> None:
    contact = app.contact()
    app.xero.control.archive_contact(contact["ContactID"])
    assert names(app.get("Contacts", page=1)) == []
    assert names(app.get("Contacts", IDs=contact["ContactID"])) == []
    assert names(app.get("Contacts", page=1, includeArchived="true")) == ["Thabo Nkosi"]


def test_modified_since_has_seconds(app: Caller, clock: SimulatedClock) -> None:
    invoices(app, "A")
    clock.advance(1.5)
    invoices(app, "B")
    since = {"If-Modified-Since": "2026-11-20T08:00:01"}
    assert numbers(app.send("GET", "Invoices", None, since, page=1)) == ["B"]
    since = {"If-Modified-Since": "Fri, 20 Nov 2026 08:00:01 GMT"}
    assert numbers(app.send("GET", "Invoices", None, since, page=1)) == ["B"]


def test_an_unreadable_modified_since_is_refused(app: Caller) -> None:
    since = {"If-Modified-Since": "yesterday"}
    assert app.send("GET", "Invoices", None, since).status_code == 400


def test_the_default_order_is_by_change(app: Caller, clock: SimulatedClock) -> None:
    for number in ("C", "A", "B"):
        invoices(app, number)
        clock.advance(1)
    assert numbers(app.get("Invoices", page=1)) == ["C", "A", "B"]


def test_an_order_can_be_asked_for(app: Caller) -> None:
    invoices(app, "C", "A", "B")
    ordered = app.get("Invoices", page=1, order="InvoiceNumber DESC")
    assert numbers(ordered) == ["C", "B", "A"]
    assert app.get("Invoices", order="Nonsense").status_code == 400


@pytest.mark.parametrize("query", [{"page": "0"}, {"page": "x"}, {"pageSize": "-1"}])
def test_a_page_is_a_whole_number(app: Caller, query: dict[str, str]) -> None:
    assert app.get("Invoices", **query).status_code == 400


def test_invoices_made_by_hand_are_not_ours(app: Caller) -> None:
    invoices(app, "A", "B")
    app.xero.service.only_books.invoices.copy().popitem()[1].created_by_app = False
    assert numbers(app.get("Invoices", createdByMyApp="true")) == ["A"]


def test_settings_are_listed(app: Caller) -> None:
    (organisation,) = app.get("Organisation").json()["Organisations"]
    assert organisation["BaseCurrency"] == "ZAR"
    assert organisation["CountryCode"] == "ZA"
    assert organisation["Timezone"] == "SOUTHAFRICASTANDARDTIME"
    assert organisation["OrganisationID"] == app.tenant_id
    rates = {r["TaxType"]: r for r in app.get("TaxRates").json()["TaxRates"]}
    assert rates["OUTPUT3"]["EffectiveRate"] == 15
    assert {"ZERORATED", "EXEMPTOUTPUT", "NONE"} <= set(rates)
    accounts = {a["Code"]: a for a in app.get("Accounts").json()["Accounts"]}
    assert accounts["200"]["Type"] == "SALES"
    assert accounts["090"]["Type"] == "BANK"
    assert app.get("BrandingThemes").json()["BrandingThemes"]
    assert app.get("Currencies").json()["Currencies"][0]["Code"] == "ZAR"
    assert app.get("TaxRates/OUTPUT3").json()["TaxRates"][0]["TaxType"] == "OUTPUT3"
    assert app.get("TaxRates/OUTPUT9").status_code == 404
    account_id = accounts["200"]["AccountID"]
    assert app.get(f"Accounts/{account_id}").json()["Accounts"][0]["Code"] == "200"
