"""The data of the membership messages."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from core.plugin import Day, Identifier, Member, MoneyData, Refused

Category = Annotated[
    str, StringConstraints(min_length=1, max_length=60, pattern=r"^[a-z0-9_-]+$")
]
Subject = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Period(BaseModel):
    """The days that the fee pays for, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: Day = Field(alias="from")
    to: Day

    @model_validator(mode="after")
    def _in_order(self) -> "Period":
        if self.to < self.from_:
            raise ValueError("ends before it begins")
        return self


class Renewal(BaseModel):
    """One membership to be renewed, within an employer's invoice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: Subject
    member: Member
    membership_id: Identifier
    category: Category
    period: Period
    amount: MoneyData | None = None


class RenewalDue(BaseModel):
    """``membership.renewal_due``: one membership, or an employer's several as items."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    member: Member | None = None
    membership_id: Identifier | None = None
    category: Category | None = None
    period: Period | None = None
    amount: MoneyData | None = None
    items: (
        Annotated[tuple[Renewal, ...], Field(min_length=1, max_length=200)] | None
    ) = None
    bill_to: Member | None = None
    raise_on: Day | None = None
    due_on: Day | None = None
    reissue: bool = False

    @model_validator(mode="after")
    def _one_or_several(self) -> "RenewalDue":
        single = {
            "member": self.member,
            "membership_id": self.membership_id,
            "category": self.category,
            "period": self.period,
        }
        given = [name for name, value in single.items() if value is not None]
        if self.items is None:
            for name in single:
                if name not in given:
                    raise Refused("Field required", f"data.{name}")
        elif given or self.amount is not None:
            raise Refused("give items or one membership, not both", "data.items")
        elif self.bill_to is None:
            raise Refused("Field required with items", "data.bill_to")
        return self


class Cancelled(BaseModel):
    """``membership.cancelled``: the open invoice of this subject is to go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    membership_id: Identifier
    member: Member | None = None
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None
