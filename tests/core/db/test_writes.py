"""What is written to Xero: asked for once, claimed once."""

from datetime import timedelta

from core.db import writes
from core.db.database import transaction
from core.db.models import Write
from core.db.writes import WriteState
from tests.core.db.crowd import together
from tests.core.db.rows import NOW, intent, invoice

KIND = ("main", "invoices")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def add(key: str, *, batch_limit: int = 50, after_s: float = 0) -> Write:
    writes.add(*KIND, key, NOW + seconds(after_s))
    row = Write.get((Write.tenant == "main") & (Write.key == key))
    if batch_limit != 50:
        writes.limit_batch(row, batch_limit)
    return Write.get_by_id(row.id)


def due(limit: int = 50, after_s: float = 0) -> list[str]:
    return [row.key for row in writes.due(*KIND, NOW + seconds(after_s), limit)]


# -- asking ----------------------------------------------------------------------------


def test_asked_for_twice_it_is_written_once(books: None) -> None:
    writes.add(*KIND, "1", NOW, data={"a": 1})
    writes.add(*KIND, "1", NOW + seconds(60), data={"a": 2})
    (row,) = Write.select()
    assert (row.data, row.due_at) == ({"a": 1}, NOW)


def test_the_same_key_of_another_kind_or_tenant_is_another_write(books: None) -> None:
    for tenant, kind in (KIND, ("main", "emails"), ("other", "invoices")):
        writes.add(tenant, kind, "1", NOW)
    assert Write.select().count() == 3
    assert due() == ["1"]


def test_what_was_asked_for_before_is_handed_over_locked(books: None) -> None:
    with transaction():
        first = writes.add_locked(*KIND, "1", NOW, {"a": 1})
        again = writes.add_locked(*KIND, "1", NOW + seconds(60), {"a": 2})
    assert again.id == first.id
    assert (again.data, again.due_at) == ({"a": 1}, NOW)


def test_what_is_not_claimed_can_be_taken_back(books: None) -> None:
    row = add("1")
    assert writes.cancel(*KIND, "1")
    assert not writes.cancel(*KIND, "1")
    assert Write.select().count() == 0
    row = add("1")
    writes.claim([row], intent())
    assert not writes.cancel(*KIND, "1")


def test_what_xero_refused_is_due_again_when_it_is_asked_for_anew(books: None) -> None:
    row = add("1")
    writes.finish(row, WriteState.REFUSED, "locked")
    assert not writes.stands(*KIND, "1")
    writes.ask_again(*KIND, "1", NOW)
    assert due() == ["1"]
    assert writes.stands(*KIND, "1")


def test_what_is_done_is_not_asked_for_again(books: None) -> None:
    writes.finish(add("1"), WriteState.DONE)
    writes.ask_again(*KIND, "1", NOW)
    assert due() == []


# -- what goes together ----------------------------------------------------------------


def test_nothing_is_due_before_its_time(books: None) -> None:
    add("1", after_s=30)
    assert due(after_s=29) == []
    assert due(after_s=30) == ["1"]
    assert writes.next_due(*KIND) == NOW + seconds(30)


def test_the_longest_due_come_first(books: None) -> None:
    add("later", after_s=-1)
    add("first", after_s=-2)
    add("last", after_s=0)
    add("last too", after_s=0)
    assert due() == ["first", "later", "last", "last too"]
    assert due(limit=2) == ["first", "later"]


def test_no_more_than_the_first_ones_limit_share_a_call(books: None) -> None:
    for key in "abcd":
        add(key, batch_limit=2)
    assert due() == ["a", "b"]


def test_the_callers_limit_counts_too(books: None) -> None:
    for key in "abcd":
        add(key, batch_limit=3)
    assert due(limit=1) == ["a"]


def test_elements_of_another_limit_wait_for_their_own_call(books: None) -> None:
    add("a", batch_limit=2)
    add("b")
    add("c", batch_limit=2)
    add("d", batch_limit=2)
    assert due() == ["a", "c"]


def test_a_poison_element_ends_alone(books: None) -> None:
    """Halved after each refusal, as the lane does it."""
    for number in range(8):
        add(str(number), batch_limit=8)
    poison, calls = "5", 0
    while len(batch := writes.due(*KIND, NOW, 50)) > 0:
        calls += 1
        refused = poison in [row.key for row in batch]
        for row in batch:
            if not refused:
                writes.finish(row, WriteState.DONE)
            elif len(batch) == 1:
                writes.finish(row, WriteState.REFUSED, "poison")
            else:
                writes.limit_batch(row, len(batch) // 2)
                writes.due_again(row, NOW)
    states = {row.key: row.state for row in Write.select()}
    assert states.pop(poison) == WriteState.REFUSED
    assert set(states.values()) == {WriteState.DONE}
    assert calls <= 8


def test_what_is_due_is_counted_no_further_than_asked(books: None) -> None:
    for key in "abc":
        add(key)
    assert [writes.count_due(*KIND, NOW, most) for most in (2, 3, 50)] == [2, 3, 3]
    assert writes.oldest_due(*KIND, NOW) == NOW


# -- claiming --------------------------------------------------------------------------


def test_what_is_claimed_is_not_due(books: None) -> None:
    row, opened = add("1"), intent()
    writes.claim([row], opened)
    assert due() == []
    assert writes.is_pending(*KIND)
    assert [element.key for element in writes.elements(opened)] == ["1"]
    writes.finish(row, WriteState.DONE)
    assert not writes.is_pending(*KIND)
    assert writes.elements(opened) == []


def test_only_one_of_many_claims_an_element(books: None) -> None:
    rows = [add(key) for key in "abc"]
    intents = [intent() for _ in range(6)]

    def claim(number: int) -> int:
        with transaction():
            still_due = writes.lock_due(rows)
            writes.claim(still_due, intents[number])
            return len(still_due)

    assert sorted(together(6, claim)) == [0, 0, 0, 0, 0, 3]


def test_what_comes_back_is_due_for_another_intent(books: None) -> None:
    row = add("1")
    writes.claim([row], intent())
    writes.due_again(row, NOW + seconds(5), failed=True, data={"number": "x"})
    (again,) = writes.due(*KIND, NOW + seconds(5), 50)
    assert (again.intent_id, again.tries, again.data) == (None, 1, {"number": "x"})
    assert again.batch_limit == 50


def test_an_element_names_its_invoice(books: None) -> None:
    row = invoice(number="MEM-2026-000001", xero_id="x-1")
    writes.add(*KIND, "1", NOW, invoice=row)
    elements = writes.due(*KIND, NOW, 50)
    assert list(writes.numbers_of(elements).values()) == ["MEM-2026-000001"]
    assert list(writes.xero_ids_of(elements).values()) == ["x-1"]
