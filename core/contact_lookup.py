"""Reading contacts of Xero by their ids, whatever has become of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.calls import IDS_TOGETHER, Admit, XeroAnswer, XeroRequest


def read_of(kind: str, contact_ids: Sequence[str]) -> XeroRequest:
    """One read of these contacts, with everything of them.

    Args:
        kind: of the call, for the quota and the metrics.
        contact_ids: at most ``IDS_TOGETHER``.
    """
    return XeroRequest(
        kind,
        "GET",
        "Contacts",
        query={
            "IDs": ",".join(contact_ids),
            "includeArchived": "true",
            # Unpaged, Xero leaves out terms and where a contact was merged to.
            "page": "1",
            "pageSize": "100",
        },
    )


def look_up(
    admit: Admit, kind: str, contact_ids: Iterable[str]
) -> dict[str, Mapping[str, Any]]:
    """Any number of contacts as Xero says them, by id, in as few reads as may be."""
    ids, found = sorted(contact_ids), dict[str, Mapping[str, Any]]()
    for start in range(0, len(ids), IDS_TOGETHER):
        with admit() as slot:
            answer = slot.send(read_of(kind, ids[start : start + IDS_TOGETHER]))
        found.update(by_id(answer))
    return found


def by_id(answer: XeroAnswer) -> Mapping[str, Mapping[str, Any]]:
    """The contacts of an answer; those that Xero refused without an id are left out."""
    return {
        raw["ContactID"]: raw
        for raw in answer.json.get("Contacts") or []
        if raw.get("ContactID")
    }
