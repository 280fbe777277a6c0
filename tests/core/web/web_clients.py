"""Clients of the HTTP edge: Xero as it signs, and strangers as they come."""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from core.web.server import HttpServer
from core.webhook_events import WebhookEvent

KEY = "the key that Xero shows on its webhooks page"
OLD_KEY = "the key of last year"
TENANT = "c0ffee00-0000-4000-8000-000000000001"


class Memory:
    """A receiver that remembers what was stored, commit by commit."""

    def __init__(self) -> None:
        self.commits: list[Sequence[WebhookEvent]] = []

    def store(self, events: Sequence[WebhookEvent]) -> None:
        self.commits.append(events)

    @property
    def resource_ids(self) -> list[str]:
        return [event.resource_id for commit in self.commits for event in commit]


def webhook(*resource_ids: str) -> bytes:
    events = [
        {
            "resourceId": resource_id,
            "eventDateUtc": "2026-09-28T10:11:12.345",
            "eventType": "UPDATE",
            "eventCategory": "INVOICE",
            "tenantId": TENANT,
            "tenantType": "ORGANISATION",
        }
        for resource_id in resource_ids
    ]
    return json.dumps({"events": events, "entropy": "S0m3R4ndom"}).encode()


def signature(body: bytes, key: str = KEY) -> str:
    """As Xero's documentation describes it, not as our code computes it."""
    return base64.b64encode(
        hmac.new(key.encode(), body, hashlib.sha256).digest()
    ).decode()


def post(body: bytes, *headers: bytes) -> bytes:
    """A raw request, for what no HTTP library would send."""
    lines = [
        b"POST /webhooks/xero HTTP/1.1",
        b"host: test",
        b"content-length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


@contextmanager
def connected(server: HttpServer, timeout_s: float = 10) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout_s) as connection:
        yield connection


def all_until_closed(connection: socket.socket) -> bytes:
    """What the server says until it closes, or cuts, the connection."""
    received = b""
    try:
        while part := connection.recv(65_536):
            received += part
    except ConnectionError:
        pass
    return received


def status_line(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n" not in received:
        part = connection.recv(65_536)
        if not part:
            break
        received += part
    return received.partition(b"\r\n")[0]
