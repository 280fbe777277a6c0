"""The way to Xero without a network: the sandbox is called, or something goes wrong."""

import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
import urllib3
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from sandbox.xero import faults
from sandbox.xero.call import Call
from sandbox.xero.door import Door
from sandbox.xero.reply import Reply
from tests.faults.plan import Endless, Life, Place

#: The daemon's read timeout is over.
TIMEOUT = timedelta(seconds=60)

#: Slow, and still in time.
SLOW = timedelta(seconds=50)

#: Longer than a lease (5 s), and longer than a key lives and its call may last.
FROZEN, FROZEN_LONG = timedelta(seconds=12), timedelta(minutes=10)

#: More than any scenario needs; without it a lane could go on for ever.
MOST_CALLS = 300

#: What 429s ask for; Xero's day would be up to 24 hours, and as clear.
RETRY_AFTER_S = 20


@dataclass(frozen=True, slots=True)
class Failures:
    """What the client's library raises, by what has happened."""

    refused: Exception
    timed_out: Exception
    broken: Exception


class Way:
    """From a request to the sandbox's reply, through whatever waits on the way."""

    def __init__(
        self,
        door: Door,
        life: Life,
        pass_time: Callable[[timedelta], None],
        freeze: Callable[[timedelta], timedelta],
    ) -> None:
        self._door = door
        self._life = life
        self._pass_time = pass_time
        self._freeze = freeze
        self.calls: list[Call] = []
        #: The longest that a process stood still between its last check and the socket.
        self.stood_still = timedelta()

    def travel(self, call: Call, failures: Failures) -> Reply:
        """Ask the sandbox, or fail on the way there or back."""
        self._life.require()
        what = self._life.plan.meet(_place(call))
        self._there(what, failures)
        self.calls.append(call)
        if len(self.calls) > MOST_CALLS:
            raise Endless(f"{MOST_CALLS} calls, and no end")
        reply = _run(self._door.answer(call, _fault_of_xero(what)))
        self._back(what, failures)
        return _reordered(reply) if what == "reordered" else reply

    def _there(self, what: str, failures: Failures) -> None:
        match what:
            case "refused":
                raise failures.refused
            case "lost":
                self._pass_time(TIMEOUT)
                raise failures.timed_out
            case "reset_before":
                raise failures.broken
            case "slow_before":
                self._pass_time(SLOW)
            case "crash_before":
                self._life.end()
            case "frozen_before":
                self._stand_still(FROZEN)
            case "frozen_long_before":
                self._stand_still(FROZEN_LONG)

    def _stand_still(self, time: timedelta) -> None:
        """As long as that at least: whoever runs meanwhile may stand still too."""
        self.stood_still = max(self.stood_still, self._freeze(time))

    def _back(self, what: str, failures: Failures) -> None:
        match what:
            case "reply_lost":
                self._pass_time(TIMEOUT)
                raise failures.timed_out
            case "reset_after" | "half_reply":
                raise failures.broken
            case "slow_after":
                self._pass_time(SLOW)
            case "crash_after":
                self._life.end()
            case "frozen_after":
                self._freeze(FROZEN)
            case "frozen_long_after":
                self._freeze(FROZEN_LONG)


class ApiPool(urllib3.PoolManager):
    """Stands where the SDK's pool stands."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **asked: Any
    ) -> urllib3.HTTPResponse:
        pool: Any = None  # only for the words of an error
        failures = Failures(
            refused=NewConnectionError(pool, "Connection refused"),
            timed_out=ReadTimeoutError(pool, url, "Read timed out."),
            broken=ProtocolError("Connection aborted."),
        )
        call = _call(method, url, asked.get("headers") or {}, asked.get("body") or b"")
        reply = self._way.travel(call, failures)
        return urllib3.HTTPResponse(
            body=reply.body,
            headers=reply.headers,
            status=reply.status,
            preload_content=False,
        )


class TokenTransport(httpx.BaseTransport):
    """Stands where httpx' own transport stands."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        failures = Failures(
            refused=httpx.ConnectError("Connection refused"),
            timed_out=httpx.ReadTimeout("Read timed out."),
            broken=httpx.RemoteProtocolError("Connection aborted."),
        )
        call = _call(request.method, str(request.url), request.headers, request.read())
        reply = self._way.travel(call, failures)
        headers = {**reply.headers, "Content-Type": reply.content_type}
        return httpx.Response(reply.status, headers=headers, content=reply.body)


def _reordered(reply: Reply) -> Reply:
    """The same elements from the last to the first: Xero promises no order."""
    if reply.status != 200:
        return reply
    body = json.loads(reply.body)
    turned = {
        name: part[::-1] if isinstance(part, list) else part
        for name, part in body.items()
    }
    return replace(reply, body=json.dumps(turned).encode())


def _call(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Call:
    parts = urlsplit(url)
    lower = {name.lower(): value for name, value in headers.items()}
    return Call(method, parts.path, parts.query, lower, body)


def _place(call: Call) -> Place:
    if call.path == "/connect/token":
        return Place.TOKEN
    return Place.LOOK if call.method == "GET" else Place.WRITE


def _fault_of_xero(what: str) -> faults.Fault | None:
    """Those that Xero itself answers with."""
    if not what[:1].isdigit():
        return None
    kind: faults.Kind = next(k for k in get_args(faults.Kind) if k == what)
    waits = kind in ("429_minute", "429_day")
    return faults.Fault(kind, retry_after_s=RETRY_AFTER_S if waits else None)


def _run(answering: Coroutine[Any, Any, Reply]) -> Reply:
    """The sandbox awaits nothing here: nobody else calls and no fault is slow."""
    try:
        answering.send(None)
    except StopIteration as done:
        reply: Reply = done.value
        return reply
    raise RuntimeError("the sandbox waits for something that never comes")
