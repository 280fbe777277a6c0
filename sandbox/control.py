"""A client of the control API. Works against this process or another one."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from sandbox.loopback import http_client

_TIMEOUT_S = 60.0


class Refused(Exception):
    """The sandbox would not do it; the message says why."""


class Control:
    """Orders to a sandbox, over HTTP."""

    def __init__(self, url: str) -> None:
        self._client = http_client(_TIMEOUT_S, base_url=f"{url}/_sandbox/")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    # -- looking -------------------------------------------------------------------

    def ledger(self) -> dict[str, Any]:
        """Return everything that is written down."""
        return self._object("GET", "ledger")

    def invoices(self) -> dict[str, dict[str, Any]]:
        """Return the ledger's invoices by number."""
        return {i["InvoiceNumber"]: i for i in self.ledger()["invoices"]}

    def exchanges(self, since: int = 0) -> list[dict[str, Any]]:
        """Return raw traffic after a number."""
        listed: list[dict[str, Any]] = self._send("GET", f"exchanges?since={since}")
        return listed

    # -- money ---------------------------------------------------------------------

    def pay(
        self,
        invoice_number: str,
        amount: Decimal | str | None = None,
        on: date | None = None,
        reference: str | None = None,
    ) -> dict[str, Any]:
        """Pay an invoice by hand; without an amount, all that is due."""
        order = {
            "invoice_number": invoice_number,
            "amount": None if amount is None else str(amount),
            "date": on and on.isoformat(),
            "reference": reference,
        }
        return self._object("POST", "pay", _present(order))

    def delete_payment(self, payment_id: str) -> dict[str, Any]:
        """Delete a payment by hand."""
        return self._object("POST", f"payments/{payment_id}/delete")

    def credit(
        self, invoice_number: str, amount: Decimal | str | None = None
    ) -> dict[str, Any]:
        """Make a credit note and allocate it to an invoice."""
        order = {
            "invoice_number": invoice_number,
            "amount": None if amount is None else str(amount),
        }
        return self._object("POST", "credit", _present(order))

    # -- records -------------------------------------------------------------------

    def edit_invoice(self, number: str, **fields: Any) -> dict[str, Any]:
        """Change an invoice by hand; fields have Xero's names."""
        return self._object("POST", f"invoices/{number}/edit", fields)

    def void_invoice(self, number: str) -> dict[str, Any]:
        """Void an invoice by hand."""
        return self._object("POST", f"invoices/{number}/void")

    def seed_contacts(self, contacts: Sequence[Mapping[str, Any]]) -> list[str]:
        """Create contacts; returns their ids in order."""
        order = {"contacts": [dict(c) for c in contacts]}
        ids: list[str] = self._object("POST", "contacts", order)["contact_ids"]
        return ids

    def edit_contact(self, contact_id: str, **fields: Any) -> dict[str, Any]:
        """Change a contact by hand; fields have Xero's names."""
        return self._object("POST", f"contacts/{contact_id}/edit", fields)

    def archive_contact(self, contact_id: str) -> dict[str, Any]:
        """Archive a contact by hand."""
        return self._object("POST", f"contacts/{contact_id}/archive")

    def erase_contact(self, contact_id: str) -> dict[str, Any]:
        """Erase a contact as its owner may ask (GDPR); nothing brings it back."""
        return self._object("POST", f"contacts/{contact_id}/erase")

    def merge_contacts(self, losing: str, winning: str) -> dict[str, Any]:
        """Merge two contacts by hand."""
        order = {"losing": losing, "winning": winning}
        return self._object("POST", "contacts/merge", order)

    # -- circumstances -------------------------------------------------------------

    def fault(
        self,
        kind: str,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int = 1,
        after: int = 0,
        delay_s: float = 0,
        retry_after_s: int | None = None,
    ) -> dict[str, Any]:
        """Let calls go wrong; see README.md for the kinds."""
        order = {
            "kind": kind,
            "match": _present({"method": method, "path": path}),
            "times": times,
            "after": after,
            "delay_s": delay_s,
            "retry_after_s": retry_after_s,
        }
        return self._object("POST", "faults", _present(order))

    def webhook_faults(
        self,
        *,
        duplicate: int = 0,
        repeat: int = 0,
        reorder: bool = False,
        drop: int = 0,
        delay_s: float = 0,
    ) -> dict[str, Any]:
        """Let deliveries go wrong."""
        order = {
            "duplicate": duplicate,
            "repeat": repeat,
            "reorder": reorder,
            "drop": drop,
            "delay_s": delay_s,
        }
        return self._object("POST", "faults", {"webhooks": order})

    def faults(self) -> dict[str, Any]:
        """Return the faults in force."""
        return self._object("GET", "faults")

    def clear_faults(self) -> None:
        """Let everything work again."""
        self._send("DELETE", "faults")

    def now(self) -> datetime:
        """Return the sandbox's moment."""
        return datetime.fromisoformat(self._object("GET", "clock")["now"])

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward."""
        self._send("POST", "clock", {"advance_s": seconds})

    def set_clock(self, now: datetime) -> None:
        """Set the sandbox's clock."""
        self._send("POST", "clock", {"now": now.isoformat()})

    def set_rate(self, rate: float) -> None:
        """Let so many seconds pass in one real second."""
        self._send("POST", "clock", {"rate": rate})

    def set_limits(self, **limits: int | None) -> dict[str, Any]:
        """Change limits by name; None lifts one."""
        return self._object("POST", "limits", limits)

    def set_latency(self, ms: float) -> None:
        """Let every call take this long."""
        self._send("POST", "latency", {"ms": ms})

    def set_organisation(self, **settings: Any) -> dict[str, Any]:
        """Change settings by Xero's names, for example PeriodLockDate."""
        return self._object("POST", "organisation", settings)

    def app(self) -> dict[str, Any]:
        """Return the registered app."""
        return self._object("GET", "app")

    def register_redirect_uris(self, *uris: str) -> dict[str, Any]:
        """Replace the redirect URIs of the app."""
        return self._object("POST", "app", {"redirect_uris": list(uris)})

    # -- webhooks ------------------------------------------------------------------

    def subscribe_webhooks(self, url: str, key: str | None = None) -> dict[str, Any]:
        """Subscribe an address and run intent-to-receive."""
        return self._object("POST", "webhooks", _present({"url": url, "key": key}))

    def webhooks(self) -> dict[str, Any]:
        """Return the state of the subscription."""
        return self._object("GET", "webhooks")

    def disable_webhooks(self) -> dict[str, Any]:
        """Switch the subscription off."""
        return self._object("POST", "webhooks/disable")

    def enable_webhooks(self) -> dict[str, Any]:
        """Run intent-to-receive again; when it passes, events are replayed."""
        return self._object("POST", "webhooks/enable")

    def _object(self, method: str, path: str, order: Any = None) -> dict[str, Any]:
        answer: dict[str, Any] = self._send(method, path, order)
        return answer

    def _send(self, method: str, path: str, order: Any = None) -> Any:
        answer = self._client.request(method, path, json=order)
        content = answer.json()
        if not answer.is_success:
            raise Refused(content.get("error", answer.text))
        return content


def _present(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if value is not None}
