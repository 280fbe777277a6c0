from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from sandbox import SimulatedClock
from tests.sandbox.caller import Caller, wait_until_at_once

BODY = {"Contacts": [{"Name": "Thabo Nkosi"}]}


def put(app: Caller, key: str, body: Any = BODY, **query: str) -> httpx.Response:
    return app.send("PUT", "Contacts", body, {"Idempotency-Key": key}, **query)


def names(app: Caller) -> list[str]:
    return [contact["Name"] for contact in app.xero.control.ledger()["contacts"]]


def test_a_repeat_gets_the_first_answer(app: Caller) -> None:
    first, again = put(app, "one"), put(app, "one")
    assert again.content == first.content
    assert again.status_code == 200
    assert names(app) == ["Thabo Nkosi"]


def test_without_a_key_a_repeat_is_a_second_call(app: Caller) -> None:
    app.put("Contacts", BODY)
    assert app.put("Contacts", BODY).status_code == 400


def test_a_key_is_remembered_for_six_minutes_from_its_first_use(
    app: Caller, clock: SimulatedClock
) -> None:
    first = put(app, "one")
    clock.advance(200)
    assert put(app, "one").content == first.content
    clock.advance(159)
    assert put(app, "one").content == first.content
    clock.advance(1)
    assert put(app, "one").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "Contacts", {"Contacts": [{"Name": "Somebody else"}]}),
        ("PUT", "Contacts", b'{"Contacts": [{"Name": "Thabo Nkosi"} ]}'),
        ("PUT", "Invoices", BODY),
        ("POST", "Contacts", BODY),
        ("PUT", "Contacts?summarizeErrors=false", BODY),
    ],
)
def test_another_request_with_the_same_key_is_refused(
    app: Caller, method: str, path: str, body: Any
) -> None:
    put(app, "one")
    answer = app.send(method, path, body, {"Idempotency-Key": "one"})
    assert answer.status_code == 400
    assert "Idempotency Key: one is used with a different request." in answer.text
    assert names(app) == ["Thabo Nkosi"]


def test_a_key_has_at_most_128_characters(app: Caller) -> None:
    assert put(app, "x" * 128).status_code == 200
    assert put(app, "x" * 129).status_code == 400


def test_errors_are_remembered_too(app: Caller) -> None:
    bad = {"Contacts": [{"Name": "<Thabo>"}]}
    first = put(app, "one", bad)
    assert first.status_code == 400
    assert put(app, "one", bad).content == first.content


def test_a_500_is_remembered_too(app: Caller, clock: SimulatedClock) -> None:
    app.xero.control.fault("500_before")
    assert put(app, "one").status_code == 500
    assert put(app, "one").status_code == 500
    assert names(app) == []
    clock.advance(360)
    assert put(app, "one").status_code == 200


def test_a_mixed_answer_is_remembered_whole(app: Caller) -> None:
    body = {"Contacts": [{"Name": "Thabo"}, {"Name": "<bad>"}]}
    first = put(app, "one", body, summarizeErrors="false")
    again = put(app, "one", body, summarizeErrors="false")
    assert again.content == first.content
    assert names(app) == ["Thabo"]


def test_a_429_is_not_remembered(app: Caller) -> None:
    app.xero.control.fault("429_minute", retry_after_s=22)
    answer = put(app, "one")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "22"
    assert put(app, "one").status_code == 200


def test_a_lost_reply_can_be_asked_for_again(app: Caller) -> None:
    app.xero.control.fault("reply_lost")
    with pytest.raises(httpx.RemoteProtocolError):
        put(app, "one")
    assert put(app, "one").status_code == 200
    assert names(app) == ["Thabo Nkosi"]


def test_a_repeat_at_the_same_time_waits_for_the_first(
    app: Caller, clock: SimulatedClock
) -> None:
    app.xero.control.fault("slow_before", delay_s=30)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(put, app, "one") for _ in range(2)]
        wait_until_at_once(app, calls)
        assert names(app) == []
        while not all(call.done() for call in calls):
            clock.advance(30)
        first, second = (call.result() for call in calls)
    assert first.content == second.content
    assert names(app) == ["Thabo Nkosi"]


def test_reads_ignore_the_key(app: Caller) -> None:
    headers = {"Idempotency-Key": "one"}
    app.send("GET", "Contacts", headers=headers)
    put(app, "two")
    assert len(app.send("GET", "Contacts", headers=headers).json()["Contacts"]) == 1
