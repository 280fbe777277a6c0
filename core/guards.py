"""Guards: more invoices in an hour than usual wait until a person has approved them.

A wrong run on the platform must not bill twenty thousand people. What a season sends
out was planned, and is not guarded.
"""

from datetime import datetime, timedelta

from core import drafting
from core.db import invoices, switches
from core.drafts import InvoiceDraft, total_of
from core.errors import Held
from core.money import plain
from core.rule_asking import Decided

HOUR = timedelta(hours=1)

#: What was approved has passed within this time, and what comes later is guarded anew.
OPEN_FOR = timedelta(hours=24)


def check(tenant: str, decided: Decided, draft: InvoiceDraft, now: datetime) -> None:
    """Whether this invoice may be raised without anybody's approval.

    Raises:
        Held: it may not.
    """
    workflow, table = decided.workflow, decided.table
    most, most_money = table.guard_invoices_per_hour, table.guard_sum_per_hour
    since, reason = now - HOUR, ""
    if most and invoices.count_lately(tenant, workflow, since) >= most:
        reason = f"more than {most} {workflow} invoices within an hour"
    elif most_money is not None:
        spent = invoices.spent_lately(tenant, workflow, draft.currency, since)
        if spent + total_of(draft, decided.setup.rates) > most_money:
            limit = f"{plain(most_money)} {draft.currency}"
            reason = f"{workflow} invoices of more than {limit} within an hour"
    if not reason or switches.on_since(tenant, switch_of(workflow), now):
        return
    if invoices.is_any_rebuilt(tenant):
        return  # after a recovery messages come again, to explain what Xero has
    if drafting.invoiced_before(tenant, workflow, draft) is None:
        raise Held(f"guard:{tenant}:{workflow}", reason)


def switch_of(workflow: str) -> str:
    """Which switch lets this workflow's invoices pass."""
    return f"guard_open:{workflow}"


def open_guard(tenant: str, workflow: str, by: str, now: datetime) -> None:
    """What waits has been approved."""
    switches.turn_on(tenant, switch_of(workflow), by, now, now + OPEN_FOR)
