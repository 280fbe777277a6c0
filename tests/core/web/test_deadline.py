"""Slow and endless clients are cut; honest ones notice nothing."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.web.server import HttpServer
from tests.core.web.web_clients import all_until_closed, connected, status_line

DEADLINE_S = 0.6
HEADER_MAX = 2_000


async def size(request: Request) -> Response:
    try:
        return PlainTextResponse(str(len(await request.body())))
    except ClientDisconnect:
        return Response()


async def early(request: Request) -> Response:
    """Answers without a look at the body."""
    return PlainTextResponse("early")


def long_work(request: Request) -> Response:
    time.sleep(2 * DEADLINE_S)  # noqa: TID251 work that takes its time
    return PlainTextResponse("late")


ROUTES = [
    Route("/size", size, methods=["POST"]),
    Route("/early", early, methods=["POST"]),
    Route("/long-work", long_work),
]


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    app = Starlette(routes=ROUTES)
    listener = HttpServer(
        app,
        "127.0.0.1",
        0,
        receive_deadline_s=DEADLINE_S,
        header_max_bytes=HEADER_MAX,
    )
    with listener:
        yield listener


def drip(connection: socket, part: bytes) -> None:
    """A byte of it now and again, for as long as the server bears it."""
    for byte in part * 1_000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)  # noqa: TID251 a slow client


def nothing(connection: socket) -> None:
    pass


def slow_headers(connection: socket) -> None:
    connection.sendall(b"POST /size HTTP/1.1\r\n")
    drip(connection, b"x-slow: 1\r\n")


def slow_body(connection: socket) -> None:
    connection.sendall(
        b"POST /size HTTP/1.1\r\nhost: t\r\ncontent-length: 9999\r\n\r\n"
    )
    drip(connection, b"a")


def slow_chunks(connection: socket) -> None:
    head = b"POST /size HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
    connection.sendall(head)
    drip(connection, b"1\r\na\r\n")


def slow_body_after_the_answer(connection: socket) -> None:
    connection.sendall(
        b"POST /early HTTP/1.1\r\nhost: t\r\ncontent-length: 9999\r\n\r\n"
    )
    assert b"200" in status_line(connection)
    drip(connection, b"a")


def blank_lines_after_the_answer(connection: socket) -> None:
    connection.sendall(b"POST /size HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n")
    assert b"200" in status_line(connection)
    drip(connection, b"\r\n")


def slow_second_request(connection: socket) -> None:
    whole = b"POST /size HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n"
    connection.sendall(
        whole + b"POST /size HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\r\n"
    )
    drip(connection, b"a")


SLOW = [
    nothing,
    slow_headers,
    slow_body,
    slow_chunks,
    slow_body_after_the_answer,
    blank_lines_after_the_answer,
]


def seconds_borne(server: HttpServer, attack: Callable[[socket], None]) -> float:
    """How long the server put up with it."""
    with connected(server) as connection:
        begun = time.monotonic()
        try:
            attack(connection)
        except ConnectionError:
            pass
        else:
            all_until_closed(connection)
        return time.monotonic() - begun


@pytest.mark.parametrize("attack", SLOW, ids=lambda attack: attack.__name__)
def test_a_slow_client_is_cut_at_the_deadline(
    server: HttpServer, attack: Callable[[socket], None]
) -> None:
    assert DEADLINE_S * 0.9 < seconds_borne(server, attack) < DEADLINE_S + 1


def test_each_request_of_a_connection_has_its_own_deadline(server: HttpServer) -> None:
    begun = time.monotonic()
    with httpx.Client() as client:
        while time.monotonic() - begun < 2 * DEADLINE_S:
            assert client.post(f"{server.url}/size", content=b"abc").text == "3"
            time.sleep(DEADLINE_S / 4)  # noqa: TID251 a client with pauses


def test_a_pipelined_request_is_on_the_clock_as_well(server: HttpServer) -> None:
    assert seconds_borne(server, slow_second_request) < DEADLINE_S + 1


def test_our_own_work_is_not_on_the_clock(server: HttpServer) -> None:
    assert httpx.get(f"{server.url}/long-work").text == "late"


def test_many_attackers_leave_honest_requests_alone(server: HttpServer) -> None:
    attacks = [SLOW[number % len(SLOW)] for number in range(60)]
    with ThreadPoolExecutor(60) as attackers, httpx.Client() as honest:
        borne = attackers.map(lambda attack: seconds_borne(server, attack), attacks)
        waits = []
        for _ in range(20):
            begun = time.monotonic()
            assert honest.post(f"{server.url}/size", content=b"abc").text == "3"
            waits.append(time.monotonic() - begun)
        assert max(borne) < DEADLINE_S + 2
    assert sorted(waits)[10] < 0.1


@pytest.mark.parametrize(
    "endless",
    [
        b"POST /size HTTP/1.1\r\nx-long: " + b"a" * 100_000,
        b"POST /size HTTP/1.1\r\n" + b"x-many: 1\r\n" * 10_000,
        b"POST /" + b"a" * 100_000,
    ],
    ids=["one header", "many headers", "the address"],
)
def test_headers_beyond_the_cap_are_refused(server: HttpServer, endless: bytes) -> None:
    with connected(server) as connection:
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            connection.sendall(endless)
        answer = all_until_closed(connection)
        assert time.monotonic() - begun < DEADLINE_S / 2
        assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


def test_headers_beyond_the_cap_in_one_piece_are_answered_431(
    server: HttpServer,
) -> None:
    long = b"GET /long-work HTTP/1.1\r\nx-long: " + b"a" * HEADER_MAX + b"\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(long)
        assert all_until_closed(connection).startswith(b"HTTP/1.1 431 ")


def test_headers_up_to_the_cap_are_taken(server: HttpServer) -> None:
    headers = {"x-long": "a" * (HEADER_MAX - 300)}
    answer = httpx.post(f"{server.url}/size", content=b"abc", headers=headers)
    assert answer.text == "3"


def test_a_large_body_is_not_taken_for_headers(server: HttpServer) -> None:
    content = b"a" * 50 * HEADER_MAX
    with httpx.Client() as client:
        for _ in range(2):
            answer = client.post(f"{server.url}/size", content=content)
            assert answer.text == str(len(content))


def test_what_is_not_http_is_refused(server: HttpServer) -> None:
    with connected(server) as connection:
        connection.sendall(b"\x16\x03\x01 hello, TLS?\r\n\r\n")
        assert all_until_closed(connection).startswith(b"HTTP/1.1 400 ")
