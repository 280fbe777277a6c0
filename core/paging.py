"""Reading all that changed since a moment, page by page, without skipping a row.

Seek paging: page 1 again and again, If-Modified-Since moved to the last row's
UpdatedDateUTC. Offset paging over a sort key that moves skips rows (facts/xero.md,
section 4). Only while a whole page shares one second does the page number grow, because
If-Modified-Since counts whole seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from core.calls import Admit, Slot, XeroRequest
from core.xero_json import moment

PAGE = 1_000

#: Rows that were written while a page was being read carry times a little before it.
OVERLAP = timedelta(seconds=60)


#: A member whose contact is archived must not get a second one.
ARCHIVED_TOO = {"includeArchived": "true"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the changes a reader is."""

    since: datetime | None
    page: int = 1


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Mapping[str, Any]]
    answered_at: datetime  # by Xero's clock
    after: Place | None  # None: nothing is left
    left: int | None = None  # rows from this page's first on, if Xero says so


def read_page(
    slot: Slot, kind: str, resource: str, place: Place, query: Mapping[str, str]
) -> Page:
    """One page of changes, oldest first."""
    answer = slot.send(
        XeroRequest(
            kind,
            "GET",
            resource,
            query={
                **query,
                "page": str(place.page),
                "pageSize": str(PAGE),
                "order": "UpdatedDateUTC ASC",
            },
            modified_since=place.since,
        )
    )
    body = answer.json or {}
    rows = body.get(resource) or []
    return Page(
        rows,
        answer.answered_at,
        _after(place, rows),
        _left(place, body),
    )


def read_all(
    admit: Admit,
    kind: str,
    resource: str,
    place: Place,
    query: Mapping[str, str],
    apply: Callable[[Page], None],
) -> datetime:
    """Every page, each applied before the next is asked for.

    Returns:
        Xero's moment of the first page: what changed before it has been read.
    """
    moments = []
    following: Place | None = place
    while following is not None:
        with admit() as slot:
            page = read_page(slot, kind, resource, following, query)
        apply(page)
        moments.append(page.answered_at)
        following = page.after
    return moments[0]


def _left(place: Place, body: Mapping[str, Any]) -> int | None:
    count = (body.get("pagination") or {}).get("itemCount")
    return None if count is None else int(count) - (place.page - 1) * PAGE


def _after(place: Place, rows: Sequence[Mapping[str, Any]]) -> Place | None:
    if len(rows) < PAGE:
        return None
    last = moment(rows[-1].get("UpdatedDateUTC"))
    if last is None:
        return replace(place, page=place.page + 1)
    second = last.replace(microsecond=0)
    if place.since is not None and second <= place.since:
        return replace(place, page=place.page + 1)
    return Place(second)
