"""Which membership messages become which invoices."""

from decimal import Decimal

from core.plugin import (
    Decision,
    Incoming,
    InvoiceDraft,
    InvoiceRules,
    Line,
    MoneyData,
    Price,
    Refused,
    Rule,
    RuleContext,
    Settles,
    Undo,
    WorkflowSettings,
)
from plugins.membership.hooks import RENEW, SUSPEND
from plugins.membership.messages import Cancelled, Renewal, RenewalDue

RENEWAL = "renewal"


class MembershipSettings(WorkflowSettings):
    """``[plugins.membership]``."""

    number_prefix: str = "MEM"


def renewal(message: Incoming[RenewalDue], context: RuleContext) -> Decision:
    """One line for each membership, at the price of the message's day."""
    data = message.data
    renewals = _renewals(message)
    currency = _currency(renewals, context.base_currency)
    payer = data.bill_to or renewals[0][1].member
    return InvoiceDraft(
        payer=payer,
        settles=tuple(
            _settles(path, item, currency, context) for path, item in renewals
        ),
        currency=currency,
        amounts=context.settings.amounts,
        due_days=context.settings.due_days,
        raise_on=data.raise_on,
        due_on=data.due_on,
        reissue=data.reissue,
    )


def cancellation(message: Incoming[Cancelled], context: RuleContext) -> Decision:
    """The subject is the renewal that is no longer wanted."""
    return Undo(message.subject, RENEWAL)


def _renewals(message: Incoming[RenewalDue]) -> list[tuple[str, Renewal]]:
    """Each membership with where it stands in the message."""
    data = message.data
    if data.items is not None:
        return [(f"data.items.{n}", item) for n, item in enumerate(data.items)]
    single = Renewal.model_construct(
        subject=message.subject,
        member=data.member,
        membership_id=data.membership_id,
        category=data.category,
        period=data.period,
        amount=data.amount,
    )
    return [("data", single)]


def _currency(renewals: list[tuple[str, Renewal]], base: str) -> str:
    currencies = {item.amount.currency for _, item in renewals if item.amount}
    if len(currencies) > 1:
        raise Refused("one invoice has one currency", "data.items")
    return currencies.pop() if currencies else base


def _settles(path: str, item: Renewal, currency: str, context: RuleContext) -> Settles:
    price = context.prices.at(item.category, context.on, currency, f"{path}.category")
    line = Line(
        description=_description(price, item),
        quantity=Decimal(1),
        unit_amount=_amount(path, item.amount, price, context),
        account_code=price.account_code,
        tax_type=price.tax_type,
    )
    return Settles(
        subject=item.subject,
        charge=RENEWAL,
        member_id=item.member.id,
        lines=(line,),
        details={
            "membership_id": item.membership_id,
            "category": item.category,
            "period": item.period.model_dump(mode="json", by_alias=True),
        },
    )


def _description(price: Price, item: Renewal) -> str:
    what = price.description or item.category
    return (
        f"{what}, {item.period.from_} to {item.period.to}: "
        f"{item.member.name} ({item.membership_id})"
    )


def _amount(
    path: str, asked: MoneyData | None, price: Price, context: RuleContext
) -> Decimal:
    if asked is None:
        return price.unit_amount
    if asked.value < 0:
        raise Refused("must not be negative", f"{path}.amount.value")
    if context.settings.amount == "message":
        return asked.value
    if asked.value != price.unit_amount:
        raise Refused(
            f"the price of {price.sku} is {price.unit_amount}", f"{path}.amount.value"
        )
    return price.unit_amount


RULES = InvoiceRules(
    workflow="membership",
    settings=MembershipSettings,
    rules=(
        # They come by the thousand, once a year, and nobody waits for one.
        Rule("membership.renewal_due", RenewalDue, renewal, is_awaited=False),
        Rule("membership.cancelled", Cancelled, cancellation),
    ),
    actions=(RENEW, SUSPEND),
    charges=(RENEWAL,),
)
