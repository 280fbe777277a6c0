"""At the door: an entry of the stream becomes an inbox row and an answer."""

import contextlib
from collections.abc import Mapping, Sequence

import structlog

from core import answers
from core.clock import Clock
from core.db import inbox, outbox, problems
from core.db.database import BOOKS_AWAY, transaction
from core.db.models import Inbox, Season
from core.errors import Refused
from core.message_reading import Entry, MessageReader
from core.messages import Envelope, canonical, hash_of, is_keepable
from core.metrics import Metrics
from core.registry import Registry
from core.settings import Settings

log = structlog.get_logger()

#: How much of an unreadable entry is kept for the person who looks into it.
KEPT_OF_MALFORMED = 16_384


class Door:
    """Accepts or rejects what the platform sends."""

    def __init__(
        self, settings: Settings, registry: Registry, clock: Clock, metrics: Metrics
    ) -> None:
        self.settings = settings
        self.reader = MessageReader(settings, registry, clock)
        self.clock = clock
        self.metrics = metrics

    def accept(self, entries: Sequence[Entry]) -> list[int]:
        """Commit the entries and their answers in one transaction.

        Returns:
            The inbox rows that are to be handled.
        """
        try:
            return self._accept(entries)
        except BOOKS_AWAY:
            raise  # not the entries' fault: they stay pending and are read again
        except Exception:
            if len(entries) == 1:
                return self._give_up(entries[0])
            log.exception("messages.failed_together")
        return [row_id for entry in entries for row_id in self.accept([entry])]

    def _accept(self, entries: Sequence[Entry]) -> list[int]:
        with transaction():
            taken = [self._take(entry) for entry in entries]
        return [row_id for row_id in taken if row_id is not None]

    def _give_up(self, entry: Entry) -> list[int]:
        """An entry that only a bug of ours can explain must not block the stream."""
        log.exception("message.failed", entry=entry.entry_id)
        refusal = Refused("it could not be taken; a person has been told", "event")
        parsed: dict[str, object] = {}
        with contextlib.suppress(Refused):
            parsed = self.reader.parse(entry)
        source, message_id = self._key(entry, parsed)
        kept = repr((entry.raw or b"")[:KEPT_OF_MALFORMED])
        with transaction():
            problems.open_problem(
                "entry_failed",
                f"entry:{source}:{message_id}"[:255],
                f"message {message_id} of {source} could not be taken",
                self.clock.now(),
            )
            self._store_rejected(
                (source, message_id), hash_of(kept), kept, refusal, parsed
            )
        return []

    def _take(self, entry: Entry) -> int | None:
        parsed: dict[str, object] = {}
        try:
            parsed = self.reader.parse(entry)
            envelope, tenant = self.reader.read(entry, parsed)
        except Refused as refusal:
            self._reject(entry, parsed, refusal)
            return None
        row = self.take(envelope, tenant)
        return None if row is None else int(row.id)

    def take(
        self, envelope: Envelope, tenant: str, season: Season | None = None
    ) -> Inbox | None:
        """Accept a message that was read, in the caller's transaction.

        Returns:
            Its row; None: its id was here before, and the first answer is said again.
        """
        now = self.clock.now()
        body = canonical(envelope.model_dump(mode="json"))
        row = inbox.add_accepted(envelope, tenant, body, now, season)
        if row is None:
            self._repeat(envelope)
            return None
        outbox.say([answers.accepted(row)], tenant=tenant, at=now, answers=row)
        self._count("accepted", row)
        return row

    def _repeat(self, envelope: Envelope) -> None:
        """The same id again: the same answers, unless something else is asked."""
        first = inbox.find(envelope.source, envelope.id)
        if first is None:
            raise LookupError(f"inbox row of {envelope.id} is gone")
        if first.content_hash == envelope.content_hash:
            outbox.say_again(first)
            self._count("repeated", first)
            return
        other = f"{envelope.id[:240]}#{envelope.content_hash[:12]}"
        refusal = Refused("this id was used for another message", "id")
        body = canonical(envelope.model_dump(mode="json"))
        key = (envelope.source, other)
        self._store_rejected(
            key, envelope.content_hash, body, refusal, envelope.model_dump()
        )

    def _reject(
        self, entry: Entry, parsed: dict[str, object], refusal: Refused
    ) -> None:
        raw = entry.raw or b""
        key = self._key(entry, parsed)
        content_hash = hash_of(parsed or raw.hex())
        first = inbox.find(*key)
        if first is not None and first.content_hash == content_hash:
            outbox.say_again(first)
            self._count("repeated", first)
            return
        if first is not None:
            key = (key[0], f"{key[1][:240]}#{content_hash[:12]}")
        body = raw[:KEPT_OF_MALFORMED].decode(errors="replace").replace("\0", "\ufffd")
        self._store_rejected(key, content_hash, body, refusal, parsed)

    def _key(self, entry: Entry, parsed: Mapping[str, object]) -> tuple[str, str]:
        """Source and id; of an entry that has none, the stream and the entry's id."""
        message_id, source = parsed.get("id"), parsed.get("source")
        if _is_key(message_id) and _is_key(source):
            return str(source), str(message_id)
        return self.settings.bus.stream_in, entry.entry_id

    def _store_rejected(
        self,
        key: tuple[str, str],
        content_hash: str,
        body: str,
        refusal: Refused,
        parsed: Mapping[str, object],
    ) -> None:
        """Keep it with as much of its envelope as could be read, and answer."""
        now = self.clock.now()
        source, message_id = key[0], key[1][:255]
        row = inbox.add_rejected(
            source,
            message_id,
            content_hash,
            body,
            now,
            type=_key_or_none(parsed.get("type")),
            subject=_key_or_none(parsed.get("subject")),
        ) or inbox.find(source, message_id)
        if row is None:
            raise LookupError(f"inbox row of {message_id} is gone")
        reply_to = _key_or_none(parsed.get("id"))
        answer = answers.rejected(row, refusal, message_id=reply_to)
        outbox.say([answer], tenant=None, at=now, answers=row)
        self._count("rejected", row, field=refusal.field, reason=refusal.reason)

    def _count(self, outcome: str, row: Inbox, **more: object) -> None:
        self.metrics.messages_in.labels(outcome).inc()
        log.info(
            "message.taken",
            outcome=outcome,
            message_id=row.message_id,
            type=row.type,
            **more,
        )


def _key_or_none(value: object) -> str | None:
    return str(value) if _is_key(value) else None


def _is_key(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255 and is_keepable(value)
