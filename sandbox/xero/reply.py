"""One HTTP answer, and the error bodies of Xero (facts section 10)."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sandbox.xero.limits import Refusal
from sandbox.xero.wire import encode

JSON = "application/json; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is sent."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


def document(content: object, status: int = 200) -> Reply:
    """Return an accounting document."""
    return Reply(status, encode(content))


def plain_json(content: object, status: int = 200) -> Reply:
    """Return JSON of the identity API."""
    return Reply(status, json.dumps(content).encode())


def text(content: str, status: int) -> Reply:
    """Return plain text."""
    return Reply(status, content.encode(), PLAIN)


def page(content: str, status: int = 200) -> Reply:
    """Return a page for a person."""
    return Reply(status, content.encode(), HTML)


def redirect(location: str) -> Reply:
    """Send a browser elsewhere."""
    return Reply(302, b"", HTML, {"Location": location})


def problem(status: int, title: str, detail: str) -> Reply:
    """Return the body that the gateway in front of the accounting API writes."""
    body: dict[str, object] = {
        "Type": None,
        "Title": title,
        "Status": status,
        "Detail": detail,
        "Instance": str(uuid4()),
        "Extensions": {},
    }
    return Reply(status, json.dumps(body).encode())


def unauthorized(detail: str) -> Reply:
    """Refuse a token."""
    return problem(401, "Unauthorized", detail)


def token_expired(at: datetime) -> Reply:
    """Refuse a token that was good once."""
    return unauthorized(f"TokenExpired: token expired at {at:%m/%d/%Y %H:%M:%S}")


def scope_missing() -> Reply:
    """Refuse a good token that lacks a scope: 401, not 403."""
    reply = unauthorized("AuthorizationUnsuccessful")
    challenge = 'Bearer error="insufficent_scope"'  # Xero misspells it.
    return Reply(401, reply.body, reply.content_type, {"WWW-Authenticate": challenge})


def forbidden() -> Reply:
    """Refuse a tenant that is not connected."""
    return problem(403, "Forbidden", "AuthenticationUnsuccessful")


def not_found() -> Reply:
    """Answer for what does not exist."""
    return text("The resource you're looking for cannot be found", 404)


def offline() -> Reply:
    """Answer for an organisation that Xero cannot reach."""
    return text("The Organisation is offline", 503)


def server_error() -> Reply:
    """Answer that says nothing."""
    return text("An error occurred in Xero. Check the API Status page", 500)


def exception(number: int, kind: str, message: str, elements: list[Any]) -> Reply:
    """Return an exception of the accounting API."""
    body: dict[str, Any] = {"ErrorNumber": number, "Type": kind, "Message": message}
    if elements:
        body["Elements"] = elements
    return document(body, 400)


def validation(elements: list[Any]) -> Reply:
    """Return the elements that broke rules."""
    message = "A validation exception occurred"
    return exception(10, "ValidationException", message, elements)


def rate_limited(refusal: Refusal) -> Reply:
    """Return an empty 429."""
    headers: dict[str, str] = {"X-Rate-Limit-Problem": refusal.problem}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    return Reply(429, b"", PLAIN, headers)
