"""A member beside one contact: what agrees, and what speaks against it."""

from functools import cached_property

from core.matching.contact import MirrorContact
from core.matching.name_words import ROLES
from core.matching.names import Comparison, Likeness, compare, is_company
from core.matching.normalising import (
    email_key,
    is_of_company,
    is_real_number,
    is_written,
    number_key,
    same_mailbox,
    shape,
)
from core.matching.verdict import Circumstances
from core.members import Member


class Look:
    """A member beside one contact."""

    def __init__(
        self, member: Member, contact: MirrorContact, known: Circumstances
    ) -> None:
        self.member = member
        self.contact = contact
        self.known = known
        self.owner = known.taken.get(contact.contact_id, member.id)

    @property
    def is_taken(self) -> bool:
        return self.owner != self.member.id

    @property
    def is_unlinked(self) -> bool:
        return self.contact.contact_id in self.known.unlinked

    @cached_property
    def names(self) -> Comparison:
        return compare(self.member.name, self.contact.name, self.member.id)

    @cached_property
    def has_email(self) -> bool:
        domains = self.known.tag_domains
        return same_mailbox(self.member.email, self.contact.email, domains)

    @property
    def has_name(self) -> bool:
        return self.names.likeness >= Likeness.COMPATIBLE

    @property
    def agrees(self) -> bool:
        """Something besides a number speaks for it."""
        return self.has_name or self.has_email

    @property
    def words(self) -> str:
        """What the name and the address say, for a person."""
        email = "the same e-mail" if self.has_email else "another e-mail"
        return f"{self.names.why}; {email if self.contact.email else 'no e-mail'}"

    @property
    def is_another_kind(self) -> bool:
        """One is a company, the other somebody who may work there."""
        return is_company(self.member.name) != is_company(self.contact.name)

    @property
    def is_office_mailbox(self) -> bool:
        return email_key(self.member.email).partition("@")[0] in ROLES

    @property
    def number_of_another(self) -> str:
        """Its Contact Number, if it looks like a member's and is not this one's."""
        return self._number_of_another(self.contact.contact_number)

    @property
    def account_of_another(self) -> str:
        return self._number_of_another(self.contact.account_number)

    def _number_of_another(self, number: str) -> str:
        ours = self.member.id
        is_another = shape(number) == shape(ours) and not is_written(number, ours)
        return number if is_another else ""

    @property
    def is_contradicted_by_tax(self) -> bool:
        """Two people of one name and address, as their tax numbers say."""
        ours, theirs = self.member.tax_number or "", self.contact.tax_number
        return (
            is_real_number(ours)
            and is_real_number(theirs)
            and number_key(ours) != number_key(theirs)
            and is_of_company(ours) == is_of_company(theirs)
        )
