"""The encrypted tokens of the app, and who is refreshing them."""

from datetime import datetime, timedelta
from typing import Any

from core.db.models import Connection, ConsentAttempt
from core.db.statement import Slot, statement

#: A code is valid for five minutes; a consent that takes an hour is started anew.
CONSENT_WITHIN = timedelta(hours=1)


@statement
def _get(client_id: Slot) -> Any:
    return Connection.select().where(Connection.client_id == client_id)


def get(client_id: str) -> Connection | None:
    row: Connection | None = _get.first(client_id=client_id)
    return row


def put(client_id: str, ciphertext: bytes, now: datetime) -> None:
    """Tokens of a new consent, whatever was there before."""
    Connection.insert(
        client_id=client_id, ciphertext=ciphertext, refreshed_at=now
    ).on_conflict(
        conflict_target=[Connection.client_id],
        update={
            Connection.ciphertext: ciphertext,
            Connection.version: Connection.version + 1,
            Connection.refreshed_at: now,
            Connection.refresher: None,
            Connection.refresh_until: None,
        },
    ).execute()


@statement
def _start_refresh(row: Slot, version: Slot, who: Slot, now: Slot, until: Slot) -> Any:
    free = Connection.refresh_until.is_null() | (Connection.refresh_until < now)
    return Connection.update(refresher=who, refresh_until=until).where(
        (Connection.id == row) & (Connection.version == version) & free
    )


def start_refresh(row: Connection, who: str, now: datetime, until: datetime) -> bool:
    """Become the one refresher of this version."""
    count = _start_refresh.changed(
        row=row.id, version=row.version, who=who, now=now, until=until
    )
    return count > 0


def end_refresh(
    row: Connection, who: str, ciphertext: bytes | None, now: datetime
) -> bool:
    """Store the rotated tokens before their first use; None: nothing was got."""
    values: dict[str, object] = {"refresher": None, "refresh_until": None}
    if ciphertext is not None:
        values |= {
            "ciphertext": ciphertext,
            "version": row.version + 1,
            "refreshed_at": now,
        }
    return bool(
        Connection.update(**values)
        .where(
            (Connection.id == row.id)
            & (Connection.version == row.version)
            & (Connection.refresher == who)
        )
        .execute()
    )


def add_attempt(state_hash: str, verifier: bytes, now: datetime) -> None:
    ConsentAttempt.delete().where(
        ConsentAttempt.created_at < now - CONSENT_WITHIN
    ).execute()
    ConsentAttempt.create(state_hash=state_hash, verifier=verifier, created_at=now)


def take_attempt(state_hash: str, now: datetime) -> bytes | None:
    """The verifier of this consent, once."""
    row = ConsentAttempt.get_or_none(
        (ConsentAttempt.state_hash == state_hash)
        & (ConsentAttempt.created_at > now - CONSENT_WITHIN)
    )
    if row is None:
        return None
    gone = ConsentAttempt.delete().where(ConsentAttempt.id == row.id).execute()
    return bytes(row.verifier) if gone else None
