"""The identity server: consent, tokens, revocation, connections."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from sandbox.xero import reply
from sandbox.xero.app import App
from sandbox.xero.call import Call
from sandbox.xero.reply import Reply
from sandbox.xero.tokens import (
    ACCESS_LIFETIME,
    AccessToken,
    Grant,
    TokenStore,
    id_token,
)


@dataclass(slots=True)
class Connection:
    """One organisation that the app may reach."""

    connection_id: str
    auth_event_id: str
    tenant_id: str
    tenant_name: str
    created_at: datetime
    updated_at: datetime

    def shape(self) -> dict[str, str]:
        """Return the connection as Xero shows it."""
        return {
            "id": self.connection_id,
            "authEventId": self.auth_event_id,
            "tenantId": self.tenant_id,
            "tenantType": "ORGANISATION",
            "tenantName": self.tenant_name,
            "createdDateUtc": f"{self.created_at:%Y-%m-%dT%H:%M:%S.%f}0",
            "updatedDateUtc": f"{self.updated_at:%Y-%m-%dT%H:%M:%S.%f}0",
        }


class Identity:
    """Answers for login.xero.com, identity.xero.com and /connections."""

    def __init__(
        self,
        app: App,
        tokens: TokenStore,
        tenants: dict[str, str],
        now: Callable[[], datetime],
    ) -> None:
        self.app = app
        self.tokens = tokens
        self.connections: dict[str, Connection] = {}
        self._tenants = tenants
        self._now = now

    # -- consent -------------------------------------------------------------------

    def ask_consent(self, call: Call) -> Reply:
        """Show the page on which a person agrees."""
        wrong = self._wrong_request(call.query)
        if wrong:
            return wrong
        return reply.page(self._consent_page(call.query))

    def give_consent(self, call: Call) -> Reply:
        """Take the person's answer, and send the browser back to the app."""
        form = call.form
        asked = call.query | {k: v for k, v in form.items() if k != "answer"}
        wrong = self._wrong_request(asked)
        if wrong:
            return wrong
        back = {"state": asked["state"]} if "state" in asked else {}
        if form.get("answer") != "approve":
            return _return_to(asked["redirect_uri"], {"error": "access_denied"} | back)
        grant = Grant(self.app.client_id, frozenset(asked["scope"].split()))
        self._connect(grant, form.get("tenant_id"))
        code = self.tokens.new_code(
            grant, asked["redirect_uri"], asked.get("code_challenge")
        )
        answer = {"code": code, "scope": asked["scope"]} | back
        return _return_to(asked["redirect_uri"], answer)

    def _wrong_request(self, asked: dict[str, str]) -> Reply | None:
        """Return Xero's error page; such errors never reach the redirect URI."""
        app = self.app
        scopes = frozenset(asked.get("scope", "").split())
        method = asked.get("code_challenge_method")
        has_challenge = "code_challenge" in asked
        checks = (
            (asked.get("client_id") != app.client_id, "unauthorized_client", ""),
            (app.is_custom_connection, "unauthorized_client", "custom connection"),
            (
                asked.get("redirect_uri") not in app.redirect_uris,
                "invalid_request",
                "Invalid redirect_uri",
            ),
            (asked.get("response_type") != "code", "unsupported_response_type", ""),
            (
                not scopes or bool(app.unknown_scopes(scopes)),
                "invalid_scope",
                "Invalid scope for client",
            ),
            (
                has_challenge and method != "S256",
                "invalid_request",
                "code_challenge_method must be S256",
            ),
            (
                not has_challenge and app.client_secret is None,
                "invalid_request",
                "code_challenge is missing",
            ),
        )
        for is_wrong, error, detail in checks:
            if is_wrong:
                return _error_page(error, detail)
        return None

    def _consent_page(self, asked: dict[str, str]) -> str:
        hidden = "".join(
            f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">'
            for k, v in asked.items()
        )
        scopes = "".join(f"<li>{escape(s)}</li>" for s in asked["scope"].split())
        choices = "".join(
            f'<option value="{escape(i)}">{escape(name)}</option>'
            for i, name in self._tenants.items()
        )
        return (
            "<!doctype html><title>Allow access</title>"
            f"<h1>{escape(self.app.name)} wants access to your organisation</h1>"
            f"<ul>{scopes}</ul>"
            f'<form method="post" action="/identity/connect/authorize">{hidden}'
            f'<label>Organisation <select name="tenant_id">{choices}'
            '<option value="">all of them</option></select></label> '
            '<button name="answer" value="approve">Allow access</button> '
            '<button name="answer" value="deny">Cancel</button></form>'
        )

    def _connect(self, grant: Grant, tenant_id: str | None) -> None:
        now = self._now()
        for known_id, name in self._tenants.items():
            if tenant_id and tenant_id != known_id:
                continue
            old = next(
                (c for c in self.connections.values() if c.tenant_id == known_id), None
            )
            if old:
                old.auth_event_id, old.updated_at = grant.auth_event_id, now
                continue
            connection = Connection(
                str(uuid4()), grant.auth_event_id, known_id, name, now, now
            )
            self.connections[connection.connection_id] = connection

    # -- tokens --------------------------------------------------------------------

    def token(self, call: Call) -> Reply:
        """Exchange a code, a refresh token or a secret for an access token."""
        form = call.form
        client_id, secret = _client(call)
        if client_id != self.app.client_id or secret != self.app.client_secret:
            return _token_error("invalid_client")
        match form.get("grant_type"):
            case "authorization_code" if not self.app.is_custom_connection:
                grant = self.tokens.redeem(
                    form.get("code", ""),
                    client_id,
                    form.get("redirect_uri", ""),
                    form.get("code_verifier"),
                )
            case "refresh_token":
                grant = self.tokens.rotate(form.get("refresh_token", ""), client_id)
            case "client_credentials":
                return self._client_credentials(form)
            case _:
                return _token_error("unsupported_grant_type")
        if grant is None:
            return _token_error("invalid_grant")
        return self._issue(grant, refreshable="offline_access" in grant.scopes)

    def _client_credentials(self, form: dict[str, str]) -> Reply:
        if not self.app.is_custom_connection:
            return _token_error("unauthorized_client")
        scopes = frozenset(form.get("scope", "").split())
        if not scopes or self.app.unknown_scopes(scopes):
            return _token_error("invalid_scope")
        grant = Grant(self.app.client_id, scopes)
        if not self.connections:
            self._connect(grant, None)
        return self._issue(grant, refreshable=False)

    def _issue(self, grant: Grant, *, refreshable: bool) -> Reply:
        body: dict[str, Any] = {
            "access_token": self.tokens.new_access(grant),
            "expires_in": int(ACCESS_LIFETIME.total_seconds()),
            "token_type": "Bearer",
            "scope": " ".join(sorted(grant.scopes)),
        }
        if "openid" in grant.scopes:
            body["id_token"] = id_token(grant, self._now())
        if refreshable:
            body["refresh_token"] = self.tokens.new_refresh(grant)
        return reply.plain_json(body)

    def revoke(self, call: Call) -> Reply:
        """Revoke a refresh token, and with it every connection of its user."""
        client_id, secret = _client(call)
        if client_id != self.app.client_id or secret != self.app.client_secret:
            return _token_error("invalid_client")
        if self.tokens.knows_refresh(call.form.get("token", "")):
            self.tokens.revoke_all()
            self.connections.clear()
        return Reply(200)

    def bearer(self, call: Call) -> AccessToken | Reply:
        """Return the token that a call carries, or the 401 it deserves."""
        kind, _, text = (call.header("authorization") or "").partition(" ")
        token = self.tokens.access(text.strip()) if kind.lower() == "bearer" else None
        if token is None:
            return reply.unauthorized("AuthenticationUnsuccessful")
        if token.expires_at <= self._now():
            return reply.token_expired(token.expires_at)
        return token

    # -- connections ---------------------------------------------------------------

    def list_connections(self, call: Call) -> Reply:
        """List the organisations that the token's user connected."""
        token = self.bearer(call)
        if isinstance(token, Reply):
            return token
        wanted = call.query.get("authEventId")
        return reply.plain_json(
            [
                c.shape()
                for c in self.connections.values()
                if wanted in (None, c.auth_event_id)
            ]
        )

    def disconnect(self, call: Call) -> Reply:
        """Remove a connection; tokens stay good, the tenant answers 403."""
        token = self.bearer(call)
        if isinstance(token, Reply):
            return token
        if self.connections.pop(call.keys["id"], None) is None:
            return reply.not_found()
        return Reply(204)

    def is_connected(self, tenant_id: str) -> bool:
        """Whether the app may reach an organisation."""
        return any(c.tenant_id == tenant_id for c in self.connections.values())


def discovery(base_url: str) -> Reply:
    """Return the OpenID configuration, with the sandbox's own addresses."""
    return reply.plain_json(
        {
            "issuer": base_url,
            "authorization_endpoint": f"{base_url}/identity/connect/authorize",
            "token_endpoint": f"{base_url}/connect/token",
            "revocation_endpoint": f"{base_url}/connect/revocation",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
            ],
            "code_challenge_methods_supported": ["S256"],
        }
    )


def _client(call: Call) -> tuple[str, str | None]:
    """Return client id and secret, from Basic authentication or from the form."""
    kind, _, text = (call.header("authorization") or "").partition(" ")
    if kind.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(text).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", None
        return client_id, secret
    form = call.form
    return form.get("client_id", ""), form.get("client_secret") or None


def _token_error(error: str) -> Reply:
    return reply.plain_json({"error": error}, 400)


def _return_to(redirect_uri: str, answer: dict[str, str]) -> Reply:
    join = "&" if "?" in redirect_uri else "?"
    return reply.redirect(f"{redirect_uri}{join}{urlencode(answer)}")


def _error_page(error: str, detail: str = "") -> Reply:
    shown = escape(f"{error}: {detail}" if detail else error)
    content = f"<!doctype html><title>Error</title><h1>Sorry</h1><p>Error: {shown}</p>"
    return reply.page(content, 400)
