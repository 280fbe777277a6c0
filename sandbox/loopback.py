"""HTTP clients of the sandbox. They ignore proxies and share one TLS context."""

import functools
import ssl

import httpx


@functools.cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes 50 ms, and hardly anybody here speaks TLS.
    return ssl.create_default_context()


def http_client(
    timeout_s: float,
    *,
    base_url: str = "",
    follow_redirects: bool = False,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Return a client whose calls end after timeout_s."""
    return httpx.Client(
        transport=transport,
        base_url=base_url,
        timeout=timeout_s,
        follow_redirects=follow_redirects,
        trust_env=False,
        verify=_tls(),
    )
