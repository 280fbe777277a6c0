"""``settled check``: everything that can be known to be wrong before it goes wrong."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import bus
import core
import plugins
from bus.connection import command_client, require_durable
from bus.embedded import RedisFolderTaken
from core import reference_data
from core.clock import SystemClock
from core.db import processes, reference, tokens
from core.db.database import check_writable, pending_migrations
from core.drafts import Price
from core.errors import SettingsInvalid, SettledError
from core.registry import Registry
from core.settings import Settings
from core.workflow_settings import WorkflowTables
from core.xero.oauth import XeroOAuth
from core.xero.tokens import Tokens
from settled.roles import EVERYTHING, Role, require_shareable
from settled.stores import Stores

#: Xero's names of zones for which the settings' name is known.
ZONES = {"SOUTHAFRICASTANDARDTIME": "Africa/Johannesburg"}


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    text: str
    is_fine: bool = True


def check_all(settings: Settings, *, offline: bool) -> list[Finding]:
    """Every finding, good and bad, in the order in which they would be mended."""
    stores = Stores(settings)
    try:
        stores.open_books()
        return [
            *_found("packages", require_own_packages),
            *_found("plugins", lambda: _plugins(settings)),
            *_found("database", _database),
            *_found("redis", lambda: _redis(stores)),
            *_found("roles", lambda: _roles(settings)),
            *_found("processes", _processes),
            *_found("xero app", lambda: _app(settings)),
            *([] if offline else _found("token", lambda: _token(settings, stores))),
            *_prices(),
            *_organisations(settings),
        ]
    finally:
        stores.close()


def require_own_packages() -> str:
    """Core, bus and plugins are names that others use too: are these ours?

    Raises:
        SettingsInvalid: one of them comes from another distribution.
    """
    try:
        distribution("settled")
    except PackageNotFoundError as error:
        raise SettingsInvalid("installation", "settled is not installed") from error
    here = Path(__file__).parent.parent
    for package in (core, bus, plugins):
        place = Path(str(package.__file__)).parent.parent
        if place != here:
            raise SettingsInvalid(
                "installation", f"the package {package.__name__} in {place} is not ours"
            )
    return f"from {here}"


def _found(what: str, look: Callable[[], str]) -> list[Finding]:
    try:
        return [Finding(what, look())]
    except SettledError as error:
        return [Finding(what, str(error), is_fine=False)]


def _plugins(settings: Settings) -> str:
    registry = Registry.installed()
    WorkflowTables(settings, registry)
    return ", ".join(registry.workflows) or "none"


def _database() -> str:
    if pending := pending_migrations():
        raise SettingsInvalid("database_url", f"pending: {', '.join(pending)}")
    if wrong := check_writable():
        raise SettingsInvalid("database_url", wrong)
    return "schema up to date, writable"


def _redis(stores: Stores) -> str:
    try:
        return require_durable_redis(stores.redis_url())
    except RedisFolderTaken:
        return "embedded, in use by a running daemon"


def _roles(settings: Settings) -> str:
    try:
        return f"can be run {require_shareable(settings)}"
    except SettingsInvalid as why_not:
        return f"everything in one process; {why_not}"


def _processes() -> str:
    """Who runs now. Roles are of no use alone: each needs all the others."""
    living = processes.living(SystemClock().now())
    counted = Counter(name.partition("@")[0] for name in sorted(living))
    missing = set(Role) - counted.keys()
    if missing not in (set(), set(Role)) and EVERYTHING not in counted:
        raise SettingsInvalid("run --role", f"nobody runs {', '.join(sorted(missing))}")
    return ", ".join(f"{role}: {n}" for role, n in counted.items()) or "none runs"


def require_durable_redis(url: str) -> str:
    """As ``require_durable``, of the server at an address."""
    client = command_client(url)
    try:
        return require_durable(client)
    finally:
        client.close()


def _app(settings: Settings) -> str:
    if not settings.xero.client_id:
        raise SettingsInvalid("xero.client_id", "is not set")
    if not settings.xero.webhook_keys:
        raise SettingsInvalid(
            "xero.webhook_keys", "none: payments are seen by the sweep alone"
        )
    return settings.xero.client_id


def _token(settings: Settings, stores: Stores) -> str:
    oauth = XeroOAuth(settings.xero)
    try:
        keeper = Tokens(settings, oauth, stores.seal(), SystemClock(), "check")
        keeper.access_token()
    finally:
        oauth.close()
    row = tokens.get(settings.xero.client_id)
    return f"version {row.version}" if row else "none"


def _prices() -> Iterator[Finding]:
    """Each price's account code and tax type against Xero's own, of every tenant."""
    rows = reference.all_prices()
    if not rows:
        yield Finding("prices", "none; run `settled prices import`", is_fine=False)
        return
    wrong = [
        Finding("prices", f"{tenant.alias}, {workflow} {price.sku}: {text}", False)
        for tenant in reference.tenants()
        if reference_data.is_known(tenant.alias)
        for workflow, price in rows
        for text in _codes_unknown(tenant.alias, price)
    ]
    yield from wrong or [Finding("prices", f"{len(rows)} rows")]


def _codes_unknown(tenant: str, price: Price) -> Iterator[str]:
    if price.account_code not in reference_data.account_codes(tenant):
        yield f"account code {price.account_code} is unknown to Xero"
    if price.tax_type not in reference_data.percent_by_tax_type(tenant):
        yield f"tax type {price.tax_type} is unknown to Xero"


def _organisations(settings: Settings) -> Iterator[Finding]:
    connected = {row.alias: row for row in reference.tenants()}
    for alias in sorted(connected.keys() - settings.tenants.keys()):
        text = "is in the books and not in the settings; an alias can't be renamed"
        yield Finding(f"tenants.{alias}", text, is_fine=False)
    for alias, tenant in settings.tenants.items():
        what = f"tenants.{alias}"
        if alias not in connected:
            yield Finding(what, "not connected; run `settled connect`", is_fine=False)
        elif not reference_data.is_known(alias):
            yield Finding(what, f"{connected[alias].name}, nothing read yet")
        else:
            theirs = str(reference_data.organisation(alias).get("Timezone", ""))
            fits = ZONES.get(theirs, tenant.zone) == tenant.zone
            text = f"{connected[alias].name}, zone {tenant.zone}"
            yield Finding(what, text if fits else f"{text}; Xero says {theirs}", fits)
