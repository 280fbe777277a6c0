"""A small member year of the real daemon against the sandbox, recorded.

Everything that the main job may send to Xero happens once or more: a season, e-mails,
payments whole and in part, one undone, a void, a name that is taken, an e-mail and an
invoice that Xero refuses, a lost answer, a look-up after a 5xx, a sweep, an expired
token, and calls that are refused as a whole. Daemon and sandbox share one clock, so
that hours pass in no time.
"""

import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.settings import Settings, settings_from
from sandbox import AdjustableClock, App, Limits, Sandbox
from sandbox.platform import Platform, Season
from settled.daemon import Daemon
from settled.maintenance import import_price_file, migrate_books
from tests.contract.exchange import Exchange
from tests.servers import free_port, running_redis

MEMBERS = 16
SEED = 11

#: A busy machine is slow; a step that makes no progress for so long has failed.
PATIENCE_S = 60.0

#: Longer than any pause of the daemon after a refusal.
PAUSE_IS_OVER_S = 6

#: Longer than an idempotency key lives and its call may take.
KEY_IS_OVER_S = 600

#: Longer than an access token lives; the sweep and the mirror are due by then too.
TOKEN_IS_OVER_S = 3_700

#: In Xero before the daemon is: a namesake, and a member whose address nobody knows.
NAMESAKE = "Palesa Mahlangu"
WITHOUT_ADDRESS = "SA-90002"
SEEDED = (
    {"Name": NAMESAKE, "ContactNumber": "SA-80001", "EmailAddress": "p@example.com"},
    {"Name": "Kobus Steyn", "ContactNumber": WITHOUT_ADDRESS},
)


class TrafficStopped(Exception):
    """A step of the year didn't come to its end."""


def record() -> list[Exchange]:
    """Live the year on stores of its own; every exchange of it."""
    with (
        tempfile.TemporaryDirectory(prefix="settled-contract-") as folder,
        running_redis() as redis,
    ):
        return record_on(Path(folder), redis.url, f"sqlite:///{folder}/books.db")


def record_on(folder: Path, redis_url: str, database_url: str) -> list[Exchange]:
    """Live the year on these stores; every exchange of it."""
    clock = AdjustableClock()
    season = Season(MEMBERS, SEED, now=clock.now())
    port = free_port()
    callback = f"http://localhost:{port}/oauth/callback"
    with Sandbox(clock=clock, limits=LIFTED, app=App(redirect_uris=[callback])) as xero:
        xero.control.seed_contacts([*season.existing_contacts, *SEEDED])
        stores = {"redis_url": redis_url, "database_url": database_url}
        settings = _settings(xero, folder, port, callback, stores)
        prices = folder / "prices.csv"
        prices.write_text(season.prices_csv(), encoding="utf-8")
        migrate_books(settings)
        import_price_file(settings, prices)
        with Daemon(settings, clock=clock) as daemon:
            xero.subscribe_webhooks(f"http://127.0.0.1:{port}/webhooks/xero")
            xero.consent(daemon.tokens.begin_consent())
            with Platform(redis_url) as platform:
                Year(xero, clock, season, platform).live()
        return [Exchange.recorded(raw) for raw in xero.control.exchanges()]


LIFTED = Limits(minute=None, day=None, app_minute=None, emails_per_day=None)


def _settings(
    xero: Sandbox, folder: Path, port: int, callback: str, stores: Mapping[str, str]
) -> Settings:
    return settings_from(
        {
            **stores,
            "data_folder": folder / "data",
            "web": {"public_port": port, "internal_port": 0},
            "xero": {
                "client_id": xero.client_id,
                "client_secret": xero.client_secret,
                "redirect_uri": callback,
                "webhook_keys": [xero.webhook_key],
                "authorize_url": f"{xero.url}/identity/connect/authorize",
                "token_url": f"{xero.url}/connect/token",
                "connections_url": f"{xero.url}/connections",
                "api_url": xero.api_url,
            },
            "quota": {"minute": 0, "day": 0, "app_minute": 0, "emails_per_day": 0},
            "tenants": {"main": {"subject_url": "https://members.example/{subject}"}},
        }
    )


class Year:
    """What happens to sandbox, daemon and platform."""

    def __init__(
        self, xero: Sandbox, clock: AdjustableClock, season: Season, platform: Platform
    ) -> None:
        self.xero = xero
        self.control = xero.control
        self.clock = clock
        self.season = season
        self.platform = platform
        self._numbers = itertools.count(1)
        self._expected: Counter[str] = Counter()

    def live(self) -> None:
        """All of it, in order."""
        self._renew()
        self._pay()
        self._cancel()
        self._update()
        self._refuse_calls()
        self._lose_answers()
        self._look_up()
        self._refuse_elements()
        self._let_hours_pass()

    # -- what happens ------------------------------------------------------------------

    def _renew(self) -> None:
        """A season, and what is wrong with some of it."""
        self.platform.publish(self.season.messages)
        self.platform.publish(self.season.bad_messages)
        self._publish_group()
        invoices = sum(w["expect"] == "invoice" for w in self.season.wishes)
        self._await("invoice.emailed", invoices + 1)

    def _pay(self) -> None:
        """Whole, in parts, and one that is undone."""
        first, second, third = sorted(self.control.invoices())[:3]
        self.control.pay(first)
        paid = self.control.pay(second)
        self._await("invoice.paid", 2)
        self.control.pay(third, "100.00")
        self._await("invoice.part_paid")
        self.control.delete_payment(paid["payment_id"])
        self._await("invoice.payment_removed")

    def _cancel(self) -> None:
        """An invoice that nobody has paid is voided."""
        member = self._member("SA-90000", "Lindiwe Zulu")
        renewal = self._renew_one(member)
        data = {"membership_id": renewal["data"]["membership_id"]}
        self._publish("membership.cancelled", renewal["subject"], data)
        self._await("invoice.voided")

    def _refuse_calls(self) -> None:
        """429s, a token that is refused, an organisation that is offline."""
        for kind in ("429_minute", "429_concurrent", "401", "503"):
            # Xero says when to come back for two of its four limits only.
            after_s = 1 if kind == "429_minute" else None
            self.control.fault(
                kind, method="GET", path="/Invoices", retry_after_s=after_s
            )
            self.control.pay(self._unpaid())
            self._await("invoice.paid", leap_s=PAUSE_IS_OVER_S)

    def _update(self) -> None:
        """A contact is found and gets what it lacks; a member moves and marries."""
        found = self._member(WITHOUT_ADDRESS, "Kobus Steyn")
        self._renew_one(found)
        moved = {**found, "name": "Kobus Steyn-Botha", "address": {"city": "Paarl"}}
        self._publish("member.updated", WITHOUT_ADDRESS, {"member": moved})
        self._await("message.done")

    def _lose_answers(self) -> None:
        """The same bytes are sent again under the same key."""
        for path in ("/Contacts", "/Invoices"):
            self.control.fault("reply_lost", method="PUT", path=path)
        self._renew_one(self._member("SA-90001", NAMESAKE))

    def _look_up(self) -> None:
        """After a 5xx nothing is sent again before Xero has been asked."""
        for kind in ("500_before", "500_after"):
            for path in ("/Contacts", "/Invoices"):
                self.control.fault(kind, method="PUT", path=path)
            self.control.fault(kind, method="POST", path="/Invoices/*/Email")
            self._renew_one(self._member(), leap_s=KEY_IS_OVER_S)

    def _refuse_elements(self) -> None:
        """An e-mail to nobody, and an invoice in a locked period."""
        known = self._member()
        self._renew_one(known)
        self.control.edit_contact(known["id"], EmailAddress="")
        data = self._renewal_of(known)
        self._publish("membership.renewal_due", f"renewal-2028-{known['id']}", data)
        self._await("invoice.raised", also=lambda: self._answered("400") == 1)
        self.control.set_organisation(PeriodLockDate="2099-12-31")
        self._publish_renewal(self._member())
        self._await("message.held")
        self.control.set_organisation(PeriodLockDate=None)

    def _let_hours_pass(self) -> None:
        """Token, sweep and mirror fall due; the season comes again."""
        self.clock.advance(TOKEN_IS_OVER_S)
        again = self.season.again()
        self.platform.publish(again.messages)
        self._await("message.done", len(again.messages))
        self.control.pay(self._unpaid())
        self._await("invoice.paid")

    # -- the platform ------------------------------------------------------------------

    def _member(self, member_id: str = "", name: str = "") -> dict[str, Any]:
        number = next(self._numbers)
        return {
            "id": member_id or f"SA-7{number:04}",
            "name": name or f"Newcomer {number} Botha",
            "email": f"newcomer.{number}@example.com",
            "phone": "+27 11 555 0100",
            "address": {"line1": "1 Main Road", "city": "Durban", "country": "ZA"},
            "tax_number": "9000000000",
        }

    def _renew_one(self, member: dict[str, Any], leap_s: float = 0) -> dict[str, Any]:
        """One more member, until the invoice is e-mailed."""
        message = self._publish_renewal(member)
        self._await("invoice.emailed", leap_s=leap_s)
        return message

    def _publish_renewal(self, member: dict[str, Any]) -> dict[str, Any]:
        subject = f"renewal-2027-{member['id']}"
        return self._publish(
            "membership.renewal_due", subject, self._renewal_of(member)
        )

    def _renewal_of(self, member: dict[str, Any]) -> dict[str, Any]:
        return {
            "member": member,
            "membership_id": f"M-{member['id']}",
            "category": "tax_practitioner",
            "period": {"from": "2027-03-01", "to": "2028-02-29"},
        }

    def _publish_group(self) -> None:
        """An employer pays for two members on one invoice."""
        items = []
        for _ in range(2):
            member = self._member()
            single = self._renewal_of(member)
            items.append({**single, "subject": f"renewal-2027-{member['id']}"})
        employer = {"id": "E-1", "name": "Acme (Pty) Ltd", "email": "pay@example.com"}
        data = {"bill_to": employer, "items": items}
        self._publish("membership.renewal_due", "renewals-2027-E-1", data)

    def _publish(
        self, message_type: str, subject: str, data: dict[str, Any]
    ) -> dict[str, Any]:
        message = self.season.messages[0] | {
            "id": f"year-{next(self._numbers)}",
            "type": message_type,
            "subject": subject,
            "data": data,
        }
        self.platform.publish([message])
        return message

    def _unpaid(self) -> str:
        """An invoice on which nothing was paid yet; the first by number."""
        return min(
            number
            for number, invoice in self.control.invoices().items()
            if invoice["Status"] == "AUTHORISED" and not float(invoice["AmountPaid"])
        )

    # -- waiting -----------------------------------------------------------------------

    def _await(
        self,
        message_type: str,
        more: int = 1,
        *,
        leap_s: float = 0,
        also: Callable[[], bool] = lambda: True,
    ) -> None:
        """Until so many more messages of a type have come.

        Args:
            leap_s: how far the clock leaps each time that Xero has failed.
            also: what must be true besides.
        """
        self._expected[message_type] += more
        failed = self._failures()
        deadline_s = time.monotonic() + PATIENCE_S
        while not (self._has(message_type) and also()):
            if time.monotonic() > deadline_s:
                raise TrafficStopped(f"waited too long for {message_type}")
            # Not for the message alone: it may have come, and the other not.
            self.platform.wait_until(lambda _: self._has(message_type) and also(), 0.2)
            if leap_s and self._failures() > failed:
                failed = self._failures()
                self.clock.advance(leap_s)

    def _has(self, message_type: str) -> bool:
        came = sum(r.type == message_type for r in self.platform.received)
        return came >= self._expected[message_type]

    def _answered(self, status: str) -> int:
        """How many calls Xero has answered so."""
        count: int = self.control.ledger()["calls"]["by_status"].get(status, 0)
        return count

    def _failures(self) -> int:
        """How many calls Xero has failed to answer well."""
        by_status: dict[str, int] = self.control.ledger()["calls"]["by_status"]
        return sum(n for status, n in by_status.items() if int(status) >= 401)
