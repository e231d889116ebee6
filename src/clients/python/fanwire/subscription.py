"""One standing wish: what it asks for, how far it has come, and what it is told.

It outlives connections: with each new one it asks anew for what follows its position. What it is told is read from it with `async for`. Of what is not read
`QUEUE_MAX` wait; then it ends on the server, and goes on from its position once half of that has been read: so a slow reader is told from history, holds up
nobody else on the connection, and is told a gap of what history has let go of meanwhile. Knows no socket.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from .errors import FanwireError, unsubscribed
from .filters import Filter
from .messages import Event, Gap, Live, Position, Since, Skipped, Told
from .position import Progress

QUEUE_MAX = 1024
"""What waits to be read of one subscription; at the limit it ends on the server, until half of it has been read."""

GAPS_MAX = 1024
"""Gaps that are told together with the present; a server closes a connection that misses something in more topics."""

# Of the past: where to begin, and at which pace it is told.
TIMES = ("since", "speed", "play_from", "max_gap_ms")
UPDATABLE = ("filter", "batch", "slow", "max_rate", "fields", "leave", *TIMES)
OPTIONS = ("topics", *UPDATABLE)

Send = Callable[[dict[str, Any]], None]
# What is done to the position when an item is read.
Step = Callable[[Progress], Progress]


class SubscriptionState(StrEnum):
    WAITING = "waiting"
    REPLAYING = "replaying"
    LIVE = "live"
    ENDED = "ended"


def as_said(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the protocol has them."""
    return {name: value.json if isinstance(value, Filter) else value for name, value in options.items()}


class Subscription:
    """What a client subscribed to. `async for told in subscription` reads what it is told."""

    def __init__(self, id: str, options: Mapping[str, Any], send: Send, forget: Callable[[], None]):
        said = as_said(options)
        since: Since | None = said.pop("since", None)
        playback = {name: said.pop(name) for name in TIMES if name in said}
        self.id = id
        self.state = SubscriptionState.WAITING
        self._options = said
        # While the past is told at a pace.
        self._playback: dict[str, Any] | None = playback if "speed" in playback else None
        self._send, self._forget = send, forget
        # How far the connection has come, and how far the reader.
        self._heard, self._read = Progress(since), Progress(since)
        self._queue: deque[tuple[Told | None, str, int, Step | None]] = deque()
        self._readable = asyncio.Event()
        # The reader is behind: it ends on the server, or has ended there.
        self._is_behind = self._is_ending = False
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whoever does not ask is told by the iterator.
        self._ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        # Updates and the end that were not answered yet, in their order. No changes: the end.
        self._pending: deque[tuple[dict[str, Any] | None, asyncio.Future[None]]] = deque()
        # The server has agreed on this connection.
        self._is_agreed = False
        # What was told to be missing since it was last live.
        self._gaps: list[Gap] = []
        self._epoch = ""
        self._error: FanwireError | None = None

    # What an application uses.

    async def ready(self) -> None:
        """Returns when the server has agreed for the first time; raises what it said if it does not."""
        await asyncio.shield(self._ready)

    @property
    def options(self) -> dict[str, Any]:
        """What it asks for, `since` aside."""
        return dict(self._options)

    @property
    def position(self) -> Position | None:
        """Where the reader stands, to be kept and handed in as `since` another day; none before the first replay has been read."""
        return self._read.position

    @property
    def speed(self) -> float | None:
        """The pace at which the past is told, 0 while that is paused; none once it is live, or told as fast as can be."""
        return self._playback["speed"] if self._playback else None

    async def update(self, **changes: Any) -> None:
        """Changes options from here on; `None` takes one away. Nothing is lost or told twice. Returns when the server has agreed."""
        for name in changes:
            if name not in UPDATABLE:
                raise TypeError(f"`{name}` cannot be updated")
        await self._ask(as_said(changes))

    async def pause(self) -> None:
        """Pauses the past; `update(speed=…)` goes on."""
        await self.update(speed=0)

    async def seek(self, since: Since, **playback: Any) -> None:
        """Goes to another place in time, with `speed`, `play_from` and `max_gap_ms` if they are to be others. What was told before counts no longer."""
        await self.update(since=since, **playback)

    async def unsubscribe(self) -> None:
        """Ends it; returns when no further event can come."""
        if self.state is SubscriptionState.ENDED:
            return
        if self.state is SubscriptionState.WAITING:
            self._end(None)
            return
        await self._ask(None)

    async def _ask(self, changes: dict[str, Any] | None) -> None:
        if self.state is SubscriptionState.ENDED:
            raise unsubscribed()
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((changes, answer))
        if self.state is not SubscriptionState.WAITING:
            self._send({"type": "unsubscribe", "id": self.id} if changes is None else {"type": "update", "id": self.id, **changes})
        await asyncio.shield(answer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        while True:
            while self._queue:
                told, topic, offset, step = self._queue.popleft()
                if self._is_behind:
                    self._catch_up()
                if step is not None:
                    self._read = step(self._read)
                elif topic:
                    self._read.advance(topic, offset)
                if told is not None:
                    return told
            if self.state is SubscriptionState.ENDED:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            self._readable.clear()
            await self._readable.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.unsubscribe()

    # What the client uses, in the order in which the server says it.

    def _begin(self, epoch: str) -> None:
        """There is a connection: asks for what follows the position, then for what was asked meanwhile."""
        self._epoch, self._is_ending = epoch, False
        if self._is_behind or len(self._queue) > QUEUE_MAX // 2:
            self._is_behind = True
            return
        since = self._heard.begin(epoch)
        self.state, self._is_agreed = SubscriptionState.REPLAYING, False
        self._put(None, step=lambda progress: _begun(progress, epoch))
        said = {"type": "subscribe", "id": self.id, **self._options, "since": since, **(self._playback or {})}
        self._send({name: value for name, value in said.items() if value is not None})
        for changes, _ in self._pending:
            self._send({"type": "update", "id": self.id, **(changes or {})})

    def _fall_behind(self) -> None:
        """As if its connection were lost, and nobody else's."""
        self._send({"type": "unsubscribe", "id": self.id})
        self._is_behind = self._is_ending = True
        self.state = SubscriptionState.WAITING

    def _catch_up(self) -> None:
        if len(self._queue) <= QUEUE_MAX // 2 and not self._is_ending:
            self._is_behind = False
            if self._epoch:
                self._begin(self._epoch)

    def _lost(self) -> None:
        self.state = SubscriptionState.WAITING
        self._epoch, self._is_ending = "", False
        # An update that was not answered is made again with the next connection; the end of a subscription needs no answer.
        if any(changes is None for changes, _ in self._pending):
            self._end(None)

    def _end(self, error: FanwireError | None) -> None:
        if self.state is SubscriptionState.ENDED:
            return
        self.state, self._error = SubscriptionState.ENDED, error
        self._forget()
        if not self._ready.done():
            self._ready.set_exception(error or unsubscribed())
        for changes, answer in self._pending:
            if answer.done():
                continue
            if changes is None:
                answer.set_result(None)
            else:
                answer.set_exception(error or unsubscribed())
        self._pending.clear()
        self._readable.set()

    def _tell(self, kind: str, said: dict[str, Any]) -> None:
        """Takes an event, gap or skipped."""
        if self._is_behind or not self._has_room():
            return
        if kind == "skipped":
            self._put(Skipped.of(said))
            return
        told: Event | Gap = Event.of(said) if kind == "event" else Gap.of(said)
        offset = told.offset if isinstance(told, Event) else told.last
        if self._heard.has_seen(told.topic, offset):
            return
        if isinstance(told, Gap) and self.state is not SubscriptionState.LIVE and len(self._gaps) < GAPS_MAX:
            self._gaps.append(told)
        self._heard.advance(told.topic, offset)
        self._put(told, told.topic, offset)

    def _has_room(self) -> bool:
        if len(self._queue) < QUEUE_MAX:
            return True
        # One that ends by the application's wish is not begun again.
        if all(changes is not None for changes, _ in self._pending):
            self._fall_behind()
        return False

    def _answer(self, said: dict[str, Any]) -> None:
        match said["type"]:
            case "subscribed":
                self._is_agreed = True
                if not self._ready.done():
                    self._ready.set_result(None)
            case "live" if not self._is_behind:
                self._live(said)
            case "updated" if self._pending:
                changes, answer = self._pending.popleft()
                self._merge(changes or {})
                if not answer.done():
                    answer.set_result(None)
            case "unsubscribed" if self._is_ending:
                self._is_ending = False
                self._catch_up()
            # What was said of another one with this id comes before anything is agreed to.
            case "unsubscribed" if self._is_agreed:
                reason = said.get("reason")
                self._end(None if reason is None else FanwireError(str(reason), "the new token does not cover the subscription"))

    def _live(self, said: dict[str, Any]) -> None:
        place = (said["epoch"], said.get("offsets", {}), said.get("time_us"))
        self._heard.live(*place)
        self._playback, self.state = None, SubscriptionState.LIVE

        def step(progress: Progress) -> Progress:
            progress.live(*place)
            return progress

        self._put(Live(tuple(self._gaps), said.get("replayed", 0), said.get("time_us", 0)), step=step)
        self._gaps.clear()

    def _merge(self, changes: dict[str, Any]) -> None:
        """The server has agreed to an update."""
        rest = dict(changes)
        times = {name: rest.pop(name) for name in TIMES if name in rest}
        if (since := times.get("since")) is not None:
            epoch = self._epoch
            self._heard = Progress(since)
            self._heard.begin(epoch)
            self._put(None, step=lambda _: _begun(Progress(since), epoch))
            self.state = SubscriptionState.REPLAYING
            self._gaps.clear()
            if self._playback is not None:
                self._playback["play_from"] = times.get("play_from")
        if since == "last" or ("speed" in times and times["speed"] is None):
            self._playback = None
        elif "speed" in times:
            self._playback = {"play_from": times.get("play_from"), **(self._playback or {}), "speed": times["speed"]}
        if self._playback is not None and "max_gap_ms" in times:
            self._playback["max_gap_ms"] = times["max_gap_ms"]
        if "filter" in rest and self._options.get("leave"):
            self._heard.filter_changed()
            self._put(None, step=_filter_changed)
        for name, value in rest.items():
            if value is None:
                self._options.pop(name, None)
            else:
                self._options[name] = value

    def _refused(self, error: FanwireError) -> None:
        # Answers come in the order of the requests: while there is an update under way, the subscription itself was agreed to.
        if self._pending and self._is_agreed:
            _, answer = self._pending.popleft()
            if not answer.done():
                answer.set_exception(error)
        else:
            self._end(error)

    def _put(self, told: Told | None, topic: str = "", offset: int = 0, step: Step | None = None) -> None:
        self._queue.append((told, topic, offset, step))
        self._readable.set()


def _begun(progress: Progress, epoch: str) -> Progress:
    progress.begin(epoch)
    return progress


def _filter_changed(progress: Progress) -> Progress:
    progress.filter_changed()
    return progress
