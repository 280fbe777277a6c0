"""What can't be done is answered, kept and out of the way of everybody else."""

import json
from datetime import timedelta
from typing import Any

import pytest

from core.db.inbox import InboxState
from core.db.models import Inbox
from tests.messages import PERIOD, Data, member, message, renewal_due, without
from tests.servers import RedisServer
from tests.world import STREAM_IN, World


def changed(asked: Data, *path: str, to: Any) -> Data:
    """The message with one field at the end of the path replaced."""
    copy: Data = json.loads(json.dumps(asked))
    place = copy
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return copy


def rejected(world: World, raw: bytes | str, field: str = "event") -> Data:
    """Publish it and a good one behind it: the first is rejected, the second is not."""
    before = {told["id"] for told in world.told("message.rejected")}
    world.publish_raw(raw, field)
    good = renewal_due(category="honorary")
    world.publish(good)
    world.hear_answer(good, "membership.renew")
    (told,) = [t for t in world.told("message.rejected") if t["id"] not in before]
    world.quiet()
    assert world.redis.xlen(STREAM_IN) == 0
    assert world.redis.xpending(STREAM_IN, "settled")["pending"] == 0
    found: Data = told
    return found


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b'{"specversion":"1.0","id":"broken', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[1, 2, 3]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b'{"id": NaN}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 50_000, "not JSON"),
        (b'{"data":' + b"9" * 5_000 + b"}", "not JSON"),
        (b'{"data":"' + b"x" * 2_097_152 + b'"}', "2097163 bytes; at most"),
    ],
    ids=lambda value: None if isinstance(value, str) else value[:16].decode("latin-1"),
)
def test_what_is_no_message_at_all(world: World, raw: bytes, reason: str) -> None:
    told = rejected(world, raw)
    assert told["data"]["reason"].startswith(reason)
    assert told["data"]["field"] == "event"
    assert "inreplyto" not in told


def test_an_entry_without_the_field_event(world: World) -> None:
    told = rejected(world, b"{}", field="events")
    assert told["data"]["field"] == "event"


@pytest.mark.parametrize("depth", [50, 200, 900, 2_000, 20_000])
def test_data_that_is_nested_deeply(world: World, depth: int) -> None:
    asked = renewal_due()
    raw = json.dumps(changed(asked, "data", to="HERE")).replace(
        '"HERE"', '{"a":' * depth + "1" + "}" * depth
    )
    told = rejected(world, raw)
    assert told["type"] == "message.rejected"


def test_a_time_is_a_day_ahead_at_most(world: World) -> None:
    def ahead(**by: int) -> Data:
        moment = world.clock.now() + timedelta(**by)
        return {**renewal_due(category="honorary"), "time": moment.isoformat()}

    sooner, later = ahead(hours=23), ahead(hours=25)
    world.publish(sooner, later)
    world.hear_answer(sooner, "membership.renew")
    told = world.hear_answer(later, "message.rejected")
    assert told["data"]["field"] == "time"
    assert told["data"]["reason"].startswith("is more than a day ahead")


def test_a_repeat_is_answered_whatever_its_time(world: World) -> None:
    asked = renewal_due(category="honorary")
    world.publish(asked)
    world.hear_answer(asked, "membership.renew")
    accepted = world.hear_answer(asked, "message.accepted")
    world.publish({**asked, "time": "2126-11-20T08:00:00Z"})
    world.wait(lambda: world.times_heard(accepted) == 2, "the same answer")
    assert "message.rejected" not in world.answers(asked["id"])


@pytest.mark.parametrize(
    "name", ["specversion", "id", "source", "type", "subject", "time", "data"]
)
def test_an_attribute_that_is_missing_is_named(world: World, name: str) -> None:
    told = rejected(world, json.dumps(without(renewal_due(), name)))
    assert told["data"]["field"] == name


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("specversion",), "0.3", "specversion"),
        (("id",), 7, "id"),
        (("id",), "", "id"),
        (("id",), "x" * 256, "id"),
        (("source",), None, "source"),
        (("type",), "membership.renewal_dew", "type"),
        (("time",), "yesterday", "time"),
        (("time",), "2026-11-20T08:00:00", "time"),
        (("time",), "2126-11-20T08:00:00Z", "time"),
        (("time",), "9999-12-31T23:59:59Z", "time"),
        (("time",), "0001-01-01T00:00:00+14:00", "time"),
        (("data",), [], "data"),
        (("tenant",), "other", "tenant"),
        (("data", "membership_id"), None, "data.membership_id"),
        (("data", "category"), ["student"], "data.category"),
        (("data", "category"), "tax practitioner", "data.category"),
        (("data", "category"), "unknown_to_finance", "data.category"),
        (("data", "period", "to"), "2027-02-30", "data.period.to"),
        (("data", "period", "to"), "2026-01-01", "data.period"),
        (("data", "note"), "one field more", "data.note"),
        (("data", "member", "age"), 40, "data.member.age"),
        (("data", "member", "id"), "x" * 51, "data.member.id"),
        (("data", "member", "name"), "<script>", "data.member.name"),
        (("data", "member", "email"), "müller@example.co.za", "data.member.email"),
        (("data", "amount"), 3150.0, "data.amount"),
        (
            ("data", "amount"),
            {"value": 3150.0, "currency": "ZAR"},
            "data.amount.value",
        ),
        (
            ("data", "amount"),
            {"value": "NaN", "currency": "ZAR"},
            "data.amount.value",
        ),
        (
            ("data", "amount"),
            {"value": "1e3", "currency": "ZAR"},
            "data.amount.value",
        ),
        (
            ("data", "amount"),
            {"value": "-1.00", "currency": "ZAR"},
            "data.amount.value",
        ),
        (
            ("data", "amount"),
            {"value": "3150.00", "currency": "rand"},
            "data.amount.currency",
        ),
        (("data", "raise_on"), "0001-01-01", "data.raise_on"),
        (("data", "due_on"), "soon", "data.due_on"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_field_that_is_wrong_is_named(
    world: World, path: tuple[str, ...], value: Any, field: str
) -> None:
    asked = changed(renewal_due(), *path, to=value)
    world.publish_raw(json.dumps(asked))
    good = renewal_due(category="honorary")
    world.publish(good)
    world.hear_answer(good, "membership.renew")
    world.quiet()
    told = world.told("message.rejected")[-1]
    assert told["data"]["field"] == field
    assert told["data"]["reason"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (("id",), "id"),
        (("source",), "source"),
        (("type",), "type"),
        (("subject",), "subject"),
        (("data", "member", "id"), "data.member.id"),
        (("data", "member", "name"), "data.member.name"),
        (("data", "membership_id"), "data.membership_id"),
        (("data", "note"), "data.note"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else None,
)
@pytest.mark.parametrize("odd", ["a\x00b", "a\ud800b"], ids=["NUL", "lone surrogate"])
def test_text_that_no_database_keeps(
    world: World, path: tuple[str, ...], field: str, odd: str
) -> None:
    told = rejected(world, json.dumps(changed(renewal_due(), *path, to=odd)))
    assert told["data"]["field"] == field


def test_a_key_that_no_database_keeps(world: World) -> None:
    asked = renewal_due()
    asked["data"]["a\x00b"] = 1
    told = rejected(world, json.dumps(asked))
    assert told["data"]["field"].startswith("data")


def test_a_group_needs_somebody_who_pays(world: World) -> None:
    item = {"subject": "renewal-x", **renewal_due()["data"]}
    asked = message("membership.renewal_due", "renewals-x", {"items": [item]})
    assert rejected(world, json.dumps(asked))["data"]["field"] == "data.bill_to"


def test_a_subject_stands_only_once_in_a_group(world: World) -> None:
    item = {"subject": "renewal-y", **renewal_due()["data"]}
    data = {"bill_to": member(), "items": [item, item]}
    asked = message("membership.renewal_due", "renewals-y", data)
    world.publish(asked)
    assert world.hear_answer(asked, "message.rejected")["data"]["field"] == "data.items"


def test_it_is_kept_with_what_could_be_read_of_it(world: World) -> None:
    asked = changed(renewal_due(), "data", "period", to=PERIOD["from"])
    rejected(world, json.dumps(asked))
    row = Inbox.get(Inbox.message_id == asked["id"])
    assert row.state == InboxState.REJECTED
    assert row.type == "membership.renewal_due"
    assert row.subject == asked["subject"]
    assert json.loads(row.body) == asked


def test_it_is_told_what_it_replies_to(world: World) -> None:
    asked = changed(renewal_due(), "data", "category", to=7)
    told = rejected(world, json.dumps(asked))
    assert told["inreplyto"] == asked["id"]
    assert told["subject"] == asked["subject"]


def test_the_same_bad_message_again_is_answered_the_same(world: World) -> None:
    asked = changed(renewal_due(), "data", "category", to=7)
    told = rejected(world, json.dumps(asked))
    repeats = world.platform.repeats
    world.publish_raw(json.dumps(asked))
    world.wait(lambda: world.platform.repeats > repeats, "the same answer")
    assert Inbox.select().where(Inbox.message_id == asked["id"]).count() == 1
    assert [t["id"] for t in world.platform.answers(asked["id"])] == [told["id"]]


def test_another_bad_message_with_its_id_is_answered_anew(world: World) -> None:
    asked = changed(renewal_due(), "data", "category", to=7)
    first = rejected(world, json.dumps(asked))
    second = rejected(world, json.dumps(changed(asked, "data", "category", to=8)))
    assert first["id"] != second["id"]
    assert first["inreplyto"] == second["inreplyto"] == asked["id"]


def test_a_corrected_message_needs_an_id_of_its_own(world: World) -> None:
    asked = renewal_due()
    rejected(world, json.dumps(changed(asked, "data", "category", to=7)))
    told = rejected(world, json.dumps(asked))
    assert told["data"]["field"] == "id"


def test_a_hundred_bad_ones_do_not_hold_up_a_good_one(
    world: World, redis_server: RedisServer
) -> None:
    with redis_server.client() as client, client.pipeline() as pipeline:
        for number in range(100):
            pipeline.xadd(STREAM_IN, {"event": b"rubbish %d" % number})
        pipeline.execute()
    world.invoiced(renewal_due())


def test_codes_that_xero_does_not_have_are_refused(world: World) -> None:
    asked = renewal_due(category="unbooked")
    world.publish(asked)
    told = world.hear_answer(asked, "message.rejected")
    assert told["data"]["reason"] == "account code 999 is unknown to Xero"
    asked = renewal_due(category="untaxed")
    world.publish(asked)
    told = world.hear_answer(asked, "message.rejected")
    assert told["data"]["reason"] == "tax type OUTPUT9 is unknown to Xero"
