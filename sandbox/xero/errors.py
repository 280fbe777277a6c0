"""How a call is refused.

XeroError
├── PostDataInvalid      400, ErrorNumber 14: the body cannot be read
├── QueryInvalid         400, ErrorNumber 16: the where or order cannot be read
├── NotFound             404, plain text
└── NotOffered           501: part of Xero, but not of this stand-in
ElementRefused           one element breaks rules; carries Xero's messages
"""


class XeroError(Exception):
    """The whole call is refused."""


class PostDataInvalid(XeroError):
    """The body is not what the endpoint reads."""


class QueryInvalid(XeroError):
    """A filter, order or page cannot be read."""


class NotFound(XeroError):
    """No such resource in this organisation."""


class NotOffered(XeroError):
    """Xero has this and the sandbox has not."""


class ElementRefused(Exception):
    """One element of a request breaks rules of Xero."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = list(messages)
