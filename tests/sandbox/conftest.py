"""A stand-in Xero on a clock that only the test moves, and an app connected to it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sandbox import Sandbox, SimulatedClock
from tests.sandbox.caller import Caller
from tests.sandbox.receiver import Receiver

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


@pytest.fixture
def xero(clock: SimulatedClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def app(xero: Sandbox) -> Iterator[Caller]:
    with Caller(xero) as caller:
        yield caller


@pytest.fixture
def receiver(xero: Sandbox) -> Iterator[Receiver]:
    with Receiver(xero.webhook_key) as endpoint:
        yield endpoint
