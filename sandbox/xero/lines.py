"""Line items: amounts, tax per line, and the totals of a document."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from sandbox.xero.books import new_id
from sandbox.xero.errors import ElementRefused
from sandbox.xero.fields import Fields
from sandbox.xero.organisation import LINE_TYPES, Organisation

LineAmountTypes = Literal["Exclusive", "Inclusive", "NoTax"]

CENT = Decimal("0.01")
_TEN_THOUSANDTH = Decimal("0.0001")
_HUNDRED = Decimal(100)


def cents(amount: Decimal) -> Decimal:
    """Round half up to cents."""
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class Line:
    """One line item, priced."""

    line_id: str
    description: str = ""
    quantity: Decimal = Decimal("1.0000")
    unit_amount: Decimal = Decimal("0.00")
    account_code: str = ""
    tax_type: str = ""
    tax_amount: Decimal = Decimal("0.00")
    line_amount: Decimal = Decimal("0.00")
    discount_rate: Decimal | None = None
    discount_amount: Decimal | None = None
    item_code: str = ""
    tracking: list[dict[str, Any]] = field(default_factory=list)

    @property
    def money(self) -> tuple[object, ...]:
        """What may not change once money has been applied."""
        amounts = (self.quantity, self.unit_amount, self.line_amount, self.tax_amount)
        return (*amounts, self.discount_rate, self.discount_amount, self.tax_type)

    def shape(self, account_id: str | None) -> dict[str, Any]:
        """Return the line as Xero shows it."""
        shape: dict[str, Any] = {"Description": self.description}
        if self.item_code:
            shape["ItemCode"] = self.item_code
        shape |= {
            "UnitAmount": self.unit_amount,
            "TaxType": self.tax_type,
            "TaxAmount": self.tax_amount,
            "LineAmount": self.line_amount,
        }
        if self.account_code:
            shape["AccountCode"] = self.account_code
        if account_id:
            shape["AccountID"] = account_id
        if self.discount_rate is not None:
            shape["DiscountRate"] = self.discount_rate
        if self.discount_amount is not None:
            shape["DiscountAmount"] = self.discount_amount
        shape |= {
            "Tracking": self.tracking,
            "Quantity": self.quantity,
            "LineItemID": self.line_id,
            "ValidationErrors": [],
        }
        return shape


@dataclass(frozen=True, slots=True)
class Totals:
    """What a document comes to."""

    sub_total: Decimal = Decimal("0.00")
    total_tax: Decimal = Decimal("0.00")
    total: Decimal = Decimal("0.00")
    discount: Decimal = Decimal("0.00")


def read_lines(
    fields: Sequence[Fields],
    organisation: Organisation,
    amounts: LineAmountTypes,
    kept_ids: frozenset[str],
    unit_places: int,
) -> list[Line]:
    """Read and price the lines of a document.

    Args:
        fields: the submitted lines.
        organisation: whose accounts and tax rates are meant.
        amounts: whether the amounts include tax.
        kept_ids: ids of the lines that the document has now; a submitted id that is
            not among them is replaced by a fresh one.
        unit_places: decimal places kept of a unit amount, 2 or 4.

    Raises:
        ElementRefused: with the messages of all lines.
    """
    lines, refused = [], []
    for item in fields:
        try:
            lines.append(_read_line(item, organisation, amounts, kept_ids, unit_places))
        except ElementRefused as error:
            refused += error.messages
        except ArithmeticError:
            refused.append("The amounts of a line cannot be computed")
    if refused:
        raise ElementRefused(*refused)
    return lines


def _read_line(
    item: Fields,
    organisation: Organisation,
    amounts: LineAmountTypes,
    kept_ids: frozenset[str],
    unit_places: int,
) -> Line:
    line_id = item.text("LineItemID") or ""
    line = Line(line_id if line_id in kept_ids else new_id())
    line.description = item.text("Description") or ""
    line.item_code = item.text("ItemCode") or ""
    line.tracking = [dict(t.raw) for t in item.children("Tracking") or []]
    _book(line, item, organisation, amounts)
    _price(line, item, unit_places)
    _tax(line, item, organisation, amounts)
    return line


def _book(
    line: Line, item: Fields, organisation: Organisation, amounts: LineAmountTypes
) -> None:
    line.account_code = item.text("AccountCode") or ""
    line.tax_type = item.text("TaxType") or ""
    if line.account_code:
        account = organisation.account(code=line.account_code)
        usable = account is not None and account.status == "ACTIVE"
        if account is None or not usable or account.type not in LINE_TYPES:
            raise ElementRefused(
                f"Account code '{line.account_code}' is not a valid code "
                "for this document."
            )
        line.tax_type = line.tax_type or account.tax_type
    if amounts == "NoTax":
        line.tax_type = "NONE"
    rate = organisation.tax_rate(line.tax_type) if line.tax_type else None
    if line.tax_type and (rate is None or not rate.sells or rate.status != "ACTIVE"):
        raise ElementRefused(
            f"TaxType code '{line.tax_type}' does not exist or cannot be used "
            "for this type of transaction."
        )


def _price(line: Line, item: Fields, unit_places: int) -> None:
    quantity, unit = item.number("Quantity"), item.number("UnitAmount")
    given = item.number("LineAmount")
    line.discount_rate = item.number("DiscountRate")
    line.discount_amount = item.number("DiscountAmount")
    if unit is None and given is not None and quantity:
        unit = given / quantity
    if quantity is None and unit and given is not None:
        quantity = given / unit
    if unit is None and given is not None:
        unit = given
    if quantity is None:
        quantity = Decimal(1 if unit is not None else 0)
    place = CENT if unit_places == 2 else _TEN_THOUSANDTH
    line.quantity = quantity.quantize(_TEN_THOUSANDTH, ROUND_HALF_UP)
    line.unit_amount = (unit or Decimal(0)).quantize(place, ROUND_HALF_UP)
    line.line_amount = cents(_discounted(line))
    if given is not None and cents(given) != line.line_amount:
        raise ElementRefused(
            f"The line total {given} does not match "
            f"the expected line total {line.line_amount}"
        )


def _discounted(line: Line) -> Decimal:
    amount = line.quantity * line.unit_amount
    if line.discount_rate is not None:
        return amount * (_HUNDRED - line.discount_rate) / _HUNDRED
    return amount - (line.discount_amount or 0)


def _tax(
    line: Line, item: Fields, organisation: Organisation, amounts: LineAmountTypes
) -> None:
    rate = organisation.tax_rate(line.tax_type)
    percent = rate.rate if rate else Decimal(0)
    if amounts == "NoTax":
        line.tax_amount = Decimal("0.00")
    elif (given := item.number("TaxAmount")) is not None:
        line.tax_amount = cents(given)
    elif amounts == "Exclusive":
        line.tax_amount = cents(line.line_amount * percent / _HUNDRED)
    else:
        net = line.line_amount * _HUNDRED / (_HUNDRED + percent)
        line.tax_amount = cents(line.line_amount - net)


def totals_of(lines: Sequence[Line], amounts: LineAmountTypes) -> Totals:
    """Sum the lines; tax was rounded on each."""
    tax = sum((line.tax_amount for line in lines), Decimal("0.00"))
    gross = sum((line.line_amount for line in lines), Decimal("0.00"))
    discount = sum(
        (cents(line.quantity * line.unit_amount) - line.line_amount for line in lines),
        Decimal("0.00"),
    )
    if amounts == "Inclusive":
        return Totals(gross - tax, tax, gross, discount)
    return Totals(gross, tax, gross + tax, discount)


def approval_faults(lines: Sequence[Line]) -> list[str]:
    """Return what keeps these lines from being approved."""
    refused = []
    for line in lines:
        if not line.description:
            refused.append("Description must be specified for each line item")
        if not line.account_code:
            refused.append("Account code must be specified for each line item")
    return refused
