"""What a membership costs, excluding VAT, from which day on."""

import csv
import io
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

VAT = Decimal("0.15")
CURRENCY = "ZAR"
COLUMNS = (
    "workflow",
    "sku",
    "effective_on",
    "currency",
    "unit_amount",
    "account_code",
    "tax_type",
    "description",
)


@dataclass(frozen=True, slots=True)
class Price:
    """One row of the price table."""

    sku: str
    effective_on: date
    unit_amount: Decimal
    description: str
    account_code: str = "200"
    tax_type: str = "OUTPUT3"

    @property
    def total(self) -> Decimal:
        """What one line comes to: tax is rounded half up to cents on the line."""
        rate = VAT if self.tax_type == "OUTPUT3" else Decimal(0)
        tax = (self.unit_amount * rate).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return self.unit_amount + tax


def _priced(sku: str, name: str, *amounts: str) -> list[Price]:
    days = (date(2024, 1, 1), date(2026, 1, 1))
    return [
        Price(sku, day, Decimal(amount), f"{name}: annual membership")
        for day, amount in zip(days, amounts, strict=True)
    ]


#: Two rows for each category, so that the day matters; some cents that round up.
PRICES: list[Price] = [
    *_priced("tax_practitioner", "Tax Practitioner", "2980.00", "3150.00"),
    *_priced("tax_technician", "Tax Technician", "1795.50", "1890.37"),
    *_priced("master", "Master Tax Practitioner", "4120.00", "4365.90"),
    *_priced("student", "Student", "320.00", "345.83"),
    *_priced("honorary", "Honorary member", "0.00", "0.00"),
]


def price_of(sku: str, on: date) -> Price:
    """Return the price in force on a day."""
    rows = [p for p in PRICES if p.sku == sku and p.effective_on <= on]
    return max(rows, key=lambda p: p.effective_on)


def prices_csv() -> str:
    """Return the table as finance would import it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for price in PRICES:
        writer.writerow(
            (
                "membership",
                price.sku,
                price.effective_on.isoformat(),
                CURRENCY,
                price.unit_amount,
                price.account_code,
                price.tax_type,
                price.description,
            )
        )
    return text.getvalue()
