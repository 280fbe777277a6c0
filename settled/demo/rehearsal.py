"""One season, from the first message to the last action, over real HTTP and Redis."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from sandbox import Control, browser
from sandbox.platform import Platform, Season
from settled.demo.children import Child, ChildFailed, MemoryWatch, free_port, run_to_end

#: Nine in ten members pay, as a body would be glad to see.
PAYING_SHARE = 0.9

#: Nobody pays in the second in which the e-mail arrives.
PAYS_AFTER = timedelta(seconds=3)

LIFTED = {"minute": 0, "day": 0, "app_minute": 0, "emails_per_day": 0}

#: A season that makes no progress for so long has failed.
PATIENCE_S = 120.0

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Paid:
    """A payment made inside the sandbox."""

    number: str
    paid_at: datetime


class Rehearsal:
    """A running demo: sandbox, daemon and platform.

    Use as a context manager; on leaving, the daemon is stopped first and in order.
    """

    def __init__(
        self, folder: Path, members: int, seed: int, limits: str, progress: Progress
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.limits = limits
        self.progress = progress
        self.clock = SystemClock()
        self.season = Season(members, seed)
        self.paid: list[Paid] = []
        self.seconds = 0.0
        self._children: list[Child] = []
        self._closing = ExitStack()
        self._stopping = threading.Event()
        self._nap = threading.Event()
        self._counts: Counter[str] = Counter()
        self._counted = 0

    def __enter__(self) -> "Rehearsal":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stopping.set()
        self._closing.close()

    @property
    def config(self) -> Path:
        return self.folder / "settled.toml"

    def _start(self) -> None:
        port = free_port()
        callback = f"http://localhost:{port}/oauth/callback"
        self.xero = self._start_sandbox(callback)
        self.control = Control(self.xero["url"])
        self._closing.callback(self.control.close)
        self.control.seed_contacts(self.season.existing_contacts)
        self.config.write_text(self._toml(port, callback))
        prices = self.folder / "prices.csv"
        prices.write_text(self.season.prices_csv(), encoding="utf-8")
        run_to_end(
            ["settled", "prices", "import", str(prices), "--config", str(self.config)]
        )
        daemon = self._child("daemon", ["settled", "run", "--config", str(self.config)])
        self.addresses = daemon.ready()
        self.memory = MemoryWatch(daemon.process.pid)
        self._closing.callback(self.memory.stop)
        self.control.subscribe_webhooks(f"http://127.0.0.1:{port}/webhooks/xero")
        self._connect()
        self.platform = Platform(self.addresses["redis"]).start()
        self._closing.callback(self.platform.stop)

    def _start_sandbox(self, callback: str) -> Mapping[str, Any]:
        arguments = ["sandbox", "serve", "--port", "0", "--json"]
        arguments += ["--redirect-uri", callback, "--keep-exchanges", "0"]
        if self.limits == "lifted":
            for limit in LIFTED:
                arguments += [f"--{limit.replace('_', '-')}", "lifted"]
        return self._child("sandbox", arguments).ready()

    def _child(self, name: str, arguments: list[str]) -> Child:
        child = Child(name, arguments, self.folder / f"{name}.log")
        self._children.append(child)
        self._closing.callback(child.stop)
        return child

    def _connect(self) -> None:
        """As a person would: open the address that `settled connect` prints."""
        connect = self._child(
            "connect", ["settled", "connect", "--config", str(self.config)]
        )
        lines = connect.process.stdout
        if lines is None:
            raise ChildFailed("connect has no output")
        url = next(line.strip() for line in lines if line.startswith("http"))
        page = browser.consent(url)
        if page.status_code != 200:
            raise ChildFailed(f"the consent ended with {page.status_code}")
        connect.process.wait(30)

    def _toml(self, port: int, callback: str) -> str:
        xero = self.xero
        quota = LIFTED if self.limits == "lifted" else {}
        return "\n".join(
            [
                f'data_folder = "{self.folder / "data"}"',
                "[web]",
                f"public_port = {port}",
                "internal_port = 0",
                "[xero]",
                f'client_id = "{xero["client_id"]}"',
                f'client_secret = "{xero["client_secret"]}"',
                f'redirect_uri = "{callback}"',
                f'webhook_keys = ["{xero["webhook_key"]}"]',
                f'authorize_url = "{xero["url"]}/identity/connect/authorize"',
                f'token_url = "{xero["url"]}/connect/token"',
                f'connections_url = "{xero["url"]}/connections"',
                f'api_url = "{xero["url"]}/api.xro/2.0"',
                "[quota]",
                *(f"{name} = {value}" for name, value in quota.items()),
                # Everybody renews at once, and nobody is there to approve it.
                "[plugins.membership]",
                "guard_invoices_per_hour = 0",
                "",
            ]
        )

    # -- the season ------------------------------------------------------------------

    def run(self) -> None:
        """Publish, let Xero invoice and e-mail, pay, and wait for the last action."""
        began = self.clock.now()
        payer = threading.Thread(target=self._pay_as_members_do, name="payer")
        payer.start()
        try:
            self.platform.publish(self.season.messages)
            self.platform.publish(self.season.bad_messages)
            self._await_answers()
            self._await_money()
        finally:
            self._stopping.set()
            payer.join()
        self.seconds = (self.clock.now() - began).total_seconds()

    def publish_again(self) -> Season:
        """The same season with new message ids; waits until each is answered."""
        again = self.season.again()
        self.platform.publish(again.messages)
        ids = {message["id"] for message in again.messages}
        self._await(
            "answered again",
            len(ids),
            lambda: len(
                {
                    r.in_reply_to
                    for r in self.platform.received
                    if r.type in ("message.done", "message.rejected", "invoice.raised")
                }
                & ids
            ),
        )
        return again

    def _await_answers(self) -> None:
        messages = len(self.season.messages) + len(self.season.bad_messages)
        invoices = self._wished("invoice")
        self._await(
            "accepted or rejected",
            messages,
            lambda: self._count("message.accepted") + self._count("message.rejected"),
        )
        self._await("raised in Xero", invoices, lambda: self._count("invoice.raised"))
        self._await("e-mailed", invoices, lambda: self._count("invoice.emailed"))

    def _await_money(self) -> None:
        paying = len(self._paying())
        actions = self._actions_due()
        self._await("paid in Xero", paying, lambda: len(self.paid))
        self._await("acted on", actions, lambda: len(self.platform.actions))

    def _await(self, what: str, total: int, count: Callable[[], int]) -> None:
        """Until the count is reached; fails when nothing moves any more."""
        seen, moved_at = -1, self.clock.now()
        while seen < total:
            for child in self._children[:2]:
                child.check()
            now, found = self.clock.now(), count()
            if found != seen:
                seen, moved_at = found, now
                self.progress(what, min(found, total), total)
            elif (now - moved_at).total_seconds() > PATIENCE_S:
                raise ChildFailed(
                    f"{what}: {found} of {total}, and nothing moved for "
                    f"{PATIENCE_S:.0f} s"
                )
            self._nap.wait(0.1)

    # -- paying ----------------------------------------------------------------------

    def _paying(self) -> set[str]:
        """The subjects of the invoices that are paid, chosen by the seed."""
        chance = random.Random(self.seed)  # noqa: S311 must be repeatable
        subjects = [
            w["subject"] for w in self.season.wishes if w["expect"] == "invoice"
        ]
        return {s for s in subjects if chance.random() < PAYING_SHARE}

    def _actions_due(self) -> int:
        settles = {
            message["subject"]: len(message["data"].get("items") or [None])
            for message in self.season.messages
        }
        free = [w["subject"] for w in self.season.wishes if w["expect"] == "free"]
        return sum(settles[subject] for subject in [*self._paying(), *free])

    def _pay_as_members_do(self) -> None:
        """Each pays a few seconds after the e-mail came."""
        paying = self._paying()
        read = 0
        with Control(self.xero["url"]) as control:
            while len(self.paid) < len(paying) and not self._stopping.wait(0.05):
                ripe_before = self.clock.now() - PAYS_AFTER
                for received in self.platform.received[read:]:
                    if received.arrived_at > ripe_before:
                        break
                    read += 1
                    if (
                        received.type == "invoice.emailed"
                        and received.subject in paying
                    ):
                        self._pay(
                            control, received.message["data"]["invoice"]["number"]
                        )

    def _pay(self, control: Control, number: str) -> None:
        paid_at = datetime.fromisoformat(control.pay(number)["paid_at"])
        self.paid.append(Paid(number, paid_at))

    def _wished(self, expect: str) -> int:
        return sum(wish["expect"] == expect for wish in self.season.wishes)

    def _count(self, message_type: str) -> int:
        """How many messages of a type have come; each is looked at once."""
        received = self.platform.received
        self._counts.update(r.type for r in received[self._counted :])
        self._counted = len(received)
        return self._counts[message_type]
