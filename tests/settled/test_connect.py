"""``settled connect``: a person consents, whoever listens for the way back."""

import re
import signal
from pathlib import Path

import httpx
import pytest

from core.db import reference
from core.settings import load_settings
from sandbox import browser
from settled.cli import UNREACHABLE, UNUSABLE
from settled.maintenance import opened_books
from tests.servers import wait_until
from tests.settled.command import running, settled
from tests.settled.rehearsed import Installation, installed


def connected_to(installation: Installation) -> list[str]:
    with opened_books(load_settings(Path(installation.config()))):
        return [tenant.alias for tenant in reference.tenants()]


def test_without_a_daemon_the_command_listens_itself(here: Path) -> None:
    with installed(here) as installation:
        page, ended = installation.connect()
        assert page.status_code == 200
        assert "is connected. You can close this page." in page.text
        assert (ended.code, ended.err) == (0, "")
        assert re.fullmatch(r"Connected: \S.*\n", ended.out)
        assert connected_to(installation) == ["main"]


def test_with_a_daemon_the_way_back_leads_there(here: Path) -> None:
    with (
        installed(here) as installation,
        running("run", "--config", installation.config()) as daemon,
    ):
        daemon.addresses()
        page, ended = installation.connect()
        assert page.status_code == 200
        assert ended.out.startswith("Connected: ")
        assert connected_to(installation) == ["main"]
        # It reads Xero at once, without having been started again.
        wait_until(lambda: calls(installation) > 0, 20, "the daemon reads Xero")
        checked = settled("check", "--config", installation.config())
        assert "embedded, in use by a running daemon" in checked.out
        assert daemon.end().code == 0


def calls(installation: Installation) -> int:
    counted: int = installation.xero.control.ledger()["calls"]["by_endpoint"].get(
        "GET /Organisation", 0
    )
    return counted


def test_nobody_but_who_was_sent_is_let_in(here: Path) -> None:
    with installed(here) as installation:
        callback = installation.xero.redirect_uris[0]
        with running("connect", "--config", installation.config()) as person:
            url = person.consent_url()
            forged = httpx.get(f"{callback}?code=abc&state=forged")
            assert "was not started here" in forged.text
            declined = browser.consent(url, approve=False)
            assert "Not connected" in declined.text
            # Nobody would act on a webhook: Xero keeps what is not answered 200.
            webhooks = f"{callback.partition('/oauth')[0]}/webhooks/xero"
            assert httpx.post(webhooks, content=b"{}").status_code != 200
            assert person.process.poll() is None
            ended = person.end(signal.SIGINT)
        assert ended.code == 130
        assert connected_to(installation) == []


def test_connecting_without_an_app_names_what_is_missing() -> None:
    ended = settled("connect")
    assert ended.code == UNUSABLE
    assert ended.err == "settled: xero.client_id: is needed to connect\n"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:1/token", "settled: token: ConnectError\n"),
        ("{xero}/connect/token", "settled: Xero refused the token: "),
    ],
)
def test_a_custom_connection_that_fails_is_told(
    here: Path, address: str, why: str
) -> None:
    with installed(here) as installation:
        table = {
            "grant": "client_credentials",
            "token_url": address.format(xero=installation.xero.url),
            "client_secret": "wrong",
        }
        ended = settled("connect", "--config", installation.config(xero=table))
    assert (ended.code, ended.out) == (UNREACHABLE, "")
    assert ended.err.startswith(why)
    assert len(ended.err.splitlines()) == 1
