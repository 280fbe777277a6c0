"""Which contact a member is, and that nobody guesses."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.matching.contact import ACTIVE, ARCHIVED, ERASED, MirrorContact
from core.matching.match import match
from core.matching.rules import RULES
from core.matching.verdict import (
    Ambiguous,
    Circumstances,
    Doubt,
    Match,
    Matched,
    MatchRule,
    NoMatch,
)
from core.members import Member
from tests.core.contact_cases import FILE, Case, answer, cases, lines
from tests.core.contact_cases.families import families
from tests.core.contact_cases.names import names

CASES = cases()

MEMBER = Member(id="100123", name="Zoë van der Merwe", email="Zoe@Example.co.za")


def contact(contact_id: str = "c-1", **values: str) -> MirrorContact:
    return MirrorContact(
        contact_id=contact_id,
        name=values.get("name", "Somebody Else"),
        email=values.get("email", ""),
        contact_number=values.get("contact_number", ""),
        account_number=values.get("account_number", ""),
        status=values.get("status", "ACTIVE"),
        merged_to=values.get("merged_to"),
        updated_at=None,
        tax_number=values.get("tax_number", ""),
        company_number=values.get("company_number", ""),
    )


def matched(found: Match) -> Matched:
    assert isinstance(found, Matched)
    return found


# -- the labelled set ------------------------------------------------------------------


def test_every_case_is_answered_as_it_is_labelled() -> None:
    wrong = [
        f"{c.id}: {answer(c)}, not {c.label}" for c in CASES if answer(c) != c.label
    ]
    assert wrong == []


def test_there_are_enough_cases_of_each_label() -> None:
    labels = Counter(case.label.split()[0] for case in CASES)
    assert len(CASES) >= 600
    assert min(labels[label] for label in ("link", "create", "quarantine")) >= 100
    assert len({case.id for case in CASES}) == len(CASES)


def test_the_cases_are_those_of_the_tables() -> None:
    """Else: python -m tests.core.contact_cases."""
    assert FILE.read_text("utf-8") == lines((*families(), *names()))


@pytest.mark.parametrize("rule", RULES)
def test_without_a_rule_some_case_fails(rule: MatchRule) -> None:
    rest = {name: test for name, test in RULES.items() if name is not rule}
    assert any(answer(case, rest) != case.label for case in CASES)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_finds_what_no_other_finds(rule: MatchRule) -> None:
    """With this rule alone the case is right, with all the others it is not."""
    rest = {name: test for name, test in RULES.items() if name is not rule}
    linked = [case for case in CASES if case.label.startswith("link")]
    decided = [
        case
        for case in linked
        if answer(case, {rule: RULES[rule]}) == case.label
        and answer(case, rest) != case.label
    ]
    assert len(decided) >= 8


# -- the order of the rules, and what a person is told ---------------------------------

BY_LINK = contact("link")
BY_NUMBER = contact("number", contact_number="100123")
BY_ACCOUNT = contact("account", account_number="100123", name="Zoe van der Merwe")
BY_TAX = contact("tax", tax_number="2456789013", name="Zoe van der Merwe")
BY_EMAIL = contact("email", name="zoe  VAN DER MERWE", email="zoe@example.co.za")
ALL = [BY_LINK, BY_NUMBER, BY_ACCOUNT, BY_TAX, BY_EMAIL]


@pytest.mark.parametrize(
    ("first", "rule"),
    [
        (0, MatchRule.LINK),
        (1, MatchRule.CONTACT_NUMBER),
        (2, MatchRule.ACCOUNT_NUMBER),
        (3, MatchRule.TAX_NUMBER),
        (4, MatchRule.EMAIL_AND_NAME),
    ],
)
def test_the_first_rule_that_finds_somebody_decides(
    first: int, rule: MatchRule
) -> None:
    member = MEMBER.model_copy(update={"tax_number": "2456789013"})
    known = Circumstances(linked_to="link" if first == 0 else None)
    found = matched(match(member, ALL[first:], known))
    assert (found.rule, found.contact) == (rule, ALL[first])


@pytest.mark.parametrize(
    ("contacts", "known", "doubt"),
    [
        ([BY_NUMBER, contact("two", contact_number="100123")], {}, Doubt.SEVERAL),
        ([contact(contact_number="100123", status=ARCHIVED)], {}, Doubt.ARCHIVED),
        ([contact(contact_number="100123", status=ERASED)], {}, Doubt.ERASED),
        ([BY_EMAIL], {"taken": {"email": "100999"}}, Doubt.TAKEN),
        ([contact(account_number="100123")], {}, Doubt.UNSURE),
        ([BY_NUMBER], {"unlinked": ["number"]}, Doubt.UNLINKED),
        ([BY_NUMBER], {"linked_to": "gone"}, Doubt.MISSING),
    ],
)
def test_what_can_not_be_decided_says_why(
    contacts: list[MirrorContact], known: Mapping[str, object], doubt: Doubt
) -> None:
    found = match(MEMBER, contacts, Circumstances(**known))  # type: ignore[arg-type]
    assert isinstance(found, Ambiguous)
    assert found.reason is doubt


def test_a_candidate_comes_with_its_evidence() -> None:
    spelled = contact("spelled", contact_number="100 123", email=MEMBER.email)
    found = matched(match(MEMBER, [spelled], Circumstances()))
    assert "its Contact Number is 100 123" in found.why
    assert "the same e-mail" in found.why


def test_a_company_is_found_by_its_registration() -> None:
    firm = Member(
        id="E-7",
        name="Acme Accountants (Pty) Ltd",
        email="accounts@acme.example",
        company_number="2015/123456/07",
    )
    known = contact("firm", name="ACME Accountants", company_number="2015 123456 07")
    found = matched(match(firm, [known], Circumstances()))
    assert found.rule is MatchRule.TAX_NUMBER


@pytest.mark.parametrize(("id", "theirs"), [("-", ""), ("***", "-"), ("0", "")])
def test_an_id_without_letters_and_digits_is_nobody_elses(id: str, theirs: str) -> None:
    """Else every contact without a number would be this member's."""
    member = MEMBER.model_copy(update={"id": id})
    some = [contact("some", contact_number=theirs, name=member.name)]
    assert match(member, some, Circumstances()) == NoMatch()


# -- what holds for whatever there is --------------------------------------------------

IDS = st.sampled_from(["100123", "100 123", "0100123", "100124", ""])
NAMES = st.sampled_from(
    ["Jan Botha", "J Botha", "Botha, Jan", "Jan Nel", "Anna Botha", "Botha CC", "Acme"]
)
EMAILS = st.sampled_from(
    ["jan@botha.example", "JAN@botha.example", "info@x.example", ""]
)
TAXES = st.sampled_from(["2456789013", "245 678 9013", "1999888776", ""])
KEYS = ["a", "b", "c", "d"]


@st.composite
def contacts_of(draw: st.DrawFn) -> list[MirrorContact]:
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True))
    return [
        MirrorContact(
            contact_id=key,
            name=draw(NAMES),
            email=draw(EMAILS),
            contact_number=draw(IDS),
            account_number=draw(IDS),
            status=draw(st.sampled_from([ACTIVE, ACTIVE, ARCHIVED, ERASED])),
            merged_to=draw(st.none() | st.sampled_from(KEYS)),
            updated_at=None,
            tax_number=draw(TAXES),
            company_number="",
        )
        for key in keys
    ]


MEMBERS = st.builds(
    Member,
    id=st.sampled_from(["100123", "100124"]),
    name=NAMES,
    email=st.sampled_from(["jan@botha.example", "info@x.example"]),
    tax_number=TAXES,
)
KNOWN = st.builds(
    Circumstances,
    linked_to=st.none() | st.sampled_from(KEYS),
    taken=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["100124", "100125"])),
    unlinked=st.frozensets(st.sampled_from(KEYS)),
)


@given(MEMBERS, contacts_of(), KNOWN, st.randoms())
def test_the_order_of_the_contacts_does_not_matter(
    member: Member, some: list[MirrorContact], known: Circumstances, chance: object
) -> None:
    again = list(some)
    chance.shuffle(again)  # type: ignore[attr-defined]
    assert match(member, some, known) == match(member, again, known)


@given(MEMBERS, contacts_of(), KNOWN)
def test_nobody_gets_a_contact_that_is_not_in_use_or_is_anothers(
    member: Member, some: list[MirrorContact], known: Circumstances
) -> None:
    found = match(member, some, known)
    if isinstance(found, Matched):
        assert found.contact in some
        assert found.contact.status == ACTIVE
        assert known.taken.get(found.contact.contact_id, member.id) == member.id


@given(st.lists(MEMBERS, unique_by=lambda m: m.id, min_size=2), contacts_of())
def test_one_after_the_other_no_two_members_share_a_contact(
    members: Sequence[Member], some: list[MirrorContact]
) -> None:
    taken: dict[str, str] = {}
    for member in members:
        found = match(member, some, Circumstances(taken=taken))
        if isinstance(found, Matched):
            assert found.contact.contact_id not in taken
            taken[found.contact.contact_id] = member.id


@given(MEMBERS, contacts_of())
def test_who_has_been_found_once_is_found_by_the_link(
    member: Member, some: list[MirrorContact]
) -> None:
    found = match(member, some, Circumstances())
    if isinstance(found, Matched):
        known = Circumstances(linked_to=found.contact.contact_id)
        again = matched(match(member, some, known))
        assert (again.rule, again.contact) == (MatchRule.LINK, found.contact)


@given(st.sampled_from(CASES), st.randoms())
def test_a_cases_answer_does_not_depend_on_the_order(
    case: Case, chance: object
) -> None:
    some = list(case.contacts)
    chance.shuffle(some)  # type: ignore[attr-defined]
    assert match(case.member, some, case.known) == match(
        case.member, case.contacts, case.known
    )
