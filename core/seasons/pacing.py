"""What a season may use of an organisation's limits, from now on."""

from datetime import datetime

from core.day_shares import housekeeping_a_day
from core.db import emails
from core.quota import Left
from core.seasons.bill import Pace
from core.settings import Settings


def pace_of(
    settings: Settings, tenant: str, left: Left, awaited_per_day: int, now: datetime
) -> Pace:
    """As the settings and the books say.

    Args:
        settings: with the limits, the reserves and the hours.
        tenant: whose.
        left: of Xero's day, as far as it is known.
        awaited_per_day: calls for payments and for whoever waits that are expected; as
            many as the settings say if that is more.
        now: from when on.
    """
    quota = settings.quota
    return Pace(
        now=now,
        zone=settings.tenants[tenant].zone_info,
        policy=quota.policy(),
        awaited_per_day=max(awaited_per_day, quota.awaited_per_day),
        housekeeping_per_day=housekeeping_a_day(settings),
        day_left=left.day,
        day_ends_at=left.day_ends_at,
        emails_per_day=quota.emails_at_most(is_awaited=False),
        emails_sent=emails.in_a_day(tenant, now),
        hours=quota.bulk_hours,
    )
