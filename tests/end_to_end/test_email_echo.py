"""Xero tells an e-mail of ours back to us; money in its second is seen all the same."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from core.db import reads
from core.db.database import transaction
from tests.end_to_end.conftest import MakeWorld
from tests.messages import renewal_due
from tests.servers import PostgresServer
from tests.world import World

EMAIL = "/Invoices/*/Email"
SLOW_S = 5


@pytest.fixture
def server_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Books in which two may write at once, whatever the suite runs on."""
    with postgres_server.database() as url:
        yield url


def test_a_payment_is_seen_at_once_though_the_echo_was_read_beside_another(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    other = world.invoiced(renewal_due())
    asked = renewal_due()
    _email_slowly(world, asked)
    world.wait(lambda: not world.ledger["webhooks"]["pending"], "its echo")
    reads = world.looked_up("IDs")
    world.pay(other)
    world.wait(lambda: world.looked_up("IDs") > reads, "a read of the other")
    world.hear("invoice.paid")
    world.jump(SLOW_S)
    _pay_when_emailed(world, asked)
    world.hear("membership.renew", asked["subject"])


def test_a_payment_is_seen_at_once_though_the_echo_was_stored_beside_the_outcome(
    tmp_path: Path, redis_url: str, server_url: str
) -> None:
    with World(tmp_path / "data", server_url, redis_url) as world:
        asked = renewal_due()
        world.xero.control.webhook_faults(delay_s=2)
        _email_slowly(world, asked)
        xero_id = world.row_of(asked["subject"]).xero_id
        with psycopg.connect(server_url) as somebody:
            # Whoever asks for the same read now waits until this is decided.
            somebody.execute(
                "INSERT INTO invoice_read (tenant, xero_id, asked, confirms, due_at,"
                " first_asked_at) VALUES ('main', %s, 1, false, 0, 0)",
                [xero_id],
            )
            world.jump(2)
            world.wait(lambda: _waiting(server_url) == 1, "the echo at the books")
            world.jump(SLOW_S)
            world.wait(
                lambda: (
                    bool(world.told("invoice.emailed", asked["subject"]))
                    or _waiting(server_url) > 1
                ),
                "the outcome at the books",
            )
            somebody.rollback()
        _pay_when_emailed(world, asked)
        world.hear("membership.renew", asked["subject"])


def test_a_payment_is_seen_at_once_though_the_echo_came_after_a_look(
    make_world: MakeWorld,
) -> None:
    """The look has shown what the echo tells of, so that no echo is waited for."""
    world = make_world()
    other = world.invoiced(renewal_due())
    world.quiet()
    world.xero.control.webhook_faults(drop=99)
    world.xero.control.fault("slow_before", method="POST", path=EMAIL, delay_s=0.2)
    asked = renewal_due()
    world.clock.set_rate(0)
    try:
        # The payment is in the second of the e-mail, and after it.
        world.clock.advance(1 - world.clock.now().microsecond / 1e6)
        world.publish(asked)
        world.wait(lambda: world.is_under_way("POST", EMAIL), "the e-mail")
        world.clock.advance(0.2)
        told = world.hear("invoice.emailed", asked["subject"])
        now, xero_id = world.clock.now(), str(world.row_of(asked["subject"]).xero_id)
        with transaction():
            reads.ask("main", xero_id, now + timedelta(seconds=10), now)
        world.xero.control.webhook_faults(drop=0)
        world.pay(other)  # whose look the waiting one rides along with
        world.hear("invoice.paid")
        world.quiet()
        world.clock.advance(0.1)
        world.pay(told["data"]["invoice"]["number"])
        world.hear("membership.renew", asked["subject"])
    finally:
        world.clock.set_rate(1)


def _email_slowly(world: World, asked: dict[str, object]) -> None:
    """Xero has it, and its answer is on the way."""
    world.xero.control.fault("slow", method="POST", path=EMAIL, delay_s=SLOW_S)
    world.publish(asked)
    world.wait(lambda: world.is_under_way("POST", EMAIL), "the e-mail")


def _pay_when_emailed(world: World, asked: dict[str, object]) -> None:
    told = world.hear("invoice.emailed", str(asked["subject"]))
    world.pay(told["data"]["invoice"]["number"])


def _waiting(url: str) -> int:
    """How many wait for a lock of somebody else."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return int(row[0]) if row else 0
