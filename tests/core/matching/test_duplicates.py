"""What finance should look at in Xero, and which contact to merge into which."""

from datetime import UTC, datetime
from typing import Any

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


def test_two_members_in_a_group_are_a_conflict() -> None:
    usage = Usage(owners={"a": "1", "c": "2"})
    some = [contact(key, JAN, MAIL) for key in "abc"]
    found = merge_plan(duplicates(some, usage), usage)
    conflicts = {m.merge.contact_id: bool(m.conflict) for m in found}
    assert conflicts == {"b": False, "c": True}


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
