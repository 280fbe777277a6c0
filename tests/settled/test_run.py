"""``settled run``: starts, says where, stops in good order, goes on where it was."""

import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from sandbox.platform import Platform
from tests.messages import renewal_due
from tests.servers import lives, wait_until
from tests.settled.command import running, settled
from tests.settled.rehearsed import installed

MESSAGES = 8

#: Everything else is as it comes: an empty folder has neither file nor database.
ENVIRONMENT = {
    "SETTLED_XERO__CLIENT_ID": "an-app",
    "SETTLED_WEB__PUBLIC_PORT": "0",
    "SETTLED_WEB__INTERNAL_PORT": "0",
}


def redis_pid(data: Path) -> int:
    """The embedded server, which writes its number into its lock itself."""
    return int((data / "redis" / "server.lock").read_text())


def test_runs_with_defaults_in_an_empty_folder_until_it_is_told(here: Path) -> None:
    with running("run", **ENVIRONMENT) as daemon:
        said = daemon.addresses()
        assert set(said) == {"public", "internal", "redis"}
        pid = redis_pid(here / "data")
        assert lives(pid)
        healthy = httpx.get(f"{said['internal']}/healthz")
        ready = httpx.get(f"{said['internal']}/readyz")
        metrics = httpx.get(f"{said['internal']}/metrics")
        strangers = httpx.get(f"{said['public']}/metrics")
        ended = daemon.end(signal.SIGTERM)
    assert (healthy.status_code, healthy.text) == (200, "ok\n")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "wrong": {}})
    assert "settled_problems_open 0.0" in metrics.text
    assert strangers.status_code == 404
    assert (ended.code, ended.out) == (0, "")
    assert not lives(pid)
    events = [json.loads(line)["event"] for line in ended.err.splitlines()]
    assert events == ["daemon.started", "daemon.stopping", "daemon.stopped"]


def test_a_data_folder_is_one_daemons_and_ctrl_c_ends_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running("run", **ENVIRONMENT) as first:
        first.addresses()
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        refused = settled("run")
        pid = redis_pid(here / "data")
        assert lives(pid)
        ended = first.end(signal.SIGINT)
    assert (refused.code, "belongs to a running daemon" in refused.line) == (1, True)
    assert (ended.code, "Traceback" in ended.err) == (0, False)
    assert not lives(pid)


def test_a_daemon_whose_redis_is_gone_is_not_ready_and_still_stops(
    here: Path,
) -> None:
    with running("run", **ENVIRONMENT) as daemon:
        internal = daemon.addresses()["internal"]
        os.kill(redis_pid(here / "data"), signal.SIGKILL)
        wait_until(
            lambda: httpx.get(f"{internal}/readyz").status_code == 503,
            10,
            "not ready",
        )
        wrong = httpx.get(f"{internal}/readyz").json()["wrong"]
        alive = httpx.get(f"{internal}/healthz")
        ended = daemon.end()
    assert set(wrong) == {"redis"}
    assert alive.status_code == 200
    assert ended.code == 0


def test_work_unfinished_at_the_stop_is_done_after_the_next_start(here: Path) -> None:
    asked = [renewal_due() for _ in range(MESSAGES)]
    with installed(here) as installation:
        control = installation.xero.control

        def emails() -> int:
            return len(control.ledger()["emails"])

        with running("run", "--config", installation.config()) as daemon:
            redis = daemon.addresses()["redis"]
            installation.connect()
            # So slow that what is in hand is still there when it must stop.
            control.set_latency(200)
            with Platform(redis) as platform:
                platform.publish(asked)
                wait_until(lambda: emails() > 0, 30, "an e-mail")
            ended = daemon.end()
        assert (ended.code, "Traceback" in ended.err) == (0, False)
        assert not lives(redis_pid(here / "data"))
        assert 0 < emails() < MESSAGES
        control.set_latency(0)
        with running("run", "--config", installation.config()) as daemon:
            redis = daemon.addresses()["redis"]
            with Platform(redis) as platform:
                finished = platform.wait_until(lambda _: emails() == MESSAGES, 30)
            assert daemon.end().code == 0
        ledger = control.ledger()
    assert finished
    sent = {email["invoice_number"] for email in ledger["emails"]}
    raised = [invoice["Reference"] for invoice in ledger["invoices"]]
    assert len(sent) == len(ledger["emails"]) == MESSAGES
    assert sorted(raised) == sorted(f"membership:{one['subject']}" for one in asked)


def test_whoever_does_not_want_to_wait_asks_twice(here: Path) -> None:
    """The call in hand may take a minute; a second signal does not wait for it."""
    with installed(here) as installation:
        control = installation.xero.control
        with running("run", "--config", installation.config()) as daemon:
            redis = daemon.addresses()["redis"]
            pid = redis_pid(here / "data")
            installation.connect()
            control.fault("slow_before", method="PUT", path="/Invoices", delay_s=60)
            with Platform(redis) as platform:
                platform.publish([renewal_due()])
                wait_until(
                    lambda: any(fault["hits"] for fault in control.faults()["faults"]),
                    30,
                    "a call under way",
                )
                daemon.process.send_signal(signal.SIGTERM)
                wait_until(daemon.is_stopping, 10, "it stops")
                ended = daemon.end(signal.SIGTERM)
        assert control.ledger()["invoices"] == []
        control.advance(60)
    assert ended.code == 130
    if sys.platform == "linux":  # elsewhere the next start ends it
        wait_until(lambda: not lives(pid), 10, "Redis ends with its owner")
