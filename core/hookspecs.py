"""The hooks of a plugin: signatures and their contracts, no code.

Hooks are called by keyword, one plugin at a time; only the workflow that owns an
invoice hears of its payments. They run outside any transaction, on values, and may be
called again for the same fact: the same event must give the same answer.
"""

import pluggy

from core.drafts import InvoiceRules
from core.facts import Action, InvoiceEvent

PROJECT = "settled"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_invoice_rules() -> InvoiceRules:
    """Say which messages become which invoices. Called once, at start-up."""


@hookspec
def on_paid(event: InvoiceEvent) -> list[Action]:
    """React to an invoice that is paid in full.

    Returns:
        Actions for the platform, one or more for each subject that the invoice
        settles; written in the transaction that records the payment.
    """


@hookspec
def on_part_paid(event: InvoiceEvent) -> list[Action]:
    """React to money that does not yet pay the invoice in full."""


@hookspec
def on_payment_removed(event: InvoiceEvent) -> list[Action]:
    """React to an invoice that was paid in full and is no longer."""


@hookspec
def on_credited(event: InvoiceEvent) -> list[Action]:
    """React to a credit that has been applied to the invoice."""


@hookspec
def on_voided(event: InvoiceEvent) -> list[Action]:
    """React to an invoice that has been voided, by us or in Xero."""
