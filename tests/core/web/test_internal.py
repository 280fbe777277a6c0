"""Health, readiness and metrics."""

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from core.web.internal import Check, internal_app
from core.web.server import HttpServer


@pytest.fixture
def checks() -> dict[str, Check]:
    return {"books": lambda: None, "redis": lambda: None}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def url(checks: dict[str, Check], registry: CollectorRegistry) -> Iterator[str]:
    app = internal_app(checks=checks, registry=registry)
    with HttpServer(app, "127.0.0.1", 0) as server:
        yield server.url


def test_the_process_lives(url: str) -> None:
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_it_is_ready_when_every_check_is_well(url: str) -> None:
    answer = httpx.get(f"{url}/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "wrong": {}}


def test_it_is_not_ready_while_a_check_finds_something(
    url: str, checks: dict[str, Check]
) -> None:
    checks["redis"] = lambda: "no answer since 10:02"
    answer = httpx.get(f"{url}/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "wrong": {"redis": "no answer since 10:02"},
    }


def test_a_check_that_cannot_look_has_found_something(
    url: str, checks: dict[str, Check]
) -> None:
    def cannot() -> str | None:
        raise ConnectionError("refused")

    checks["books"] = cannot
    answer = httpx.get(f"{url}/readyz")
    assert answer.status_code == 503
    assert answer.json()["wrong"] == {"books": "ConnectionError: refused"}


def test_it_lives_even_when_it_is_not_ready(url: str, checks: dict[str, Check]) -> None:
    checks["redis"] = lambda: "away"
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_metrics_are_those_of_the_given_registry(
    url: str, registry: CollectorRegistry
) -> None:
    Counter("invoices", "Invoices raised", registry=registry).inc(3)
    answer = httpx.get(f"{url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "invoices_total 3.0" in answer.text


def test_nothing_else_is_there(url: str) -> None:
    assert httpx.get(f"{url}/").status_code == 404
