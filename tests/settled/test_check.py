"""``settled check`` finds what is wrong before it goes wrong, and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.db import reference
from core.db.database import transaction
from core.db.models import PriceRow, Reference, Tenant
from core.settings import load_settings
from sandbox.platform import prices_csv
from settled.cli import SOMETHING_WRONG
from settled.maintenance import import_price_file, opened_books
from tests.servers import RedisServer
from tests.settled.command import Ended, settled
from tests.settled.rehearsed import Installation
from tests.world import World


@pytest.fixture(scope="module")
def good(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer
) -> Iterator[Installation]:
    """Connected, with prices, and Xero's codes read; the daemon has been stopped."""
    folder = tmp_path_factory.mktemp("good")
    with redis_server.client() as client:
        client.flushall()
    with World(
        folder / "data",
        f"sqlite:///{folder / 'books.db'}",
        redis_server.url,
        started_at=SystemClock().now(),
        prices_csv=prices_csv(),
    ) as world:
        world.stop_daemon()
        installation = Installation(folder, world.xero, 0)
        installation.values["database_url"] = f"sqlite:///{folder / 'books.db'}"
        yield installation


def check(installation: Installation, *options: str, **changed: Any) -> Ended:
    config = installation.config(**changed)
    ended = settled("check", "--config", config, *options)
    assert ended.err == ""
    return ended


def wrong(ended: Ended) -> dict[str, str]:
    """What was found to be wrong, by what it is about; the command says so too."""
    found = {}
    for line in ended.out.splitlines():
        if line.strip().startswith("WRONG"):
            _, what, text = (
                line.split(maxsplit=2)
                if "xero app" not in line
                else (
                    "WRONG",
                    "xero app",
                    line.partition("xero app")[2],
                )
            )
            found[what] = text.strip()
    assert ended.code == (SOMETHING_WRONG if found else 0)
    return found


def test_a_good_installation_is_fine(good: Installation) -> None:
    ended = check(good)
    assert wrong(ended) == {}
    assert ended.code == 0
    for what in (
        "packages",
        "plugins",
        "database",
        "redis",
        "xero app",
        "token",
        "prices",
        "tenants.main",
    ):
        assert what in ended.out


def test_offline_it_asks_nothing_of_xero(good: Installation) -> None:
    calls = good.xero.control.ledger()["calls"]
    ended = check(good, "--offline", xero={"token_url": "http://127.0.0.1:1/token"})
    assert wrong(ended) == {}
    assert "token" not in ended.out
    assert good.xero.control.ledger()["calls"] == calls


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ("999,OUTPUT3", "account code 999 is unknown to Xero"),
        ("200,OUTPUT9", "tax type OUTPUT9 is unknown to Xero"),
        ("090,OUTPUT3", "account code 090 is unknown to Xero"),  # a bank account
    ],
)
def test_a_code_of_a_price_that_xero_does_not_have_is_found(
    good: Installation, codes: str, told: str
) -> None:
    settings = load_settings(Path(good.config()))
    file = good.folder / "wrong.csv"
    row = f"membership,mistaken,2026-01-01,ZAR,1.00,{codes},A mistake"
    file.write_text(f"{prices_csv().splitlines()[0]}\n{row}\n")
    import_price_file(settings, file)
    try:
        found = wrong(check(good))
    finally:
        with opened_books(settings), transaction():
            PriceRow.delete().where(PriceRow.sku == "mistaken").execute()
    assert found == {"prices": f"main, membership mistaken: {told}"}


def test_a_redis_that_keeps_nothing_is_found(
    good: Installation, redis_server: RedisServer
) -> None:
    found = wrong(check(good, redis_url=redis_server.url))
    assert found == {"redis": "redis_url: appendonly is off: a restart loses messages"}


def test_a_redis_that_is_not_there_is_found(good: Installation) -> None:
    found = wrong(check(good, redis_url="redis://127.0.0.1:1/0"))
    assert set(found) == {"redis"}
    assert found["redis"].startswith("Redis can't be reached: ")


def test_a_tenant_that_was_never_connected_is_found(good: Installation) -> None:
    found = wrong(check(good, tenants={"main": {}, "branch": {}}))
    assert found == {"tenants.branch": "not connected; run `settled connect`"}


def test_missing_webhook_keys_are_found(good: Installation) -> None:
    found = wrong(check(good, xero={"webhook_keys": []}))
    assert set(found) == {"xero app"}
    assert found["xero app"].startswith("xero.webhook_keys: none: payments are seen")


def test_an_app_that_nobody_consented_to_is_found(good: Installation) -> None:
    found = wrong(check(good, xero={"client_id": "another-app"}))
    assert found == {"token": "nobody has consented; run `settled connect`"}


def test_tokens_that_no_key_opens_are_found(good: Installation) -> None:
    key = "A" * 43 + "="
    found = wrong(check(good, token_keys=[key]))
    assert found == {"token": "no key in token_keys opens the stored tokens"}


def test_a_plugins_table_with_a_mistake_is_found(good: Installation) -> None:
    found = wrong(check(good, plugins={"exams": {}}))
    assert found == {"plugins": "plugins.exams: no such workflow is installed"}


def test_a_zone_that_is_not_the_organisations_is_found(good: Installation) -> None:
    found = wrong(check(good, tenants={"main": {"zone": "Europe/London"}}))
    assert set(found) == {"tenants.main"}
    assert found["tenants.main"].endswith("Xero says SOUTHAFRICASTANDARDTIME")


def test_an_organisation_that_was_not_read_yet_is_no_mistake(
    good: Installation,
) -> None:
    settings = load_settings(Path(good.config()))
    with opened_books(settings):
        (held,) = Reference.select().where(Reference.kind == "accounts")
        with transaction():
            held.delete_instance()
    try:
        ended = check(good)
    finally:
        with opened_books(settings), transaction():
            reference.put_reference("main", "accounts", held.body, held.read_at)
    assert wrong(ended) == {}
    assert "nothing read yet" in ended.out


def test_a_new_installation_is_told_everything_it_lacks() -> None:
    ended = settled("check")
    assert wrong(ended) == {
        "xero app": "xero.client_id: is not set",
        "token": "nobody has consented; run `settled connect`",
        "prices": "none; run `settled prices import`",
        "tenants.main": "not connected; run `settled connect`",
    }
    with opened_books(load_settings(None)):
        assert Tenant.select().count() == 0
