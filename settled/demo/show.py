"""``settled demo``: progress bars, a table, and a verdict."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)
from rich.table import Table

from core.db.database import close_books, open_books
from settled.demo.figures import Figures, measure
from settled.demo.judge import Judge
from settled.demo.rehearsal import Rehearsal
from settled.signals import StopSignals

#: More are written to the JSON only.
SHOWN_DIFFERENCES = 20


def show(
    *,
    members: int,
    seed: int,
    limits: str,
    twice: bool,
    json_file: Path | None,
    serve: bool,
) -> bool:
    """Run a season and print what became of it; whether everything agrees."""
    console = Console()
    lifted = (
        " (Xero's limits a minute and a day are lifted)" if limits == "lifted" else ""
    )
    console.print(f"A renewal season of {members} members, seed {seed}{lifted}")
    with tempfile.TemporaryDirectory(prefix="settled-demo-") as name:
        figures = _rehearse(
            console, Path(name), members, seed, limits, twice=twice, serve=serve
        )
    console.print(_table(figures))
    if json_file is not None:
        json_file.write_text(json.dumps(figures.as_dict(), indent=2) + "\n")
    for difference in figures.differences[:SHOWN_DIFFERENCES]:
        console.print(f"[red]differs[/]: {escape(difference)}")
    if not figures.differences:
        console.print("[green]Books, Xero's ledger and the platform's wishes agree.[/]")
    return not figures.differences


def _rehearse(
    console: Console,
    folder: Path,
    members: int,
    seed: int,
    limits: str,
    *,
    twice: bool,
    serve: bool,
) -> Figures:
    with _bars(console) as progress:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        rehearsal = Rehearsal(folder, members, seed, limits, report)
        with rehearsal:
            rehearsal.run()
            before = len(rehearsal.control.ledger()["invoices"])
            again = len(rehearsal.publish_again().messages) if twice else 0
            ledger = rehearsal.control.ledger()
            with _daemons_books(folder):
                judge = Judge(rehearsal.season, rehearsal.platform, ledger)
                figures = measure(
                    rehearsal,
                    ledger,
                    judge.differences(),
                    published_again=again,
                    invoices_before_again=before,
                )
            if serve:
                progress.stop()
                _stay(console, rehearsal)
    return figures


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        yield progress


@contextmanager
def _daemons_books(folder: Path) -> Iterator[None]:
    open_books(f"sqlite:///{folder / 'data' / 'books.db'}")
    try:
        yield
    finally:
        close_books()


def _stay(console: Console, rehearsal: Rehearsal) -> None:
    console.print(f"Xero and its ledger: {rehearsal.xero['url']}")
    console.print(f"Health and metrics:  {rehearsal.addresses['internal']}/metrics")
    console.print(f"Redis:               {rehearsal.addresses['redis']}")
    console.print("Ctrl-C ends it.")
    with StopSignals() as signals:
        signals.wait()


def _table(figures: Figures) -> Table:
    table = Table(box=None, show_header=False)
    rows = {
        "messages accepted, rejected": (
            figures.messages_accepted,
            figures.messages_rejected,
        ),
        "contacts found, created": (figures.contacts_found, figures.contacts_created),
        "invoices raised": (figures.invoices,),
        "free of charge": (figures.free_of_charge,),
        "e-mailed by Xero": (figures.emails,),
        "Xero calls": (figures.calls,),
        "  by purpose": (_listed(figures.calls_by_purpose),),
        "  by kind": (_listed(figures.calls_by_kind),),
        "calls per invoice, all": (figures.calls_per_invoice,),
        "calls per invoice, raising": (figures.raising_calls_per_invoice,),
        "paid": (figures.paid,),
        "activated": (figures.activated,),
        "payment to action, s": (
            f"p50 {figures.payment_to_action_p50_s}",
            f"p95 {figures.payment_to_action_p95_s}",
        ),
        "peak memory, MB": (figures.peak_memory_mb,),
        "seconds": (figures.seconds,),
    }
    if figures.published_again:
        rows["published and answered again"] = (
            figures.published_again,
            figures.answered_again,
        )
    for what, values in rows.items():
        table.add_row(what, ", ".join(str(value) for value in values))
    return table


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
