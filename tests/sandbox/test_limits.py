import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sandbox import Limits, Organisation, Sandbox, SimulatedClock
from tests.sandbox.caller import Caller, connect, wait_until_at_once


@pytest.fixture
def app(clock: SimulatedClock) -> Iterator[Caller]:
    limits = Limits(minute=3, day=8, concurrent=5, app_minute=5)
    with Sandbox(clock=clock, limits=limits) as xero, Caller(xero) as caller:
        # Begin right behind the tenant's own second, wherever that is.
        app_second(caller, clock)
        yield caller


def app_second(caller: Caller, clock: SimulatedClock) -> None:
    use = caller.xero.service.gatekeeper.arrive(caller.tenant_id)
    caller.xero.service.gatekeeper.leave(use, admitted=False)
    use.minute.roll(clock.now())
    clock.advance(use.minute.ends_in_s(clock.now()))


def call(app: Caller, times: int = 1) -> list[httpx.Response]:
    return [app.get("Organisation") for _ in range(times)]


def test_every_answer_says_what_is_left(app: Caller) -> None:
    (answer,) = call(app)
    assert answer.headers["X-MinLimit-Remaining"] == "2"
    assert answer.headers["X-DayLimit-Remaining"] == "7"
    assert answer.headers["X-AppMinLimit-Remaining"] == "4"


def test_errors_say_what_is_left_too(app: Caller) -> None:
    answer = app.get("Invoices/unknown")
    assert answer.status_code == 404
    assert answer.headers["X-MinLimit-Remaining"] == "2"


def test_a_full_minute_is_refused_with_retry_after(app: Caller) -> None:
    call(app, 3)
    (answer,) = call(app)
    assert answer.status_code == 429
    assert answer.content == b""
    assert answer.headers["X-Rate-Limit-Problem"] == "minute"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["X-MinLimit-Remaining"] == "0"


def test_after_retry_after_calls_are_let_through(
    app: Caller, clock: SimulatedClock
) -> None:
    (*_, answer) = call(app, 4)
    clock.advance(int(answer.headers["Retry-After"]) - 1)
    assert call(app)[0].status_code == 429
    clock.advance(1)
    assert call(app)[0].status_code == 200


def test_the_window_is_fixed_and_not_rolling(
    app: Caller, clock: SimulatedClock
) -> None:
    clock.advance(58)
    assert [a.status_code for a in call(app, 3)] == [200] * 3
    clock.advance(2)
    # The app's own limit, whose minute begins at another second, would bear no third.
    assert [a.status_code for a in call(app, 2)] == [200] * 2


def test_peak_counts_any_rolling_minute(app: Caller, clock: SimulatedClock) -> None:
    clock.advance(58)
    call(app, 3)
    clock.advance(2)
    call(app, 2)
    clock.advance(58)
    call(app)
    calls = app.xero.control.ledger()["calls"]
    assert calls["peak_per_minute"] == 5


def test_a_full_day_is_refused_until_it_ends(
    app: Caller, clock: SimulatedClock
) -> None:
    for _ in range(4):
        call(app, 2)
        clock.advance(60)
    (answer,) = call(app)
    assert answer.headers["X-Rate-Limit-Problem"] == "day"
    assert answer.headers["X-DayLimit-Remaining"] == "0"
    assert 60 < int(answer.headers["Retry-After"]) <= 86_400
    clock.advance(int(answer.headers["Retry-After"]))
    app.renew()
    assert call(app)[0].status_code == 200


def test_the_app_minute_has_no_retry_after(app: Caller) -> None:
    app.xero.control.set_limits(minute=None)
    (*_, answer) = call(app, 6)
    assert answer.headers["X-Rate-Limit-Problem"] == "appminute"
    assert "Retry-After" not in answer.headers


def test_a_lifted_limit_shows_a_large_number(app: Caller) -> None:
    app.xero.control.set_limits(minute=None, day=None, app_minute=None)
    answers = call(app, 9)
    assert {a.status_code for a in answers} == {200}
    assert int(answers[-1].headers["X-MinLimit-Remaining"]) > 100_000


def test_the_sixth_call_at_once_is_refused(app: Caller) -> None:
    app.xero.control.set_limits(minute=None, day=None, app_minute=None)
    app.xero.control.fault("slow", times=5, delay_s=30)
    with ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(app.get, "Organisation") for _ in range(5)]
        wait_until_at_once(app, slow)
        refused = app.get("Organisation")
        advance_until_done(app, [future.done for future in slow])
        statuses = [future.result().status_code for future in slow]
    assert statuses == [200] * 5
    assert refused.headers["X-Rate-Limit-Problem"] == "concurrent"
    assert "Retry-After" not in refused.headers
    assert app.get("Organisation").status_code == 200
    assert app.xero.control.ledger()["calls"]["peak_concurrent"] == 6


def advance_until_done(app: Caller, done: list[Callable[[], bool]]) -> None:
    while not all(is_done() for is_done in done):
        app.xero.control.advance(30)


def test_refused_calls_are_counted_by_reason(app: Caller) -> None:
    call(app, 5)
    limited = app.xero.control.ledger()["calls"]["limited"]
    assert limited == {"minute": 2, "day": 0, "concurrent": 0, "appminute": 0}


def test_calls_without_a_good_token_use_no_quota(app: Caller) -> None:
    bad = app.headers() | {"Authorization": "Bearer nonsense"}
    app.http.get(f"{app.xero.api_url}/Organisation", headers=bad)
    assert call(app)[0].headers["X-MinLimit-Remaining"] == "2"


def test_connections_use_no_tenant_quota(app: Caller) -> None:
    app.http.get(f"{app.xero.url}/connections", headers=app.headers())
    assert call(app)[0].headers["X-MinLimit-Remaining"] == "2"


def test_limits_come_before_idempotency(app: Caller) -> None:
    app.xero.control.set_limits(minute=2)
    body = {"Contacts": [{"Name": "Thabo"}]}
    headers = {"Idempotency-Key": "one"}
    first = app.send("PUT", "Contacts", body, headers)
    again = app.send("PUT", "Contacts", body, headers)
    refused = app.send("PUT", "Contacts", body, headers)
    assert [first.status_code, again.status_code] == [200, 200]
    assert again.headers["X-MinLimit-Remaining"] == "0"
    assert refused.status_code == 429


def test_each_tenant_has_its_own_minute(clock: SimulatedClock) -> None:
    both = [Organisation("One"), Organisation("Two")]
    limits = Limits(minute=1)
    with (
        Sandbox(clock=clock, limits=limits, organisations=both) as xero,
        Caller(xero) as app,
    ):
        connect(xero, xero.tenant_ids[1])
        assert [a.status_code for a in call(app, 2)] == [200, 429]
        app.tenant_id = xero.tenant_ids[1]
        assert [a.status_code for a in call(app, 2)] == [200, 429]


def test_a_simulated_minute_costs_no_real_one(clock: SimulatedClock) -> None:
    """A caller that waits on the shared clock, as the daemon does in a rehearsal."""
    is_busy = threading.Event()
    clock.add_busy_check(is_busy.is_set)
    began, real = clock.now(), time.monotonic()
    with Sandbox(clock=clock) as xero, Caller(xero) as app:
        clock.start_jumping()
        for _ in range(200):
            is_busy.set()
            while (answer := app.get("Organisation")).status_code == 429:
                is_busy.clear()
                clock.wait(threading.Event(), int(answer.headers["Retry-After"]))
                is_busy.set()
            is_busy.clear()
        clock.stop_jumping()
        assert xero.control.ledger()["calls"]["limited"]["minute"] >= 3
    assert (clock.now() - began).total_seconds() > 120
    assert time.monotonic() - real < 20
