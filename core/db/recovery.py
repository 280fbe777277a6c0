"""Whether books are older than what was done with them: then nothing may be written.

After a restore they know neither the invoices of since nor their numbers. What has to
be done is `core.recovering`.
"""

from datetime import datetime, timedelta

from core.db import problems, reference
from core.db.models import Reference
from core.errors import XeroWait

KIND = "recovery"

#: How long a lane rests until it looks again.
REST = timedelta(seconds=15)


def require(tenant: str, reason: str, now: datetime) -> None:
    """Nothing is written to Xero for this tenant before ``done``."""
    reference.put_reference(tenant, KIND, {"reason": reason}, now)
    problems.open_problem(
        "recovery_needed",
        _cause(tenant),
        f"the database is older than Xero or Redis: {reason}; run `settled recover`",
        now,
        tenant=tenant,
    )


def is_needed(tenant: str) -> bool:
    return reference.get_reference(tenant, KIND) is not None


def wait_until_done(tenant: str, now: datetime) -> None:
    """Raise XeroWait while books are being recovered, or ought to be."""
    if is_needed(tenant):
        raise XeroWait(now + REST, "the books are to be recovered")


def done(tenant: str, now: datetime) -> None:
    Reference.delete().where(
        (Reference.tenant == tenant) & (Reference.kind == KIND)
    ).execute()
    problems.close_problem(_cause(tenant), now)


def _cause(tenant: str) -> str:
    return f"recovery:{tenant}"
