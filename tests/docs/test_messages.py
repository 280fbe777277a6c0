import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from pydantic import BaseModel

from core.facts import TOLD
from core.members import Address, Member, MemberUpdated
from core.messages import SOURCE, OutboundMessage, as_cloud_event, read_envelope
from core.messages import validated as read_data
from core.money import MoneyData
from core.plan_requests import PlanRequested
from core.registry import Registry
from core.settings import BusSettings
from plugins.membership.messages import Cancelled, Renewal, RenewalDue
from tests.docs.pages import ROOT, bare, code, headings, page, rows, section

TEXT = page("docs/messages.md")
REGISTRY = Registry.installed()
TYPE_OUT = r"(message|invoice|contact|season)\.[a-z_]+"
EXAMPLES: list[dict[str, Any]] = [json.loads(block) for block in code(TEXT, "json")]
SENT = [example for example in EXAMPLES if example["source"] != SOURCE]
RECEIVED = [example for example in EXAMPLES if example["source"] == SOURCE]


def types_out() -> Iterator[str]:
    """Every type of message that the code can send."""
    yield from (message_type for _, message_type in TOLD.values())
    for workflow in REGISTRY.workflows.values():
        yield from workflow.rules.actions
    modules = ("answers", "invoice_messages", "contact_messages", "seasons/requests")
    for module in modules:
        tree = ast.parse((ROOT / "core" / f"{module}.py").read_text())
        for node in ast.walk(tree):
            value = getattr(node, "value", None)
            if isinstance(value, str) and re.fullmatch(TYPE_OUT, value):
                yield value


def types_documented(chapters: str) -> list[str]:
    return [
        heading
        for chapter in headings(TEXT, 2)
        if chapter.startswith(chapters)
        for heading in headings(section(TEXT, chapter), 3)
        if "." in heading
    ]


def test_every_type_in_is_documented_and_has_an_example() -> None:
    assert set(types_documented("Messages in")) == set(REGISTRY.message_types)
    assert {example["type"] for example in SENT} == set(REGISTRY.message_types)


def test_every_type_out_is_documented_and_has_an_example() -> None:
    assert sorted(types_documented("Messages out")) == sorted(set(types_out()))
    assert {example["type"] for example in RECEIVED} == set(types_out())


@pytest.mark.parametrize("example", SENT, ids=lambda e: f"{e['type']} {e['subject']}")
def test_example_in_would_be_accepted(example: dict[str, Any]) -> None:
    model = REGISTRY.model_for(read_envelope(example).type)
    assert model is not None
    read_data(model, example["data"])


@pytest.mark.parametrize("example", RECEIVED, ids=lambda e: str(e["type"]))
def test_example_out_has_the_attributes_that_are_sent(example: dict[str, Any]) -> None:
    message = OutboundMessage(example["type"], example["subject"], {}, (), "id")
    moment = read_envelope(example).time
    sent = as_cloud_event(message, tenant="main", at=moment, sequence=1)
    unordered = ("message.", "contact.", "season.")
    is_ordered = not example["type"].startswith(unordered)
    # Xero's own changes answer no message.
    missing = set(sent) - set(example) - {"sequence", "tenant", "inreplyto"}
    assert set(example) <= set(sent)
    assert not missing
    assert ("sequence" in example) is is_ordered


@pytest.mark.parametrize("attribute", ["id", "inreplyto", "sequence", "tenant"])
def test_attributes_of_what_comes_back_are_explained(attribute: str) -> None:
    listed = [row[0] for row in rows(section(TEXT, "What comes back"))]
    assert any(f"`{attribute}`" in cell for cell in listed)


@pytest.mark.parametrize(
    ("heading", "models"),
    [
        ("`membership.renewal_due`", [RenewalDue]),
        ("`membership.cancelled`", [Cancelled]),
        ("`member.updated`", [MemberUpdated]),
        ("`season.plan_requested`", [PlanRequested]),
        ("A person or body", [Member]),
    ],
)
def test_every_field_has_a_row(heading: str, models: list[type[BaseModel]]) -> None:
    cells = [row[0] for row in rows(section(TEXT, heading))]
    named = {bare(name) for cell in cells for name in cell.split(", ")}
    assert named == {name for model in models for name in model.model_fields}


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("`membership.renewal_due`", Renewal),
        ("A person or body", Address),
        ("Money", MoneyData),
    ],
)
def test_every_inner_field_is_named(heading: str, model: type[BaseModel]) -> None:
    text = section(TEXT, heading)
    for name in model.model_fields:
        assert re.search(rf"[`\"]{name}[`\"]", text), name


def test_size_is_the_default() -> None:
    most = BusSettings.model_fields["message_max_bytes"].default
    assert f"At most {most:,} bytes" in TEXT


def test_redis_cli_example_would_be_accepted() -> None:
    sent = re.findall(r"XADD settled:in '\*' event '(.+)'$", TEXT, re.MULTILINE)
    assert len(sent) == 1
    envelope = read_envelope(json.loads(sent[0]))
    read_data(RenewalDue, envelope.data)


def test_python_example_sends_and_reads(redis_client: redis.Redis) -> None:
    (block,) = code(section(TEXT, "With Python (redis-py)"), "python")
    example: dict[str, Any] = {}
    exec(compile(block, "docs/messages.md", "exec"), example)  # noqa: S102 our page
    example["send"](redis_client, '{"id": "1"}')
    sent: Any = redis_client.xrange("settled:in")
    ((_, fields),) = sent
    assert fields == {b"event": b'{"id": "1"}'}

    redis_client.xgroup_create("settled:out", "platform", id="0", mkstream=True)
    redis_client.xadd("settled:out", {"event": '{"id": "given before"}'})
    redis_client.xreadgroup("platform", "worker-1", {"settled:out": ">"})
    redis_client.xadd("settled:out", {"event": '{"id": "new"}'})
    acted: list[str] = []
    example["read"](
        redis_client,
        lambda message_id, message: acted.append(message_id),
        lambda: len(acted) < 2,
    )
    assert acted == ["given before", "new"]
    pending: Any = redis_client.xpending("settled:out", "platform")
    assert pending["pending"] == 0
