"""The ledger of e-mails: what we had Xero send in 24 hours."""

from core.clock import seconds
from core.db import emails, writes
from core.db.writes import WriteState
from core.waking import LaneName
from tests.core.db import rows
from tests.core.db.rows import NOW


def sent(number: int, after_s: float, *, by_us: bool = True) -> None:
    row = rows.invoice(number=f"MEM-{number}", emailed_at=NOW + seconds(after_s))
    if by_us:
        writes.add("main", LaneName.EMAILS, str(row.id), NOW, invoice=row)
        (element,) = writes.due("main", LaneName.EMAILS, NOW, 1)
        writes.finish(element, WriteState.DONE)


def test_what_others_have_sent_is_not_ours(books: None) -> None:
    sent(1, 0)
    sent(2, 0, by_us=False)
    assert emails.in_a_day("main", NOW + seconds(60)) == 1


def test_one_that_is_on_its_way_counts(books: None) -> None:
    row = rows.invoice(number="MEM-1")
    writes.add("main", LaneName.EMAILS, str(row.id), NOW, invoice=row)
    element = writes.due("main", LaneName.EMAILS, NOW, 1)
    writes.claim(element, rows.intent(kind="emails"))
    assert emails.in_a_day("main", NOW) == 1


def test_there_is_room_when_enough_are_a_day_old(books: None) -> None:
    for number in range(3):
        sent(number, 100 * number)
    now = NOW + seconds(300)
    assert emails.room_at("main", 4, now) is None
    assert emails.room_at("main", 3, now) == NOW + emails.DAY
    assert emails.room_at("main", 2, now) == NOW + seconds(100) + emails.DAY
