"""The listener itself, over real connections."""

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.web.server import HttpServer, ListenFailed
from tests.core.web.web_clients import connected, status_line


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def fails(request: Request) -> Response:
    raise RuntimeError("the secret of the database")


APP = Starlette(routes=[Route("/hello", hello), Route("/fails", fails)])


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer(APP, "127.0.0.1", 0) as server:
        yield server


def test_it_answers_as_soon_as_start_returns(server: HttpServer) -> None:
    assert server.port
    assert httpx.get(f"{server.url}/hello").text == "hello"


def test_it_does_not_say_what_it_is(server: HttpServer) -> None:
    assert "server" not in httpx.get(f"{server.url}/hello").headers


def test_an_error_of_the_application_is_a_bare_500(server: HttpServer) -> None:
    answer = httpx.get(f"{server.url}/fails")
    assert answer.status_code == 500
    assert answer.text == "Internal Server Error"


def test_a_taken_port_is_a_clear_error(server: HttpServer) -> None:
    with pytest.raises(ListenFailed, match=f"127.0.0.1:{server.port}: .*in use"):
        HttpServer(APP, "127.0.0.1", server.port).start()


def test_a_port_can_be_used_again_at_once() -> None:
    with HttpServer(APP, "127.0.0.1", 0) as first:
        httpx.get(f"{first.url}/hello")
    with HttpServer(APP, "127.0.0.1", first.port) as second:
        assert httpx.get(f"{second.url}/hello").text == "hello"


def test_an_application_that_cannot_start_is_a_clear_error() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(ListenFailed, match="did not start"):
        HttpServer(broken, "127.0.0.1", 0).start()


def test_stopping_finishes_what_is_in_hand() -> None:
    begun = threading.Event()

    def slow(request: Request) -> Response:
        begun.set()
        time.sleep(0.5)  # noqa: TID251 work that takes its time
        return PlainTextResponse("done")

    server = HttpServer(Starlette(routes=[Route("/slow", slow)]), "127.0.0.1", 0)
    server.start()
    answers: list[httpx.Response] = []
    client = threading.Thread(
        target=lambda: answers.append(httpx.get(f"{server.url}/slow"))
    )
    client.start()
    begun.wait(5)
    server.stop()
    client.join()
    assert answers[0].text == "done"


def test_stopping_does_not_wait_for_idle_clients(server: HttpServer) -> None:
    with connected(server) as idle:
        idle.sendall(b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n")
        assert b"200" in status_line(idle)
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 3


def test_stopping_leaves_no_listener(server: HttpServer) -> None:
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_more_connections_than_allowed_are_answered_503() -> None:
    with HttpServer(APP, "127.0.0.1", 0, connections_max=3) as server:
        with connected(server), connected(server), connected(server) as third:
            third.sendall(b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n")
            assert b"503" in status_line(third)
        answer = b""
        while b"200" not in answer:  # until the server has seen the others go
            with connected(server) as again:
                again.sendall(b"GET /hello HTTP/1.1\r\nhost: test\r\n\r\n")
                answer = status_line(again)
