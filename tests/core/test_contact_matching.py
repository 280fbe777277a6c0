"""Which contact a member is, and that nobody guesses."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contact_matching import (
    Ambiguous,
    Matched,
    MatchRule,
    MirrorContact,
    NoMatch,
    match,
    normal,
)
from core.members import Member

MEMBER = Member(id="100123", name="Zoë van der Merwe", email="Zoe@Example.co.za")


def contact(contact_id: str = "c-1", **values: str) -> MirrorContact:
    return MirrorContact(
        contact_id=contact_id,
        name=values.get("name", "Somebody Else"),
        email=values.get("email", ""),
        contact_number=values.get("contact_number", ""),
        account_number=values.get("account_number", ""),
        status=values.get("status", "ACTIVE"),
        merged_to=None,
        updated_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


BY_LINK = contact("link")
BY_NUMBER = contact("number", contact_number="100123")
BY_ACCOUNT = contact("account", account_number="100123")
BY_EMAIL = contact("email", name="zoe  VAN DER MERWE", email="zoe@example.co.za")


@pytest.mark.parametrize(
    ("contacts", "linked_to", "rule", "chosen"),
    [
        pytest.param(
            [BY_LINK, BY_NUMBER], "link", MatchRule.LINK, "link", id="stored link"
        ),
        pytest.param(
            [BY_ACCOUNT, BY_NUMBER], None, MatchRule.CONTACT_NUMBER, "number", id="nr"
        ),
        pytest.param(
            [BY_ACCOUNT, BY_EMAIL], None, MatchRule.ACCOUNT_NUMBER, "account", id="acc"
        ),
        pytest.param([BY_EMAIL], None, MatchRule.EMAIL_AND_NAME, "email", id="e-mail"),
    ],
)
def test_the_first_rule_that_finds_somebody_decides(
    contacts: list[MirrorContact],
    linked_to: str | None,
    rule: MatchRule,
    chosen: str,
) -> None:
    found = match(MEMBER, contacts, linked_to, {})
    assert isinstance(found, Matched)
    assert (found.rule, found.contact.contact_id) == (rule, chosen)


def test_nobody_fits() -> None:
    other = contact(email="zoe@example.co.za", name="Piet van der Merwe")
    assert match(MEMBER, [other], None, {}) == NoMatch()


def test_a_family_e_mail_is_not_enough() -> None:
    assert match(MEMBER, [contact(email="zoe@example.co.za")], None, {}) == NoMatch()


@pytest.mark.parametrize(
    ("contacts", "taken", "reason"),
    [
        ([BY_NUMBER, contact("two", contact_number="100123")], {}, "several"),
        ([contact("old", contact_number="100123", status="ARCHIVED")], {}, "archived"),
        ([BY_EMAIL], {"email": "100999"}, "taken"),
    ],
)
def test_what_can_not_be_decided_is_for_a_person(
    contacts: list[MirrorContact], taken: dict[str, str], reason: str
) -> None:
    found = match(MEMBER, contacts, None, taken)
    assert isinstance(found, Ambiguous)
    assert found.reason == reason


def test_an_archived_twin_does_not_hinder() -> None:
    old = contact("old", contact_number="100123", status="ARCHIVED")
    found = match(MEMBER, [old, BY_NUMBER], None, {})
    assert isinstance(found, Matched)
    assert found.contact is BY_NUMBER


@given(st.permutations([BY_LINK, BY_NUMBER, BY_ACCOUNT, BY_EMAIL]))
def test_the_order_of_the_contacts_does_not_matter(
    contacts: list[MirrorContact],
) -> None:
    found = match(MEMBER, contacts, None, {})
    assert isinstance(found, Matched)
    assert found.contact is BY_NUMBER


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zoë Müller", "ZOE MULLER"),
        ("José  Dos Santos", "jose dos santos"),
        ("Straße", "STRASSE"),
    ],
)
def test_names_are_compared_without_case_diacritics_and_double_spaces(
    one: str, other: str
) -> None:
    assert normal(one) == normal(other)
