"""Money is a Decimal with a currency; cents are rounded half up, as Xero does."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

CENT = Decimal("0.01")

#: At most two places: Xero rounds an amount to two, and nobody would notice.
_DECIMAL_STRING = re.compile(r"-?\d{1,12}(\.\d{1,2})?")


def cents(amount: Decimal) -> Decimal:
    """The amount rounded half up to two places."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def plain(amount: Decimal) -> str:
    """The amount as money travels: two places, no exponent."""
    return format(cents(amount), "f")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in major units of an ISO 4217 currency."""

    amount: Decimal
    currency: str

    def as_data(self) -> dict[str, str]:
        """How money looks in a message: ``{"value": "12.50", "currency": "ZAR"}``."""
        return {"value": plain(self.amount), "currency": self.currency}


def _decimal_string(value: Any) -> Any:
    if not isinstance(value, str) or not _DECIMAL_STRING.fullmatch(value):
        raise ValueError('money is a decimal string such as "1250.00"')
    return Decimal(value)


Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class MoneyData(BaseModel):
    """Money as it stands in a message's data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Annotated[Decimal, BeforeValidator(_decimal_string)]
    currency: Currency

    def as_money(self) -> Money:
        """The same as a value."""
        return Money(self.value, self.currency)
