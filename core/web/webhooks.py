"""POST /webhooks/xero: verified on its raw bytes, stored, and only then answered.

200  the signature is right and the events are committed (or there were none: Xero's
     probe of our intent to receive)
400  the signature is right, but no event can be read
401  no signature, or none that one of our keys makes; nothing is read or stored
404  there is no key, so nobody can be told from Xero: the endpoint is off
413  more than BODY_MAX_BYTES; the connection is closed
503  the commit failed; Xero sends it again
"""

import base64
import hmac
from collections.abc import Callable, Sequence
from typing import Literal

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from core.web.answers import bare
from core.web.body import read_body
from core.web.group_commit import GroupCommitter, NotCommitted
from core.webhook_events import WebhookBody, WebhookUnreadable, read_webhook

log = structlog.get_logger()

PATH = "/webhooks/xero"

#: A hundred events are about 40 kB; the rest is room for what Xero adds.
BODY_MAX_BYTES = 1024 * 1024

#: During a rotation Xero signs with either of two; a third has no purpose.
KEYS_MAX = 2

Outcome = Literal["stored", "probe", "unsigned", "unreadable", "not_stored", "cut"]


class WebhookEndpoint:
    """One endpoint for every tenant of the app.

    Args:
        committer: stores the events.
        keys: Xero's signing keys, new and old; empty ones are left out, because
            anybody can sign with an empty key.
        count: told the outcome of every request.
    """

    def __init__(
        self,
        committer: GroupCommitter,
        keys: Sequence[str],
        count: Callable[[Outcome], None],
    ) -> None:
        self._committer = committer
        self._keys = [key.encode() for key in keys if key]
        self._count = count
        if len(self._keys) > KEYS_MAX:
            raise ValueError(f"{len(self._keys)} webhook keys, at most {KEYS_MAX}")

    @property
    def route(self) -> Route:
        return Route(PATH, self.receive, methods=["POST"])

    async def receive(self, request: Request) -> Response:
        if not self._keys:
            return bare(404)
        signature = request.headers.get("x-xero-signature", "")
        try:
            # Also for a request that is to be refused: the next one on this connection
            # begins behind its body.
            body = await read_body(request, BODY_MAX_BYTES)
        except ClientDisconnect:
            self._count("cut")
            return bare(400)  # goes nowhere
        if not is_signed(body, signature, self._keys):
            self._count("unsigned")
            return bare(401)
        return await self._store(body)

    async def _store(self, body: bytes) -> Response:
        try:
            read = read_webhook(body)
        except WebhookUnreadable as error:
            self._count("unreadable")
            log.warning("webhook.unreadable", reason=str(error), size=len(body))
            return bare(400)
        if read.unreadable:
            log.warning("webhook.entries_left_out", count=read.unreadable)
        if not read.events:
            self._count("probe")
            return bare(200)
        return await self._commit(read)

    async def _commit(self, read: WebhookBody) -> Response:
        try:
            await self._committer.commit(read.events)
        except NotCommitted:
            self._count("not_stored")
            return bare(503)
        self._count("stored")
        return bare(200)


def is_signed(body: bytes, signature: str, keys: Sequence[bytes]) -> bool:
    """Whether one of the keys made this signature of these bytes."""
    # Bytes, not text: compare_digest raises TypeError on text that is not ASCII, and a
    # caller chooses the text. A header came as latin-1 and goes back to its bytes.
    given = signature.encode("latin-1", "replace")
    # Every key is tried, so that the time does not tell which one is in use.
    matches = [
        hmac.compare_digest(base64.b64encode(hmac.digest(key, body, "sha256")), given)
        for key in keys
    ]
    return any(matches)
