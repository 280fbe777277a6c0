"""The command: python -m sandbox serve, and settled sandbox."""

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import click

from sandbox.clock import AdjustableClock
from sandbox.sandbox import Sandbox
from sandbox.server import PortTaken
from sandbox.xero.app import DEFAULT_REDIRECT_URI, App
from sandbox.xero.limits import Limits

Command = TypeVar("Command", bound=Callable[..., Any])

_LIFTED = "lifted"


@click.group()
def main() -> None:
    """A stand-in for Xero, to try things and to rehearse."""


def _limit(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | None:
    if value is None or value == _LIFTED:
        return None
    if not value.isdecimal():
        raise click.BadParameter(f"a number, or {_LIFTED}")
    return int(value)


def _limit_option(
    name: str, default: int, help_text: str
) -> Callable[[Command], Command]:
    return click.option(
        name, default=str(default), show_default=True, callback=_limit, help=help_text
    )


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=4010,
    show_default=True,
    help="0 takes any free one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    default=[DEFAULT_REDIRECT_URI],
    show_default=True,
    help="Where consent may send the browser; may be repeated.",
)
@click.option("--client-id", help="A client id of your own.")
@click.option("--client-secret", help="A client secret of your own.")
@click.option("--pkce", is_flag=True, help="An app without a secret.")
@_limit_option("--minute", 60, "Calls a minute and tenant, or 'lifted'.")
@_limit_option("--day", 5_000, "Calls a day and tenant, or 'lifted'.")
@_limit_option("--concurrent", 5, "Calls at once and tenant, or 'lifted'.")
@_limit_option("--app-minute", 10_000, "Calls a minute and app, or 'lifted'.")
@_limit_option("--emails-per-day", 1_000, "E-mails a day, or 'lifted'.")
@click.option("--latency-ms", default=0.0, help="How long every call takes.")
@click.option("--rate", default=1.0, help="Seconds that pass in one real second.")
@click.option("--webhook-url", help="Subscribe this address once it answers.")
@click.option("--webhook-key", help="A webhook signing key of your own.")
@click.option("--seed", type=int, help="Seed of the season whose contacts exist.")
@click.option("--members", default=100, show_default=True, help="Size of the season.")
@click.option("--keep-exchanges", default=20_000, show_default=True)
def serve(
    port: int,
    as_json: bool,
    redirect_uris: tuple[str, ...],
    client_id: str | None,
    client_secret: str | None,
    pkce: bool,
    minute: int | None,
    day: int | None,
    concurrent: int | None,
    app_minute: int | None,
    emails_per_day: int | None,
    latency_ms: float,
    rate: float,
    webhook_url: str | None,
    webhook_key: str | None,
    seed: int | None,
    members: int,
    keep_exchanges: int,
) -> None:
    """Serve until interrupted."""
    try:
        app = _app(redirect_uris, client_id, client_secret, pkce)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    limits = Limits(minute, day, concurrent, app_minute, emails_per_day)
    clock = AdjustableClock(rate=rate)
    try:
        running = Sandbox(port, clock, limits, app, keep_exchanges=keep_exchanges)
    except PortTaken as error:
        raise click.ClickException(str(error)) from error
    done = _until_signalled()
    with running:
        running.service.latency_ms = latency_ms
        if webhook_key:
            running.service.webhooks.key = webhook_key
        if seed is not None:
            _seed(running, seed, members)
        if webhook_url:
            running.subscribe_webhooks(webhook_url)
        click.echo(_greeting(running, as_json))
        done.wait()


def _app(
    redirect_uris: tuple[str, ...],
    client_id: str | None,
    client_secret: str | None,
    pkce: bool,
) -> App:
    app = App(redirect_uris=list(redirect_uris))
    app.client_id = client_id or app.client_id
    app.client_secret = None if pkce else client_secret or app.client_secret
    return app


def _until_signalled() -> threading.Event:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    return done


def _seed(running: Sandbox, seed: int, members: int) -> None:
    # Imported here so that serving Xero alone does not load the platform.
    from sandbox.platform.season import Season

    running.control.seed_contacts(Season(members, seed).existing_contacts)


def _greeting(running: Sandbox, as_json: bool) -> str:
    facts = {
        "url": running.url,
        "client_id": running.client_id,
        "client_secret": running.client_secret,
        "redirect_uris": running.redirect_uris,
        "tenant_ids": running.tenant_ids,
        "webhook_key": running.webhook_key,
        "pid": os.getpid(),
    }
    if as_json:
        return json.dumps(facts)
    return "\n".join(f"{name:14} {value}" for name, value in facts.items())
