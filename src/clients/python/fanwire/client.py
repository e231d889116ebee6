"""A connection that is made again whenever it is lost, and everything that is asked over it.

States: `idle`, `connecting`, `open`, `waiting`, `closed`, each with what explains it. After a lost connection it waits as long as the server has said, else
for a time drawn evenly from 0 to a ceiling that doubles with each connection that did not last. A publish is answered or it fails; it is never repeated.
"""

import asyncio
import inspect
import json
import random
import ssl as tls
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from .errors import FanwireError, closed
from .filters import Filter
from .messages import Published, Since
from .state import LOST, Cause, Change, Lost, State, judged, judged_answer, socket_url
from .subscription import OPTIONS, Subscription

REQUESTS_MAX = 10_000
"""Publishes and pings that wait for a connection or an answer; one more fails with code `queue_full`."""
BACKOFF_S = (0.1, 10.0)
"""The ceiling of the first wait, and of the longest, in seconds."""
STEADY_S = 5.0
"""A connection that has lasted for so many seconds has not failed: waits begin anew with the next."""
ADVICE_S_MAX = 3600.0
"""A server that stops is obeyed for so many seconds, and no longer."""
SILENCE_S = 20.0
"""After so many seconds without a message the client asks whether the server is there, and after so many again it gives the connection up."""
CONNECT_S = 10.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
# Tokens that one connection shows, after each the last was refused.
TOKEN_TRIES_MAX = 3

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or what fetches one: called with each connection, when the server says that the token ends soon, and when it refuses one."""


class _Session:
    """One connection's own: what is known of it, and what runs beside its reader."""

    def __init__(self, socket: ClientConnection, token: str | None):
        self.socket, self.token = socket, token
        # Why we end it.
        self.verdict: Lost | None = None
        self.heard_s = 0.0
        self.is_asked = False
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.tasks: set[asyncio.Task[None]] = set()

    def hear(self, now_s: float) -> None:
        self.heard_s, self.is_asked = now_s, False

    def go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def write(self) -> None:
        try:
            while True:
                said = await self.outgoing.get()
                await self.socket.send(json.dumps(said, ensure_ascii=False, separators=(",", ":")))
        except ConnectionClosed:
            # Whoever reads is told the same, and why.
            return


class Client:
    """One server. Connects when it is first needed, and again whenever the connection is lost."""

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        ssl: tls.SSLContext | None = None,
        on_state: Callable[[Change], None] | None = None,
        on_error: Callable[[FanwireError], None] | None = None,
        silence_s: float = SILENCE_S,
        steady_s: float = STEADY_S,
    ):
        """`url`: `http://host:port`, `wss://host`, or the full `ws://host:port/v1/ws`. Must be made where an event loop runs."""
        self.url = socket_url(url)
        self.state = State.IDLE
        # Of the server's welcome, once there was one.
        self.epoch = ""
        # Called with each change of state, and with errors that belong to no request.
        self.on_state, self.on_error = on_state, on_error
        self._token, self._ssl, self._silence_s, self._steady_s = token, ssl, silence_s, steady_s
        self._subscriptions: dict[str, Subscription] = {}
        self._requests: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._unsent: deque[dict[str, Any]] = deque()
        self._next_id = 1
        self._failures = 0
        self._advice_s: float | None = None
        self._fetching: asyncio.Task[str] | None = None
        self._run: asyncio.Task[None] | None = None
        self._session: _Session | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened.add_done_callback(lambda future: future.cancelled() or future.exception())

    # What an application uses.

    async def connect(self) -> Self:
        """Returns when the connection stands for the first time; goes on trying until `close`. Raises if the server will not have this client."""
        self._start()
        await asyncio.shield(self._opened)
        return self

    def subscribe(
        self,
        topics: str | Iterable[str],
        *,
        id: str | None = None,
        since: Since | None = None,
        filter: Filter | str | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Subscription:
        """Subscribes to a topic or pattern, or to several. Further options are the protocol's: `batch`, `slow`, `max_rate`, `fields`, `leave`, `speed`,
        `play_from`, `max_gap_ms`."""
        if self.state is State.CLOSED:
            raise closed()
        for name in options:
            if name not in OPTIONS:
                raise TypeError(f"a subscription has no option `{name}`")
        name = id or self._free_id()
        if name in self._subscriptions:
            raise TypeError(f"a subscription with the id {name!r} is there already")
        said = {"topics": [topics] if isinstance(topics, str) else list(topics), "since": since, "filter": filter, **options}
        said = {name: value for name, value in said.items() if value is not None}
        subscription = Subscription(name, said, self._send, lambda: self._forget(name))
        self._subscriptions[name] = subscription
        if self.state is State.OPEN:
            subscription._begin(self.epoch)
        self._start()
        return subscription

    async def publish(self, topic: str, payload: Mapping[str, Any] | None = None, *, key: str = "", op: str | None = None, ack: str | None = None) -> Published:
        """Publishes one event; returns once it has its place in the topic (with `ack`: once that is true). If the connection is lost before the answer it
        raises `connection_lost`: the event may have been taken or not. It is never repeated."""
        said: dict[str, Any] = {"type": "publish", "topic": topic, "key": key or None, "op": op, "ack": ack, "payload": payload}
        return Published.of(await self._request({name: value for name, value in said.items() if value is not None}))

    async def ping(self) -> int:
        """The server's time in microseconds since 1970."""
        return int((await self._request({"type": "ping"}))["time_us"])

    async def close(self) -> None:
        """Ends the connection for good. What is still unanswered fails with `closed`, subscriptions end."""
        if self.state is State.CLOSED:
            return
        tasks = [task for task in (self._run, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._end(None)
        self._become(Change(State.CLOSED, Cause.CLOSED))

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    # Requests.

    def _free_id(self) -> str:
        """The first of s1, s2, … that no subscription has. Clients that want the same call it the same then, and a server writes what it tells them once."""
        number = 1
        while f"s{number}" in self._subscriptions:
            number += 1
        return f"s{number}"

    def _forget(self, id: str) -> None:
        self._subscriptions.pop(id, None)

    async def _request(self, said: dict[str, Any]) -> dict[str, Any]:
        if self.state is State.CLOSED:
            raise closed()
        if len(self._requests) >= REQUESTS_MAX:
            raise FanwireError("queue_full", f"{REQUESTS_MAX} requests wait already")
        said, answer = self._numbered(said)
        if self.state is State.OPEN:
            self._send(said)
        else:
            self._unsent.append(said)
        self._start()
        return await answer

    def _numbered(self, said: dict[str, Any]) -> tuple[dict[str, Any], asyncio.Future[dict[str, Any]]]:
        said = {**said, "id": self._next_id}
        self._next_id += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        # Whoever stopped waiting is told nothing.
        answer.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._requests[said["id"]] = answer
        return said, answer

    def _settle(self, id: object, outcome: dict[str, Any] | FanwireError) -> bool:
        answer = self._requests.pop(id, None) if isinstance(id, int) else None
        if answer is None:
            return False
        if not answer.done():
            if isinstance(outcome, FanwireError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        return True

    def _send(self, said: dict[str, Any]) -> None:
        if self._session is not None:
            self._session.outgoing.put_nowait(said)

    # The connection.

    def _start(self) -> None:
        if self._run is None and self.state is State.IDLE:
            self._run = asyncio.get_running_loop().create_task(self._connect_and_reconnect())

    async def _connect_and_reconnect(self) -> None:
        while True:
            self._become(Change(State.CONNECTING))
            try:
                lost = await self._connection()
            except Exception as error:
                # Nobody is left waiting for what does not come.
                lost = Lost(Cause.MISTAKE, 0, f"the client failed: {error!r}", is_final=True)
            self._lose(lost)
            if lost.is_final:
                self._end(FanwireError("closed", f"the connection is closed: {lost.code} {lost.reason}"))
                self._become(Change(State.CLOSED, lost.cause, lost.code, lost.reason))
                return
            advice_s = lost.advice_s if self._advice_s is None else self._advice_s
            wait_s = self._jittered_s() if advice_s is None else min(max(advice_s, 0.0), ADVICE_S_MAX)
            cause = lost.cause if self._advice_s is None else Cause.STOPPING
            self._advice_s = None
            self._failures += 1
            self._become(Change(State.WAITING, cause, lost.code, lost.reason, round(wait_s * 1000, 3)))
            await asyncio.sleep(wait_s)

    def _jittered_s(self) -> float:
        """Drawn evenly from all of it, so that the clients of a restarted server do not return in step."""
        shortest, longest = BACKOFF_S
        return random.random() * min(longest, shortest * float(1 << min(self._failures, 16)))

    def _lose(self, lost: Lost) -> None:
        self._session = None
        error = FanwireError("connection_lost", f"the connection was lost ({lost.code} {lost.reason}) before the answer")
        unsent = {said["id"] for said in self._unsent}
        for id in [id for id in self._requests if id not in unsent]:
            self._settle(id, error)
        for subscription in list(self._subscriptions.values()):
            subscription._lost()

    def _end(self, error: FanwireError | None) -> None:
        self._unsent.clear()
        for id in list(self._requests):
            self._settle(id, error or closed())
        for subscription in list(self._subscriptions.values()):
            subscription._end(error)
        if not self._opened.done():
            self._opened.set_exception(error or closed())

    def _become(self, change: Change) -> None:
        self.state = change.state
        _guarded(self.on_state, change)

    async def _connection(self) -> Lost:
        """One connection, from its opening to its end."""
        token: str | None = None
        if self._token is not None:
            try:
                token = await self._fetch_token()
            except Exception as error:
                return Lost(Cause.NO_TOKEN, 0, f"there is no token: {error}")
        try:
            options: dict[str, Any] = {} if self._ssl is None else {"ssl": self._ssl}
            socket = await connect(
                self.url,
                subprotocols=[Subprotocol("fanwire.v1")],
                open_timeout=CONNECT_S,
                close_timeout=1,
                ping_interval=None,
                max_size=MESSAGE_BYTES_MAX,
                **options,
            )
        except InvalidStatus as refused:
            return judged_answer(refused)
        except InvalidURI as error:
            return Lost(Cause.MISTAKE, 0, str(error), is_final=True)
        except (OSError, EOFError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
            return Lost(Cause.LOST, LOST, f"cannot connect: {error or type(error).__name__}")
        self._session = session = _Session(socket, token)
        try:
            return await self._talk(session)
        except asyncio.CancelledError:
            await socket.close(1000)
            raise

    async def _talk(self, session: _Session) -> Lost:
        loop = asyncio.get_running_loop()
        session.hear(loop.time())
        session.go(session.write())
        session.go(self._watch(session))
        try:
            while session.verdict is None:
                self._hear(json.loads(await session.socket.recv()), session)
                session.hear(loop.time())
        except ConnectionClosed as lost:
            return session.verdict or judged(lost, callable(self._token))
        except (ValueError, KeyError, TypeError) as error:
            session.verdict = Lost(Cause.MISTAKE, 1002, f"a message is not of the protocol fanwire.v1: {error!r}", is_final=True)
        finally:
            tasks = list(session.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await session.socket.close(1002 if session.verdict.code == 1002 else 1000)
        return session.verdict

    async def _watch(self, session: _Session) -> None:
        """A network that drops packets says nothing at all: asks, and gives up what does not answer."""
        loop = asyncio.get_running_loop()
        while True:
            quiet_s = loop.time() - session.heard_s
            if quiet_s < self._silence_s:
                await asyncio.sleep(self._silence_s - quiet_s)
            elif not session.is_asked:
                session.outgoing.put_nowait({"type": "ping"})
                session.heard_s, session.is_asked = loop.time(), True
            else:
                session.verdict = Lost(Cause.SILENT, LOST, "nothing was heard from the server")
                session.socket.transport.abort()
                return

    # What the server says.

    def _hear(self, said: dict[str, Any], session: _Session) -> None:
        """Takes one message."""
        kind = said["type"]
        match kind:
            case "event" | "gap" | "skipped":
                self._tell(kind, said)
            case "batch":
                for event in said["events"]:
                    self._tell("event", event)
            case "live" | "subscribed" | "updated" | "unsubscribed":
                subscription = self._subscriptions.get(said["id"])
                if subscription is not None:
                    subscription._answer(said)
            case "published" | "pong" | "authenticated":
                self._settle(said.get("id"), said)
            case "error":
                self._object(said)
            case "welcome":
                self.epoch = said["epoch"]
                session.go(self._introduce(session))
            case "token_expiring":
                if callable(self._token):
                    session.go(self._renew())
            case "reconnect":
                self._advice_s = said["after_ms"] / 1000

    def _tell(self, kind: str, said: dict[str, Any]) -> None:
        for id in said["subs"]:
            if (subscription := self._subscriptions.get(id)) is not None:
                subscription._tell(kind, said)

    def _object(self, said: dict[str, Any]) -> None:
        error = FanwireError.of(said)
        id = said.get("id")
        if self._settle(id, error):
            return
        subscription = self._subscriptions.get(id) if isinstance(id, str) else None
        if subscription is not None:
            subscription._refused(error)
        else:
            _guarded(self.on_error, error)

    # Tokens.

    async def _fetch_token(self) -> str:
        """One question at a time: who asks meanwhile has the same answer."""
        if not callable(self._token):
            return self._token or ""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(_called(self._token))
        return await asyncio.shield(self._fetching)

    async def _introduce(self, session: _Session) -> None:
        """Says who this is, if there is a token, and then that it is here."""
        try:
            error = None if session.token is None else await self._show_one(session.token)
        except Exception as failure:
            session.verdict = Lost(Cause.NO_TOKEN, 0, f"there is no token: {failure}")
            session.socket.transport.abort()
            return
        if error is not None:
            session.verdict = Lost(Cause.REFUSED, 0, str(error), is_final=True)
            await session.socket.close(1000)
            return
        session.go(self._steady())
        self._become(Change(State.OPEN))
        for subscription in list(self._subscriptions.values()):
            subscription._begin(self.epoch)
        while self._unsent:
            self._send(self._unsent.popleft())
        if not self._opened.done():
            self._opened.set_result(None)

    async def _steady(self) -> None:
        await asyncio.sleep(self._steady_s)
        self._failures = 0

    async def _show_one(self, token: str) -> FanwireError | None:
        """Shows a token, and others while they are refused and there are others to be had. Answers what was said of the last."""
        error = await self._show(token)
        for _ in range(TOKEN_TRIES_MAX - 1):
            if error is None or not callable(self._token):
                break
            error = await self._show(await self._fetch_token())
        return error

    async def _renew(self) -> None:
        """The token ends soon. If there is no other in time the server closes the connection, and the next one asks again."""
        try:
            error = await self._show(await self._fetch_token())
        except Exception as failure:
            error = FanwireError("forbidden", f"there is no token: {failure}")
        if error is not None:
            _guarded(self.on_error, error)

    async def _show(self, token: str) -> FanwireError | None:
        said, answer = self._numbered({"type": "auth", "token": token})
        self._send(said)
        try:
            await answer
        except FanwireError as error:
            return error
        return None


async def _called(token: Callable[[], str | Awaitable[str]]) -> str:
    answer = token()
    return await answer if inspect.isawaitable(answer) else answer


def _guarded(handler: Callable[[Any], None] | None, value: object) -> None:
    """Calls what the application gave us. Its mistake is reported as its own, and does not stop what else is to be told."""
    if handler is None:
        return
    try:
        handler(value)
    except Exception as error:
        asyncio.get_running_loop().call_exception_handler({"message": "a handler of the Fanwire client failed", "exception": error})
