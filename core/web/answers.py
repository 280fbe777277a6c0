"""Answers that tell a stranger nothing."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


def bare(status: int) -> Response:
    """A status and no body."""
    return Response(status_code=status)


async def bare_error(request: Request, error: Exception) -> Response:
    """For every HTTPException: 404, 405, 413 and what else the framework raises.

    The connection ends with it: the request's body may not have been read, and the next
    request would be looked for behind all of it.
    """
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Response(status_code=status, headers={"connection": "close"})
