"""What finance should look at in Xero, and which contact to merge into which."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.matching.contact import MirrorContact
from core.matching.duplicates import Usage, duplicates, merge_plan
from core.matching.names import compare
from tests.core.contact_cases.names import PAIRS


def contact(contact_id: str, name: str, email: str = "", **shown: Any) -> MirrorContact:
    values: dict[str, Any] = {
        "contact_number": "",
        "account_number": "",
        "status": "ACTIVE",
        "merged_to": None,
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        **shown,
    }
    return MirrorContact(contact_id=contact_id, name=name, email=email, **values)


JAN, MAIL = "Jan Botha", "jan@botha.example"
NOTHING = Usage()


def pairs(*some: MirrorContact, usage: Usage = NOTHING) -> list[tuple[str, str, bool]]:
    return [
        (found.contact.contact_id, found.other.contact_id, found.is_sure)
        for found in duplicates(some, usage)
        if found.other is not None
    ]


def test_one_name_at_one_address_is_a_duplicate() -> None:
    assert pairs(contact("a", JAN, MAIL), contact("b", "Botha, J", MAIL)) == [
        ("a", "b", True)
    ]


def test_a_copy_is_perhaps_one() -> None:
    assert pairs(contact("a", JAN, MAIL), contact("b", f"{JAN} 1", MAIL)) == [
        ("a", "b", False)
    ]


def test_the_same_name_without_an_address_is_perhaps_one() -> None:
    assert pairs(contact("a", JAN, MAIL), contact("b", JAN)) == [("a", "b", False)]
    assert pairs(contact("a", JAN, MAIL), contact("b", JAN, "x@y.example")) == []


def test_a_family_is_no_duplicate() -> None:
    assert pairs(contact("a", JAN, MAIL), contact("b", "Anna Botha", MAIL)) == []


def test_two_numbers_are_two_members() -> None:
    father = contact("a", JAN, MAIL, contact_number="100123")
    son = contact("b", JAN, MAIL, contact_number="100124")
    assert pairs(father, son) == []


def test_two_linked_contacts_are_two_members() -> None:
    usage = Usage(owners={"a": "1", "b": "2"})
    assert pairs(contact("a", JAN, MAIL), contact("b", JAN, MAIL), usage=usage) == []


def test_one_tax_number_and_a_changed_surname_are_one() -> None:
    before = contact("a", "Anna Botha", "x@y.example", tax_number="2456789013")
    after = contact("b", "Anna Smit", MAIL, tax_number="2456 789 013")
    assert pairs(before, after) == [("a", "b", True)]


def test_archived_contacts_are_nobodys_duplicates() -> None:
    old = contact("b", JAN, MAIL, status="ARCHIVED")
    assert pairs(contact("a", JAN, MAIL), old) == []


def test_a_crowd_at_one_address_is_compared_by_name_alone() -> None:
    crowd = [contact(f"c-{n:04}", f"Member No{n}", MAIL) for n in range(3_000)]
    twin = contact("twin", "Member No7", MAIL)
    assert [(a, b) for a, b, _ in pairs(*crowd, twin)] == [("c-0007", "twin")]


def plan(*some: MirrorContact, usage: Usage = NOTHING) -> list[tuple[str, str, str]]:
    found = merge_plan(duplicates(some, usage), usage)
    return [(m.merge.contact_id, m.into.contact_id, m.keep_because) for m in found]


def test_the_linked_one_stays() -> None:
    usage = Usage(owners={"b": "100123"}, invoices={"a": 9})
    assert plan(contact("a", JAN, MAIL), contact("b", JAN, MAIL), usage=usage) == [
        ("a", "b", "is member 100123's")
    ]


def test_else_the_most_used_stays() -> None:
    usage = Usage(invoices={"b": 2, "a": 1})
    assert plan(contact("a", JAN, MAIL), contact("b", JAN, MAIL), usage=usage) == [
        ("a", "b", "has 2 of our invoices, the other 1")
    ]


def test_else_the_numbered_the_complete_and_the_oldest_stay() -> None:
    bare = contact("a", JAN, MAIL, updated_at=datetime(2026, 5, 1, tzinfo=UTC))
    numbered = contact("b", JAN, MAIL, contact_number="7")
    complete = contact("c", JAN, MAIL, tax_number="2456789013")
    older = contact("d", JAN, MAIL)
    assert plan(bare, numbered)[0][1:] == ("b", "has a Contact Number")
    assert plan(bare, complete)[0][1:] == ("c", "is more complete")
    assert plan(bare, older)[0][1:] == ("d", "was not changed for longer")


def test_a_group_is_merged_into_one() -> None:
    some = [contact(key, JAN, MAIL) for key in "abcd"]
    assert [(gone, kept) for gone, kept, _ in plan(*some)] == [
        ("b", "a"),
        ("c", "a"),
        ("d", "a"),
    ]


def test_what_is_perhaps_one_is_not_merged() -> None:
    assert plan(contact("a", JAN, MAIL), contact("b", f"{JAN} (old)", MAIL)) == []


def conflicts(*some: MirrorContact, usage: Usage = NOTHING) -> dict[str, str]:
    found = merge_plan(duplicates(some, usage), usage)
    return {merge.merge.contact_id: merge.conflict for merge in found}


def test_two_members_in_a_group_are_a_conflict_of_all_of_it() -> None:
    """Whose the third one is nobody can say, and a merge can't be undone."""
    usage = Usage(owners={"a": "1001", "c": "1002"})
    some = [contact(key, JAN, MAIL) for key in "abc"]
    found = conflicts(*some, usage=usage)
    assert found.keys() == {"b", "c"}
    assert all("members 1001 (a) and 1002 (c)" in why for why in found.values())
    assert not any(is_sure for _, _, is_sure in pairs(*some, usage=usage))


@pytest.mark.parametrize(
    ("field", "one", "other", "why"),
    [
        ("contact_number", "1001", "1002", "two Contact Numbers, 1001 (a) and 1002"),
        # The thousandth member: their numbers are one longer.
        ("contact_number", "M-999", "M-1009", "two Contact Numbers, M-999 (a)"),
        ("account_number", "1001", "1002", "two Account Numbers, 1001 (a) and 1002"),
        ("tax_number", "2456789013", "2456789021", "two Tax Numbers"),
        ("company_number", "2015/1234/07", "2016/1234/07", "two Company Numbers"),
    ],
)
def test_a_contact_that_fits_two_numbers_is_merged_into_neither(
    field: str, one: str, other: str, why: str
) -> None:
    some = (
        contact("a", JAN, MAIL, **{field: one}),
        contact("b", JAN, MAIL),
        contact("c", JAN, MAIL, **{field: other}),
    )
    found = conflicts(*some)
    assert found.keys() == {"b", "c"}
    assert all(why in each for each in found.values())
    assert not any(is_sure for _, _, is_sure in pairs(*some))


def test_the_number_of_another_member_is_a_conflict_with_a_link() -> None:
    """Father is invoiced, and the son's contact waits for his first invoice."""
    usage = Usage(owners={"a": "1001"})
    some = (contact("a", JAN, MAIL), contact("b", JAN, MAIL, contact_number="1002"))
    found = conflicts(*some, usage=usage)
    assert "member 1001 (a) and the Contact Number 1002 (b)" in found["b"]


def test_the_same_number_written_otherwise_is_no_conflict() -> None:
    usage = Usage(owners={"a": "1001"})
    some = (
        contact("a", JAN, MAIL, account_number="CUST-7"),
        contact("b", JAN, MAIL, contact_number="001001", account_number="cust 7"),
        contact("c", JAN, MAIL, account_number="OLD/88"),
    )
    assert conflicts(*some, usage=usage) == {"b": "", "c": ""}


def test_an_initial_that_fits_two_first_names_is_merged_into_neither() -> None:
    brothers = (contact("a", JAN, MAIL), contact("c", "Johan Botha", MAIL))
    found = conflicts(*brothers, contact("b", "J Botha", MAIL))
    assert len(found) == 2
    assert all("Jan Botha (a) and Johan Botha (c)" in why for why in found.values())


def test_a_third_one_may_join_two_whose_addresses_differ() -> None:
    some = (
        contact("a", JAN, "old@botha.example", tax_number="2456789013"),
        contact("b", JAN, MAIL, tax_number="2456789013"),
        contact("c", JAN, MAIL),
    )
    assert conflicts(*some) == {"b": "", "c": ""}


def test_two_members_in_a_crowd_of_one_name_are_seen() -> None:
    office = "info@botha.example"
    crowd = [contact(f"c-{n:04}", f"Member No{n}", office) for n in range(100)]
    family = [
        contact("f-1", JAN, office, contact_number="1001"),
        contact("f-2", JAN, office, contact_number="1002"),
        *(contact(f"f-3{n:02}", JAN, office) for n in range(70)),
    ]
    found = conflicts(*crowd, *family)
    assert len(found) == 71
    assert all("1001" in why for why in found.values())


@given(st.permutations([contact(k, JAN, MAIL, contact_number="") for k in "abcde"]))
def test_the_order_does_not_matter(some: list[MirrorContact]) -> None:
    assert plan(*some) == plan(*sorted(some, key=lambda each: each.contact_id))


NAMES = st.sampled_from(sorted({n for p in PAIRS.values() for t in p for n in t[:2]}))


@given(NAMES, NAMES)
def test_names_are_compared_the_same_both_ways(one: str, other: str) -> None:
    assert compare(one, other) == compare(other, one)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts_can_be_compared(one: str, other: str) -> None:
    assert compare(one, other, "100123") == compare(other, one, "100123")
