"""Who is invoiced: the ``member`` and ``bill_to`` of a message.

Limits are Xero's for the contact that the member becomes (facts/xero.md, section 5):
ContactNumber 50, Name 255 without ``<`` and ``>``, EmailAddress 255 and ASCII.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

_EMAIL = re.compile(r"[^@\s\"<>]+@[^@\s\"<>]+\.[^@\s\"<>.]+")


def _single_spaced(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _email(value: str) -> str:
    if not value.isascii() or not _EMAIL.fullmatch(value):
        raise ValueError("not an e-mail address that Xero accepts")
    return value


def _without_quotes(value: str) -> str:
    # A double quote can't be escaped in a Xero filter, and no member id needs one.
    if '"' in value or value != value.strip():
        raise ValueError("an id has no double quotes and no spaces around it")
    return value


Identifier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50),
    AfterValidator(_without_quotes),
]
Line = Annotated[
    str, BeforeValidator(_single_spaced), StringConstraints(max_length=255)
]
Name = Annotated[
    str,
    BeforeValidator(_single_spaced),
    StringConstraints(min_length=1, max_length=255, pattern=r"^[^<>]+$"),
]
Email = Annotated[
    str,
    StringConstraints(max_length=255, strip_whitespace=True),
    AfterValidator(_email),
]


class Address(BaseModel):
    """A postal address; every part optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line1: Line | None = None
    line2: Line | None = None
    city: Line | None = None
    region: Line | None = None
    postal_code: Annotated[str, StringConstraints(max_length=50)] | None = None
    country: Line | None = None


class Member(BaseModel):
    """A person or body that is invoiced."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Identifier
    name: Name
    email: Email
    phone: Annotated[str, StringConstraints(max_length=50)] | None = None
    address: Address | None = None
    tax_number: Annotated[str, StringConstraints(max_length=50)] | None = None
    company: Name | None = None
    company_number: Annotated[str, StringConstraints(max_length=50)] | None = None


_MEMBER_ID: TypeAdapter[str] = TypeAdapter(Identifier)


def why_no_member_id(text: str) -> str:
    """What is wrong with an id that a person has given; empty: nothing."""
    try:
        _MEMBER_ID.validate_python(text)
    except ValidationError as error:
        return str(error.errors(include_url=False)[0]["msg"])
    return ""


#: The one message that no workflow owns.
MEMBER_UPDATED = "member.updated"


class MemberUpdated(BaseModel):
    """Its data: the member as the platform has them now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    member: Member


def named_in(data: Any) -> Iterator[Member]:
    """Everybody of whom a message's data says something, each time it does."""
    if isinstance(data, Member):
        yield data
    elif isinstance(data, BaseModel):
        for _, value in data:
            yield from named_in(value)
    elif isinstance(data, tuple | list):
        for value in data:
            yield from named_in(value)
