"""The encrypted tokens of the app, and who is refreshing them."""

from datetime import datetime, timedelta

from core.db.models import Connection, ConsentAttempt

#: A code is valid for five minutes; a consent that takes an hour is started anew.
CONSENT_WITHIN = timedelta(hours=1)


def get(client_id: str) -> Connection | None:
    return Connection.get_or_none(Connection.client_id == client_id)


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


def start_refresh(row: Connection, who: str, now: datetime, until: datetime) -> bool:
    """Become the one refresher of this version."""
    free = Connection.refresh_until.is_null() | (Connection.refresh_until < now)
    return bool(
        Connection.update(refresher=who, refresh_until=until)
        .where((Connection.id == row.id) & (Connection.version == row.version) & free)
        .execute()
    )


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


def replace_ciphertext(row: Connection, ciphertext: bytes) -> None:
    Connection.update(ciphertext=ciphertext).where(Connection.id == row.id).execute()


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
