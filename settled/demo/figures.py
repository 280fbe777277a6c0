"""The figures of a demo, as JSON and as a table say them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.db import reference
from core.db.models import MemberContact
from settled.demo.rehearsal import Rehearsal

#: Calls that a raised invoice costs; e-mails and reads are shown beside them.
RAISING = frozenset({"write_contacts", "write_invoices"})


@dataclass(frozen=True, slots=True)
class Figures:
    """What a season cost and how long it took. Seconds, MB of 10^6 bytes."""

    members: int
    seed: int
    limits: str
    seconds: float
    messages_published: int
    messages_accepted: int
    messages_rejected: int
    contacts_found: int
    contacts_created: int
    invoices: int
    free_of_charge: int
    emails: int
    calls: int
    calls_by_purpose: dict[str, int]
    calls_by_kind: dict[str, int]
    calls_per_invoice: float
    raising_calls_per_invoice: float
    paid: int
    activated: int
    payment_to_action_p50_s: float | None
    payment_to_action_p95_s: float | None
    payment_to_action_max_s: float | None
    peak_memory_mb: float | None
    published_again: int
    answered_again: int
    invoices_raised_again: int
    differences: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    rehearsal: Rehearsal,
    ledger: dict[str, Any],
    differences: Sequence[str],
    *,
    published_again: int,
    invoices_before_again: int,
) -> Figures:
    """Count what happened. The daemon's books are open."""
    season, platform = rehearsal.season, rehearsal.platform
    types = Counter(received.type for received in platform.received)
    calls = reference.calls()
    by_kind = _sum(calls, "kind")
    invoices = len(ledger["invoices"])
    waits = sorted(_waits(rehearsal))
    rules = Counter(row.rule for row in MemberContact.select())
    return Figures(
        members=len(season.members),
        seed=rehearsal.seed,
        limits=rehearsal.limits,
        seconds=round(rehearsal.seconds, 1),
        messages_published=len(season.messages) + len(season.bad_messages),
        messages_accepted=types["message.accepted"] - published_again,
        messages_rejected=types["message.rejected"],
        contacts_found=sum(rules.values()) - rules["created"],
        contacts_created=rules["created"],
        invoices=invoices,
        free_of_charge=sum(w["expect"] == "free" for w in season.wishes),
        emails=len(ledger["emails"]),
        calls=sum(by_kind.values()),
        calls_by_purpose=_sum(calls, "purpose"),
        calls_by_kind=by_kind,
        calls_per_invoice=_per(sum(by_kind.values()), invoices),
        raising_calls_per_invoice=_per(
            sum(by_kind.get(kind, 0) for kind in RAISING), invoices
        ),
        paid=len(rehearsal.paid),
        activated=len(platform.actions),
        payment_to_action_p50_s=_quantile(waits, 0.5),
        payment_to_action_p95_s=_quantile(waits, 0.95),
        payment_to_action_max_s=_quantile(waits, 1.0),
        peak_memory_mb=rehearsal.memory.peak_mb,
        published_again=published_again,
        answered_again=published_again and types["message.done"],
        invoices_raised_again=invoices - invoices_before_again,
        differences=list(differences),
    )


def _waits(rehearsal: Rehearsal) -> list[float]:
    """Seconds from each payment to the arrival of its last action."""
    arrived: dict[str, float] = {}
    for received in rehearsal.platform.received:
        invoice = received.message["data"].get("invoice") or {}
        if received.type == "membership.renew" and invoice.get("number"):
            arrived[invoice["number"]] = received.arrived_at.timestamp()
    return [
        arrived[paid.number] - paid.paid_at.timestamp()
        for paid in rehearsal.paid
        if paid.number in arrived
    ]


def _sum(calls: Sequence[Any], column: str) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for row in calls:
        counted[getattr(row, column)] += row.calls
    return dict(sorted(counted.items()))


def _per(count: int, invoices: int) -> float:
    return round(count / invoices, 4) if invoices else 0.0


def _quantile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    return round(values[min(int(len(values) * share), len(values) - 1)], 3)
