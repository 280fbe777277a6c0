"""The tokens of the app: consented once, refreshed by one process at a time."""

import hashlib
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog

from core.clock import Clock
from core.db import problems, reference, tokens
from core.db.database import transaction
from core.db.models import Connection
from core.errors import NotConnected, SettingsInvalid, XeroUnreachable
from core.settings import Settings
from core.xero.oauth import TokenSet, XeroOAuth
from core.xero.sealing import Seal

log = structlog.get_logger()

#: A token with less than this to live is refreshed: longer than the longest call.
MARGIN_S = 120

#: The token endpoint answers within 30 s or not at all.
REFRESH_WITHIN_S = 40

PROBLEM = "xero_connection"


class Tokens:
    """Implements ``core.xero.door.AccessTokens`` and the consent."""

    def __init__(
        self, settings: Settings, oauth: XeroOAuth, seal: Seal, clock: Clock, who: str
    ) -> None:
        self.settings = settings
        self.oauth = oauth
        self.seal = seal
        self.clock = clock
        self.who = who
        self._lock = threading.Lock()
        self._held: TokenSet | None = None
        self._distrusted = ""
        self._never = threading.Event()

    def access_token(self) -> str:
        with self._lock:
            held = self._held
            if held is None or not held.is_fresh(self.clock.now(), MARGIN_S):
                held = self._held = self._current()
            return held.access_token

    def distrust(self, token: str) -> None:
        with self._lock:
            self._distrusted = token
            if self._held is not None and self._held.access_token == token:
                self._held = None

    def begin_consent(self) -> str:
        """The address to which a person goes to consent."""
        if not self.settings.xero.client_id:
            raise SettingsInvalid("xero.client_id", "is needed to connect")
        consent = self.oauth.begin()
        verifier = self.seal.close("consent", {"verifier": consent.verifier})
        with transaction():
            tokens.add_attempt(_hash(consent.state), verifier, self.clock.now())
        return consent.url

    def finish_consent(self, query: Mapping[str, str]) -> list[str]:
        """What Xero's redirect brought: the names of the organisations now connected.

        Raises:
            NotConnected: denied, or a state that we did not give out.
            SettingsInvalid: the organisation is another alias's in the books.
        """
        if "error" in query:
            raise NotConnected(f"Xero answered: {query['error']}")
        now = self.clock.now()
        with transaction():
            sealed = tokens.take_attempt(_hash(query.get("state", "")), now)
        if sealed is None:
            raise NotConnected("this consent was not started here, or is too old")
        verifier = self.seal.open("consent", sealed)["verifier"]
        return self._connected(
            self.oauth.exchange(query.get("code", ""), verifier, now)
        )

    def connect_by_credentials(self) -> list[str]:
        """A custom connection, where Xero offers one: no person, no refresh token."""
        return self._connected(self.oauth.client_credentials(self.clock.now()))

    def _connected(self, got: TokenSet) -> list[str]:
        found = self.oauth.connections(got.access_token)
        chosen = _assign(self.settings, found)
        _require_known_names(chosen)
        now = self.clock.now()
        client_id = self.settings.xero.client_id
        with transaction():
            tokens.put(client_id, self._seal(got), now)
            for alias, connection in chosen.items():
                name = str(connection.get("tenantName", alias))
                reference.put_tenant(alias, connection["tenantId"], name, now)
            problems.close_problem(PROBLEM, now)
        with self._lock:
            self._held = got
        log.info("xero.connected", tenants=sorted(chosen))
        return [str(c.get("tenantName", alias)) for alias, c in chosen.items()]

    def _current(self) -> TokenSet:
        """The stored tokens, refreshed if need be, by us or by whoever is at it."""
        deadline = self.clock.now() + timedelta(seconds=REFRESH_WITHIN_S)
        while self.clock.now() < deadline:
            row = self._row()
            if row is None:
                raise NotConnected("nobody has consented; run `settled connect`")
            stored = self._open(row)
            if self._is_good(stored):
                return stored
            refreshed = self._refresh(row)
            if refreshed is not None:
                return refreshed
            self.clock.wait(self._never, 0.2)
        raise XeroUnreachable("another process is refreshing the token for too long")

    def _is_good(self, stored: TokenSet) -> bool:
        return (
            stored.is_fresh(self.clock.now(), MARGIN_S)
            and stored.access_token != self._distrusted
        )

    def _refresh(self, row: Connection) -> TokenSet | None:
        """Rotate; None if somebody else is at it.

        If our answer is lost, or our write of it, the stored token is the old one, and
        Xero accepts it again for thirty minutes.
        """
        now = self.clock.now()
        until = now + timedelta(seconds=REFRESH_WITHIN_S)
        with transaction():
            if not tokens.start_refresh(row, self.who, now, until):
                return None
        got: TokenSet | None = None
        try:
            got = self._next(self._open(row))
        except NotConnected as error:
            self._report(str(error))
            raise
        finally:
            sealed = None if got is None else self._seal(got)
            with transaction():
                tokens.end_refresh(row, self.who, sealed, self.clock.now())
                if got is not None:
                    problems.close_problem(PROBLEM, self.clock.now())
        log.info("xero.token_refreshed", version=row.version + 1)
        return got

    def _next(self, stored: TokenSet) -> TokenSet:
        now = self.clock.now()
        if self.settings.xero.grant == "client_credentials":
            return self.oauth.client_credentials(now)
        if stored.refresh_token is None:
            raise NotConnected("the stored consent has no refresh token")
        return self.oauth.refresh(stored.refresh_token, now)

    def _row(self) -> Connection | None:
        return tokens.get(self.settings.xero.client_id)

    def _open(self, row: Connection) -> TokenSet:
        content = self.seal.open(row.client_id, bytes(row.ciphertext))
        return TokenSet(**content)

    def _seal(self, got: TokenSet) -> bytes:
        return self.seal.close(self.settings.xero.client_id, got.as_dict())

    def _report(self, reason: str) -> None:
        with transaction():
            problems.open_problem(
                "xero_connection",
                PROBLEM,
                f"Xero must be connected again: {reason}",
                self.clock.now(),
            )


def _assign(
    settings: Settings, found: list[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Which connection is which tenant of the settings."""
    by_id = {connection["tenantId"]: connection for connection in found}
    chosen = {}
    for alias, tenant in settings.tenants.items():
        if tenant.tenant_id is not None:
            if tenant.tenant_id not in by_id:
                raise NotConnected(f"the consent does not reach tenant {alias}")
            chosen[alias] = by_id[tenant.tenant_id]
        elif len(found) == 1 and len(settings.tenants) == 1:
            chosen[alias] = found[0]
        else:
            raise NotConnected(
                f"tenants.{alias}.tenant_id: needed, the consent reaches "
                f"{len(found)} organisations"
            )
    return chosen


def _require_known_names(chosen: Mapping[str, Mapping[str, Any]]) -> None:
    """The books of an organisation stay with the alias that it was first called by."""
    known = {row.xero_tenant_id: row.alias for row in reference.tenants()}
    for alias, connection in chosen.items():
        before = known.get(connection["tenantId"], alias)
        if before != alias:
            raise SettingsInvalid(
                f"tenants.{alias}",
                f"{connection.get('tenantName', alias)} is `{before}` in the books, "
                "where every row says so: an alias can't be renamed. Call the table "
                f"[tenants.{before}] again and consent once more; nothing was changed",
            )


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
