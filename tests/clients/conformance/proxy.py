"""Stands between the client under test and the server, on a port that stays the same while servers come and go.

It hears every message of both sides, and does what networks, proxies and later versions of a server do: cuts, falls silent, refuses, splits messages into
frames, closes with a code, and says things that no client of today knows. What it does not touch goes through byte for byte. Compression and the compact form
are never agreed on, as their offers are taken out of the request, so that messages can be read.
"""

import asyncio
import json
import time
from collections.abc import Callable

import wire

# How long a client has to answer a close.
CLOSE_S = 1.0

# Sends no byte beyond it and cuts: a budget, drawn for each connection.
Budget = Callable[[int], int | None]
# One message of the server's becomes any number of others.
Rewrite = Callable[[dict], list[dict]]


class Link:
    """One connection of the client's."""

    def __init__(self, number: int, changed: asyncio.Condition):
        self.number = number
        self.opened_s = time.monotonic()
        self.ended_s: float | None = None
        self.request = ""
        # Messages of the client and of the server, in their order.
        self.said: list[dict] = []
        self.heard: list[dict] = []
        self.pongs: list[bytes] = []
        # What the client closed with.
        self.client_code: int | None = None
        # A close was said in the server's name.
        self.is_closed = False
        self.flows = asyncio.Event()
        self.flows.set()
        self._changed = changed
        self._client: asyncio.StreamWriter | None = None
        self._server: asyncio.StreamWriter | None = None

    def cut(self) -> None:
        """Ends the connection on both sides without a word, what is under way included."""
        self.ended_s = self.ended_s or time.monotonic()
        for writer in (self._client, self._server):
            if writer is not None:
                writer.transport.abort()

    def say(self, message: dict) -> None:
        """Says something to the client in the server's name."""
        self._send(wire.Frame(True, wire.TEXT, json.dumps(message).encode()))

    def ping(self, payload: bytes) -> None:
        self._send(wire.Frame(True, wire.PING, payload))

    def close(self, code: int, reason: str = "") -> None:
        """Closes in the server's name: nothing comes behind it, and the client has a second to answer."""
        self._send(wire.close_frame(code, reason))
        self.is_closed = True
        asyncio.get_running_loop().call_later(CLOSE_S, self.cut)

    def fall_silent(self) -> None:
        """From here on nothing goes through in either direction, and nothing ends."""
        self.flows.clear()

    def flow(self) -> None:
        self.flows.set()

    def _send(self, frame: wire.Frame) -> None:
        assert self._client is not None, "the client is there"
        self._client.write(frame.encode())

    async def told(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Proxy:
    """Listens until it is closed."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        # Where the server is; none: whoever connects is sent away.
        self.upstream: tuple[str, int] | None = None
        # What is answered to a handshake instead of asking the server.
        self.answer: bytes | None = None
        self.budget: Budget | None = None
        self.rewrite: Rewrite | None = None
        # Splits each of the server's messages into frames of so many bytes, with pings in between.
        self.fragment_bytes: int | None = None
        self.attempts: list[float] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task] = set()

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=wire.HEAD_BYTES_MAX)
        self.port = self._listener.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def close(self) -> None:
        self._listener.close()
        for link in self.links:
            link.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def link(self, number: int) -> Link:
        """The so-manieth connection that reached the server, counted from 0; waits for it."""
        await self.until(lambda: len(self.links) > number)
        return self.links[number]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until something that the proxy sees is so."""
        async with self._changed:
            await self._changed.wait_for(holds)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError):
            pass
        except asyncio.CancelledError:
            # Only `close` cancels, and it waits for nothing that this would say.
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)
            async with self._changed:
                self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.attempts.append(time.monotonic())
        async with self._changed:
            self._changed.notify_all()
        if self.upstream is None and self.answer is None:
            return
        head = await wire.read_head(reader)
        if self.answer is not None:
            writer.write(self.answer)
            await writer.drain()
            return
        assert self.upstream is not None
        from_server, to_server = await asyncio.open_connection(*self.upstream, limit=wire.HEAD_BYTES_MAX)
        link = Link(len(self.links), self._changed)
        link.request, link._client, link._server = head.decode("latin-1"), writer, to_server
        try:
            to_server.write(wire.in_long_form(wire.without_header(head, "sec-websocket-extensions")))
            answer = await wire.read_head(from_server)
            writer.write(answer)
            if b" 101 " not in answer.split(b"\r\n")[0]:
                writer.write(await from_server.read())
                await writer.drain()
                return
            self.links.append(link)
            await link.told()
            ways = [self._from_client(link, reader, to_server), self._from_server(link, from_server, writer)]
            await _first_end(ways)
        finally:
            link.ended_s = link.ended_s or time.monotonic()
            to_server.transport.abort()

    async def _from_client(self, link: Link, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        message = b""
        while True:
            frame = await wire.read_frame(reader)
            await link.flows.wait()
            if frame.opcode == wire.CLOSE:
                link.client_code = int.from_bytes(frame.payload[:2], "big") if frame.payload else 1005
            elif frame.opcode == wire.PONG:
                link.pongs.append(frame.payload)
            elif frame.opcode in (0, wire.TEXT):
                message += frame.payload
                if frame.is_last:
                    link.said.append(json.loads(message))
                    message = b""
            await link.told()
            to_server.write(frame.encode(mask=True))
            await to_server.drain()

    async def _from_server(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self.budget(link.number) if self.budget else None
        while True:
            frame = await wire.read_frame(reader)
            await link.flows.wait()
            if link.is_closed:
                continue
            bytes_out = b"".join(piece.encode() for piece in self._as_told(link, frame))
            if left is not None and len(bytes_out) > left:
                writer.write(bytes_out[:left])
                await writer.drain()
                link.cut()
                return
            left = None if left is None else left - len(bytes_out)
            writer.write(bytes_out)
            await link.told()
            await writer.drain()
            if frame.opcode == wire.CLOSE:
                # The client's answer to it, or its own end, is what ends the connection.
                await asyncio.sleep(CLOSE_S)
                return

    def _as_told(self, link: Link, frame: wire.Frame) -> list[wire.Frame]:
        if frame.opcode != wire.TEXT:
            return [frame]
        assert frame.is_last, "the server splits no message"
        message = json.loads(frame.payload)
        link.heard.append(message)
        texts = [frame.payload]
        if self.rewrite is not None:
            texts = [json.dumps(other).encode() for other in self.rewrite(message)]
        size = self.fragment_bytes
        if size is None:
            return [wire.Frame(True, wire.TEXT, text) for text in texts]
        frames = []
        for text in texts:
            for at in range(0, len(text), size):
                is_last = at + size >= len(text)
                frames.append(wire.Frame(is_last, 0 if at else wire.TEXT, text[at : at + size]))
                frames.append(wire.Frame(True, wire.PING, b"%d" % at))
        return frames


async def _first_end(ways: list) -> None:
    """Runs both ways until one ends, and ends the other."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
