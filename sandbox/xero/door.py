"""The ASGI door: reads a request, lets faults happen, records, sends the answer."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from email.utils import format_datetime

from starlette.types import Receive, Scope, Send

from sandbox.xero import identity, reply
from sandbox.xero.call import Call
from sandbox.xero.faults import Fault
from sandbox.xero.reply import Reply
from sandbox.xero.service import XeroService

#: Xero takes 10 MB (facts section 3).
LARGEST_BODY = 10 * 1024 * 1024

_CONNECTION = re.compile(r"^/connections/(?P<id>[^/]+)$", re.IGNORECASE)


class Door:
    """Everything of the server that is not the control API."""

    def __init__(self, service: XeroService, base_url: Callable[[], str]) -> None:
        self._service = service
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        self._service.enter()
        try:
            await self._serve(scope, receive, send)
        finally:
            self._service.leave()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        fault = self._service.faults.take(method, path)
        if fault and fault.kind == "refuse":
            await _hang_up(scope)
            return
        call = Call(
            method,
            path,
            scope["query_string"].decode("latin-1"),
            {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]},
            await _read(receive),
        )
        answer = await self.answer(call, fault)
        if fault and fault.kind == "reply_lost":
            await _hang_up(scope)
            return
        is_half = fault is not None and fault.kind == "half_reply"
        await self._send(send, answer, whole=not is_half)
        if is_half:
            await _hang_up(scope)

    async def answer(self, call: Call, fault: Fault | None = None) -> Reply:
        """What Xero says to a call, by whatever way it came; it is recorded."""
        answer = await self._answer(call, fault)
        dated = {"Date": format_datetime(self._service.now(), usegmt=True)}
        answer = replace(answer, headers=dated | answer.headers)
        self._record(call, answer)
        return answer

    async def _answer(self, call: Call, fault: Fault | None) -> Reply:
        await self._service.sleep(self._service.latency_ms / 1000)
        if fault and fault.kind == "503":
            return reply.offline()
        if fault and fault.kind == "401":
            return reply.unauthorized("AuthenticationUnsuccessful")
        if len(call.body) > LARGEST_BODY:
            return reply.text("Request body too large", 413)
        if call.path.lower().startswith("/api.xro/2.0/"):
            return await self._service.accounting(call, fault)
        return await self._identity(call, fault)

    async def _identity(self, call: Call, fault: Fault | None) -> Reply:
        self._service.by_endpoint[f"{call.method} {_label(call.path)}"] += 1
        if fault and fault.kind == "500_before":
            return reply.server_error()
        if fault and fault.kind == "slow_before":
            await self._service.sleep(fault.delay_s)
        answer = self._identity_answer(call)
        if fault and fault.kind == "500_after":
            answer = reply.server_error()
        if fault and fault.kind == "slow":
            await self._service.sleep(fault.delay_s)
        return answer

    def _identity_answer(self, call: Call) -> Reply:
        server = self._service.identity
        found = _CONNECTION.match(call.path)
        if found and call.method == "DELETE":
            call.keys = found.groupdict()
            return server.disconnect(call)
        match call.method, call.path.lower():
            case "GET", "/identity/connect/authorize":
                return server.ask_consent(call)
            case "POST", "/identity/connect/authorize":
                return server.give_consent(call)
            case "POST", "/connect/token":
                return server.token(call)
            case "POST", "/connect/revocation":
                return server.revoke(call)
            case "GET", "/connections":
                return server.list_connections(call)
            case "GET", "/.well-known/openid-configuration":
                return identity.discovery(self._base_url())
        return reply.not_found()

    def _record(self, call: Call, answer: Reply) -> None:
        self._service.by_status[str(answer.status)] += 1
        request = (call.method, call.path, call.query_string, call.headers, call.body)
        self._service.exchanges.add(self._service.now().isoformat(), request, answer)

    async def _send(self, send: Send, answer: Reply, *, whole: bool) -> None:
        headers = dict(answer.headers)
        if answer.status != 204:
            headers |= {"Content-Type": answer.content_type}
            headers |= {"Content-Length": str(len(answer.body))}
        raw = [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": raw}
        )
        body = answer.body[: len(answer.body) if whole else len(answer.body) // 2]
        await send({"type": "http.response.body", "body": body, "more_body": not whole})


def _label(path: str) -> str:
    return "/connections/{id}" if _CONNECTION.match(path) else path


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return b"".join(parts)


async def _hang_up(scope: Scope) -> None:
    """Close the connection without a word."""
    transport: asyncio.Transport = scope["state"]["transport"]
    transport.close()  # after what was written, if anything was
    # The server must have seen the connection go before this call returns, or it
    # would try to send a 500.
    await asyncio.sleep(0.01)
