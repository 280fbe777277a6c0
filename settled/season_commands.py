"""``settled plan``, ``settled season …``, ``settled quota``, ``settled emails …``."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from core.forecasting import Forecast
from core.money import plain
from core.seasons.carrying_out import Undone
from core.seasons.planning import Outcome, Planned
from core.settings import load_settings
from settled.season_desk import (
    Estimate,
    Progressed,
    SeasonDesk,
    read_messages,
    write_csv,
)
from settled.shell import SOMETHING_WRONG, config_option, progress, show

#: A person reads no further on a screen; the files have them all.
SHOWN_AT_MOST = 20

tenant_option = click.option(
    "--tenant", metavar="ALIAS", help="Which organisation; not needed for a single one."
)
awaited_option = click.option(
    "--awaited-per-day",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Payments, and pay links that are followed, that a day brings; what the "
    "setting quota.awaited_per_day says if that is more.",
)
yes_option = click.option("--yes", is_flag=True, help="Do it; else it is only said.")
file_argument = click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


def _desk(config: Path | None, tenant: str | None) -> SeasonDesk:
    return SeasonDesk(load_settings(config), tenant)


@click.command()
@file_argument
@awaited_option
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan to this file, with every message.",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a row for each message to this file.",
)
@tenant_option
@config_option
def plan(
    file: Path,
    awaited_per_day: int,
    json_file: Path | None,
    csv_file: Path | None,
    tenant: str | None,
    config: Path | None,
) -> None:
    """Say what would become of a season's messages, and what that would cost.

    FILE has a CloudEvents JSON object in each line, as the platform would send it.
    Nothing is written, here or in Xero. Exits with 1 if any message has an obstacle.
    """
    desk = _desk(config, tenant)
    with progress() as bar:
        estimate = desk.plan(read_messages(file), awaited_per_day, bar)
    if json_file is not None:
        json_file.write_text(json.dumps(plan_data(estimate), indent=1), "utf-8")
    if csv_file is not None:
        write_csv(csv_file, estimate.plan)
    _show_plan(estimate)
    if estimate.plan.obstacles:
        raise click.exceptions.Exit(SOMETHING_WRONG)


def plan_data(estimate: Estimate) -> Mapping[str, Any]:
    """For programs: the whole plan."""
    planned, bill = estimate.plan, estimate.bill
    return {
        "digest": planned.digest,
        "tenant": planned.tenant,
        "planned_at": estimate.now.isoformat(),
        "awaited_per_day": estimate.awaited_per_day,
        "outcomes": dict(planned.outcomes),
        "obstacles": dict(planned.obstacles),
        "totals": {code: plain(total) for code, total in planned.totals.items()},
        "calls": dict(bill.calls),
        "calls_in_all": sum(bill.calls.values()),
        "ends_at": bill.ends_at.isoformat(),
        "days_at_best": bill.days_at_best,
        "hours": [
            {
                "begins_at": hour.begins_at.isoformat(),
                "calls": hour.calls,
                "emails": hour.emails,
                "messages": hour.messages,
            }
            for hour in bill.hours
        ],
        "messages": [each.as_data() for each in planned.planned],
    }


def _show_plan(estimate: Estimate) -> None:
    planned, bill = estimate.plan, estimate.bill
    table = Table("", "", title=f"plan {planned.digest}", box=None, show_header=False)
    for outcome, count in planned.outcomes.items():
        table.add_row(outcome, str(count))
    for code, total in planned.totals.items():
        table.add_row("in all", f"{plain(total)} {code}")
    for kind, count in bill.calls.items():
        table.add_row(f"calls, {kind}", str(count))
    table.add_row("calls in all", str(sum(bill.calls.values())))
    table.add_row("ends", _moment(bill.ends_at))
    if bill.days_at_best is not None:
        table.add_row("days at best", f"{bill.days_at_best:.1f}")
    show(table)
    days = Table("day (UTC)", "calls", "e-mails", "messages", box=None)
    for day, *counts in bill.days:
        days.add_row(str(day), *map(str, counts))
    show(days)
    blocked = [e for e in planned.planned if e.outcome is Outcome.OBSTACLE]
    if blocked:
        _show_obstacles(blocked, planned.obstacles)


def _show_obstacles(blocked: list[Planned], counts: Mapping[str, int]) -> None:
    said = ", ".join(f"{count} {obstacle}" for obstacle, count in counts.items())
    table = Table("line", "id", "subject", "obstacle", "why", title=said, box=None)
    for each in blocked[:SHOWN_AT_MOST]:
        why = f"{each.field}: {each.reason}" if each.field else each.reason
        obstacle = each.obstacle.value if each.obstacle else ""
        table.add_row(str(each.position), each.message_id, each.subject, obstacle, why)
    show(table)
    if len(blocked) > SHOWN_AT_MOST:
        show(f"and {len(blocked) - SHOWN_AT_MOST} more: --csv FILE lists all")


# -- season ----------------------------------------------------------------------------


@click.group()
def season() -> None:
    """A renewal season, sent out as planned."""


@season.command("run")
@file_argument
@click.option("--name", required=True, help="What it is called from now on.")
@click.option(
    "--plan", "digest", required=True, help="The plan, as `settled plan` has named it."
)
@awaited_option
@tenant_option
@config_option
def run_season(
    file: Path,
    name: str,
    digest: str,
    awaited_per_day: int,
    tenant: str | None,
    config: Path | None,
) -> None:
    """Have the daemon send out what was planned; refused if the plan has changed."""
    desk = _desk(config, tenant)
    with progress() as bar:
        started = desk.run(name, read_messages(file), digest, awaited_per_day, bar)
    ends_at = datetime.fromisoformat(started.plan["ends_at"])
    click.echo(f"{name} goes out; it should end {_moment(ends_at)}")


@season.command("list")
@tenant_option
@config_option
def list_seasons(tenant: str | None, config: Path | None) -> None:
    """List the seasons, the newest first."""
    found = _desk(config, tenant).everything()
    table = Table("season", "state", "started", "waiting", "sent out", "ends", box=None)
    for each in found:
        row, items = each.season, each.items
        counts = (str(items.get("waiting", 0)), str(items.get("released", 0)))
        ends = _moment(each.ends_at) if each.ends_at else ""
        table.add_row(row.name, row.state, _moment(row.started_at), *counts, ends)
    show(table if found else "none")


@season.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@tenant_option
@config_option
def show_season(
    name: str, as_json: bool, tenant: str | None, config: Path | None
) -> None:
    """Show how far a season has come: planned against actual."""
    found = _desk(config, tenant).progressed(name)
    if as_json:
        click.echo(json.dumps(season_data(found)))
        return
    row, planned = found.season, found.season.plan
    table = Table("", "planned", "so far", title=f"{name}: {row.state}", box=None)
    going = sum(planned["outcomes"].values()) - planned["outcomes"]["obstacle"]
    table.add_row("messages", str(going), str(found.items.get("released", 0)))
    for state, count in found.invoices.items():
        table.add_row(f"invoices {state}", "", str(count))
    table.add_row(
        "e-mailed", str(planned["calls"].get("write_emails", 0)), str(found.emailed)
    )
    for kind in sorted({*planned["calls"], *found.calls}):
        counts = planned["calls"].get(kind, 0), found.calls.get(kind, 0)
        table.add_row(f"calls, {kind}", *map(str, counts))
    ends = _moment(found.ends_at) if found.ends_at else ""
    planned_end = datetime.fromisoformat(planned["ends_at"])
    table.add_row("ends", _moment(planned_end), ends)
    show(table)


def season_data(found: Progressed) -> Mapping[str, Any]:
    """For programs."""
    row = found.season
    return {
        "name": row.name,
        "state": row.state,
        "started_at": row.started_at.isoformat(),
        "started_by": row.started_by,
        "ends_at": found.ends_at and found.ends_at.isoformat(),
        "planned": row.plan,
        "items": dict(found.items),
        "invoices": dict(found.invoices),
        "emailed": found.emailed,
        "calls": dict(found.calls),
    }


@season.command("pause")
@click.argument("name")
@tenant_option
@config_option
def pause_season(name: str, tenant: str | None, config: Path | None) -> None:
    """Send none of its invoices and e-mails until it is resumed."""
    _desk(config, tenant).pause(name)
    click.echo(f"{name} is paused")


@season.command("resume")
@click.argument("name")
@tenant_option
@config_option
def resume_season(name: str, tenant: str | None, config: Path | None) -> None:
    """Go on with a season that was paused."""
    _desk(config, tenant).resume(name)
    click.echo(f"{name} goes on")


@season.command("cancel")
@click.argument("name")
@yes_option
@tenant_option
@config_option
def cancel_season(
    name: str, yes: bool, tenant: str | None, config: Path | None
) -> None:
    """End a season: what Xero does not have is not sent, the rest stays."""
    if not yes:
        raise click.UsageError("say --yes: what was not sent out never will be")
    with progress() as bar:
        undone = _desk(config, tenant).cancel(name, bar)
    _show_undone(undone)


@season.command("void")
@click.argument("name")
@yes_option
@tenant_option
@config_option
def void_season(name: str, yes: bool, tenant: str | None, config: Path | None) -> None:
    """Undo a season: every invoice of it that nobody has paid is voided in Xero."""
    if not yes:
        raise click.UsageError("say --yes: its unpaid invoices will be void")
    with progress() as bar:
        undone = _desk(config, tenant).void(name, bar)
    _show_undone(undone)


def _show_undone(undone: Undone) -> None:
    table = Table("", "", box=None, show_header=False)
    table.add_row("not sent out", str(undone.unsent))
    table.add_row("taken back before Xero had them", str(undone.taken_back))
    table.add_row("to be voided in Xero", str(undone.voided))
    for why, count in undone.kept.items():
        table.add_row(f"left as they are: {why}", str(count))
    show(table)


# -- e-mails ---------------------------------------------------------------------------


@click.group()
def emails() -> None:
    """The e-mails that Xero sends with the invoices."""


@emails.command("pause")
@tenant_option
@config_option
def pause_emails(tenant: str | None, config: Path | None) -> None:
    """Raise invoices as before, and have Xero e-mail none of them."""
    _desk(config, tenant).pause_emails()
    click.echo("e-mails are paused; `settled emails resume` lets them go")


@emails.command("resume")
@tenant_option
@config_option
def resume_emails(tenant: str | None, config: Path | None) -> None:
    """Have Xero e-mail what has waited, within a minute."""
    was_paused = _desk(config, tenant).resume_emails()
    click.echo("e-mails go on" if was_paused else "e-mails were not paused")


# -- quota -----------------------------------------------------------------------------


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@tenant_option
@config_option
def quota(as_json: bool, tenant: str | None, config: Path | None) -> None:
    """Show what is left of Xero's limits, until when it lasts, and what waits."""
    found = _desk(config, tenant).forecast()
    if as_json:
        click.echo(json.dumps(forecast_data(found)))
        return
    table = Table("", "", title=found.tenant, box=None, show_header=False)
    for what, value in forecast_data(found).items():
        if isinstance(value, dict):
            for name, count in value.items():
                table.add_row(f"{what.replace('_', ' ')}, {name}", str(count))
        elif what != "tenant":
            table.add_row(what.replace("_", " "), _said(value))
    show(table)


def forecast_data(found: Forecast) -> dict[str, Any]:
    """For programs: null where it is not known, or there is no such limit."""
    left = found.left
    return {
        "tenant": found.tenant,
        "calls_a_day": found.limit,
        "left_of_the_day": left.day,
        "left_of_the_minute": left.minute,
        "day_ends_at": left.day_ends_at and left.day_ends_at.isoformat(),
        "kept_for_payments": found.kept,
        "calls_of_the_last_hour": found.pace,
        "bulk_stops_at": found.bulk_ends_at and found.bulk_ends_at.isoformat(),
        "used_up_at": found.ends_at and found.ends_at.isoformat(),
        "emails_in_24_hours": found.emails_sent,
        "emails_a_day": found.emails_limit,
        "calls_in_24_hours": dict(found.used),
        "waiting": dict(found.waiting),
    }


def _said(value: object) -> str:
    return "not known, or none" if value is None else str(value)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
