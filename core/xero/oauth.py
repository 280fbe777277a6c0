"""OAuth with Xero, outside the SDK, whose token path loses rotated tokens.

Facts: a code lives five minutes, an access token thirty, a refresh token sixty days and
rotates on each use; the old one may be used again for thirty minutes if the new one was
lost (facts/xero.md, section 9).
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from core.errors import NotConnected, XeroUnreachable
from core.settings import XeroSettings


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What the token endpoint gave."""

    access_token: str
    refresh_token: str | None
    expires_at: float

    def is_fresh(self, now: datetime, margin_s: float) -> bool:
        return self.expires_at - margin_s > now.timestamp()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Consent:
    """Where to send a person, and what to remember until they come back."""

    url: str
    state: str
    verifier: str


class XeroOAuth:
    """The token endpoint and the list of connections.

    Args:
        settings: the app and the addresses.
        transport: how requests travel; None: as httpx does it.
    """

    def __init__(
        self, settings: XeroSettings, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.settings = settings
        timeout = httpx.Timeout(30.0, connect=5.0)
        self._http = httpx.Client(timeout=timeout, transport=transport)

    def close(self) -> None:
        self._http.close()

    def begin(self) -> Consent:
        """A consent with PKCE (S256) and an unguessable state."""
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.settings.redirect_uri,
            "scope": " ".join(self.settings.scopes),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        url = f"{self.settings.authorize_url}?{urlencode(query)}"
        return Consent(url, state, verifier)

    def exchange(self, code: str, verifier: str, now: datetime) -> TokenSet:
        """A code for tokens.

        Raises:
            NotConnected: Xero refused, with its reason.
            XeroUnreachable: no answer.
        """
        return self._token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.settings.redirect_uri,
                "code_verifier": verifier,
            },
            now,
        )

    def refresh(self, refresh_token: str, now: datetime) -> TokenSet:
        """The next tokens. Safe to repeat with the same token for thirty minutes."""
        return self._token(
            {"grant_type": "refresh_token", "refresh_token": refresh_token}, now
        )

    def client_credentials(self, now: datetime) -> TokenSet:
        scopes = [s for s in self.settings.scopes if s != "offline_access"]
        return self._token(
            {"grant_type": "client_credentials", "scope": " ".join(scopes)}, now
        )

    def connections(self, access_token: str) -> list[Mapping[str, Any]]:
        """The organisations that this token reaches."""
        try:
            response = self._http.get(
                self.settings.connections_url,
                headers={"Authorization": f"Bearer {access_token}"},
            )
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise XeroUnreachable(f"connections: {type(error).__name__}") from error
        return [c for c in response.json() if c.get("tenantType") == "ORGANISATION"]

    def _token(self, form: dict[str, str], now: datetime) -> TokenSet:
        secret = self.settings.client_secret
        auth = None
        if secret is None:
            form["client_id"] = self.settings.client_id
        else:
            auth = (self.settings.client_id, secret.get_secret_value())
        try:
            response = self._http.post(
                self.settings.token_url,
                data=form,
                auth=auth or httpx.USE_CLIENT_DEFAULT,
            )
        except httpx.HTTPError as error:
            raise XeroUnreachable(f"token: {type(error).__name__}") from error
        if response.status_code == 400 or response.status_code == 401:
            raise NotConnected(f"Xero refused the token: {_error_of(response)}")
        if response.status_code != 200:
            raise XeroUnreachable(f"token: HTTP {response.status_code}")
        return _token_set(response, now)


def _token_set(response: httpx.Response, now: datetime) -> TokenSet:
    try:
        raw = response.json()
        expires_at = now + timedelta(seconds=float(raw["expires_in"]))
        return TokenSet(
            raw["access_token"], raw.get("refresh_token"), expires_at.timestamp()
        )
    except (ValueError, KeyError, TypeError) as error:
        raise XeroUnreachable("token: the answer is not a token") from error


def _error_of(response: httpx.Response) -> str:
    try:
        return str(response.json().get("error", "unknown"))
    except (ValueError, AttributeError):
        return "unknown"
