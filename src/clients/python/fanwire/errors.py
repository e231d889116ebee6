"""What can go wrong, with a code each."""

from typing import Any


class FanwireError(Exception):
    """Something that the server refused, or that can no longer be answered.

    `code` is the protocol's, or one of ours: `connection_lost` (sent, not answered: it may have been done or not), `closed`, `queue_full`, `unsubscribed`.
    """

    def __init__(self, code: str, message: str, field: str | None = None):
        super().__init__(message if field is None else f"{field}: {message}")
        self.code = code
        self.message = message
        # The member that is at fault, if one is.
        self.field = field

    @classmethod
    def of(cls, said: dict[str, Any]) -> "FanwireError":
        """The server's `error`."""
        return cls(str(said.get("code", "")), str(said.get("message", "")), said.get("field"))


def closed() -> FanwireError:
    return FanwireError("closed", "the client is closed")


def unsubscribed() -> FanwireError:
    return FanwireError("unsubscribed", "the subscription has ended")
