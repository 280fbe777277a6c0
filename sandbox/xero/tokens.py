"""Codes, access tokens and refresh tokens (facts section 9)."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

CODE_LIFETIME = timedelta(minutes=5)
ACCESS_LIFETIME = timedelta(minutes=30)
REFRESH_LIFETIME = timedelta(days=60)
#: How long a rotated refresh token may be tried again, if the new one was lost.
GRACE = timedelta(minutes=30)

_ISSUER = "https://identity.xero.com"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person agreed to in one consent."""

    client_id: str
    scopes: frozenset[str]
    auth_event_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(slots=True)
class Code:
    """One authorisation code."""

    grant: Grant
    redirect_uri: str
    challenge: str | None
    expires_at: datetime
    used: bool = False


@dataclass(frozen=True, slots=True)
class AccessToken:
    """One access token, known by its text."""

    grant: Grant
    expires_at: datetime


@dataclass(slots=True)
class RefreshToken:
    """One refresh token. It is rotated by its first use."""

    grant: Grant
    expires_at: datetime
    rotated_at: datetime | None = None


class TokenStore:
    """All codes and tokens of the app."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._codes: dict[str, Code] = {}
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, RefreshToken] = {}

    def new_code(self, grant: Grant, redirect_uri: str, challenge: str | None) -> str:
        """Return a code for the token endpoint."""
        text = secrets.token_urlsafe(32)
        expires_at = self._now() + CODE_LIFETIME
        self._codes[text] = Code(grant, redirect_uri, challenge, expires_at)
        return text

    def redeem(
        self, text: str, client_id: str, redirect_uri: str, verifier: str | None
    ) -> Grant | None:
        """Return the grant of a code once, or None where it is not good."""
        code = self._codes.get(text)
        if code is None or code.used or code.grant.client_id != client_id:
            return None
        code.used = True
        if code.expires_at <= self._now() or code.redirect_uri != redirect_uri:
            return None
        if code.challenge is not None and not _proves(verifier, code.challenge):
            return None
        return code.grant

    def new_access(self, grant: Grant) -> str:
        """Return a fresh access token."""
        now = self._now()
        text = _jwt(grant, now)
        self._access[text] = AccessToken(grant, now + ACCESS_LIFETIME)
        return text

    def new_refresh(self, grant: Grant) -> str:
        """Return a fresh refresh token."""
        text = secrets.token_urlsafe(32)
        self._refresh[text] = RefreshToken(grant, self._now() + REFRESH_LIFETIME)
        return text

    def rotate(self, text: str, client_id: str) -> Grant | None:
        """Use a refresh token; None where it is expired, revoked or rotated too long.

        An old token stays good for the grace after its first use.
        """
        token, now = self._refresh.get(text), self._now()
        if token is None or token.grant.client_id != client_id:
            return None
        if token.expires_at <= now:
            return None
        if token.rotated_at is not None and now >= token.rotated_at + GRACE:
            return None
        token.rotated_at = token.rotated_at or now
        return token.grant

    def access(self, text: str) -> AccessToken | None:
        """Return what an access token stands for, even after its end."""
        return self._access.get(text)

    def knows_refresh(self, text: str) -> bool:
        """Whether this refresh token was issued and not revoked."""
        return text in self._refresh

    def revoke_all(self) -> None:
        """Make every token of the app's user worthless."""
        self._codes.clear()
        self._access.clear()
        self._refresh.clear()


def _proves(verifier: str | None, challenge: str) -> bool:
    if verifier is None or not 43 <= len(verifier) <= 128:
        return False
    return s256(verifier) == challenge


def s256(verifier: str) -> str:
    """Return the code challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _jwt(grant: Grant, now: datetime) -> str:
    header = {"alg": "RS256", "kid": "1CAF8E66772D6DC0", "typ": "JWT"}
    claims = {
        "nbf": int(now.timestamp()),
        "exp": int((now + ACCESS_LIFETIME).timestamp()),
        "iss": _ISSUER,
        "aud": f"{_ISSUER}/resources",
        "client_id": grant.client_id,
        "sub": "sandbox-user",
        "auth_time": int(now.timestamp()),
        "xero_userid": "6e0fa9c1-6b3c-4a37-8d3f-6f2f0f7f3a11",
        "global_session_id": uuid4().hex,
        "jti": uuid4().hex,
        "authentication_event_id": grant.auth_event_id,
        "scope": sorted(grant.scopes),
    }
    parts = [json.dumps(part).encode() for part in (header, claims)]
    signature = secrets.token_bytes(256)
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (*parts, signature)
    )


def id_token(grant: Grant, now: datetime) -> str:
    """Return an id token; it says who consented."""
    return _jwt(grant, now)
