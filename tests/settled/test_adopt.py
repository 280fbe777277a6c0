"""``settled adopt`` as a process beside a daemon that runs, and shares its Redis."""

from pathlib import Path

from core.clock import SystemClock
from core.settings import load_settings
from core.xero.oauth import XeroOAuth
from core.xero.tokens import Tokens
from sandbox.platform import Platform
from settled.cli import UNUSABLE
from settled.maintenance import opened_books
from settled.stores import Stores
from tests.messages import renewal_due
from tests.servers import wait_until
from tests.settled.command import Ended, running, settled_process
from tests.settled.rehearsed import Installation, installed
from tests.world import raise_by_hand


def access_token(installation: Installation) -> str:
    """Of the daemon's own consent, for what somebody does in Xero by hand."""
    settings = load_settings(Path(installation.config()))
    oauth = XeroOAuth(settings.xero)
    seal = Stores(settings).seal()
    with opened_books(settings):
        try:
            clock = SystemClock()
            return Tokens(settings, oauth, seal, clock, "somebody").access_token()
        finally:
            oauth.close()


def test_an_invoice_is_adopted_beside_the_daemon_that_acts_on_it(here: Path) -> None:
    asked = renewal_due()
    who = asked["data"]["member"]
    file = here / "adopt.csv"

    def adopt() -> Ended:
        config = installation.config()
        return settled_process("adopt", str(file), "--yes", "--config", config)

    with installed(here) as installation:
        control = installation.xero.control
        (contact_id,) = control.seed_contacts([{"Name": who["name"]}])
        with running("run", "--config", installation.config()) as daemon:
            said = daemon.addresses()
            installation.connect()
            installation.xero.subscribe_webhooks(f"{said['public']}/webhooks/xero")
            token = access_token(installation)
            number = raise_by_hand(installation.xero, token, contact_id)
            file.write_text(
                "invoice_number,workflow,subject,member_id\n"
                f"{number},membership,{asked['subject']},{who['id']}\n"
            )
            done: list[Ended] = []

            def is_adopted() -> bool:
                """At first the daemon has not read Xero's contacts yet."""
                done.append(adopt())
                return done[-1].code != UNUSABLE

            wait_until(is_adopted, 60, "the daemon has read Xero")
            assert done[-1].code == 0, done[-1]
            assert "1 adopted: 1 open" in done[-1].out
            with Platform(said["redis"]) as platform:
                platform.publish([asked])
                platform.wait_until(lambda p: bool(p.answers(asked["id"])[1:]), 30)
                control.pay(number)
                acted = platform.wait_until(lambda p: bool(p.actions), 30)
            assert daemon.end().code == 0
        invoices = control.ledger()["invoices"]
    assert acted
    assert [invoice["InvoiceNumber"] for invoice in invoices] == [number]
