"""How far one subscription has come, so that it can go on from there.

It covers what was handed on, never more. A replay that was cut short is gone on with where the protocol allows it, and else begun again, with what was handed
on already held back. Knows no socket and no clock.
"""

from collections.abc import Mapping
from typing import Any

from .messages import Position, Since

POSITION_TOPICS_MAX = 65_536
"""Topics whose offsets are remembered; events of further ones are handed on, but may be repeated after a lost connection."""


class Place:
    """Offsets of one epoch, and the moment that stands for topics without one."""

    __slots__ = ("epoch", "filter_changed", "offsets", "time_us")

    def __init__(self, epoch: str, offsets: Mapping[str, int] | None = None, time_us: int | None = None, filter_changed: bool = False):
        self.epoch = epoch
        self.offsets = dict(offsets or {})
        self.time_us = time_us
        # What was told up to here was told under other filters, too.
        self.filter_changed = filter_changed

    @classmethod
    def of(cls, since: Mapping[str, Any]) -> "Place":
        return cls(since["epoch"], since.get("offsets"), since.get("time_us"), bool(since.get("filter_changed")))

    def advance(self, topic: str, offset: int) -> None:
        known = self.offsets.get(topic)
        if known is not None:
            if offset > known:
                self.offsets[topic] = offset
        elif len(self.offsets) < POSITION_TOPICS_MAX:
            self.offsets[topic] = offset

    def as_since(self) -> Position:
        since: Position = {"epoch": self.epoch, "offsets": dict(self.offsets)}
        if self.time_us is not None:
            since["time_us"] = self.time_us
        if self.filter_changed:
            since["filter_changed"] = True
        return since


class Progress:
    """Where the replay begins that is under way or was completed last, and what was handed on of one that cannot be resumed by itself."""

    def __init__(self, since: Since | None):
        self._since: Since | Place | None = Place.of(since) if isinstance(since, Mapping) and "epoch" in since else since
        self._seen: Place | None = None

    def begin(self, epoch: str) -> Since | None:
        """A server of this epoch is there: answers what to ask it for."""
        seen = self._seen if self._seen is not None and self._seen.epoch == epoch else None
        self._seen = None
        if isinstance(self._since, Place):
            # Its own numbering: what is handed on moves the position itself. Another: until the replay is complete both are needed.
            if self._since.epoch != epoch:
                self._seen = seen or Place(epoch)
        elif seen is not None and (moment := self._moment()) is not None:
            # Everything, and everything from a moment on, are positions too once something of it was seen.
            seen.time_us = moment
            self._since = seen
        else:
            self._seen = seen or Place(epoch)
        return self._since.as_since() if isinstance(self._since, Place) else self._since

    def _moment(self) -> int | None:
        """The moment after which everything is asked for, if that is what is asked for."""
        if self._since == "earliest":
            return 0
        if isinstance(self._since, Mapping) and "time_us" in self._since:
            return max(0, int(self._since["time_us"]) - 1)
        return None

    def has_seen(self, topic: str, offset: int) -> bool:
        """Whether what ends at this offset was handed on already, when a replay had to begin again."""
        # A gap of a topic that nothing is known of ends at 0, and is news all the same.
        return self._seen is not None and self._seen.offsets.get(topic, -1) >= offset

    def advance(self, topic: str, offset: int) -> None:
        """An event, or a gap that ends there, was handed on."""
        # Of topics that the server has forgotten the pattern is told, which is no place to come back to.
        if "*" in topic:
            return
        place = self._seen or self._since
        if isinstance(place, Place):
            place.advance(topic, offset)

    def live(self, epoch: str, offsets: Mapping[str, int], time_us: int | None) -> None:
        """The replay is complete. From here on the position is exact."""
        known = self._seen or self._since
        place = known if isinstance(known, Place) and known.epoch == epoch else Place(epoch)
        for topic, offset in offsets.items():
            place.advance(topic, offset)
        place.time_us = place.time_us if time_us is None else time_us
        self._since, self._seen = place, None

    def filter_changed(self) -> None:
        """From here on another filter holds: keys that the former one let pass may be inside all the same."""
        for place in (self._seen, self._since):
            if isinstance(place, Place):
                place.filter_changed = True

    @property
    def position(self) -> Position | None:
        """The position as a `since`; none while a replay is under way that has none."""
        return self._since.as_since() if isinstance(self._since, Place) and self._seen is None else None
