import socket
import time

from sandbox import Limits, Sandbox
from tests.sandbox.caller import Caller, line

UNLIMITED = Limits(None, None, None, None, None)
SIZE = 50


def calls_per_second(app: Caller, path: str, count: int) -> float:
    """Call over one bare connection: an HTTP client would take longer than we do."""
    headers = "".join(f"{k}: {v}\r\n" for k, v in app.headers().items())
    request = f"GET /api.xro/2.0/{path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()
    address = app.xero.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = wire.makefile("rb")
        began = time.process_time()
        for _ in range(count):
            wire.sendall(request)
            length = 0
            while (head := stream.readline()) != b"\r\n":
                if head.lower().startswith(b"content-length:"):
                    length = int(head.split(b":")[1])
            stream.read(length)
        stream.close()
        return count / (time.process_time() - began)


def test_at_least_500_simple_calls_a_second() -> None:
    with Sandbox(limits=UNLIMITED) as xero, Caller(xero) as app:
        assert calls_per_second(app, "Organisation", 500) > 500


def test_2000_paid_invoices_do_not_slow_it_down() -> None:
    with Sandbox(limits=UNLIMITED) as xero, Caller(xero) as app:
        before = seconds_of_a_batch(app, 0)
        for batch in range(1, 40):
            seconds_of_a_batch(app, batch)
        after = seconds_of_a_batch(app, 40)
        listed = app.get("Invoices", page=1, pageSize=1_000, where='Status=="PAID"')
        assert listed.json()["pagination"]["itemCount"] == 41 * SIZE
        assert calls_per_second(app, "Invoices/R-0-0", 200) > 500
    assert after < 5 * before + 0.05


def seconds_of_a_batch(app: Caller, batch: int) -> float:
    """Create and pay fifty invoices, one contact each."""
    began = time.process_time()
    people = [{"Name": f"Member {batch}-{n}"} for n in range(SIZE)]
    made = app.put("Contacts", {"Contacts": people}).json()["Contacts"]
    drafts = [
        {
            "Type": "ACCREC",
            "Status": "AUTHORISED",
            "InvoiceNumber": f"R-{batch}-{n}",
            "Contact": {"ContactID": contact["ContactID"]},
            "Date": "2026-11-20",
            "DueDate": "2026-12-20",
            "LineItems": [line()],
        }
        for n, contact in enumerate(made)
    ]
    assert app.put("Invoices", {"Invoices": drafts}).status_code == 200
    payments = [
        {
            "Invoice": {"InvoiceNumber": draft["InvoiceNumber"]},
            "Account": {"Code": "090"},
            "Amount": "1150.00",
        }
        for draft in drafts
    ]
    assert app.put("Payments", {"Payments": payments}).status_code == 200
    return time.process_time() - began
