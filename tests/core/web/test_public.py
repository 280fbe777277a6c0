"""The public application beside its webhooks."""

from collections.abc import Iterator, Mapping

import httpx
import pytest

from core.web.public import CallbackResult, public_app
from core.web.server import HttpServer
from tests.core.web.web_clients import KEY, Memory


class Consent:
    """Ends a connection as it is told to, and remembers with what."""

    def __init__(self) -> None:
        self.queries: list[Mapping[str, str]] = []
        self.result = CallbackResult(
            ok=True, title="Connected", text="Close this page."
        )

    def finish(self, query: Mapping[str, str]) -> CallbackResult:
        self.queries.append(query)
        return self.result


@pytest.fixture
def consent() -> Consent:
    return Consent()


class Listener:
    """One for all tests; whose consent it ends is each test's own."""

    def __init__(self) -> None:
        self.consent = Consent()
        app = public_app(
            receiver=Memory(),
            webhook_keys=[KEY],
            count_webhook=lambda outcome: None,
            finish=lambda query: self.consent.finish(query),
        )
        self.server = HttpServer(app, "127.0.0.1", 0)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    listener = Listener()
    with listener.server:
        yield listener


@pytest.fixture
def url(listener: Listener, consent: Consent) -> str:
    listener.consent = consent
    return listener.server.url


def test_the_end_of_consent_gets_the_redirects_query(
    url: str, consent: Consent
) -> None:
    answer = httpx.get(f"{url}/oauth/callback?code=abc%20d&state=xyz")
    assert answer.status_code == 200
    assert consent.queries == [{"code": "abc d", "state": "xyz"}]
    assert "Connected" in answer.text


def test_a_failed_connection_is_told_as_such(url: str, consent: Consent) -> None:
    consent.result = CallbackResult(ok=False, title="Not connected", text="Try again.")
    answer = httpx.get(f"{url}/oauth/callback?error=access_denied")
    assert answer.status_code == 400
    assert "Not connected" in answer.text


def test_what_the_page_says_is_text(url: str, consent: Consent) -> None:
    consent.result = CallbackResult(ok=True, title="<b>", text="<script>x</script>&")
    page = httpx.get(f"{url}/oauth/callback").text
    assert "<script>" not in page
    assert "&lt;script&gt;x&lt;/script&gt;&amp;" in page


def test_the_page_is_kept_nowhere_and_tells_nobody_its_address(url: str) -> None:
    headers = httpx.get(f"{url}/oauth/callback?code=secret").headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "set-cookie" not in headers


def test_a_look_ahead_does_not_use_up_the_code(url: str, consent: Consent) -> None:
    assert httpx.head(f"{url}/oauth/callback?code=abc").status_code == 405
    assert consent.queries == []


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", "/metrics", "/docs", "/webhooks", "/webhooks/xero/", "/%00"],
)
def test_nothing_else_is_there(url: str, path: str) -> None:
    answer = httpx.get(url + path)
    assert answer.status_code == 404
    assert answer.content == b""
