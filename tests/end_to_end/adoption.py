"""What the tests of adopting share: invoices made by hand, and a look at them."""

from datetime import timedelta
from typing import Any

from core.adopting import Adopting, Looked
from core.adoption_lines import Wanted
from core.patience import Patience
from core.quota import Purpose
from tests.messages import Data, member
from tests.world import World

#: Changes of contacts are read together, within a minute of the webhook.
NOTICED = timedelta(seconds=61)

#: Of what ``World.raise_by_hand`` raises.
TOTAL = "11.50"


def known_to_xero(world: World, *some: Data) -> list[str]:
    """Contacts that finance has made for these; their ids."""
    ids = world.xero.control.seed_contacts(
        [{"Name": who["name"], "EmailAddress": who["email"]} for who in some]
    )
    world.advance(NOTICED)
    world.quiet()
    return ids


def by_hand(world: World, who: Data | None = None) -> str:
    """An invoice that finance has made for somebody; its number."""
    (contact_id,) = known_to_xero(world, who or member())
    return world.raise_by_hand(contact_id)


def line(number: str, asked: Data, place: int = 2, **changed: Any) -> Wanted:
    """As the file says it of what this message will ask for."""
    data = asked["data"]
    payer = data.get("bill_to") or data["member"]
    values = {
        "line": place,
        "number": number,
        "workflow": "membership",
        "subject": asked["subject"],
        "member_id": payer["id"],
    }
    return Wanted(**{**values, **changed})


def adopting(world: World, **changed: Any) -> Adopting:
    """Beside the daemon of this world."""
    daemon = world.daemon

    def wait(until: object) -> None:
        raise AssertionError(f"waits {until}")

    slot = Patience(daemon.door, "main", Purpose.HOUSEKEEPING, wait)
    return Adopting(
        "main",
        world.settings,
        daemon.registry,
        daemon.tables,
        slot,
        world.clock,
        **changed,
    )


def look(world: World, *lines: Wanted) -> Looked:
    return adopting(world).look(lines, ignored)


def adopt(world: World, *lines: Wanted) -> int:
    """All of them; how many are new."""
    looked = look(world, *lines)
    assert looked.is_fine, [finding.faults for finding in looked.findings]
    count = adopting(world).take_over(looked, "finance", ignored)
    world.quiet()
    return count


def faults(looked: Looked) -> list[tuple[int, str, str]]:
    """Line, column and reason of all that is wrong."""
    return [
        (finding.wanted.line, fault.field, fault.reason)
        for finding in looked.findings
        for fault in finding.faults
    ]


def ignored(done: int) -> None:
    """Nobody watches the progress."""
