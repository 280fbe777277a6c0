"""Xero's webhooks: who is believed, what is stored, and when it is answered."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.web.group_commit import Receiver
from core.web.public import CallbackResult, public_app
from core.web.server import HttpServer
from core.web.webhooks import BODY_MAX_BYTES, is_signed
from core.webhook_events import WebhookEvent
from tests.core.web.web_clients import (
    KEY,
    OLD_KEY,
    Memory,
    all_until_closed,
    connected,
    post,
    signature,
    status_line,
    webhook,
)


class Edge:
    """A public listener, what it stored and what it counted."""

    def __init__(self, server: HttpServer, memory: Memory) -> None:
        self.server = server
        self.memory = memory
        self.counted: Counter[str] = Counter()
        self.url = f"{server.url}/webhooks/xero"

    def post(self, body: bytes, signed: str | None) -> httpx.Response:
        headers = {} if signed is None else {"x-xero-signature": signed}
        with httpx.Client(verify=False) as client:  # noqa: S501 plain HTTP, on loopback
            return client.post(self.url, content=body, headers=headers)


@contextmanager
def listening(
    receiver: Receiver, keys: Sequence[str], count: Callable[[str], None]
) -> Iterator[HttpServer]:
    app = public_app(
        receiver=receiver,
        webhook_keys=keys,
        count_webhook=count,
        finish=lambda query: CallbackResult(ok=True, title="", text=""),
    )
    with HttpServer(app, "127.0.0.1", 0) as server:
        yield server


@contextmanager
def edge_with(*keys: str) -> Iterator[Edge]:
    memory = Memory()
    counted: Counter[str] = Counter()

    def count(outcome: str) -> None:
        counted[outcome] += 1

    with listening(memory, keys, count) as server:
        edge = Edge(server, memory)
        edge.counted = counted
        yield edge


@pytest.fixture(scope="module")
def shared_edge() -> Iterator[Edge]:
    with edge_with(KEY, OLD_KEY) as edge:
        yield edge


@pytest.fixture
def edge(shared_edge: Edge) -> Edge:
    shared_edge.memory.commits.clear()
    shared_edge.counted.clear()
    return shared_edge


# --- who is believed


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_during_a_rotation_both_keys_are_good(edge: Edge, key: str) -> None:
    body = webhook("invoice-1")
    answer = edge.post(body, signature(body, key))
    assert answer.status_code == 200
    assert edge.memory.resource_ids == ["invoice-1"]
    assert edge.counted == {"stored": 1}


def test_the_answer_is_empty_and_sets_no_cookie(edge: Edge) -> None:
    body = webhook("invoice-1")
    answer = edge.post(body, signature(body))
    assert answer.content == b""
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "signed",
    [
        None,
        "",
        "not base64",
        signature(b"another body"),
        signature(webhook("invoice-1"), "another key"),
        signature(webhook("invoice-1"), ""),
        signature(webhook("invoice-1"))[:-1],
        signature(webhook("invoice-1")).lower(),
    ],
)
def test_a_wrong_signature_is_answered_401_and_stored_nowhere(
    edge: Edge, signed: str | None
) -> None:
    answer = edge.post(webhook("invoice-1"), signed)
    assert answer.status_code == 401
    assert answer.content == b""
    assert "set-cookie" not in answer.headers
    assert edge.memory.commits == []
    assert edge.counted == {"unsigned": 1}


@pytest.mark.parametrize("signed", [b"\xe9\xff", "ключ".encode(), b"\x80" * 44])
def test_a_signature_that_is_not_ascii_is_only_wrong(edge: Edge, signed: bytes) -> None:
    with connected(edge.server) as connection:
        connection.sendall(post(webhook("invoice-1"), b"x-xero-signature: " + signed))
        assert status_line(connection) == b"HTTP/1.1 401 Unauthorized"


@given(st.binary(), st.text(), st.binary(min_size=1))
def test_comparing_never_raises(body: bytes, signed: str, key: bytes) -> None:
    assert not is_signed(body, signed, [key])


def test_every_byte_of_the_body_is_signed(edge: Edge) -> None:
    body = webhook("invoice-1")
    assert edge.post(body + b" ", signature(body)).status_code == 401


@pytest.mark.parametrize("keys", [(), ("",), ("", "")])
def test_without_a_key_the_endpoint_is_off(keys: tuple[str, ...]) -> None:
    with edge_with(*keys) as edge:
        body = webhook("invoice-1")
        assert edge.post(body, signature(body, "")).status_code == 404
        assert edge.memory.commits == []


def test_an_empty_key_beside_a_good_one_opens_nothing() -> None:
    with edge_with(KEY, "") as edge:
        body = webhook("invoice-1")
        assert edge.post(body, signature(body, "")).status_code == 401
        assert edge.post(body, signature(body)).status_code == 200


def test_a_third_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 2"), edge_with("a", "b", "c"):
        pass


def test_xeros_probe_of_our_intent_to_receive(edge: Edge) -> None:
    """It sends several, some of them badly signed on purpose."""
    probe = (
        b'{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"PROBE"}'
    )
    good, bad = signature(probe), signature(probe, "wrong")
    answers = [
        edge.post(probe, signed).status_code for signed in (good, bad, bad, good)
    ]
    assert answers == [200, 401, 401, 200]
    assert edge.memory.commits == []


def test_signed_rubbish_is_answered_400_and_counted(edge: Edge) -> None:
    rubbish = b'{"hello": "world"}'
    assert edge.post(rubbish, signature(rubbish)).status_code == 400
    assert edge.memory.commits == []
    assert edge.counted == {"unreadable": 1}


def test_only_post_is_answered(edge: Edge) -> None:
    assert httpx.get(edge.url).status_code == 405


# --- what may come


def test_a_body_that_says_it_is_too_long_is_refused_unread(edge: Edge) -> None:
    with connected(edge.server) as connection:
        length = b"content-length: %d" % (BODY_MAX_BYTES + 1)
        connection.sendall(
            b"POST /webhooks/xero HTTP/1.1\r\nhost: t\r\n" + length + b"\r\n\r\n"
        )
        assert all_until_closed(connection).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_turns_out_too_long_is_cut(edge: Edge) -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    head = (
        b"POST /webhooks/xero HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    sent = 0
    with connected(edge.server) as connection:
        connection.sendall(head)
        try:
            while sent < 64 * BODY_MAX_BYTES:
                connection.sendall(chunk)
                sent += len(chunk)
        except ConnectionError:
            pass
    assert sent < 16 * BODY_MAX_BYTES
    assert edge.memory.commits == []


def test_the_largest_body_is_taken(edge: Edge) -> None:
    body = webhook("invoice-1")
    body += b" " * (BODY_MAX_BYTES - len(body))
    assert edge.post(body, signature(body)).status_code == 200


def test_a_sender_that_goes_away_in_mid_body_leaves_nothing(edge: Edge) -> None:
    body = webhook("invoice-1")
    signed = b"x-xero-signature: " + signature(body).encode()
    with connected(edge.server) as connection:
        connection.sendall(post(body, signed)[:-10])
    deadline = time.monotonic() + 5
    while not edge.counted and time.monotonic() < deadline:
        time.sleep(0.01)  # noqa: TID251 the server's own thread
    assert edge.counted == {"cut": 1}


def test_ten_thousand_hostile_requests_are_refused_in_bounded_time(edge: Edge) -> None:
    """Pipelined a hundred at a time over a few connections."""
    body = webhook("invoice-1")
    good = signature(body)
    begun = time.monotonic()
    for _ in range(100):
        hostile = [
            os.urandom(44),
            good.swapcase().encode(),
            b"",
            os.urandom(200),
        ]
        with connected(edge.server) as connection:
            request = b"".join(
                post(
                    os.urandom(20) + body,
                    b"x-xero-signature: " + hostile[n % 4].hex().encode(),
                )
                for n in range(99)
            )
            last = post(b"{}", b"connection: close")
            connection.sendall(request + last)
            answers = all_until_closed(connection)
        assert answers.count(b"HTTP/1.1 401 ") == 100
    assert time.monotonic() - begun < 20
    assert edge.memory.commits == []
    assert edge.counted == {"unsigned": 10_000}


bodies = st.binary(max_size=2_000) | st.just(webhook("invoice-1"))
header_values = st.binary(max_size=300).map(
    lambda raw: raw.translate(None, b"\r\n\x00")
)


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(bodies, header_values)
def test_no_stranger_gets_anything_but_a_refusal(
    edge: Edge, body: bytes, signed: bytes
) -> None:
    with connected(edge.server) as connection:
        connection.sendall(post(body, b"x-xero-signature: " + signed))
        assert status_line(connection)[9:12] in {b"400", b"401"}
    assert edge.memory.commits == []


# --- when it is answered


class Gate(Memory):
    """A store whose commits can be held up, or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.entered = threading.Event()
        self.fails = False
        self.at_once = 0
        self.most_at_once = 0

    def store(self, events: Sequence[WebhookEvent]) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.entered.set()
        self.open.wait(10)
        self.at_once -= 1
        if self.fails:
            raise OSError("disk full")
        super().store(events)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def gated(gate: Gate) -> Iterator[Edge]:
    with listening(gate, [KEY], lambda outcome: None) as server:
        yield Edge(server, gate)
        gate.open.set()


def send(edge: Edge, name: str) -> int:
    body = webhook(name)
    return edge.post(body, signature(body)).status_code


def test_nothing_is_answered_before_its_commit(gated: Edge, gate: Gate) -> None:
    with ThreadPoolExecutor(1) as xero:
        answer = xero.submit(send, gated, "invoice-1")
        assert gate.entered.wait(5)
        time.sleep(0.2)  # noqa: TID251 long enough for a wrong answer
        assert not answer.done()
        gate.open.set()
        assert answer.result(5) == 200


def test_what_waits_is_committed_together(gated: Edge, gate: Gate) -> None:
    names = [f"invoice-{number}" for number in range(50)]
    with ExitStack() as closing:
        connections = [closing.enter_context(connected(gated.server)) for _ in names]
        for name, connection in zip(names, connections, strict=True):
            body = webhook(name)
            signed = b"x-xero-signature: " + signature(body).encode()
            connection.sendall(post(body, signed))
        assert gate.entered.wait(5)
        # Whoever comes last is answered last, so the others wait as well by now.
        assert gated.post(webhook("nobody's"), "unsigned").status_code == 401
        gate.open.set()
        answers = {status_line(connection) for connection in connections}
    assert answers == {b"HTTP/1.1 200 OK"}
    assert sorted(gate.resource_ids) == sorted(names)
    assert len(gate.commits) <= 2
    assert gate.most_at_once == 1


def test_a_failed_commit_is_answered_503_to_all_in_it(gated: Edge, gate: Gate) -> None:
    gate.fails = True
    gate.open.set()
    with ThreadPoolExecutor(10) as xero:
        answers = list(xero.map(lambda n: send(gated, f"invoice-{n}"), range(10)))
    assert set(answers) == {503}
    gate.fails = False
    assert send(gated, "invoice-1") == 200
    assert gate.resource_ids == ["invoice-1"]


def test_all_events_of_a_body_are_in_one_commit(edge: Edge) -> None:
    body = webhook(*(f"invoice-{number}" for number in range(100)))
    assert edge.post(body, signature(body)).status_code == 200
    assert [len(commit) for commit in edge.memory.commits] == [100]


def test_what_was_received_is_committed_when_the_daemon_stops(gate: Gate) -> None:
    with ThreadPoolExecutor(1) as xero:
        with listening(gate, [KEY], lambda outcome: None) as server:
            answer = xero.submit(send, Edge(server, gate), "invoice-1")
            assert gate.entered.wait(5)
            threading.Timer(0.3, gate.open.set).start()
        assert answer.result(5) == 200
    assert gate.resource_ids == ["invoice-1"]
