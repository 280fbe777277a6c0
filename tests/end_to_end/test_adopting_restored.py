"""An older database is restored, and some of what it forgot was adopted."""

from pathlib import Path

import pytest
from rich.progress import Progress

from settled.adopting import adopt
from settled.recovering import recover
from tests.end_to_end.adoption import by_hand
from tests.end_to_end.conftest import MakeWorld
from tests.end_to_end.test_recovery import Database, database  # noqa: F401 a fixture
from tests.messages import Data, renewal_due
from tests.world import World


class Adopter:
    """Somebody with a file of one line, while the daemon rests."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.asked = renewal_due()
        self.number = by_hand(world, self.member)
        self.file = folder / "adopt.csv"
        self.file.write_text(
            "invoice_number,workflow,subject,member_id\n"
            f"{self.number},membership,{self.asked['subject']},{self.member['id']}\n"
        )

    @property
    def member(self) -> Data:
        who: Data = self.asked["data"]["member"]
        return who

    def adopt(self) -> int | None:
        bar, clock = Progress(disable=True), self.world.clock
        settings = self.world.settings
        return adopt(settings, self.file, None, bar, is_meant=True, clock=clock).count

    def recover(self) -> int:
        found = recover(self.world.settings, lambda _: None, clock=self.world.clock)
        return found["main"].invoices_known

    def explain(self) -> None:
        self.world.publish(self.asked)
        done = self.world.hear_answer(self.asked, "message.done")["data"]
        assert done["outcome"] == "already_invoiced"
        assert done["invoice"]["number"] == self.number


@pytest.fixture
def adopter(make_world: MakeWorld, tmp_path: Path) -> Adopter:
    return Adopter(make_world(), tmp_path)


def test_what_was_adopted_before_the_backup_is_brought_up_to_date(
    adopter: Adopter,
    database: Database,  # noqa: F811 the fixture above
) -> None:
    world = adopter.world
    world.stop_daemon()
    adopter.adopt()
    world.start_daemon()
    adopter.explain()
    world.quiet()
    world.stop_daemon()
    database.back_up()
    database.restore()
    world.pay(adopter.number)
    assert adopter.recover() == 1
    world.start_daemon()
    world.hear("membership.renew", adopter.asked["subject"])
    world.sweep()
    assert len(world.told("membership.renew", adopter.asked["subject"])) == 1


def test_what_was_adopted_since_the_backup_is_adopted_again(
    adopter: Adopter,
    database: Database,  # noqa: F811 the fixture above
) -> None:
    world = adopter.world
    world.stop_daemon()
    database.back_up()
    assert adopter.adopt() == 1
    world.start_daemon()
    adopter.explain()
    world.pay(adopter.number)
    first = world.hear("membership.renew", adopter.asked["subject"])
    world.quiet()
    world.stop_daemon()
    database.restore()
    assert adopter.recover() == 0
    assert adopter.adopt() == 1
    world.start_daemon()
    adopter.explain()
    world.sweep()
    # It is paid in Xero by now, so nothing of it is told again, and nothing is raised.
    assert world.times_heard(first) == 1
    assert len(world.invoices) == 1
    assert world.problems() == []
