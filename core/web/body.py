"""Reading a request's body, up to a size."""

from starlette.exceptions import HTTPException
from starlette.requests import Request


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body.

    Not Starlette's own limit: after its 413 the connection stays, and a sender of
    gigabytes is listened to until the deadline.

    Raises:
        HTTPException: 413, as soon as it is announced or found to be longer.
        ClientDisconnect: the sender went away, or was cut, before its end.
    """
    # The parser has refused a length that is not a number.
    if int(request.headers.get("content-length", 0)) > max_bytes:
        raise HTTPException(413)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise HTTPException(413)
    return bytes(body)
