"""The command line.

Exit codes: 0 done; 1 it ran and something is wrong, as printed; 2 the call was wrong;
3 a setting or the database is unusable; 4 Xero, the database or Redis can't be reached
or refuses.
"""

import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.table import Table
from rich.text import Text

from bus.connection import REDIS_AWAY, RedisUnreachable
from core.db.database import BOOKS_AWAY, unreachable
from core.db.inbox import InboxState
from core.errors import (
    BooksUnusable,
    NotConnected,
    SettingsInvalid,
    SettledError,
    StoreUnreachable,
    XeroError,
)
from core.registry import PluginInvalid, Registry
from core.settings import load_settings
from settled.contact_commands import contacts
from settled.logs import configure_logs
from settled.roles import Role
from settled.season_commands import emails, plan, quota, season
from settled.shell import SOMETHING_WRONG as SOMETHING_WRONG
from settled.shell import UNREACHABLE as UNREACHABLE
from settled.shell import UNUSABLE as UNUSABLE
from settled.shell import USAGE as USAGE
from settled.shell import config_option, progress, show

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command ``settled``: clear errors, no tracebacks, exit codes as above."""
    configure_logs("warning")
    try:
        # Outside standalone mode click returns the code of an Exit.
        code = cli.main(args=arguments, prog_name="settled", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except SettledError as error:
        _end_with(error)
    except BOOKS_AWAY as error:
        _end_with(unreachable(error))
    except REDIS_AWAY as error:
        _end_with(RedisUnreachable(error))
    sys.exit(code if isinstance(code, int) else 0)


def _end_with(error: SettledError) -> NoReturn:
    click.echo(f"settled: {error}", err=True)
    sys.exit(_code_of(error))


def _code_of(error: SettledError) -> int:
    match error:
        case SettingsInvalid() | BooksUnusable() | PluginInvalid():
            return UNUSABLE
        case NotConnected() | XeroError() | StoreUnreachable():
            return UNREACHABLE
        case _:
            return SOMETHING_WRONG


def needs_sandbox(command: CommandT) -> CommandT:
    """The sandbox is a second wheel; without it the command says so."""

    @wraps(command)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            import sandbox  # noqa: F401 only where it is installed
        except ModuleNotFoundError as error:
            raise SettingsInvalid(
                "sandbox", "is not installed; pip install 'settled[sandbox]'"
            ) from error
        return command(*args, **kwargs)

    return checked  # type: ignore[return-value]  # same signature, checked first


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="settled")
def cli() -> None:
    """Exactly one Xero invoice for each request, one action for each payment."""


cli.add_command(contacts)
cli.add_command(plan)
cli.add_command(season)
cli.add_command(emails)
cli.add_command(quota)


@cli.command()
@config_option
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="Only this, for several processes on one Redis and one database; "
    "else everything in one process.",
)
def run(config: Path | None, role: str | None) -> None:
    """Run everything, or one role, until Ctrl-C or SIGTERM."""
    from settled.running import run_until_told_to_stop, run_worker_processes

    settings = load_settings(config)
    if role == Role.WORKER:
        run_worker_processes(settings, config)
    else:
        run_until_told_to_stop(settings, None if role is None else Role(role))


@cli.command()
@config_option
def connect(config: Path | None) -> None:
    """Connect to Xero: prints the address where a person consents."""
    from settled.connecting import connect_to_xero

    names = connect_to_xero(load_settings(config), click.echo)
    click.echo(f"Connected: {', '.join(names)}")


@cli.command()
@config_option
@click.option("--offline", is_flag=True, help="Ask nothing of Xero.")
def check(config: Path | None, offline: bool) -> None:
    """Check settings, stores, plugins, and prices against Xero's own codes."""
    from settled.checking import check_all

    findings = check_all(load_settings(config), offline=offline)
    table = Table("", "what", "finding", box=None)
    for finding in findings:
        mark = Text("ok", "green") if finding.is_fine else Text("WRONG", "red")
        table.add_row(mark, finding.what, finding.text)
    show(table)
    if not all(finding.is_fine for finding in findings):
        raise click.exceptions.Exit(SOMETHING_WRONG)


@cli.command()
def plugins() -> None:
    """List the plugins, their message types and their actions."""
    table = Table("workflow", "takes", "asks the platform to", box=None)
    for name, workflow in Registry.installed().workflows.items():
        takes = "\n".join(rule.message_type for rule in workflow.rules.rules)
        table.add_row(name, takes, "\n".join(workflow.rules.actions))
    show(table)


@cli.command()
@config_option
def migrate(config: Path | None) -> None:
    """Bring the database's schema up to date."""
    from settled.maintenance import migrate_books

    applied = migrate_books(load_settings(config))
    click.echo("\n".join(applied) if applied else "nothing to do")


@cli.command("recover")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def recover_books(as_json: bool, config: Path | None) -> None:
    """Recover the books after an older database was restored.

    Reads all contacts and invoices of Xero; until it has ended nothing is written
    there. Stop the daemon first. May be run again.
    """
    from settled.recovering import recover

    def say(line: str) -> None:
        click.echo(line, err=True)

    found = recover(load_settings(config), say)
    summaries = {tenant: summary.as_data() for tenant, summary in found.items()}
    if as_json:
        click.echo(json.dumps(summaries))
        return
    for tenant, summary in summaries.items():
        table = Table("what", "found", title=tenant, box=None)
        for what, count in summary.items():
            table.add_row(what.replace("_", " "), str(count))
        show(table)


@cli.command("adopt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do it; without this nothing is changed.")
@click.option("--tenant", help="Whose Xero; needed where there are several.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@config_option
def adopt_invoices(
    file: Path, yes: bool, tenant: str | None, as_json: bool, config: Path | None
) -> None:
    """Take over invoices that others have made in Xero; all of them or none.

    FILE is CSV with the columns invoice_number, workflow, subject, and if need be
    member_id and charge. Each line is looked at in Xero and judged; with --yes, and if
    none is wrong, they are ours from then on: later payments are acted on, earlier
    ones are not told again. Nothing is written to Xero. May be run beside the daemon.
    """
    from settled.adopting import adopt, as_data, as_table

    with progress() as bar:
        adopted = adopt(load_settings(config), file, tenant, bar, is_meant=yes)
    if as_json:
        click.echo(json.dumps(as_data(adopted)))
    else:
        show(as_table(adopted))
        show(adopted.summary)
    if not adopted.looked.is_fine:
        raise click.exceptions.Exit(SOMETHING_WRONG)


@cli.group()
def prices() -> None:
    """What things cost, from which day on."""


@prices.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
def import_prices(file: Path, config: Path | None) -> None:
    """Import price rows from a CSV file; all of them or none.

    Columns: workflow, sku, effective_on, currency, unit_amount, account_code, tax_type,
    description.
    """
    from settled.maintenance import import_price_file

    count = import_price_file(load_settings(config), file)
    click.echo(f"{count} prices imported")


@prices.command("list")
@config_option
def list_prices(config: Path | None) -> None:
    """List every price row."""
    from settled.maintenance import price_rows

    table = Table("workflow", "sku", "from", "price", "account", "tax", box=None)
    for workflow, price in price_rows(load_settings(config)):
        amount = f"{price.unit_amount} {price.currency}"
        codes = (price.account_code, price.tax_type)
        table.add_row(workflow, price.sku, str(price.effective_on), amount, *codes)
    show(table)


@cli.group()
def problems() -> None:
    """What needs a person."""


@problems.command("list")
@config_option
def list_problems(config: Path | None) -> None:
    """List the open problems; exits with 1 if there are any."""
    from settled.maintenance import open_problem_rows

    rows = open_problem_rows(load_settings(config))
    table = Table("opened", "seen", "cause", "problem", box=None)
    for row in rows:
        opened = f"{row.opened_at:%Y-%m-%d %H:%M}"
        table.add_row(opened, str(row.seen), row.cause, row.title)
    show(table if rows else "none")
    if rows:
        raise click.exceptions.Exit(SOMETHING_WRONG)


@problems.command("close")
@click.argument("cause")
@config_option
def close_problem(cause: str, config: Path | None) -> None:
    """Close the problem with this cause, because a person has dealt with it."""
    from settled.maintenance import close_problem_of

    close_problem_of(load_settings(config), cause)
    click.echo(f"closed: {cause}")


@problems.command("retry")
@click.argument("cause")
@config_option
def retry_problem(cause: str, config: Path | None) -> None:
    """Try again what the problem with this cause has stopped, and close it.

    For what Xero refused and a person has mended there, and for messages that a
    mended plugin can handle now.
    """
    from settled.maintenance import retry_problem_of

    retry_problem_of(load_settings(config), cause)
    click.echo(f"due again: {cause}")


@cli.group()
def messages() -> None:
    """What the platform has sent."""


@messages.command("list")
@click.option("--held", is_flag=True, help="Only those that wait for a person.")
@config_option
def list_messages(held: bool, config: Path | None) -> None:
    """List the messages that are not finished; exits with 1 if any is held."""
    from settled.maintenance import open_messages

    rows = open_messages(load_settings(config), held_only=held)
    table = Table("received", "state", "id", "type", "subject", "", box=None)
    for row, is_overtaken in rows:
        received = f"{row.received_at:%Y-%m-%d %H:%M}"
        remark = "overtaken by a later one" if is_overtaken else ""
        what = (row.message_id, row.type, row.subject, remark)
        table.add_row(received, row.state, *what)
    show(table if rows else "none")
    if any(row.state == InboxState.HELD for row, _ in rows):
        raise click.exceptions.Exit(SOMETHING_WRONG)


@messages.command("retry")
@click.argument("message_id", metavar="[ID]", required=False)
@click.option("--all", "is_all", is_flag=True, help="Every message that is held.")
@click.option(
    "--anyway",
    is_flag=True,
    help="Also where a later message about the same subject was handled meanwhile.",
)
@config_option
def retry_messages(
    message_id: str | None, is_all: bool, anyway: bool, config: Path | None
) -> None:
    """Handle held messages after all: the one with this id, or --all."""
    from settled.maintenance import retry_held_messages

    if is_all == (message_id is not None):
        raise click.UsageError("name a message, or say --all")
    settings = load_settings(config)
    count = retry_held_messages(settings, message_id, overtaken_too=anyway)
    click.echo(f"{count} to be handled")


@messages.command("reject")
@click.argument("message_id", metavar="[ID]", required=False)
@click.option("--cause", help="Every message that the problem with this cause holds.")
@click.option("--because", required=True, help="Why; the platform is told.")
@config_option
def reject_messages(
    message_id: str | None, cause: str | None, because: str, config: Path | None
) -> None:
    """Reject held messages: the one with this id, or all of one --cause."""
    from settled.maintenance import reject_held_messages

    if (cause is None) == (message_id is None):
        raise click.UsageError("name a message or a --cause")
    settings = load_settings(config)
    count = reject_held_messages(settings, message_id, cause, because)
    click.echo(f"{count} rejected")


@cli.command()
@config_option
def accounts(config: Path | None) -> None:
    """List Xero's accounts and tax rates, as cached."""
    from settled.maintenance import cached_codes

    for tenant, accounts_held, rates in cached_codes(load_settings(config)):
        table = Table("code", "name", "type", title=f"{tenant}: accounts", box=None)
        for row in accounts_held:
            table.add_row(str(row.get("Code", "")), str(row["Name"]), str(row["Type"]))
        show(table)
        table = Table("tax type", "name", "%", title=f"{tenant}: tax rates", box=None)
        for row in rates:
            rate = str(row.get("EffectiveRate", ""))
            table.add_row(str(row["TaxType"]), str(row["Name"]), rate)
        show(table)


@cli.command(
    "sandbox",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@needs_sandbox
def run_sandbox(arguments: tuple[str, ...]) -> None:
    """Run the stand-in Xero: `settled sandbox serve --help` tells its options."""
    from sandbox.cli import main as sandbox_cli

    given = list(arguments) or ["serve"]
    sandbox_cli.main(args=given, prog_name="settled sandbox", standalone_mode=False)


@cli.command()
@click.option(
    "--members",
    default=250,
    show_default=True,
    type=click.IntRange(1, 20000),
    help="How many renew.",
)
@click.option(
    "--seed", default=1, show_default=True, help="Another seed, other people."
)
@click.option(
    "--limits",
    type=click.Choice(["lifted", "xero"]),
    default="lifted",
    show_default=True,
    help="Calls a minute and a day and e-mails a day: lifted, or as Xero has them "
    "(an e-mail is a call, so 250 members then take five minutes).",
)
@click.option("--twice", is_flag=True, help="Publish the season again with new ids.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures here.",
)
@click.option("--serve", is_flag=True, help="Stay up afterwards, to look around.")
@needs_sandbox
def demo(**options: Any) -> None:
    """Run the main job against the sandbox: a renewal season, invoiced and paid.

    Exits with 1 when the books, Xero's ledger and the platform's wishes differ.
    """
    from settled.demo.show import show

    if not show(**options):
        raise click.exceptions.Exit(SOMETHING_WRONG)
