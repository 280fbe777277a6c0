"""What the platform is to do when a membership invoice is paid, or no longer is."""

from core.plugin import Action, InvoiceEvent

RENEW = "membership.renew"
SUSPEND = "membership.suspend"


def renew(event: InvoiceEvent) -> list[Action]:
    """Every membership that the invoice settles is renewed."""
    return [
        Action(RENEW, settled.subject, dict(settled.details))
        for settled in event.subjects
    ]


def suspend(event: InvoiceEvent, reason: str) -> list[Action]:
    """What was renewed for money that is gone again is suspended."""
    if not event.was_settled:
        return []
    return [
        Action(SUSPEND, settled.subject, {**settled.details, "reason": reason})
        for settled in event.subjects
    ]
