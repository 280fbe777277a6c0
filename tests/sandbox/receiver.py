"""The app's webhook endpoint: checks signatures, keeps what came."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Receiver:
    """Answers webhooks; ``answers`` decides how, once the signature was checked."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.posts: list[dict[str, Any]] = []
        self.signatures: list[bool] = []
        self.status = 200
        self.body = b""
        self.checks_signature = True
        self.delay_s = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        """Posts that carried events."""
        return [post for post in self.posts if post["events"]]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for post in self.deliveries for event in post["events"]]

    def kinds(self) -> list[tuple[str, str]]:
        return [(e["eventCategory"], e["eventType"]) for e in self.events]

    def wait_for(self, condition: Callable[["Receiver"], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition(self):
            assert time.monotonic() < deadline, f"only {self.posts} came"
            threading.Event().wait(0.005)

    def wait_for_events(self, count: int) -> list[dict[str, Any]]:
        self.wait_for(lambda r: len(r.events) >= count)
        return self.events

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, body: bytes, signature: str) -> tuple[int, bytes]:
        digest = hmac.new(self.key.encode(), body, hashlib.sha256).digest()
        is_good = hmac.compare_digest(base64.b64encode(digest), signature.encode())
        self.signatures.append(is_good)
        if self.checks_signature and not is_good:
            return 401, b""
        self.posts.append(json.loads(body))
        return self.status, self.body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                threading.Event().wait(receiver.delay_s)
                status, answer = receiver.take(body, self.headers["x-xero-signature"])
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
