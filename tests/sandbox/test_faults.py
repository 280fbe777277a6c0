from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sandbox import Refused, SimulatedClock
from tests.sandbox.caller import Caller

BODY = {"Contacts": [{"Name": "Thabo Nkosi"}]}


def put(app: Caller) -> httpx.Response:
    return app.put("Contacts", BODY)


def count(app: Caller) -> int:
    return len(app.xero.control.ledger()["contacts"])


@pytest.mark.parametrize(
    ("kind", "status", "written"),
    [
        ("429_minute", 429, 0),
        ("429_day", 429, 0),
        ("429_concurrent", 429, 0),
        ("429_appminute", 429, 0),
        ("500_before", 500, 0),
        ("500_after", 500, 1),
        ("503", 503, 0),
        ("401", 401, 0),
    ],
)
def test_a_fault_spoils_one_call(
    app: Caller, kind: str, status: int, written: int
) -> None:
    app.xero.control.fault(kind)
    assert put(app).status_code == status
    assert count(app) == written
    assert app.get("Organisation").status_code == 200


@pytest.mark.parametrize(
    ("kind", "says_when"),
    [("minute", True), ("day", True), ("concurrent", False), ("appminute", False)],
)
def test_a_429_on_request_looks_like_a_real_one(
    app: Caller, kind: str, says_when: bool
) -> None:
    app.xero.control.fault(f"429_{kind}")
    answer = app.get("Organisation")
    assert answer.headers["X-Rate-Limit-Problem"] == kind
    assert ("Retry-After" in answer.headers) is says_when
    assert app.xero.control.ledger()["calls"]["limited"][kind] == 1


def test_a_lost_reply_has_happened(app: Caller) -> None:
    app.xero.control.fault("reply_lost")
    with pytest.raises(httpx.RemoteProtocolError):
        put(app)
    assert count(app) == 1


def test_half_a_reply_has_happened(app: Caller) -> None:
    app.xero.control.fault("half_reply")
    with pytest.raises(httpx.RemoteProtocolError):
        put(app)
    assert count(app) == 1


def test_a_refused_call_has_not_happened(app: Caller) -> None:
    app.xero.control.fault("refuse")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        put(app)
    assert count(app) == 0


@pytest.mark.parametrize(("kind", "written"), [("slow", 1), ("slow_before", 0)])
def test_a_slow_call_waits_on_the_sandboxs_clock(
    app: Caller, clock: SimulatedClock, kind: str, written: int
) -> None:
    app.xero.control.fault(kind, delay_s=45)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(put, app)
        while (
            app.xero.control.ledger()["calls"]["by_endpoint"].get("PUT /Contacts") != 1
        ):
            pass
        assert count(app) == written
        assert not call.done()
        clock.start_jumping()
        assert call.result().status_code == 200
        clock.stop_jumping()
    assert count(app) == 1


def test_latency_holds_up_every_call(app: Caller, clock: SimulatedClock) -> None:
    app.xero.control.set_latency(200)
    began = clock.now()
    clock.start_jumping()
    for _ in range(3):
        assert app.get("Organisation").status_code == 200
    clock.stop_jumping()
    assert (clock.now() - began).total_seconds() == pytest.approx(0.6)


def test_faults_can_be_counted_and_delayed(app: Caller) -> None:
    app.xero.control.fault("503", times=2, after=1)
    statuses = [app.get("Organisation").status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]


@pytest.mark.parametrize(
    "path", ["/Contacts", "/api.xro/2.0/Contacts", "/Con*", "/api.xro/2.0/C*"]
)
def test_faults_are_for_an_address(app: Caller, path: str) -> None:
    app.xero.control.fault("503", path=path, times=9)
    assert app.get("Organisation").status_code == 200
    assert app.get("Contacts").status_code == 503


def test_faults_are_for_a_method(app: Caller) -> None:
    app.xero.control.fault("503", method="PUT", times=9)
    assert app.get("Contacts").status_code == 200
    assert put(app).status_code == 503


@pytest.mark.parametrize(
    ("kind", "status"), [("500_before", 500), ("500_after", 500), ("503", 503)]
)
def test_the_token_endpoint_can_fail_too(app: Caller, kind: str, status: int) -> None:
    app.xero.control.fault(kind, path="/connect/token")
    assert app.refresh().status_code == status
    assert app.refresh().status_code == 200


def test_a_lost_token_can_be_asked_for_again(app: Caller) -> None:
    app.xero.control.fault("reply_lost", path="/connect/token")
    with pytest.raises(httpx.RemoteProtocolError):
        app.refresh()
    assert app.refresh().status_code == 200


def test_faults_are_shown_and_cleared(app: Caller) -> None:
    app.xero.control.fault("503", path="/Contacts", times=3)
    app.get("Contacts")
    (shown,) = app.xero.control.faults()["faults"]
    assert (shown["kind"], shown["times"], shown["hits"]) == ("503", 2, 1)
    app.xero.control.webhook_faults(drop=3)
    app.xero.control.clear_faults()
    assert app.xero.control.faults() == {
        "faults": [],
        "webhooks": {
            "duplicate": 0,
            "repeat": 0,
            "reorder": False,
            "drop": 0,
            "delay_s": 0.0,
        },
    }
    assert app.get("Contacts").status_code == 200


def test_an_unknown_fault_is_refused(app: Caller) -> None:
    with pytest.raises(Refused, match="not a fault"):
        app.xero.control.fault("meteor")
