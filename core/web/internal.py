"""What operations may see: whether the process lives, is ready, and its metrics."""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from core.web.answers import bare_error

#: None while all is well, else what is wrong, for a person. Called in a thread.
Check = Callable[[], str | None]

BODY_MAX_BYTES = 1024 * 1024


def internal_app(
    *,
    checks: Mapping[str, Check],
    registry: CollectorRegistry,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The internal application, for a listener that strangers can't reach.

    Args:
        checks: by name, what must be well before work is sent here.
        registry: whose metrics are shown.
        routes: further pages.
    """

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        wrong = await run_in_threadpool(_run, checks)
        body = {"ready": not wrong, "wrong": wrong}
        return JSONResponse(body, status_code=503 if wrong else 200)

    async def metrics(request: Request) -> Response:
        shown = await run_in_threadpool(generate_latest, registry)
        return Response(shown, media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            *routes,
        ],
        exception_handlers={HTTPException: bare_error, 500: bare_error},
        max_body_size=BODY_MAX_BYTES,
    )


def _run(checks: Mapping[str, Check]) -> dict[str, str]:
    found = {name: _outcome(check) for name, check in checks.items()}
    return {name: wrong for name, wrong in found.items() if wrong is not None}


def _outcome(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 a check that fails to look has found something
        return f"{type(error).__name__}: {error}"
