"""Families of cases: one situation each, told of several people.

The people differ in how their names are built, because that is where matching errs. A
family's label is the same for all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Raw = dict[str, Any]


class Person(NamedTuple):
    """Somebody, somebody of the family, and a namesake of nobody."""

    id: str
    first: str
    surname: str
    email: str
    spouse: str  # another first name at the same address
    maiden: str  # an earlier surname

    @property
    def name(self) -> str:
        return f"{self.first} {self.surname}"


PEOPLE = (
    Person("100123", "Thandi", "Nkosi", "thandi@nkosi.example", "Sipho", "Dube"),
    Person("100124", "Jan", "van der Merwe", "merwe@mail.example", "Elna", "Prinsloo"),
    Person("100125", "Sean", "O'Brien", "sean.ob@mail.example", "Fiona", "Murphy"),
    Person("100126", "Zoë", "Müller", "zoe@mueller.example", "Klaus", "Weiß"),
    Person("M-2001", "Anne-Marie", "du Plessis", "amdp@mail.example", "Kobus", "Nel"),
    Person("M-2002", "José", "dos Santos", "jds@mail.example", "Inês", "Ferreira"),
    Person("0003004", "Łukasz", "Wójcik", "lukasz@mail.example", "Agata", "Nowak"),
    Person("7", "Nomvula", "Dlamini-Zuma", "nomvula@mail.example", "Bheki", "Khumalo"),
)

STRANGER, STRANGERS_MAIL = "Pieter Pompies", "pieter@elsewhere.example"
TAX = "2456789013"
Build = Callable[[Person], Mapping[str, Any]]


def contact(id: str, name: str, email: str = "", **shown: str) -> Raw:
    return {"id": id, "name": name, **({"email": email} if email else {}), **shown}


def own(p: Person, id: str = "own", **shown: str) -> Raw:
    """A contact with the person's name and address."""
    return contact(id, p.name, p.email, **shown)


def other(id: str = "other", **shown: str) -> Raw:
    """A contact of somebody else, as far as name and address tell."""
    return contact(id, STRANGER, STRANGERS_MAIL, **shown)


def with_contacts(*contacts: Raw, member: Raw | None = None, **known: Any) -> Raw:
    return {"contacts": list(contacts), **({"also": member} if member else {}), **known}


def spaced(number: str) -> str:
    return f"{number[:-1]} {number[-1:]}" if len(number) > 1 else f"{number} "


#: Name of the family, its label, why, and how it is built.
FAMILIES: tuple[tuple[str, str, str, Build], ...] = (
    # -- stored link ---------------------------------------------------------------
    (
        "link-only",
        "link tied",
        "nothing else tells who it is, but it was decided once",
        lambda p: with_contacts(other("tied"), linked_to="tied"),
    ),
    (
        "link-before-number",
        "link tied",
        "what was decided stays, though another contact got the number since",
        lambda p: with_contacts(
            own(p, "tied"), other("number", contact_number=p.id), linked_to="tied"
        ),
    ),
    (
        "link-renamed",
        "link tied",
        "somebody who married and moved keeps the contact",
        lambda p: with_contacts(
            contact("tied", f"{p.first} {p.maiden}", "before@mail.example"),
            linked_to="tied",
        ),
    ),
    (
        "link-archived",
        "quarantine",
        "Xero takes no invoice on an archived contact, and a twin would be wrong",
        lambda p: with_contacts(own(p, "tied", status="ARCHIVED"), linked_to="tied"),
    ),
    (
        "link-erased",
        "quarantine",
        "its person asked to be forgotten and is billed again: somebody must look",
        lambda p: with_contacts(own(p, "tied", status="GDPRREQUEST"), linked_to="tied"),
    ),
    (
        "link-merged",
        "link last",
        "finance merged the contact; the survivor is the member",
        lambda p: with_contacts(
            own(p, "tied", status="ARCHIVED", merged_to="last"),
            contact("last", p.name),
            linked_to="tied",
        ),
    ),
    (
        "link-merged-twice",
        "link last",
        "merged, and merged again: the last survivor is the member",
        lambda p: with_contacts(
            own(p, "tied", status="ARCHIVED", merged_to="next"),
            contact("next", p.name, status="ARCHIVED", merged_to="last"),
            contact("last", STRANGER),
            linked_to="tied",
        ),
    ),
    (
        "link-merged-into-archived",
        "quarantine",
        "the survivor was archived as well; nobody but finance knows what is meant",
        lambda p: with_contacts(
            own(p, "tied", status="ARCHIVED", merged_to="last"),
            contact("last", p.name, status="ARCHIVED"),
            linked_to="tied",
        ),
    ),
    (
        "link-merged-into-anothers",
        "quarantine",
        "two members' contacts were merged; one of them has none now",
        lambda p: with_contacts(
            own(p, "tied", status="ARCHIVED", merged_to="last"),
            contact("last", p.name, p.email),
            linked_to="tied",
            taken={"last": "999999", "tied": p.id},
        ),
    ),
    (
        "link-lost",
        "quarantine",
        "what was decided is not in Xero any more; guessing anew may make a twin",
        lambda p: with_contacts(own(p), linked_to="gone"),
    ),
    # -- Contact Number ------------------------------------------------------------
    (
        "number-only",
        "link number",
        "only systems write it, so that it counts though all else has changed",
        lambda p: with_contacts(other("number", contact_number=p.id)),
    ),
    (
        "number-spelled",
        "link number",
        "the same number with a space in it",
        lambda p: with_contacts(other("number", contact_number=spaced(p.id))),
    ),
    (
        "number-zeros-and-name",
        "link number",
        "a spreadsheet ate the zeros or filled them up, and the name agrees",
        lambda p: with_contacts(
            contact("number", p.name, contact_number=f"00{p.id.lstrip('0')}")
            if p.id[0].isdigit()
            else contact("number", p.name, contact_number=p.id)
        ),
    ),
    (
        "number-zeros-and-email",
        "link number",
        "a spreadsheet ate the zeros or filled them up, and the address agrees",
        lambda p: with_contacts(
            contact("number", STRANGER, p.email, contact_number=f"000{p.id}")
            if p.id[0].isdigit()
            else contact("number", STRANGER, p.email, contact_number=p.id)
        ),
    ),
    (
        "number-twice",
        "quarantine",
        "two contacts with the member's number: one is a duplicate, but which",
        lambda p: with_contacts(
            own(p, "one", contact_number=p.id), own(p, "two", contact_number=p.id)
        ),
    ),
    (
        "number-twice-spelled",
        "quarantine",
        "two contacts of the person with the number, in two spellings",
        lambda p: with_contacts(
            own(p, "one", contact_number=p.id),
            own(p, "two", contact_number=spaced(p.id)),
        ),
    ),
    (
        "number-spelled-beside-another-scheme",
        "link one",
        "10-0123 may be another member than 100123, and here nothing else agrees",
        lambda p: with_contacts(
            own(p, "one", contact_number=p.id),
            other("two", contact_number=f"{p.id[:1]}-{p.id[1:]}"),
        ),
    ),
    (
        "number-archived",
        "quarantine",
        "its contact is archived: restore it, or say which other",
        lambda p: with_contacts(own(p, contact_number=p.id, status="ARCHIVED")),
    ),
    (
        "number-archived-before-email",
        "quarantine",
        "the number finds an archived one; a like-named one is no answer to that",
        lambda p: with_contacts(
            own(p, "old", contact_number=p.id, status="ARCHIVED"), own(p, "new")
        ),
    ),
    (
        "number-archived-twin",
        "link now",
        "the archived twin is history, the one in use is the member",
        lambda p: with_contacts(
            own(p, "old", contact_number=p.id, status="ARCHIVED"),
            own(p, "now", contact_number=p.id),
        ),
    ),
    (
        "number-erased",
        "quarantine",
        "its person asked to be forgotten",
        lambda p: with_contacts(own(p, contact_number=p.id, status="GDPRREQUEST")),
    ),
    (
        "number-taken",
        "quarantine",
        "it carries this number and is another member's: one of both is wrong",
        lambda p: with_contacts(own(p, contact_number=p.id), taken={"own": "999999"}),
    ),
    (
        "number-merged-twice",
        "link last",
        "the contact with the number was merged twice; its survivor has none",
        lambda p: with_contacts(
            own(p, "one", contact_number=p.id, status="ARCHIVED", merged_to="two"),
            contact("two", p.name, status="ARCHIVED", merged_to="last"),
            contact("last", f"{p.first} {p.maiden}"),
        ),
    ),
    (
        "number-merged-in-a-circle",
        "quarantine",
        "Xero says that each was merged into the other: no survivor to be found",
        lambda p: with_contacts(
            own(p, "one", contact_number=p.id, status="ARCHIVED", merged_to="two"),
            own(p, "two", status="ARCHIVED", merged_to="one"),
        ),
    ),
    (
        "number-merged-into-the-unknown",
        "quarantine",
        "the survivor is not in the mirror",
        lambda p: with_contacts(
            own(p, "one", contact_number=p.id, status="ARCHIVED", merged_to="gone")
        ),
    ),
    (
        "number-before-account",
        "link number",
        "the number that systems write is believed before the one that people type",
        lambda p: with_contacts(
            other("number", contact_number=p.id), own(p, "account", account_number=p.id)
        ),
    ),
    (
        "number-unlinked",
        "quarantine",
        "somebody said that it is not this member, yet it has the number, "
        "which Xero gives out once",
        lambda p: with_contacts(own(p, contact_number=p.id), unlinked=["own"]),
    ),
    # -- Account Number ------------------------------------------------------------
    (
        "account-and-name",
        "link account",
        "finance typed the number on a contact of that name, with an old address",
        lambda p: with_contacts(
            contact("account", p.name, "old@mail.example", account_number=p.id)
        ),
    ),
    (
        "account-and-email",
        "link account",
        "finance typed the number, the address agrees, the name is written otherwise",
        lambda p: with_contacts(
            contact("account", "In old books", p.email, account_number=p.id)
        ),
    ),
    (
        "account-married",
        "link account",
        "the number and the first names are hers; name and address are from before",
        lambda p: with_contacts(
            contact(
                "account",
                f"{p.first} {p.maiden}",
                "old@mail.example",
                account_number=p.id,
            )
        ),
    ),
    (
        "account-of-a-supplier",
        "quarantine",
        "the same characters on a contact with which nothing else agrees: "
        "perhaps the supplier's own number for us",
        lambda p: with_contacts(other("account", account_number=p.id)),
    ),
    (
        "account-without-email",
        "quarantine",
        "another name and no address: the number alone may be a coincidence",
        lambda p: with_contacts(contact("account", STRANGER, account_number=p.id)),
    ),
    (
        "account-spelled",
        "link account",
        "the number with a space, on a contact of that name",
        lambda p: with_contacts(
            contact("account", p.name, account_number=spaced(p.id))
        ),
    ),
    (
        "account-twice",
        "quarantine",
        "two contacts with the member's number",
        lambda p: with_contacts(
            own(p, "one", account_number=p.id), own(p, "two", account_number=p.id)
        ),
    ),
    (
        "account-archived",
        "quarantine",
        "its contact is archived",
        lambda p: with_contacts(own(p, account_number=p.id, status="ARCHIVED")),
    ),
    (
        "account-erased",
        "quarantine",
        "its person asked to be forgotten",
        lambda p: with_contacts(own(p, account_number=p.id, status="GDPRREQUEST")),
    ),
    (
        "account-taken",
        "quarantine",
        "the number says this member, the link another",
        lambda p: with_contacts(own(p, account_number=p.id), taken={"own": "999999"}),
    ),
    (
        "account-against-number",
        "quarantine",
        "its two numbers name two members",
        lambda p: with_contacts(
            own(p, account_number=p.id, contact_number=_another(p.id))
        ),
    ),
    (
        "account-before-tax",
        "link account",
        "what finance typed for this member is believed before a tax number",
        lambda p: with_contacts(
            own(p, "account", account_number=p.id),
            contact("tax", p.name, tax_number=TAX),
            member={"tax_number": TAX},
        ),
    ),
    (
        "account-unlinked",
        "create",
        "somebody said that it is not this member, and nothing else fits",
        lambda p: with_contacts(own(p, account_number=p.id), unlinked=["own"]),
    ),
    # -- tax and company number ----------------------------------------------------
    (
        "tax-and-name",
        "link tax",
        "her tax number and her name; only the address is an old one",
        lambda p: with_contacts(
            contact("tax", p.name, "old@mail.example", tax_number=TAX),
            member={"tax_number": TAX},
        ),
    ),
    (
        "tax-spelled",
        "link tax",
        "a tax number in groups of digits is the same",
        lambda p: with_contacts(
            contact("tax", p.name, tax_number="2456/789/01-3"),
            member={"tax_number": TAX},
        ),
    ),
    (
        "tax-zeros",
        "link tax",
        "a spreadsheet ate the zero of the tax number, and the name agrees",
        lambda p: with_contacts(
            contact("tax", p.name, tax_number="213546789"),
            member={"tax_number": "0213546789"},
        ),
    ),
    (
        "tax-zeros-of-a-stranger",
        "create",
        "equal but for a zero, and neither name nor address agrees",
        lambda p: with_contacts(
            other("tax", tax_number="213546789"), member={"tax_number": "0213546789"}
        ),
    ),
    (
        "tax-married",
        "link tax",
        "a tax number is for life: the same first names, another surname and address",
        lambda p: with_contacts(
            contact("tax", f"{p.first} {p.maiden}", "old@mail.example", tax_number=TAX),
            member={"tax_number": TAX},
        ),
    ),
    (
        "tax-of-another-person",
        "quarantine",
        "one person's tax number on two people: somebody has mistyped",
        lambda p: with_contacts(
            other("tax", tax_number=TAX), member={"tax_number": TAX}
        ),
    ),
    (
        "tax-of-the-employer",
        "create",
        "members give their employer's VAT number; the employer is not the member",
        lambda p: with_contacts(
            contact("firm", "Acme Accountants (Pty) Ltd", tax_number="4012345678"),
            member={"tax_number": "4012345678"},
        ),
    ),
    (
        "tax-of-a-colleague",
        "create",
        "two members of one employer both gave its VAT number",
        lambda p: with_contacts(
            other("colleague", tax_number="4012345678"),
            member={"tax_number": "4012345678"},
        ),
    ),
    (
        "tax-filled-in",
        "create",
        "zeros in the field for the tax number are nobody's number",
        lambda p: with_contacts(
            other("zeros", tax_number="0000000000"),
            member={"tax_number": "0000000000"},
        ),
    ),
    (
        "tax-twice",
        "quarantine",
        "the person has two contacts already",
        lambda p: with_contacts(
            contact("one", p.name, tax_number=TAX),
            contact("two", p.name, "old@mail.example", tax_number=TAX),
            member={"tax_number": TAX},
        ),
    ),
    (
        "tax-archived",
        "quarantine",
        "the person's contact is archived",
        lambda p: with_contacts(
            contact("tax", p.name, tax_number=TAX, status="ARCHIVED"),
            member={"tax_number": TAX},
        ),
    ),
    (
        "tax-taken",
        "quarantine",
        "one person seems to be two members",
        lambda p: with_contacts(
            contact("tax", p.name, tax_number=TAX),
            member={"tax_number": TAX},
            taken={"tax": "999999"},
        ),
    ),
    (
        "tax-before-email",
        "link tax",
        "a number is one person's; a name with an address may be a namesake's",
        lambda p: with_contacts(
            contact("tax", p.name, "old@mail.example", tax_number=TAX),
            own(p, "email"),
            member={"tax_number": TAX},
        ),
    ),
    # -- e-mail and name -----------------------------------------------------------
    (
        "email-and-name",
        "link own",
        "the same name at the same address",
        lambda p: with_contacts(own(p)),
    ),
    (
        "email-in-capitals",
        "link own",
        "an address has no case",
        lambda p: with_contacts(contact("own", p.name.upper(), p.email.upper())),
    ),
    (
        "email-surname-first",
        "link own",
        "surname first, as lists have it",
        lambda p: with_contacts(contact("own", f"{p.surname}, {p.first}", p.email)),
    ),
    (
        "email-initial",
        "link own",
        "the initial stands for the name, at the same address",
        lambda p: with_contacts(contact("own", f"{p.first[0]} {p.surname}", p.email)),
    ),
    (
        "email-title",
        "link own",
        "a title is no part of a name",
        lambda p: with_contacts(contact("own", f"Dr {p.name}", p.email)),
    ),
    (
        "email-own-number-in-the-name",
        "link own",
        "somebody stamped the member's number into the name",
        lambda p: with_contacts(contact("own", f"{p.name} ({p.id})", p.email)),
    ),
    (
        "email-another-number-in-the-name",
        "quarantine",
        "a number in the name that is not this member's: perhaps another's",
        lambda p: with_contacts(contact("own", f"{p.name} (882211)", p.email)),
    ),
    (
        "email-copy",
        "quarantine",
        "a copy that somebody made; whether it is to be used only they know",
        lambda p: with_contacts(contact("own", f"{p.name} 2", p.email)),
    ),
    (
        "email-copy-beside-the-one",
        "link own",
        "the plain one is the member, the copy is for the audit",
        lambda p: with_contacts(own(p), contact("copy", f"{p.name} (old)", p.email)),
    ),
    (
        "family",
        "create",
        "a family shares an address: another first name is another person",
        lambda p: with_contacts(contact("spouse", f"{p.spouse} {p.surname}", p.email)),
    ),
    (
        "family-of-four",
        "create",
        "none of them is the member",
        lambda p: with_contacts(
            *(
                contact(first, f"{first} {p.surname}", p.email)
                for first in (p.spouse, "Bongani", "Yusuf", "Ngozi")
            )
        ),
    ),
    (
        "family-with-the-member",
        "link own",
        "among a family at one address the first name tells",
        lambda p: with_contacts(
            contact("spouse", f"{p.spouse} {p.surname}", p.email), own(p)
        ),
    ),
    (
        "family-archived",
        "create",
        "an archived contact of somebody else in the family is nobody's twin",
        lambda p: with_contacts(
            contact("spouse", f"{p.spouse} {p.surname}", p.email, status="ARCHIVED")
        ),
    ),
    (
        "family-couple",
        "quarantine",
        "a contact for the couple: whose invoices go there is finance's to say",
        lambda p: with_contacts(
            contact("both", f"{p.spouse} & {p.first} {p.surname}", p.email)
        ),
    ),
    (
        "family-surname-alone",
        "quarantine",
        "the surname at the family's address may be any of them",
        lambda p: with_contacts(contact("some", f"Mrs {p.surname}", p.email)),
    ),
    (
        "maiden",
        "quarantine",
        "the same first names at the same address, another surname: likely married",
        lambda p: with_contacts(contact("maiden", f"{p.first} {p.maiden}", p.email)),
    ),
    (
        "maiden-told",
        "link maiden",
        "the contact says which name she had before",
        lambda p: with_contacts(
            contact("maiden", f"{p.first} {p.maiden} (née {p.surname})", p.email)
        ),
    ),
    (
        "maiden-beside-the-one",
        "link own",
        "one has her name of today; the older one is for the audit",
        lambda p: with_contacts(
            own(p), contact("maiden", f"{p.first} {p.maiden}", p.email)
        ),
    ),
    (
        "maiden-at-the-office",
        "create",
        "two people of one first name work at one office",
        lambda p: with_contacts(
            contact("colleague", f"{p.first} {p.maiden}", "info@firm.example"),
            member={"email": "info@firm.example"},
        ),
    ),
    (
        "maiden-elsewhere",
        "create",
        "a first name alone is nobody",
        lambda p: with_contacts(
            contact("some", f"{p.first} {p.maiden}", "some@mail.example")
        ),
    ),
    (
        "maiden-of-another-member",
        "create",
        "the one of the other surname is known to be somebody else",
        lambda p: with_contacts(
            contact("maiden", f"{p.first} {p.maiden}", p.email),
            taken={"maiden": "999999"},
        ),
    ),
    (
        "junior",
        "quarantine",
        "father or son, at the same address",
        lambda p: with_contacts(contact("junior", f"{p.name} Jnr", p.email)),
    ),
    (
        "junior-of-senior",
        "create",
        "the contact is the father's, the member says he is the son",
        lambda p: with_contacts(
            contact("senior", f"{p.name} Snr", p.email),
            member={"name": f"{p.name} Jnr"},
        ),
    ),
    (
        "same-name-twice",
        "quarantine",
        "two contacts of one name at one address",
        lambda p: with_contacts(own(p, "one"), own(p, "two")),
    ),
    (
        "same-name-and-initial",
        "quarantine",
        "both fit; to take the better spelled one would be a guess",
        lambda p: with_contacts(
            own(p, "one"), contact("two", f"{p.first[0]}. {p.surname}", p.email)
        ),
    ),
    (
        "same-name-two-addresses",
        "link own",
        "the address tells the namesakes apart",
        lambda p: with_contacts(own(p), contact("namesake", p.name, "x@mail.example")),
    ),
    (
        "same-name-elsewhere",
        "create",
        "a name alone is nobody: namesakes are common",
        lambda p: with_contacts(contact("namesake", p.name, "x@mail.example")),
    ),
    (
        "same-name-without-email",
        "create",
        "a name alone is nobody, even where no address speaks against it; "
        "the audit lists it",
        lambda p: with_contacts(contact("namesake", p.name)),
    ),
    (
        "same-name-another-member",
        "quarantine",
        "two members of one name and address: one person twice, or father and son",
        lambda p: with_contacts(own(p), taken={"own": "999999"}),
    ),
    (
        "same-name-with-the-others-number",
        "create",
        "father and son: link and number both say that it is the other member",
        lambda p: with_contacts(
            own(p, contact_number=_another(p.id)), taken={"own": _another(p.id)}
        ),
    ),
    (
        "same-name-with-a-members-number",
        "quarantine",
        "it has the number of another member who has not come up yet",
        lambda p: with_contacts(own(p, contact_number=_another(p.id))),
    ),
    (
        "same-name-with-a-foreign-number",
        "link own",
        "a number of another system says nothing about this member",
        lambda p: with_contacts(own(p, contact_number="CRM/8841-B/2019")),
    ),
    (
        "same-name-with-a-members-account",
        "quarantine",
        "finance has typed what looks like another member's number",
        lambda p: with_contacts(own(p, account_number=_another(p.id))),
    ),
    (
        "same-name-with-a-ledger-code",
        "link own",
        "finance's own code for a customer is no member number",
        lambda p: with_contacts(own(p, account_number="DEBT/0042-X/2019")),
    ),
    (
        "same-name-another-tax-number",
        "quarantine",
        "one name and address, two tax numbers: two people, as it seems",
        lambda p: with_contacts(
            own(p, tax_number="1999888776"), member={"tax_number": TAX}
        ),
    ),
    (
        "initial-with-a-members-number",
        "create",
        "the number is another member's, and the initial fits many",
        lambda p: with_contacts(
            contact(
                "own",
                f"{p.first[0]} {p.surname}",
                p.email,
                contact_number=_another(p.id),
            )
        ),
    ),
    (
        "email-archived",
        "quarantine",
        "the person was here before; a second contact would split the history",
        lambda p: with_contacts(own(p, status="ARCHIVED")),
    ),
    (
        "email-archived-twin",
        "link now",
        "the one in use is the member",
        lambda p: with_contacts(own(p, "old", status="ARCHIVED"), own(p, "now")),
    ),
    (
        "email-erased",
        "quarantine",
        "the person asked to be forgotten and is a member: somebody must look",
        lambda p: with_contacts(own(p, status="GDPRREQUEST")),
    ),
    (
        "email-merged",
        "link last",
        "finance merged the contact that fits into another",
        lambda p: with_contacts(
            own(p, status="ARCHIVED", merged_to="last"),
            contact("last", f"{p.first} {p.maiden}", "old@mail.example"),
        ),
    ),
    (
        "email-merged-twice",
        "link last",
        "merged twice; both steps are finance's decision",
        lambda p: with_contacts(
            own(p, "one", status="ARCHIVED", merged_to="two"),
            own(p, "two", status="ARCHIVED", merged_to="last"),
            contact("last", p.name),
        ),
    ),
    (
        "email-unlinked",
        "create",
        "somebody said that it is not this member",
        lambda p: with_contacts(own(p), unlinked=["own"]),
    ),
    (
        "email-unlinked-of-two",
        "link two",
        "of two that fit somebody has ruled out one",
        lambda p: with_contacts(own(p, "one"), own(p, "two"), unlinked=["one"]),
    ),
    (
        "email-tag",
        "create",
        "jan+tax@ is an address of its own unless the tenant declares otherwise",
        lambda p: with_contacts(
            contact("own", p.name, "someone+tax@gmail.com"),
            member={"email": "someone@gmail.com"},
        ),
    ),
    (
        "email-tag-declared",
        "link own",
        "the tenant declares that this domain ignores what follows a plus",
        lambda p: with_contacts(
            contact("own", p.name, "someone+tax@gmail.com"),
            member={"email": "Someone@gmail.com"},
            tag_domains=["gmail.com"],
        ),
    ),
    (
        "email-none",
        "create",
        "a contact without an address is not at the member's",
        lambda p: with_contacts(contact("none", f"{p.first} {p.maiden}")),
    ),
    # -- companies and their staff ---------------------------------------------------
    (
        "firm-domain",
        "create",
        "colleagues share a domain, not an address",
        lambda p: with_contacts(
            contact("firm", "Acme Accountants (Pty) Ltd", "info@acme.example"),
            member={"email": "somebody@acme.example"},
        ),
    ),
    (
        "firm-info",
        "create",
        "the office's address on the firm's contact; the member is a person there",
        lambda p: with_contacts(
            contact("firm", "Acme Accountants (Pty) Ltd", "info@acme.example"),
            member={"email": "info@acme.example", "company": "Acme Accountants"},
        ),
    ),
    (
        "firm-colleague",
        "create",
        "two of the staff gave the office's address",
        lambda p: with_contacts(
            contact("colleague", STRANGER, "info@acme.example"),
            member={"email": "info@acme.example"},
        ),
    ),
    (
        "firm-member-at-info",
        "link own",
        "the member's name at the office's address, as the member gave it",
        lambda p: with_contacts(
            contact("firm", "Acme Accountants", "info@acme.example"),
            contact("own", p.name, "info@acme.example"),
            member={"email": "info@acme.example"},
        ),
    ),
    (
        "firm-own-address",
        "quarantine",
        "a practice that is billed at its owner's own address, as she says it is hers",
        lambda p: with_contacts(
            contact("firm", "Bright Numbers Bookkeeping CC", p.email),
            member={"company": "Bright Numbers Bookkeeping"},
        ),
    ),
    (
        "firm-of-that-surname",
        "quarantine",
        "a practice of her surname at her own address: perhaps how she is billed",
        lambda p: with_contacts(
            contact("firm", f"{p.surname} & Associates Inc", p.email)
        ),
    ),
    (
        "firm-of-that-surname-at-info",
        "create",
        "a family's firm at the office's address; the member is a person there",
        lambda p: with_contacts(
            contact("firm", f"{p.surname} & Associates Inc", "office@firm.example"),
            member={"email": "office@firm.example"},
        ),
    ),
    (
        "firm-other-address",
        "create",
        "an employer with the member's address by mistake, and another name",
        lambda p: with_contacts(contact("firm", "Zenith Auditors Inc", p.email)),
    ),
    # -- nobody ----------------------------------------------------------------------
    (
        "nobody",
        "create",
        "there is no contact at all",
        lambda p: with_contacts(),
    ),
    (
        "nobody-alike",
        "create",
        "contacts of other people",
        lambda p: with_contacts(
            other(contact_number=_another(p.id), account_number="A/1-2", tax_number=TAX)
        ),
    ),
)


def _another(id: str) -> str:
    """Another member's number of the same look."""
    last = "8" if id[-1] != "8" else "6"
    return f"{id[:-1]}{last}"


def families() -> Iterator[Raw]:
    for name, label, why, build in FAMILIES:
        for person in PEOPLE:
            built = dict(build(person))
            member = {"id": person.id, "name": person.name, "email": person.email}
            member.update(built.pop("also", {}))
            yield {
                "id": f"{name}/{person.id}",
                "why": why,
                "member": member,
                **built,
                "label": label,
            }
