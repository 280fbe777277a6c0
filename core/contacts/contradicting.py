"""What speaks against a line of a mapping: a mistake, or what a person must confirm.

A column of a spreadsheet that has slipped by a row links everybody wrongly, and each
line looks as good as any other. Contact Numbers are written by systems and believed.
Names and addresses only make a doubt: people marry, and companies pay for people.
"""

import re
from collections.abc import Iterator, Mapping

from core.matching.contact import ACTIVE, MirrorContact
from core.matching.contradictions import are_alike
from core.matching.names import Likeness, compare, is_company
from core.matching.normalising import email_key, is_written, number_key
from core.members import Member

#: 1.00E+05 stands in a narrow column for 100123.
_SHORTENED = re.compile(r"\d([.,]\d+)?[Ee]\+\d+")

_EATEN = "has a spreadsheet taken zeros from"


class Contradictions:
    """What is known of members and contacts, to hold against each line.

    Args:
        contacts: all of the mirror.
        members: of whom the platform has said something.
        linked: members who have a contact.
        mapped: members whom the mapping names.
    """

    def __init__(
        self,
        contacts: Mapping[str, MirrorContact],
        members: Mapping[str, Member],
        linked: set[str],
        mapped: set[str],
    ) -> None:
        self.members = members
        self._known = members.keys() | linked
        self._keys = {number_key(each) for each in self._known | mapped}
        self._spelled = {number_key(each): each for each in sorted(self._known)}
        self._at_address: dict[str, MirrorContact] = {}
        for contact in contacts.values():
            if contact.email_key and contact.status == ACTIVE:
                self._at_address.setdefault(contact.email_key, contact)

    def mistake(self, member_id: str, contact: MirrorContact) -> str:
        """Why it can't be: the contact has another member's Contact Number."""
        number = contact.contact_number
        if not number or number_key(number) == number_key(member_id):
            return ""
        is_theirs = number_key(number) in self._keys or are_alike(number, member_id)
        return f"{_named(contact)} has the Contact Number {number}" if is_theirs else ""

    def doubts(
        self, member_id: str, name: str, email: str, contact: MirrorContact
    ) -> Iterator[str]:
        """What a person must confirm, the gravest first.

        Args:
            member_id: who the line says it is.
            name: what the line calls the member; empty: nothing.
            email: the same.
            contact: which the line says they are.
        """
        yield from self._eaten(member_id, contact)
        if is_written(contact.contact_number, member_id):
            return
        account = number_key(contact.account_number)
        if account != number_key(member_id) and account in self._keys:
            number = contact.account_number
            yield f"{_named(contact)} has the Account Number {number}"
        member = self.members.get(member_id)
        told = [(name, email)] + ([(member.name, member.email)] if member else [])
        for each in told:
            yield from self._somebody_else(*each, member_id, contact)

    def _eaten(self, member_id: str, contact: MirrorContact) -> Iterator[str]:
        if _SHORTENED.fullmatch(member_id):
            yield f"member {member_id} is a number as spreadsheets shorten it"
        number = contact.contact_number
        is_short = number_key(number) == number_key(member_id) != ""
        if is_short and not is_written(number, member_id):
            yield (
                f"{_named(contact)} has the Contact Number {number}; "
                f"{_EATEN} the member's id?"
            )
        spelled = self._spelled.get(number_key(member_id), member_id)
        if member_id not in self._known and not is_written(spelled, member_id):
            yield f"member {member_id} is not known, but {spelled} is; {_EATEN} it?"

    def _somebody_else(
        self, name: str, email: str, member_id: str, contact: MirrorContact
    ) -> Iterator[str]:
        """A name that can't be theirs, or an address that is another contact's."""
        key = email_key(email)
        if key and key == contact.email_key:
            return
        names = compare(name, contact.name, member_id) if name else None
        if names is not None and names.likeness > Likeness.DIFFERENT:
            return
        who = f"the member is {_person(name, email)}"
        if names is not None and is_company(name) == is_company(contact.name):
            theirs = _person(contact.name, contact.email)
            yield f"{who}, contact {contact.contact_id} is {theirs}: {names.why}"
        elif other := self._at_address.get(key):
            yield f"{who}, which is the e-mail of contact {other.contact_id}"


def _named(contact: MirrorContact) -> str:
    return f"contact {contact.contact_id} ({contact.name})"


def _person(name: str, email: str) -> str:
    return " ".join(part for part in (name, email and f"<{email}>") if part)
