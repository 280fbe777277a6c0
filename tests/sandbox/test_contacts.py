from typing import Any

import pytest

from sandbox import SimulatedClock
from tests.sandbox.caller import Caller, messages_of

TAKEN = (
    "The contact name Thabo Nkosi is already assigned to another contact. "
    "The contact name must be unique across all active contacts."
)


def refused(app: Caller, method: str = "PUT", **fields: Any) -> list[str]:
    answer = app.send(method, "Contacts", {"Contacts": [fields]})
    assert answer.status_code == 400
    return messages_of(answer)


def read(app: Caller, key: str) -> dict[str, Any]:
    contact: dict[str, Any] = app.get(f"Contacts/{key}").json()["Contacts"][0]
    return contact


def test_a_contact_is_read_by_id_and_by_number(app: Caller) -> None:
    contact = app.contact(ContactNumber="100123")
    assert read(app, contact["ContactID"])["Name"] == "Thabo Nkosi"
    assert read(app, "100123")["ContactID"] == contact["ContactID"]


def test_an_unknown_contact_is_not_found(app: Caller) -> None:
    answer = app.get("Contacts/100123")
    assert answer.status_code == 404
    assert answer.text == "The resource you're looking for cannot be found"


def test_active_names_are_unique(app: Caller) -> None:
    app.contact()
    assert refused(app, Name="Thabo Nkosi") == [TAKEN]


def test_names_differing_in_case_only_collide(app: Caller) -> None:
    app.contact()
    assert refused(app, Name="THABO nkosi")


def test_put_refuses_an_existing_contact_number(app: Caller) -> None:
    app.contact(ContactNumber="100123")
    assert refused(app, Name="Somebody", ContactNumber="100123")


def test_post_finds_by_number_and_updates(app: Caller) -> None:
    contact = app.contact(ContactNumber="100123", EmailAddress="old@example.com")
    answer = app.post("Contacts", {"ContactNumber": "100123", "Name": "Thabo N."})
    (changed,) = answer.json()["Contacts"]
    assert changed["ContactID"] == contact["ContactID"]
    assert changed["Name"] == "Thabo N."
    assert changed["EmailAddress"] == "old@example.com"


def test_post_finds_by_name_and_updates(app: Caller) -> None:
    contact = app.contact()
    answer = app.post("Contacts", {"Name": "Thabo Nkosi", "AccountNumber": "A1"})
    assert answer.json()["Contacts"][0]["ContactID"] == contact["ContactID"]


def test_post_creates_where_nothing_matches(app: Caller) -> None:
    app.post("Contacts", {"Name": "Thabo Nkosi"})
    assert len(app.xero.control.ledger()["contacts"]) == 1


def test_post_to_an_address_updates_that_contact(app: Caller) -> None:
    contact = app.contact()
    path = f"Contacts/{contact['ContactID']}"
    app.post(path, {"Contacts": [{"TaxNumber": "1"}]})
    assert read(app, contact["ContactID"])["TaxNumber"] == "1"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Name": ""},
        {"Name": "x" * 256},
        {"Name": "<Thabo>"},
        {"Name": " Thabo"},
        {"Name": "Thabo "},
        {"Name": "Thabo  Nkosi"},
        {"Name": "T", "ContactNumber": "x" * 51},
        {"Name": "T", "AccountNumber": "x" * 51},
        {"Name": "T", "TaxNumber": "x" * 51},
        {"Name": "T", "EmailAddress": "müller@example.com"},
        {"Name": "T", "EmailAddress": "nobody"},
        {"Name": "T", "Phones": [{"PhoneType": "MOBILE", "PhoneNumber": "1" * 51}]},
        {"Name": "T", "Addresses": [{"AddressType": "STREET", "City": "x" * 256}]},
        {"Name": "T", "ContactPersons": [{"FirstName": "A"}] * 6},
    ],
)
def test_a_contact_that_breaks_a_rule_is_refused(
    app: Caller, fields: dict[str, Any]
) -> None:
    assert refused(app, **fields)
    assert app.xero.control.ledger()["contacts"] == []


def test_diacritics_and_apostrophes_are_kept(app: Caller) -> None:
    app.contact("Zoë D'Arcy-Müller", ContactNumber="1")
    assert read(app, "1")["Name"] == "Zoë D'Arcy-Müller"


def test_addresses_and_phones_come_in_every_type(app: Caller) -> None:
    contact = app.contact(
        Phones=[{"PhoneType": "MOBILE", "PhoneNumber": "0601234"}],
        Addresses=[{"AddressType": "STREET", "City": "Durban"}],
    )
    phones = {p["PhoneType"]: p["PhoneNumber"] for p in contact["Phones"]}
    assert phones == {"DEFAULT": "", "DDI": "", "FAX": "", "MOBILE": "0601234"}
    assert {a["AddressType"]: a["City"] for a in contact["Addresses"]} == {
        "STREET": "Durban",
        "POBOX": "",
    }


def test_an_archived_contact_frees_its_name(app: Caller) -> None:
    contact = app.contact()
    app.post(
        "Contacts", {"ContactID": contact["ContactID"], "ContactStatus": "ARCHIVED"}
    )
    again = app.contact()
    assert again["ContactID"] != contact["ContactID"]
    assert read(app, contact["ContactID"])["ContactStatus"] == "ARCHIVED"


def test_a_merge_archives_the_loser_and_says_where_it_went(app: Caller) -> None:
    invoice = app.invoice()
    losing = invoice["Contact"]["ContactID"]
    winning = app.contact("T. Nkosi", ContactNumber="7")["ContactID"]
    app.xero.control.merge_contacts(losing, winning)
    gone = read(app, losing)
    assert (gone["ContactStatus"], gone["MergedToContactID"]) == ("ARCHIVED", winning)
    assert app.read(invoice)["Contact"]["ContactID"] == winning


def test_a_merged_contact_cannot_be_changed(app: Caller) -> None:
    losing = app.contact()["ContactID"]
    app.xero.control.merge_contacts(losing, app.contact("T. Nkosi")["ContactID"])
    assert refused(app, "POST", ContactID=losing, Name="Back again")


def test_merged_to_is_not_shown_on_unpaged_lists(app: Caller) -> None:
    losing = app.contact()["ContactID"]
    app.xero.control.merge_contacts(losing, app.contact("T. Nkosi")["ContactID"])
    unpaged = app.get("Contacts", includeArchived="true").json()["Contacts"]
    paged = app.get("Contacts", includeArchived="true", page=1).json()["Contacts"]
    assert not any("MergedToContactID" in contact for contact in unpaged)
    assert any("MergedToContactID" in contact for contact in paged)


def test_edits_change_the_updated_date(app: Caller, clock: SimulatedClock) -> None:
    contact = app.contact()
    clock.advance(60)
    app.post("Contacts", {"ContactID": contact["ContactID"], "TaxNumber": "1"})
    assert (
        read(app, contact["ContactID"])["UpdatedDateUTC"] != contact["UpdatedDateUTC"]
    )


def test_derived_fields_do_not_change_the_updated_date(
    app: Caller, clock: SimulatedClock
) -> None:
    contact = app.contact(ContactNumber="1")
    clock.advance(60)
    app.invoice(Contact={"ContactID": contact["ContactID"]})
    now = read(app, "1")
    assert now["UpdatedDateUTC"] == contact["UpdatedDateUTC"]
    assert now["IsCustomer"] is True
    assert now["Balances"]["AccountsReceivable"]["Outstanding"] == 1150.00


def test_ids_of_refused_contacts_are_zero(app: Caller) -> None:
    answer = app.put(
        "Contacts",
        {"Contacts": [{"Name": "Thabo"}, {"Name": "<>"}, {"Name": "Sipho"}]},
        summarizeErrors="false",
    )
    contacts = answer.json()["Contacts"]
    assert [c["StatusAttributeString"] for c in contacts] == ["OK", "ERROR", "OK"]
    assert [c["HasValidationErrors"] for c in contacts] == [False, True, False]
    assert contacts[1]["ContactID"] == "00000000-0000-0000-0000-000000000000"
    assert contacts[2]["Name"] == "Sipho"


def test_an_archived_contact_is_restored_by_post(app: Caller) -> None:
    contact_id = app.contact()["ContactID"]
    app.xero.control.archive_contact(contact_id)
    app.post("Contacts", {"ContactID": contact_id, "ContactStatus": "ACTIVE"})
    assert read(app, contact_id)["ContactStatus"] == "ACTIVE"


def test_a_name_that_was_taken_meanwhile_keeps_a_contact_archived(app: Caller) -> None:
    contact_id = app.contact()["ContactID"]
    app.xero.control.archive_contact(contact_id)
    app.contact()
    back = {"ContactID": contact_id, "ContactStatus": "ACTIVE"}
    assert refused(app, "POST", **back) == [TAKEN]
    app.post("Contacts", {**back, "Name": "Thabo Nkosi (2)"})
    assert read(app, contact_id)["ContactStatus"] == "ACTIVE"


def test_an_erased_contact_is_neither_listed_nor_changed(app: Caller) -> None:
    contact_id = app.contact()["ContactID"]
    app.xero.control.erase_contact(contact_id)
    assert app.get("Contacts", page=1).json()["Contacts"] == []
    (seen,) = app.get("Contacts", page=1, includeArchived="true").json()["Contacts"]
    assert seen["ContactStatus"] == "GDPRREQUEST"
    assert refused(app, "POST", ContactID=contact_id, ContactStatus="ACTIVE")


def test_spaces_around_a_value_are_trimmed(app: Caller) -> None:
    contact = app.contact(
        TaxNumber=" 4012345678 ",
        Phones=[{"PhoneType": "DEFAULT", "PhoneNumber": " 060 1234 "}],
    )
    phones = {p["PhoneType"]: p["PhoneNumber"] for p in contact["Phones"]}
    assert (contact["TaxNumber"], phones["DEFAULT"]) == ("4012345678", "060 1234")


def test_a_contact_that_was_merged_twice_names_each_next_one(app: Caller) -> None:
    first, second, third = (app.contact(name)["ContactID"] for name in ("A", "B", "C"))
    app.xero.control.merge_contacts(first, second)
    app.xero.control.merge_contacts(second, third)
    assert read(app, first)["MergedToContactID"] == second
    assert read(app, second)["MergedToContactID"] == third
