"""Tokens: refreshed once, kept encrypted, and nothing is lost while there are none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from core.db import reference, tokens
from core.db.models import Connection
from core.errors import NotConnected, SettingsInvalid
from core.settings import Settings
from core.xero.oauth import XeroOAuth
from core.xero.tokens import Tokens
from sandbox.browser import consent_redirect
from tests.messages import renewal_due
from tests.world import World

TOKEN_ENDS = timedelta(minutes=31)


@contextmanager
def another_process(world: World, settings: Settings | None = None) -> Iterator[Tokens]:
    """The tokens as another process of this installation has them."""
    oauth = XeroOAuth(world.settings.xero)
    seal = world.daemon.stores.seal()
    try:
        yield Tokens(settings or world.settings, oauth, seal, world.clock, "another")
    finally:
        oauth.close()


def refreshes(world: World) -> int:
    """How often tokens were asked for."""
    return world.calls("POST /connect/token")


def refresh_token(world: World) -> str:
    """The one that is stored."""
    row = tokens.get(world.xero.client_id)
    assert row is not None
    content = world.daemon.stores.seal().open(row.client_id, bytes(row.ciphertext))
    return str(content["refresh_token"])


def revoke(world: World) -> None:
    """Somebody disconnects the app at Xero."""
    httpx.post(
        f"{world.xero.url}/connect/revocation",
        data={"token": refresh_token(world)},
        auth=(world.xero.client_id, world.xero.client_secret or ""),
    ).raise_for_status()


def test_a_token_that_has_ended_is_refreshed_before_it_is_used(world: World) -> None:
    before = refreshes(world)
    world.advance(TOKEN_ENDS)
    world.invoiced(renewal_due())
    assert refreshes(world) == before + 1
    assert "401" not in world.ledger["calls"]["by_status"]


def test_a_token_that_xero_no_longer_takes_is_refreshed_once(world: World) -> None:
    before = refreshes(world)
    world.xero.control.fault("401", method="PUT", path="/Contacts")
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.is_under_way("PUT", "/Contacts"), "the refusal")
    world.advance(2)
    world.hear("invoice.emailed", asked["subject"])
    assert refreshes(world) == before + 1
    assert world.problems() == []


def test_processes_that_need_a_new_token_at_once_share_one(world: World) -> None:
    before = refreshes(world)
    world.advance(TOKEN_ENDS)
    got: list[str] = []
    with another_process(world) as first, another_process(world) as second:
        threads = [
            threading.Thread(target=lambda t=each: got.append(t.access_token()))
            for each in (first, second, world.daemon.tokens)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(got) == 3
    assert len(set(got)) == 1
    assert refreshes(world) == before + 1


@pytest.mark.parametrize("kind", ["reply_lost", "half_reply", "500_after"])
def test_tokens_that_were_lost_on_their_way_are_asked_for_again(
    world: World, kind: str
) -> None:
    """Xero has rotated the token, and takes the old one for half an hour more."""
    world.advance(TOKEN_ENDS)
    world.quiet()
    world.advance(TOKEN_ENDS)
    world.xero.control.fault(kind, method="POST", path="/connect/token")
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.is_under_way("POST", "/connect/token"), "the refresh")
    world.advance(6)
    world.hear("invoice.emailed", asked["subject"])
    assert world.problems() == []


def test_a_consent_that_was_revoked_loses_nothing(world: World) -> None:
    world.quiet()
    revoke(world)
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: "xero_connection" in world.problems(), "the problem")
    world.quiet()
    assert world.answers(asked["id"]) == ["message.accepted"]
    world.connect()
    world.advance(16)
    world.hear("invoice.emailed", asked["subject"])
    assert world.problems() == []
    assert len(world.told("invoice.raised", asked["subject"])) == 1


def test_a_payment_while_nobody_is_connected_is_acted_on_later(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.quiet()
    revoke(world)
    world.pay(number)
    world.wait(lambda: "xero_connection" in world.problems(), "the problem")
    world.connect()
    world.advance(16)
    world.hear("membership.renew", asked["subject"])


def test_tokens_are_not_readable_in_the_database(world: World) -> None:
    row = Connection.get()
    assert refresh_token(world).encode() not in bytes(row.ciphertext)
    assert world.daemon.tokens.access_token().encode() not in bytes(row.ciphertext)


def test_a_consent_that_was_not_started_here_is_refused(world: World) -> None:
    daemon = world.daemon
    back = consent_redirect(daemon.tokens.begin_consent())
    query = dict(parse_qsl(urlsplit(back).query))
    with pytest.raises(NotConnected, match="not started here"):
        daemon.tokens.finish_consent({**query, "state": "forged"})
    daemon.tokens.finish_consent(query)
    with pytest.raises(NotConnected, match="not started here"):
        daemon.tokens.finish_consent(query)


def test_a_consent_that_is_denied_says_so(world: World) -> None:
    back = consent_redirect(world.daemon.tokens.begin_consent(), approve=False)
    query = dict(parse_qsl(urlsplit(back).query))
    with pytest.raises(NotConnected, match="access_denied"):
        world.daemon.tokens.finish_consent(query)


def test_a_consent_under_another_alias_is_refused_and_changes_nothing(
    world: World,
) -> None:
    """Somebody has renamed the organisation's table in the settings."""
    update = {"tenants": {"itp": world.settings.tenants["main"]}}
    with another_process(world, world.settings.model_copy(update=update)) as theirs:
        back = consent_redirect(theirs.begin_consent())
        with pytest.raises(SettingsInvalid, match=r"\[tenants\.main\] again"):
            theirs.finish_consent(dict(parse_qsl(urlsplit(back).query)))
    (tenant,) = reference.tenants()
    assert tenant.alias == "main"
    world.invoiced(renewal_due())


def test_the_way_back_from_xero_shows_a_page(world: World) -> None:
    back = urlsplit(consent_redirect(world.daemon.tokens.begin_consent()))
    page = httpx.get(f"{world.daemon.public.url}/oauth/callback?{back.query}")
    assert page.status_code == 200
    assert "Institute of Tax Practitioners is connected" in page.text
    again = httpx.get(f"{world.daemon.public.url}/oauth/callback?{back.query}")
    assert again.status_code == 400
