"""What a workflow's rule decides about a message."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.errors import Refused
from core.members import Member
from core.messages import hash_of
from core.money import cents

DataT = TypeVar("DataT", bound=BaseModel)

Amounts = Literal["exclusive", "inclusive"]


def _of_our_time(day: date) -> date:
    if not 2000 <= day.year < 2200:
        raise ValueError("between the years 2000 and 2199")
    return day


#: A day in a message: far from the ends of the calendar, where zones overflow.
Day = Annotated[date, AfterValidator(_of_our_time)]


@dataclass(frozen=True, slots=True)
class Line:
    """One line item.

    Args:
        unit_amount: in the draft's currency, with or without tax as the draft's
            ``amounts`` says; at most two places, because Xero rounds to two.
        account_code, tax_type: Xero's codes, such as ``200`` and ``OUTPUT3``.
    """

    description: str
    quantity: Decimal
    unit_amount: Decimal
    account_code: str
    tax_type: str


@dataclass(frozen=True, slots=True)
class Settles:
    """One thing in the platform that the invoice pays for.

    Args:
        subject: the platform's id of it, such as ``renewal-42``.
        charge: what is charged for it: ``renewal``, ``joining_fee``. The same subject
            can carry several charges, each once.
        lines: the lines that pay for it.
        details: what the workflow's hooks need later, as JSON; comes back unchanged.
    """

    subject: str
    charge: str
    member_id: str
    lines: tuple[Line, ...]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvoiceDraft:
    """An invoice to be raised.

    Args:
        payer: on whose contact.
        raise_on: not before this day of the organisation; None: now.
        due_on: None: ``due_days`` after the day on which it is sent.
        reissue: raise anew although an earlier invoice for the same charge was voided.
    """

    payer: Member
    settles: tuple[Settles, ...]
    currency: str
    amounts: Amounts
    due_days: int
    raise_on: date | None = None
    due_on: date | None = None
    reissue: bool = False

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line, in the order of what they pay for."""
        return tuple(line for settled in self.settles for line in settled.lines)


@dataclass(frozen=True, slots=True)
class Undo:
    """Nothing is to be raised; the open invoice of this subject is to go."""

    subject: str
    charge: str


Decision = InvoiceDraft | Undo


class TotalsUnknown(Refused):
    """A line names a tax type that the organisation does not have."""


def line_total(line: Line, rate_percent: Decimal, amounts: Amounts) -> Decimal:
    """The line with tax, as Xero computes it: tax rounded per line, half up."""
    net_or_gross = cents(line.quantity * line.unit_amount)
    if amounts == "inclusive":
        return net_or_gross
    return net_or_gross + cents(net_or_gross * rate_percent / 100)


def total_of(draft: InvoiceDraft, rates: Mapping[str, Decimal]) -> Decimal:
    """The total that Xero will return.

    Args:
        draft: with lines of any number of tax types.
        rates: percent by tax type, from the organisation's own tax rates.

    Raises:
        TotalsUnknown: a tax type is not among them.
    """
    total = Decimal(0)
    for line in draft.lines:
        if line.tax_type not in rates:
            raise TotalsUnknown(f"tax type {line.tax_type} is unknown to Xero", None)
        total += line_total(line, rates[line.tax_type], draft.amounts)
    return total


def line_data(line: Line) -> dict[str, str]:
    """A line as the books keep it."""
    return {
        "description": line.description,
        "quantity": format(line.quantity, "f"),
        "unit_amount": format(line.unit_amount, "f"),
        "account_code": line.account_code,
        "tax_type": line.tax_type,
    }


def draft_data(draft: InvoiceDraft) -> dict[str, Any]:
    """What the books keep of a draft besides who pays what in total."""
    return {
        "amounts": draft.amounts,
        "due_days": draft.due_days,
        "due_on": draft.due_on,
        "lines": [line_data(line) for line in draft.lines],
    }


def draft_hash(draft: InvoiceDraft) -> str:
    """The same for drafts that ask for the same invoice."""
    who = {"payer": draft.payer.id, "currency": draft.currency}
    return hash_of({**who, "raise_on": draft.raise_on, **draft_data(draft)})


@dataclass(frozen=True, slots=True)
class Price:
    """What one sku costs from a date on, and where it is booked."""

    sku: str
    effective_on: date
    currency: str
    unit_amount: Decimal
    account_code: str
    tax_type: str
    description: str


class Prices:
    """One workflow's price rows."""

    def __init__(self, workflow: str, rows: tuple[Price, ...]) -> None:
        self._workflow = workflow
        self._rows = rows

    def at(self, sku: str, on: date, currency: str, field: str | None = None) -> Price:
        """The price in force on a day.

        Args:
            sku: what it is the price of.
            on: a day of the organisation.
            currency: ISO 4217.
            field: what to blame in the message if there is none.

        Raises:
            Refused: no price of this sku and currency is in force on that day.
        """
        in_force = [
            row
            for row in self._rows
            if row.sku == sku and row.currency == currency and row.effective_on <= on
        ]
        if not in_force:
            raise Refused(
                f"no {self._workflow} price for {sku} in {currency} on {on}", field
            )
        return max(in_force, key=lambda row: row.effective_on)


class WorkflowSettings(BaseModel):
    """The technical settings that every workflow has; a workflow may add its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number_prefix: str
    due_days: int = 30
    amounts: Amounts = "exclusive"
    #: ``rule``: a message's amount must equal the rule's. ``message``: it is the price.
    amount: Literal["rule", "message"] = "rule"
    email: bool = True
    #: More invoices in an hour wait for a person's approval; 0: any number passes.
    guard_invoices_per_hour: Annotated[int, Field(ge=0)] = 1_000
    #: So does what makes an hour's invoices of one currency cost more in all.
    guard_sum_per_hour: Annotated[Decimal, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class Incoming(Generic[DataT]):
    """A message as a rule sees it: its data already read by the rule's model."""

    id: str
    type: str
    subject: str
    data: DataT


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What a rule may know besides the message.

    Args:
        on: the day of the message's ``time`` in the organisation's zone; prices are
            those of this day.
        base_currency: the organisation's.
    """

    on: date
    base_currency: str
    prices: Prices
    settings: WorkflowSettings


@dataclass(frozen=True, slots=True)
class Rule(Generic[DataT]):
    """How one type of message becomes an invoice.

    Args:
        message_type: such as ``membership.renewal_due``.
        model: reads and checks the message's data.
        decide: pure: the same message and context give the same decision. Raises
            Refused, naming the field, for what can't be invoiced.
        is_awaited: somebody waits for the invoice, so it goes before those that come in
            crowds once a year.
    """

    message_type: str
    model: type[DataT]
    decide: Callable[[Incoming[DataT], RuleContext], Decision]
    is_awaited: bool = True


@dataclass(frozen=True, slots=True)
class InvoiceRules:
    """What a workflow registers.

    Args:
        workflow: its name, the beginning of every Reference.
        settings: the model of its table ``[plugins.<workflow>]`` in the settings.
        actions: every type of message that its hooks may return.
        charges: every charge that its rules may name. Of an invoice that is adopted
            without one, the only one is meant.
    """

    workflow: str
    settings: type[WorkflowSettings]
    rules: tuple[Rule[Any], ...]
    actions: tuple[str, ...]
    charges: tuple[str, ...] = ()
