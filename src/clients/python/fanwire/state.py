"""Where a client stands, and what follows from the end of a connection: docs/CLIENTS.md has the tables."""

import contextlib
import json
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus

# After these the same client would only be closed again.
FINAL_CODES = frozenset([1002, 1003, 1007, 1009])
LOST = 1006
# Refusals of a handshake that may pass.
PASSING_STATUSES = frozenset([408, 425, 429])
SERVER_ERROR = 500
UNAUTHORIZED = 401


class Cause(StrEnum):
    """Why a client is in its state."""

    # The connection broke, or could not be made.
    LOST = "lost"
    # Nothing was heard for too long.
    SILENT = "silent"
    # The server stops, and has said when to come back.
    STOPPING = "stopping"
    # About the token: it is over, was revoked, is needed, was refused, or could not be fetched.
    EXPIRED = "expired"
    REVOKED = "revoked"
    REQUIRED = "required"
    REFUSED = "refused"
    NO_TOKEN = "no_token"
    # The same client would only be told the same again.
    MISTAKE = "mistake"
    # By `close`.
    CLOSED = "closed"


class State(StrEnum):
    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Change:
    """The client's new state, and why."""

    state: State
    cause: Cause | None = None
    # The close code, or the status that a handshake was refused with.
    code: int | None = None
    reason: str = ""
    # Until the next attempt.
    wait_ms: float | None = None


# Reasons of a close that are about who the client is: another token may help.
TOKEN_REASONS = {"token expired": Cause.EXPIRED, "token revoked": Cause.REVOKED, "authentication required": Cause.REQUIRED}


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a connection ended, or was not made."""

    cause: Cause
    code: int
    reason: str
    is_final: bool = False
    advice_s: float | None = None


def judged(lost: ConnectionClosed, has_other_tokens: bool) -> Lost:
    """What follows from the end of a connection."""
    code, reason = (LOST, "the connection was lost") if lost.rcvd is None else (lost.rcvd.code, lost.rcvd.reason)
    # What the library itself found wrong with what came.
    if lost.rcvd is None and lost.sent is not None and lost.sent.code in FINAL_CODES:
        code, reason = lost.sent.code, lost.sent.reason
    if code in FINAL_CODES:
        return Lost(Cause.MISTAKE, code, reason, is_final=True)
    cause = TOKEN_REASONS.get(reason, Cause.LOST)
    return Lost(cause, code, reason, is_final=cause is not Cause.LOST and not has_other_tokens)


def judged_answer(refused: InvalidStatus) -> Lost:
    """The handshake was answered with something else; its body says why."""
    response = refused.response
    status = response.status_code
    said = bytes(response.body or b"").decode(errors="replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        said = json.loads(said)["error"]["message"]
    is_final = status < SERVER_ERROR and status not in PASSING_STATUSES
    advice = response.headers.get("Retry-After", "")
    cause = Cause.LOST if not is_final else Cause.REQUIRED if status == UNAUTHORIZED else Cause.MISTAKE
    return Lost(cause, status, f"the server refused with {status}: {said}", is_final, float(advice) if advice.isdecimal() else None)


def socket_url(url: str) -> str:
    """The WebSocket's URL of a server that is named in any of the usual ways."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, "/v1/ws" if parts.path in ("", "/") else parts.path, parts.query, ""))
