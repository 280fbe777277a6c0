"""A contact, as the mirror has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.matching.normalising import email_key as key_of_email
from core.matching.normalising import name_key as key_of_name

#: Xero's words for whether it is in use; ERASED: its person asked to be forgotten.
ACTIVE, ARCHIVED, ERASED = "ACTIVE", "ARCHIVED", "GDPRREQUEST"


@dataclass(frozen=True, slots=True)
class MirrorContact:
    """A contact as Xero last showed it.

    Args:
        details: what no rule matches by, under the names of ``contact_fields``.
    """

    contact_id: str
    name: str
    email: str
    contact_number: str
    account_number: str
    status: str
    merged_to: str | None
    updated_at: datetime | None
    tax_number: str = ""
    company_number: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name_key(self) -> str:
        return key_of_name(self.name)

    @property
    def email_key(self) -> str:
        return key_of_email(self.email)
