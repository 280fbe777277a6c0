"""Plays the person at the browser who consents to the app's access."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from sandbox.loopback import http_client

_TIMEOUT_S = 30.0


class _Form(HTMLParser):
    """Collects the fields that a consent page would submit."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = values.get("action", "")
        if tag == "input" and values.get("type") == "hidden":
            self.fields[values["name"]] = values.get("value", "")


def consent(
    authorize_url: str, *, approve: bool = True, tenant_id: str = ""
) -> httpx.Response:
    """Open the consent page, answer it, and follow the way back to the app.

    Args:
        authorize_url: where the app sends its user.
        approve: False presses Cancel.
        tenant_id: the organisation to connect; empty connects all of them.

    Returns:
        The last response: that of the app's callback, or the error page where Xero
        does not accept the request. Its ``url`` is where the browser ended.
    """
    with http_client(_TIMEOUT_S, follow_redirects=True) as browser:
        page = browser.get(authorize_url)
        if not page.is_success:
            return page
        return _submit(browser, page, approve=approve, tenant_id=tenant_id)


def consent_redirect(
    authorize_url: str,
    *,
    approve: bool = True,
    tenant_id: str = "",
    transport: httpx.BaseTransport | None = None,
) -> str:
    """Answer the consent page and return where it redirects, without going there."""
    with http_client(_TIMEOUT_S, transport=transport) as browser:
        page = browser.get(authorize_url).raise_for_status()
        sent = _submit(browser, page, approve=approve, tenant_id=tenant_id)
        return sent.headers["location"]


def _submit(
    browser: httpx.Client, page: httpx.Response, *, approve: bool, tenant_id: str
) -> httpx.Response:
    form = _Form()
    form.feed(page.text)
    answer = form.fields | {
        "answer": "approve" if approve else "deny",
        "tenant_id": tenant_id,
    }
    return browser.post(urljoin(str(page.url), form.action), data=answer)
