"""The one module that a plugin imports."""

from core.drafts import (
    Amounts,
    Day,
    Decision,
    Incoming,
    InvoiceDraft,
    InvoiceRules,
    Line,
    Price,
    Prices,
    Rule,
    RuleContext,
    Settles,
    Undo,
    WorkflowSettings,
)
from core.errors import Refused
from core.facts import Action, InvoiceEvent, SettledSubject
from core.hookspecs import hookimpl
from core.members import Address, Identifier, Member
from core.money import Money, MoneyData, cents

__all__ = [
    "Action",
    "Address",
    "Amounts",
    "Day",
    "Decision",
    "Identifier",
    "Incoming",
    "InvoiceDraft",
    "InvoiceEvent",
    "InvoiceRules",
    "Line",
    "Member",
    "Money",
    "MoneyData",
    "Price",
    "Prices",
    "Refused",
    "Rule",
    "RuleContext",
    "SettledSubject",
    "Settles",
    "Undo",
    "WorkflowSettings",
    "cents",
    "hookimpl",
]
