"""The registered app: who may ask for consent, and for what."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

#: Granular scopes, and the ones that did not change (facts section 1).
SCOPES = frozenset(
    {
        "openid",
        "profile",
        "email",
        "offline_access",
        *(
            f"accounting.{area}{suffix}"
            for area in (
                "invoices",
                "payments",
                "contacts",
                "settings",
                "attachments",
                "banktransactions",
                "manualjournals",
            )
            for suffix in ("", ".read")
        ),
    }
)

#: Scopes of apps created before 2 March 2026; new apps may not ask for them.
BROAD_SCOPES = frozenset(
    {
        "accounting.transactions",
        "accounting.transactions.read",
        "accounting.reports.read",
    }
)

#: From then on broad scopes work for nobody.
BROAD_SCOPES_END = datetime(2027, 9, 13, tzinfo=UTC)

DEFAULT_REDIRECT_URI = "http://localhost:8080/xero/callback"


def check_redirect_uri(uri: str) -> str:
    """Return the address if Xero would register it.

    Raises:
        ValueError: it is neither https nor http://localhost.
    """
    parts = urlsplit(uri)
    if parts.scheme == "https" and parts.netloc:
        return uri
    if parts.scheme == "http" and parts.hostname == "localhost":
        return uri
    raise ValueError(f"{uri}: a redirect URI is https, or http://localhost")


@dataclass(slots=True)
class App:
    """One app. Without a secret it is a PKCE app.

    Attributes:
        is_custom_connection: client_credentials work, and no other grant does. Xero
            does not offer this to South African organisations.
        has_broad_scopes: created before 2 March 2026.
    """

    client_id: str = field(default_factory=lambda: secrets.token_hex(16).upper())
    client_secret: str | None = field(default_factory=lambda: secrets.token_urlsafe(36))
    redirect_uris: list[str] = field(default_factory=lambda: [DEFAULT_REDIRECT_URI])
    name: str = "settled"
    is_custom_connection: bool = False
    has_broad_scopes: bool = False

    def __post_init__(self) -> None:
        for uri in self.redirect_uris:
            check_redirect_uri(uri)

    def unknown_scopes(self, asked: frozenset[str]) -> frozenset[str]:
        """Return the scopes that this app may not ask for."""
        allowed = SCOPES | (BROAD_SCOPES if self.has_broad_scopes else frozenset())
        return asked - allowed
