"""What a person does with a season: start it, pause it, cancel it, undo it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import undoing
from core.clock import Clock
from core.db import lanes, seasons
from core.db.database import atomically, transaction
from core.db.invoices import InvoiceState
from core.db.models import Season
from core.db.seasons import ItemState, SeasonState
from core.errors import SettledError
from core.messages import is_keepable
from core.seasons.bill import Bill
from core.seasons.planning import Outcome, Plan
from core.waking import LaneName

#: Of a season's name.
LONGEST_NAME = 100

#: Told how many of how many are done.
Progress = Callable[[int, int], None]


class SeasonRefused(SettledError):
    """It can't be done with this season as it stands."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of a season that was cancelled or voided.

    Args:
        unsent: messages that had not been sent out.
        taken_back: invoices that Xero did not have.
        voided: invoices that are to be voided in Xero.
        kept: invoices that stay, by why.
    """

    unsent: int
    taken_back: int
    voided: int
    kept: Mapping[str, int]


class Seasons:
    """Seasons of a tenant."""

    def __init__(self, tenant: str, clock: Clock) -> None:
        self.tenant = tenant
        self.clock = clock

    def start(
        self,
        name: str,
        plan: Plan,
        bill: Bill,
        bodies: Sequence[bytes],
        by: str,
        awaited_per_day: int,
    ) -> Season:
        """From now on it is sent out, exactly as planned.

        Raises:
            SeasonRefused: another one has not ended, or had this name, or nothing
                would be sent.
        """
        if not plan.sent:
            raise SeasonRefused("nothing of it can be sent out")
        if not 0 < len(name) <= LONGEST_NAME or not is_keepable(name):
            raise SeasonRefused(f"a name has 1 to {LONGEST_NAME} characters")
        with transaction():
            lanes.ensure(self.tenant, [LaneName.SEASON.value])
        with transaction():
            seasons.lock_tenant(self.tenant)
            other = seasons.open_one(self.tenant)
            if other is not None:
                raise SeasonRefused(f"season {other.name} has not ended")
            now = self.clock.now()
            season = seasons.add(
                _items(plan, bodies),
                tenant=self.tenant,
                name=name,
                plan=_summary(plan, bill),
                awaited_per_day=awaited_per_day,
                started_at=now,
                started_by=by,
            )
            if season is None:
                raise SeasonRefused(f"there was a season {name} before")
            lanes.ask(self.tenant, LaneName.SEASON, now, now)
        return season

    def find(self, name: str) -> Season:
        """Raises: SeasonRefused: there is none of this name."""
        season = seasons.find(self.tenant, name)
        if season is None:
            raise SeasonRefused(f"there is no season {name}")
        return season

    @atomically
    def pause(self, name: str) -> None:
        """None of its invoices and e-mails leaves, but by a call that is on its way."""
        season = self._of_state(name, SeasonState.RUNNING)
        _moved(season, SeasonState.PAUSED)
        seasons.hold_back(season)

    @atomically
    def resume(self, name: str) -> None:
        season = self._of_state(name, SeasonState.PAUSED)
        _moved(season, SeasonState.RUNNING)
        seasons.let_go(season)
        now = self.clock.now()
        lanes.ask(self.tenant, LaneName.SEASON, now, now)

    def cancel(self, name: str, progress: Progress) -> Undone:
        """What has not been sent to Xero never is; the rest stays as it is.

        May be run again, if it was interrupted.
        """
        season = self._of_state(name, *seasons.OPEN, SeasonState.CANCELLED)
        unsent = self._end(season, SeasonState.CANCELLED)
        taken_back = self._take_back(season, progress)
        with transaction():
            seasons.let_go(season)
        kept = seasons.count_invoices(season.id)
        return Undone(unsent, taken_back, 0, _without_cancelled(kept))

    def void(self, name: str, progress: Progress) -> Undone:
        """Every invoice of it that nobody has paid is void; may be run again."""
        season = self.find(name)
        unsent = self._end(season, SeasonState.VOIDED)
        taken_back = self._take_back(season, progress)
        raised = seasons.invoices_of(season.id, InvoiceState.RAISED)
        on_their_way = seasons.invoices_of(season.id, InvoiceState.READY)
        # Each is voided as soon as Xero has answered for it.
        kept = {"on its way, and void then": len(on_their_way)} if on_their_way else {}
        voided = 0
        for number, invoice in enumerate(raised, 1):
            why = undoing.void_unpaid(invoice.id, self.clock.now())
            if why is None:
                voided += 1
            else:
                kept[why] = kept.get(why, 0) + 1
            progress(number, len(raised))
        with transaction():
            seasons.let_go(season)
        return Undone(unsent, taken_back, voided, kept)

    def _end(self, season: Season, to: SeasonState) -> int:
        with transaction():
            if season.state != to:
                _moved(season, to, ended_at=season.ended_at or self.clock.now())
            return seasons.cancel_waiting(season.id)

    def _take_back(self, season: Season, progress: Progress) -> int:
        """In transactions of their own: there may be thousands."""
        unsent = seasons.invoices_of(season.id, *undoing.UNSENT)
        count = 0
        for number, invoice in enumerate(unsent, 1):
            count += undoing.take_back_unsent(invoice.id, self.clock.now())
            progress(number, len(unsent))
        return count

    def _of_state(self, name: str, *states: SeasonState) -> Season:
        season = self.find(name)
        if season.state not in states:
            raise SeasonRefused(f"season {name} is {season.state}")
        return season


def _moved(
    season: Season, to: SeasonState, *, ended_at: datetime | None = None
) -> None:
    if not seasons.move(season, to, ended_at=ended_at):
        raise SeasonRefused(f"season {season.name} has just been changed")


def _without_cancelled(counts: Mapping[str, int]) -> Mapping[str, int]:
    return {state: n for state, n in counts.items() if state != InvoiceState.CANCELLED}


def _items(plan: Plan, bodies: Sequence[bytes]) -> list[Mapping[str, Any]]:
    """In the order in which they go out; what has an obstacle comes last."""
    left_out = [each for each in plan.planned if each.outcome is Outcome.OBSTACLE]
    return [
        {
            "position": position,
            "message_id": each.message_id[:255],
            "body": _kept(bodies[each.position - 1]),
            "planned": {k: v for k, v in each.as_data().items() if k != "lines"},
            "state": ItemState.LEFT_OUT
            if each.outcome is Outcome.OBSTACLE
            else ItemState.WAITING,
        }
        for position, each in enumerate([*plan.sent, *left_out], 1)
    ]


def _kept(body: bytes) -> str:
    """As every database keeps it; what has to be replaced is in no good message."""
    return body.decode(errors="replace").replace("\0", "\ufffd")


def _summary(plan: Plan, bill: Bill) -> Mapping[str, Any]:
    return {
        "digest": plan.digest,
        "outcomes": dict(plan.outcomes),
        "calls": dict(bill.calls),
        "ends_at": bill.ends_at.isoformat(),
    }
