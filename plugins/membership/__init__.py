"""Membership: a renewal is invoiced, a paid one renews, a cancelled one is voided."""

from core.plugin import Action, InvoiceEvent, InvoiceRules, hookimpl
from plugins.membership.hooks import renew, suspend
from plugins.membership.rules import RULES


@hookimpl
def register_invoice_rules() -> InvoiceRules:
    return RULES


@hookimpl
def on_paid(event: InvoiceEvent) -> list[Action]:
    return renew(event)


@hookimpl
def on_part_paid(event: InvoiceEvent) -> list[Action]:
    """Part of the fee renews nothing; `invoice.part_paid` informs."""
    return []


@hookimpl
def on_payment_removed(event: InvoiceEvent) -> list[Action]:
    return suspend(event, "payment_removed")


@hookimpl
def on_credited(event: InvoiceEvent) -> list[Action]:
    """A credit changes what is owed, not the membership; `invoice.credited` tells."""
    return []


@hookimpl
def on_voided(event: InvoiceEvent) -> list[Action]:
    """A void is our own answer to a cancellation, or finance's decision; it informs."""
    return []
