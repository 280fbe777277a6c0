"""Accounts, tax rates and the organisation: read seldom, kept with their age."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.calls import Door, XeroRequest
from core.clock import Clock
from core.db import lanes, reference
from core.db.database import transaction
from core.quota import Purpose
from core.settings import Settings
from core.waking import LaneName
from core.xero_json import day

#: How long calls are counted by the hour, to compare a season with the last one.
HISTORY = timedelta(days=400)

KINDS = {
    "organisation": ("Organisation", "Organisations"),
    "accounts": ("Accounts", "Accounts"),
    "tax_rates": ("TaxRates", "TaxRates"),
}


class ReferenceLane:
    """Reads what is older than the settings allow: one call for each kind."""

    def __init__(self, settings: Settings, door: Door, clock: Clock) -> None:
        self.settings = settings
        self.door = door
        self.clock = clock

    def step(self, tenant: str) -> bool:
        now = self.clock.now()
        oldest = now - timedelta(seconds=self.settings.sweep.reference_every_s)
        for kind in KINDS:
            held = reference.get_reference(tenant, kind)
            if held is None or held.read_at <= oldest:
                self._read(tenant, kind, first=held is None)
                return True
        with transaction():
            reference.forget_calls(now - HISTORY)
            lanes.schedule(tenant, LaneName.REFERENCE, self._next(tenant), ran_from=now)
        return False

    def next_due(self, tenant: str) -> datetime | None:
        return lanes.due_at(tenant, LaneName.REFERENCE)

    def _read(self, tenant: str, kind: str, *, first: bool) -> None:
        path, key = KINDS[kind]
        purpose = Purpose.INTERACTIVE if first else Purpose.HOUSEKEEPING
        with self.door.admit(tenant, purpose) as slot:
            answer = slot.send(XeroRequest(f"read_{kind}", "GET", path))
        with transaction():
            reference.put_reference(tenant, kind, answer.json[key], self.clock.now())

    def _next(self, tenant: str) -> datetime:
        every = timedelta(seconds=self.settings.sweep.reference_every_s)
        ages: list[datetime] = [
            held.read_at
            for kind in KINDS
            if (held := reference.get_reference(tenant, kind)) is not None
        ]
        return min(ages) + every


def is_known(tenant: str) -> bool:
    return all(reference.get_reference(tenant, kind) for kind in KINDS)


def accounts(tenant: str) -> list[Mapping[str, Any]]:
    return _held(tenant, "accounts")


def tax_rates(tenant: str) -> list[Mapping[str, Any]]:
    return _held(tenant, "tax_rates")


def organisation(tenant: str) -> Mapping[str, Any]:
    (one,) = _held(tenant, "organisation")
    return one


def locked_until(tenant: str) -> date | None:
    """The last day on which Xero's books are closed to us; None: every day is open."""
    held = organisation(tenant)
    locks = (day(held.get(name)) for name in ("PeriodLockDate", "EndOfYearLockDate"))
    return max((lock for lock in locks if lock is not None), default=None)


def base_currency(tenant: str) -> str:
    return str(organisation(tenant)["BaseCurrency"])


def percent_by_tax_type(tenant: str) -> dict[str, Decimal]:
    """Percent by tax type, of the rates that are in force."""
    return {
        str(rate["TaxType"]): Decimal(str(rate["EffectiveRate"]))
        for rate in tax_rates(tenant)
        if rate.get("Status", "ACTIVE") == "ACTIVE"
    }


def account_codes(tenant: str) -> set[str]:
    """Codes to which an invoice line may be booked."""
    return {
        str(account["Code"])
        for account in accounts(tenant)
        if account.get("Code")
        and account.get("Status") == "ACTIVE"
        and account.get("Type") != "BANK"
    }


def _held(tenant: str, kind: str) -> list[Mapping[str, Any]]:
    row = reference.get_reference(tenant, kind)
    if row is None:
        raise LookupError(f"{kind} of {tenant} has not been read yet")
    body: list[Mapping[str, Any]] = row.body
    return body
