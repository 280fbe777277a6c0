import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from sandbox import Control
from sandbox.cli import main


@contextmanager
def served(*options: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "sandbox", "serve", "--port", "0", "--json"]
    with subprocess.Popen(  # noqa: S603
        [*command, *options], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline()), process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_interrupted(number: signal.Signals) -> None:
    with served() as (facts, process):
        assert facts["pid"] == process.pid
        assert facts["redirect_uris"] == ["http://localhost:8080/xero/callback"]
        assert "stand-in for Xero" in httpx.get(facts["url"]).text
        process.send_signal(number)
        assert process.wait(10) == 0


def test_options_reach_the_server() -> None:
    options = "--minute 7 --day lifted --latency-ms 3 --rate 60 --pkce --seed 3"
    uri = "http://localhost:9000/callback"
    with (
        served(*options.split(), "--members", "50", "--redirect-uri", uri) as (
            facts,
            _,
        ),
        Control(facts["url"]) as control,
    ):
        assert facts["client_secret"] is None
        assert facts["redirect_uris"] == [uri]
        limits = httpx.get(f"{facts['url']}/_sandbox/limits").json()
        assert (limits["minute"], limits["day"]) == (7, None)
        assert 10 < len(control.ledger()["contacts"]) < 30
        clock = httpx.get(f"{facts['url']}/_sandbox/clock").json()
        assert clock["rate"] == 60


def test_a_taken_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert answer.exit_code == 1
    assert f"port {port}" in answer.output
    assert "Traceback" not in answer.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--redirect-uri", "http://example.com"], "redirect URI"),
        (["--minute", "many"], "lifted"),
        (["--port", "70000"], "range"),
    ],
)
def test_a_wrong_option_is_said_plainly(options: list[str], message: str) -> None:
    answer = CliRunner().invoke(main, ["serve", *options])
    assert answer.exit_code == 2
    assert message in answer.output
