"""One value for two sides: who has changed a field, and who wins where both have.

Each side is compared with what the same side said before, never with the other: so a
value that Xero writes in its own way, or a name that had to be another there, is no
change. All of it is pure; the same history gives the same end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.contact_fields import SHARED, is_empty, same

#: Values that a platform which never answers may still hold.
REMEMBERED = 10


class Side(StrEnum):
    PLATFORM = "platform"
    XERO = "xero"


class Outcome(StrEnum):
    """What became of a field, as the platform is told."""

    CHANGED = "changed"  # changed in Xero alone: the platform takes it over
    RESTORED = "restored"  # changed in Xero, and the platform's value goes back there
    OVERRULED = "overruled"  # the platform's value is overruled by Xero's


@dataclass(frozen=True, slots=True)
class Field:
    """What is known of one field of one member. None: nothing yet.

    Args:
        said: what the platform says; what it was told last counts as said.
        said_at: the ``time`` of the message that said so, and its row: a later row
            decides between messages of one time.
        before: what it may still hold, because it was told of Xero's only at
            ``told_at`` and in the message ``told_by``: what it said, and what it was
            told since.
        is_overruled: the last of these was overruled.
        seen: what Xero showed when both sides were last compared.
        agreed: what both last held, each in its own spelling.
        is_due: what the platform says is still to be written to Xero.
    """

    said: Any = None
    said_at: datetime | None = None
    said_by: int = 0
    before: Sequence[Any] = ()
    told_at: datetime | None = None
    told_by: str = ""
    is_overruled: bool = False
    seen: Any = None
    agreed: Any = None
    is_due: bool = False

    def as_data(self) -> dict[str, Any]:
        moments = {"said_at": _iso(self.said_at), "told_at": _iso(self.told_at)}
        named = {name: getattr(self, name) for name in _NAMES} | moments
        return {name: value for name, value in named.items() if value != _BARE[name]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Field":
        moments = {
            name: datetime.fromisoformat(data[name])
            for name in ("said_at", "told_at")
            if name in data
        }
        return cls(**{**data, **moments})


@dataclass(frozen=True, slots=True)
class Edit:
    """Both sides differed, and one was overruled."""

    field: str
    agreed: Any
    platform: Any
    xero: Any
    winner: Side


@dataclass(frozen=True, slots=True)
class Told:
    """What the platform hears of a field: ``new`` is what holds.

    Args:
        as_of: since when: the telling, or the platform's own message that holds. What
            the platform has changed later is newer.
    """

    field: str
    old: Any
    new: Any
    outcome: Outcome
    as_of: datetime
    overruled: Any = None


@dataclass(frozen=True, slots=True)
class Step:
    """A field after something was heard of it."""

    field: Field
    edit: Edit | None = None
    told: Told | None = None


def hear(
    name: str,
    held: Field,
    value: Any,
    said: tuple[datetime, int],
    now: datetime,
    winner: Side,
    read_at: datetime | None = None,
) -> Step:
    """The platform says a value, in a message of this time and row.

    A message that is older than what was heard already changes nothing. One from before
    the platform had read (``read_at``) what it was told last does not know of it: the
    old value in it is no edit.
    """
    at, row = said
    if held.said_at is not None and said <= (held.said_at, held.said_by):
        return Step(held)
    heard = replace(held, said_at=at, said_by=row)
    if held.told_at is None:
        return Step(replace(heard, said=value))
    knows = read_at is not None and at > read_at
    if same(name, value, held.said):
        return Step(_forgetting(heard) if knows else heard)
    is_what_it_was = any(same(name, value, before) for before in held.before)
    if knows and not is_what_it_was:
        return Step(replace(_forgetting(heard), said=value))
    if is_what_it_was and not knows:
        # If it was meant after all, both sides must not go on apart.
        told = Told(name, value, held.said, Outcome.CHANGED, now)
        return Step(heard, told=told if at > held.told_at else None)
    step = _at_odds(name, heard, value, held.seen, now, winner)
    # Who insists on what was overruled is told so again; it is no other edit.
    is_known = is_what_it_was and held.is_overruled and winner is Side.XERO
    return replace(step, edit=None) if is_known else step


def compare(name: str, held: Field, value: Any, now: datetime, winner: Side) -> Step:
    """Xero shows a value: what each side has changed since they were last compared."""
    if held.said is None:
        return _without_the_platform(name, held, value, now)
    if same(name, held.said, value):
        return Step(replace(held, seen=value, agreed=held.said, is_due=False))
    if held.agreed is None and not held.is_due:
        return _first(name, held, value, now, winner)
    by_xero = not same(name, value, held.seen)
    by_platform = held.is_due or not same(name, held.said, held.agreed)
    if by_xero and by_platform:
        return _at_odds(name, held, held.said, value, now, winner)
    if by_xero:
        return _taken_over(name, held, value, now)
    return Step(replace(held, seen=value, is_due=by_platform))


def land(name: str, held: Field, sent: Any, value: Any) -> Field:
    """Xero has taken what was sent, and shows it as this value."""
    is_due = not same(name, held.said, sent)
    return replace(held, seen=value, agreed=sent, is_due=is_due)


def created(held: Field, sent: Any, value: Any) -> Field:
    """A new contact shows this; what was sent with it is agreed."""
    return replace(held, seen=value, agreed=sent, is_due=False)


def of_another_contact(held: Field) -> Field:
    """The member has another contact: nothing was ever agreed with it."""
    return Field(said=held.said, said_at=held.said_at, said_by=held.said_by)


def _forgetting(held: Field) -> Field:
    """The platform knows what it was told."""
    return replace(held, before=(), told_at=None, told_by="", is_overruled=False)


def _without_the_platform(name: str, held: Field, value: Any, now: datetime) -> Step:
    """The platform never said any: what changes in Xero is news for it."""
    if held.seen is None or same(name, value, held.seen):
        return Step(replace(held, seen=value))
    told = Told(name, held.seen, value, Outcome.CHANGED, now)
    if name not in SHARED:
        return Step(replace(held, seen=value), told=told)
    return Step(_telling(held, held.seen, value, now), told=told)


def _first(name: str, held: Field, value: Any, now: datetime, winner: Side) -> Step:
    """Nothing was agreed yet, and both differ. An empty side overrules nobody."""
    if is_empty(value):
        return Step(replace(held, seen=value, is_due=True))
    if is_empty(held.said):
        return _taken_over(name, held, value, now)
    step = _at_odds(name, held, held.said, value, now, winner)
    # Nobody has edited anything in Xero: there is nothing restored to be told of.
    return replace(step, told=None) if winner is Side.PLATFORM else step


def _taken_over(name: str, held: Field, value: Any, now: datetime) -> Step:
    told = Told(name, held.said, value, Outcome.CHANGED, now)
    return Step(_telling(held, held.said, value, now), told=told)


def _at_odds(
    name: str, held: Field, platform: Any, xero: Any, now: datetime, winner: Side
) -> Step:
    """Both have changed it, differently: the declared winner's value holds."""
    agreed = held.before[0] if held.before else held.agreed
    edit = Edit(name, agreed, platform, xero, winner)
    if winner is Side.PLATFORM:
        field = replace(_forgetting(held), said=platform, seen=xero, is_due=True)
        as_of = held.said_at or now
        told = Told(name, xero, platform, Outcome.RESTORED, as_of, overruled=xero)
        return Step(field, edit, told)
    field = replace(_telling(held, platform, xero, now), is_overruled=True)
    told = Told(name, platform, xero, Outcome.OVERRULED, now, overruled=platform)
    return Step(field, edit, told)


def _telling(held: Field, before: Any, value: Any, now: datetime) -> Field:
    """Xero's value holds, and the platform is told now."""
    return replace(
        held,
        said=value,
        before=[*held.before, before][-REMEMBERED:],
        told_at=now,
        is_overruled=False,
        seen=value,
        agreed=value,
        is_due=False,
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


_NAMES = tuple(Field.__dataclass_fields__)
_BARE = {name: getattr(Field(), name) for name in _NAMES}
