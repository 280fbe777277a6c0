"""Messages as the platform writes them; a test says only what matters to it."""

import itertools
from typing import Any

_numbers = itertools.count(1)
_members = itertools.count(100_001)

Data = dict[str, Any]

PERIOD = {"from": "2027-03-01", "to": "2028-02-28"}

#: The sandbox's price of 2026, and with 15 % VAT.
PRICE, TOTAL = "3150.00", "3622.50"

#: Of one unit the VAT is 51.8745: rounded half up to the cent.
ROUNDED_PRICE, ROUNDED_TOTAL = "345.83", "397.70"


def member(member_id: str | None = None, **changed: Any) -> Data:
    """Somebody; nobody else has their name or address."""
    member_id = member_id or str(next(_members))
    return {
        "id": member_id,
        "name": f"Thandi Nkosi {member_id}",
        "email": f"thandi{member_id}@example.co.za",
        **changed,
    }


def message(message_type: str, subject: str, data: Data, **attributes: Any) -> Data:
    return {
        "specversion": "1.0",
        "id": f"message-{next(_numbers)}",
        "source": "/platform",
        "type": message_type,
        "subject": subject,
        "time": "2026-11-20T08:00:00Z",
        "data": data,
        **attributes,
    }


def again(first: Data, **attributes: Any) -> Data:
    """The same message under another id."""
    return {**first, "id": f"message-{next(_numbers)}", **attributes}


def without(values: Data, *names: str) -> Data:
    return {name: value for name, value in values.items() if name not in names}


def renewal(who: Data | None = None, **changed: Any) -> Data:
    """The data that describe one renewal."""
    who = who or member()
    return {
        "member": who,
        "membership_id": f"M-{who['id']}",
        "category": "tax_practitioner",
        "period": PERIOD,
        **changed,
    }


def renewal_due(who: Data | None = None, subject: str = "", **data: Any) -> Data:
    """One member's renewal; each call is another member's unless it says whose."""
    asked = renewal(who, **data)
    subject = subject or f"renewal-{asked['member']['id']}"
    return message("membership.renewal_due", subject, asked)


def group_renewal_due(payer: Data, *items: Data) -> Data:
    """An employer pays for several."""
    listed = [{"subject": f"renewal-{i['member']['id']}", **i} for i in items]
    subject = f"renewals-{payer['id']}"
    return message(
        "membership.renewal_due", subject, {"bill_to": payer, "items": listed}
    )


def member_updated(who: Data, **attributes: Any) -> Data:
    """The platform has somebody's details like this now."""
    return message("member.updated", who["id"], {"member": who}, **attributes)


def cancelled(asked: Data) -> Data:
    """What that message asked for is no longer wanted."""
    data = {"membership_id": asked["data"].get("membership_id", "M-1")}
    return message("membership.cancelled", asked["subject"], data)
