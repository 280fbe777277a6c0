"""``settled contacts …``: who is which contact, and what a person decides about it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table

from core.contacts.audit import NOBODY
from core.contacts.explaining import Explanation, Standing, as_data, outcome
from core.contacts.importing import MappingWrong, to_confirm
from core.matching.duplicates import Finding, Merge
from core.mirror import Progress
from core.settings import load_settings
from settled.shell import SOMETHING_WRONG, config_option, progress, show

#: A person reads no further; the file has them all.
SHOWN_AT_MOST = 50

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

tenant_option = click.option(
    "--tenant", metavar="ALIAS", help="Which organisation; not needed for a single one."
)
csv_option = click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all of it to this file.",
)


@click.group()
def contacts() -> None:
    """Which contact in Xero each member is, and why."""


def _desk(config: Path | None, tenant: str | None) -> Any:
    from settled.contact_desk import Desk

    return Desk(load_settings(config), tenant)


STANDING_COLUMNS = ("member", "decision", "contact", "name_in_Xero", "why", "waiting")


@contacts.command("list")
@click.option("--undecided", is_flag=True, help="Only those that wait for a person.")
@csv_option
@tenant_option
@config_option
def list_contacts(
    undecided: bool, csv_file: Path | None, tenant: str | None, config: Path | None
) -> None:
    """List the members and their contacts; exits with 1 if any is undecided."""
    found = _desk(config, tenant).standings(undecided_only=undecided)
    # Whoever waits for a person is not left out on a screen.
    first = sorted(found, key=lambda one: not one.is_undecided)
    _told_as_table(STANDING_COLUMNS, [_standing(one) for one in first], csv_file)
    if any(one.is_undecided for one in found):
        raise click.exceptions.Exit(SOMETHING_WRONG)


def _standing(one: Standing) -> Sequence[str]:
    return (
        one.member_id,
        one.decision,
        one.contact.contact_id if one.contact else "",
        one.contact.name if one.contact else "",
        one.reason if one.is_undecided else one.rule,
        str(one.waiting) if one.waiting else "",
    )


@contacts.command()
@click.argument("who", metavar="MEMBER|CONTACT_ID")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@tenant_option
@config_option
def explain(who: str, as_json: bool, tenant: str | None, config: Path | None) -> None:
    """Explain how a member and a contact came together, or why they did not.

    Shows every decision with its evidence, and what would be decided now.
    """
    explained = _desk(config, tenant).explain(who)
    if as_json:
        click.echo(json.dumps(as_data(explained), ensure_ascii=False))
    else:
        for part in _told(explained):
            show(part)


def _told(explained: Explanation) -> Iterator[Table | str]:
    yield from _who(explained)
    if explained.waiting:
        waiting = ", ".join(row.reference for row in explained.waiting)
        yield f"waiting for the decision: {waiting}"
    if explained.decisions:
        yield _decisions(explained)
    if explained.member_id is not None:
        yield f"now: {outcome(explained)}"
    data = as_data(explained)
    for title, found in (
        ("candidates now", data["candidates"]),
        ("also", data["also"]),
        ("of the same name, which decides nothing", data["namesakes"]),
    ):
        if found:
            yield _candidates(title, found)


def _who(explained: Explanation) -> Iterator[str]:
    member, contact = explained.member, explained.contact
    if explained.member_id is not None:
        who = f", {member.name} <{member.email}>" if member else ""
        yield f"member {explained.member_id}{who}"
    if contact is not None:
        tie = "linked to" if explained.is_linked else "no member's:"
        yield f"{tie} {contact.contact_id}, {contact.name} ({contact.status})"
    else:
        yield "linked to no contact that is known"


def _decisions(explained: Explanation) -> Table:
    table = Table("at", "decision", "contact", "rule", "why", "by", box=None)
    for row in explained.decisions:
        at = f"{row.decided_at:%Y-%m-%d %H:%M}"
        contact_id = row.contact_id or ""
        table.add_row(
            at, row.decision, contact_id, row.rule, row.reason, row.decided_by
        )
        for each in row.candidates:
            shown = f"{each['name']} <{each['email']}>"
            table.add_row("", "", each["contact_id"], "", f"{shown}: {each['why']}", "")
    return table


def _candidates(title: str, found: Sequence[Any]) -> Table:
    table = Table("contact", "name", "e-mail", "status", "why", title=title, box=None)
    for each in found:
        table.add_row(
            *(each[name] for name in ("contact_id", "name", "email", "status", "why"))
        )
    return table


@contacts.command()
@click.argument("member")
@click.argument("contact_id")
@click.option("--because", default="", help="Why, for whoever asks later.")
@tenant_option
@config_option
def link(
    member: str, contact_id: str, because: str, tenant: str | None, config: Path | None
) -> None:
    """Say that this contact is this member; what waited for it goes on.

    The contact must be in use and nobody else's, and the member linked to no other.
    """
    count = _desk(config, tenant).link(member, contact_id, because)
    click.echo(f"member {member} is contact {contact_id}; invoices that go on: {count}")


@contacts.command()
@click.argument("member")
@click.option("--because", required=True, help="Why, for whoever asks later.")
@tenant_option
@config_option
def unlink(member: str, because: str, tenant: str | None, config: Path | None) -> None:
    """Say that this member is not the contact that it is linked to.

    Invoices in Xero stay on that contact and are followed as before. The member's next
    invoice is matched anew, without that contact. Refused while an invoice is on its
    way to Xero.
    """
    count = _desk(config, tenant).unlink(member, because)
    click.echo(
        f"member {member} is unlinked; invoices that stay on the contact: {count}; "
        "later ones are matched anew"
    )


@contacts.command()
@click.argument("member")
@click.option("--because", required=True, help="Why, for whoever asks later.")
@tenant_option
@config_option
def create(member: str, because: str, tenant: str | None, config: Path | None) -> None:
    """Say that no candidate is this member: Xero is to make a new contact.

    Refused where a contact has the member's id as its Contact Number.
    """
    count = _desk(config, tenant).create(member, because)
    click.echo(f"member {member} gets a contact; invoices that wait for it: {count}")


@contacts.command()
@click.option("--member", metavar="MEMBER", help="Only those of this member.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@tenant_option
@config_option
def conflicts(
    member: str | None, as_json: bool, tenant: str | None, config: Path | None
) -> None:
    """List the edits that were overruled: the platform's or Xero's, and by whom."""
    found = _desk(config, tenant).conflicts(member)
    if as_json:
        click.echo(json.dumps([edit.as_data() for edit in found], ensure_ascii=False))
        return
    columns = ("when", "member", "field", "agreed", "platform", "Xero", "holds")
    table = Table(*columns, box=None)
    for edit in found:
        table.add_row(*edit.cells())
    show(table if found else "none")


FINDING_COLUMNS = (
    "kind",
    "certain",
    "contact_id",
    "name",
    "email",
    "member_id",
    "other_contact_id",
    "other_name",
    "other_email",
    "why",
)


@contacts.command()
@csv_option
@tenant_option
@config_option
def audit(csv_file: Path | None, tenant: str | None, config: Path | None) -> None:
    """List contacts to look at; exits with 1 if there are any but of nobody.

    Members whose contact is not in use (archived) or has the number of another member
    (number), members without a contact of whom a person will be asked (undecided),
    contacts of nobody that look like a member who has another one (member), likely
    duplicates (duplicate), and contacts that no member has (nobody).
    """
    with _bar("members") as bar:
        found = _desk(config, tenant).audit(bar)
    rows = [_finding(finding) for finding in found]
    _told_as_table(FINDING_COLUMNS, rows, csv_file)
    kinds = Counter(finding.kind for finding in found)
    if kinds:
        show(", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    if kinds.keys() - {NOBODY}:
        raise click.exceptions.Exit(SOMETHING_WRONG)


def _finding(finding: Finding) -> Sequence[str]:
    contact, other = finding.contact, finding.other
    return (
        finding.kind,
        _certain(finding),
        contact.contact_id,
        contact.name,
        contact.email,
        finding.member_id,
        other.contact_id if other else "",
        other.name if other else "",
        other.email if other else "",
        finding.why,
    )


def _certain(finding: Finding) -> str:
    if finding.is_sure:
        return "yes"
    return "" if finding.kind == NOBODY else "perhaps"


MERGE_COLUMNS = (
    "merge",
    "merge_name",
    "into",
    "into_name",
    "why",
    "keep_because",
    "conflict",
)


@contacts.command("merge-plan")
@csv_option
@tenant_option
@config_option
def merge_plan(csv_file: Path | None, tenant: str | None, config: Path | None) -> None:
    """List which duplicate to merge into which, in Xero's own screen.

    Xero has no call that merges contacts. Only sure duplicates are listed. A contact
    that is linked stays, else the most used, numbered, complete, longest unchanged.
    """
    plan = _desk(config, tenant).merge_plan()
    _told_as_table(MERGE_COLUMNS, [_merge(merge) for merge in plan], csv_file)


def _merge(merge: Merge) -> Sequence[str]:
    return (
        merge.merge.contact_id,
        merge.merge.name,
        merge.into.contact_id,
        merge.into.name,
        merge.why,
        merge.keep_because,
        merge.conflict,
    )


def _told_as_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], csv_file: Path | None
) -> None:
    if csv_file is not None:
        from settled.contact_desk import write_csv

        write_csv(csv_file, columns, rows)
        click.echo(f"{len(rows)} written to {csv_file}")
        return
    if not rows:
        show("none")
        return
    table = Table(*(column.replace("_", " ") for column in columns), box=None)
    for row in rows[:SHOWN_AT_MOST]:
        table.add_row(*row)
    show(table)
    if len(rows) > SHOWN_AT_MOST:
        show(f"and {len(rows) - SHOWN_AT_MOST} more: --csv FILE has them all")


@contacts.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", "is_dry", is_flag=True, help="Check every line, link none.")
@click.option(
    "--confirmed",
    "is_confirmed",
    is_flag=True,
    help="The lines that --dry-run doubts are meant so.",
)
@click.option("--because", default="imported", help="Why, for whoever asks later.")
@tenant_option
@config_option
def import_contacts(
    file: Path,
    is_dry: bool,
    is_confirmed: bool,
    because: str,
    tenant: str | None,
    config: Path | None,
) -> None:
    """Link members to contacts by a CSV file; all of its lines or none.

    Columns: member_id, contact_id; name and email, if there are any, are held against
    the contact. Every wrong line is named, and every line that is to be confirmed.
    Exits with 1 if there are any.
    """
    desk = _desk(config, tenant)
    try:
        with _bar("links") as bar:
            done = desk.import_file(
                file, because, bar, is_dry=is_dry, is_confirmed=is_confirmed
            )
    except MappingWrong as wrong:
        _tell_lines(file, wrong.errors)
        _tell_lines(file, wrong.doubts)
        raise
    if is_dry:
        _tell_lines(file, done.doubts)
    would = "would be " if is_dry else ""
    click.echo(
        f"{done.linked} {would}linked, {done.already} were already; "
        f"invoices that {'would ' if is_dry else ''}go on: {done.released}"
    )
    if is_dry and done.doubts and not is_confirmed:
        click.echo(to_confirm(len(done.doubts)))
        raise click.exceptions.Exit(SOMETHING_WRONG)


def _tell_lines(file: Path, lines: Sequence[str]) -> None:
    for text in lines[:SHOWN_AT_MOST]:
        click.echo(f"{file}, {text}", err=True)
    if len(lines) > SHOWN_AT_MOST:
        click.echo(f"and {len(lines) - SHOWN_AT_MOST} more", err=True)


@contacts.command()
@click.option("--anew", is_flag=True, help="Every contact, not only what has changed.")
@tenant_option
@config_option
def load(anew: bool, tenant: str | None, config: Path | None) -> None:
    """Read Xero's contacts now, by the running daemon or without one.

    20,000 contacts are about 20 calls.
    """
    from settled.contact_loading import load_contacts

    with _watching() as watch:
        count = load_contacts(load_settings(config), tenant, watch, anew=anew)
    click.echo(f"{count} contacts")


# -- progress --------------------------------------------------------------------------


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int], Callable[..., None]]]:
    """Told how many there are, it gives what counts them."""
    with progress() as bars:

        def begin(total: int) -> Callable[..., None]:
            task = bars.add_task(what, total=total)
            return lambda count=1: bars.advance(task, count)

        yield begin


@contextmanager
def _watching() -> Iterator[Callable[[Progress, str], None]]:
    with progress() as bars:
        task = bars.add_task("contacts", total=None)
        told = ""

        def watch(far: Progress, waits_for: str) -> None:
            nonlocal told
            what = f"contacts (waits: {waits_for})" if waits_for else "contacts"
            bars.update(task, description=what, completed=far.read, total=far.total)
            line = f"{what}: {far.read} of {far.total or '?'} read"
            if bars.disable and line != told:
                click.echo(line, err=True)
            told = line

        yield watch
