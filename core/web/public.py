"""What the internet may see: Xero's webhooks and the end of a connection's consent."""

import html
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from core.web.answers import bare_error
from core.web.group_commit import GroupCommitter, Receiver
from core.web.webhooks import Outcome, WebhookEndpoint

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<body style="font-family: sans-serif; max-width: 36em; margin: 4em auto">
<h1>{title}</h1>
<p>{text}</p>
</body>
</html>
"""

_PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    # The address of this page holds an authorisation code.
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class CallbackResult:
    """What the person who came back from Xero's consent page is told."""

    ok: bool
    title: str
    text: str


#: Given the query of the redirect (code and state, or error); called in a thread.
Finish = Callable[[Mapping[str, str]], CallbackResult]


def public_app(
    *,
    receiver: Receiver,
    webhook_keys: Sequence[str],
    count_webhook: Callable[[Outcome], None],
    finish: Finish,
) -> Starlette:
    """The public application: two addresses, and 404 for all others.

    Args:
        receiver: stores webhook events; its thread ends with the application.
        webhook_keys: at most two; without any the webhook address is off.
        count_webhook: told the outcome of every webhook request.
        finish: ends a connection that a person began.
    """
    committer = GroupCommitter(receiver)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(committer.close)

    async def callback(request: Request) -> Response:
        if request.method != "GET":
            raise HTTPException(405)  # a HEAD would use up the code
        result = await run_in_threadpool(finish, dict(request.query_params))
        return _page(result)

    webhooks = WebhookEndpoint(committer, webhook_keys, count_webhook)
    app = Starlette(
        routes=[webhooks.route, Route("/oauth/callback", callback)],
        lifespan=life,
        exception_handlers={HTTPException: bare_error, 500: bare_error},
    )
    # A redirect to the address without its slash would tell what there is.
    app.router.redirect_slashes = False
    return app


def _page(result: CallbackResult) -> Response:
    page = _PAGE.format(title=html.escape(result.title), text=html.escape(result.text))
    status = 200 if result.ok else 400
    return HTMLResponse(page, status_code=status, headers=_PAGE_HEADERS)
