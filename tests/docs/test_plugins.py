import inspect
from datetime import UTC, date, datetime
from decimal import Decimal
from types import ModuleType

import pytest

from core import hookspecs, plugin
from core.drafts import Incoming, InvoiceDraft, Price, Prices, RuleContext, Undo
from core.facts import Fact, InvoiceEvent, SettledSubject
from core.money import Money
from core.registry import EVENT_HOOKS, Registry
from tests.docs.pages import bare, code, headings, page, rows, section

TEXT = page("docs/plugins.md")


@pytest.fixture
def library() -> ModuleType:
    """The workflow of the page."""
    (block,) = code(section(TEXT, "A whole one"), "python")
    module = ModuleType("library")
    exec(compile(block, "docs/plugins.md", "exec"), vars(module))  # noqa: S102 our page
    return module


def test_every_hook_has_a_heading_with_its_signature() -> None:
    hooks = {
        f"{name}({', '.join(inspect.signature(hook).parameters)})"
        for name, hook in vars(hookspecs).items()
        if hasattr(hook, f"{hookspecs.PROJECT}_spec")
    }
    assert set(headings(section(TEXT, "The hooks"), 3)) == hooks


def test_everything_that_a_plugin_may_import_is_listed() -> None:
    listed = {
        bare(name)
        for row in rows(section(TEXT, "What `core.plugin` offers"))
        for name in row[0].split(", ")
    }
    assert listed == set(plugin.__all__)


def test_example_drafts_and_undoes(library: ModuleType) -> None:
    registry = Registry({"library": library})
    owned = registry.rule_for("library.loan_overdue")
    waived = registry.rule_for("library.fee_waived")
    assert owned is not None
    assert waived is not None
    price = Price(
        "late_week", date(2026, 1, 1), "ZAR", Decimal(20), "200", "OUTPUT3", "Late"
    )
    context = RuleContext(
        on=date(2026, 11, 21),
        base_currency="ZAR",
        prices=Prices("library", (price,)),
        settings=library.LibrarySettings(),
    )
    member = {"id": "M-1", "name": "Thandi Nkosi", "email": "thandi@example.co.za"}
    data = owned[1].model.model_validate({"member": member, "book": "B", "weeks": 3})
    draft = owned[1].decide(Incoming("1", "", "loan-7", data), context)
    assert isinstance(draft, InvoiceDraft)
    assert [line.quantity * line.unit_amount for line in draft.lines] == [Decimal(60)]
    undo = waived[1].decide(Incoming("2", "", "loan-7", waived[1].model()), context)
    assert undo == Undo("loan-7", draft.settles[0].charge)


@pytest.mark.parametrize("fact", list(Fact))
def test_example_answers_every_fact(library: ModuleType, fact: Fact) -> None:
    registry = Registry({"library": library})
    event = InvoiceEvent(
        fact=fact,
        workflow="library",
        number="LIB-2026-000001",
        invoice_id="1b2c",
        total=Money(Decimal(60), "ZAR"),
        amount=Money(Decimal(60), "ZAR"),
        amount_due=Money(Decimal(0), "ZAR"),
        was_settled=fact is Fact.PAYMENT_REMOVED,
        seen_at=datetime(2026, 11, 21, tzinfo=UTC),
        subjects=(SettledSubject("loan-7", "late_fee", "M-1", {"book": "B"}),),
    )
    actions = registry.react("library", event)
    quiet = {Fact.PART_PAID, Fact.CREDITED}
    assert [action.subject for action in actions] == (
        ["loan-7"] if fact not in quiet else []
    )


def test_example_has_all_hooks() -> None:
    for hook in EVENT_HOOKS:
        assert f"def {hook}(event: InvoiceEvent) -> list[Action]:" in TEXT


def test_example_of_a_test_passes(library: ModuleType) -> None:
    (block,) = code(section(TEXT, "Testing it"), "python")
    example: dict[str, object] = {}
    exec(compile(block, "docs/plugins.md", "exec"), example)  # noqa: S102 our page
    test = example["test_a_week_late_is_charged"]
    assert callable(test)
    test(library.fee, library.LoanOverdue, library.LibrarySettings)
