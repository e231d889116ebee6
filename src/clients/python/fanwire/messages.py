"""What a subscription is told, as values. Members that this version does not know are passed over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Position: TypeAlias = dict[str, Any]
"""A place in any number of topics: `{"epoch", "offsets", "time_us"}`. To be kept, and handed in as `since` another day."""

Since: TypeAlias = str | int | Mapping[str, Any]
"""`earliest`, `last`, a time (ISO 8601, or microseconds since 1970), `{"time_us": …}` or a position."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened."""

    topic: str
    # Empty: about nothing in particular.
    key: str
    # `upsert`, `delete`, `event` or `leave`.
    op: str
    offset: int
    # When the server ordered it, in microseconds since 1970.
    time_us: int
    payload: dict[str, Any]

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Event":
        return cls(said["topic"], said.get("key", ""), said["op"], said["offset"], said["time_us"], said["payload"])


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a topic that are not coming: `first` and `last` are the offsets of the first and last of them."""

    topic: str
    first: int
    last: int
    # `evicted`, `epoch`, `slow`, `corrupt`, `unavailable`, or what later servers say.
    reason: str

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Gap":
        return cls(said["topic"], said["from"], said["to"], said["reason"])


@dataclass(frozen=True, slots=True)
class Skipped:
    """So many events were passed over because a newer one of the same key follows (`latest_per_key`)."""

    count: int
    from_us: int
    to_us: int

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Skipped":
        return cls(said["count"], said["from_us"], said["to_us"])


@dataclass(frozen=True, slots=True)
class Live:
    """The past has been told, and the present begins: after the first connection, and after each further one."""

    # What is not coming of the time before: each was told in its place, too; the first 1,024.
    gaps: tuple[Gap, ...]
    # How many events of the past were told over this connection.
    replayed: int
    time_us: int

    @property
    def recovered(self) -> bool:
        """Everything since the position was told, and nothing is missing."""
        return not self.gaps


Told: TypeAlias = Event | Gap | Skipped | Live
"""What comes out of a subscription, in its order."""


@dataclass(frozen=True, slots=True)
class Published:
    """An event has its place in its topic."""

    topic: str
    epoch: str
    offset: int
    time_us: int

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Published":
        # With `ack="none"` nothing but the topic is known.
        return cls(said["topic"], said.get("epoch", ""), said.get("offset", 0), said.get("time_us", 0))
