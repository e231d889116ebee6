"""The client under test: a process that is told what to do as lines of JSON, and says what it heard as lines of JSON. `docs/CLIENTS.md` has every line."""

import asyncio
import contextlib
import json
import os
import signal

# An event of 1 MiB, and what stands around it.
LINE_BYTES_MAX = 4 * 1024 * 1024


class Adapter:
    """One client, from `open` to `close`."""

    def __init__(self, command: list[str]):
        self.command = command
        # Everything that it said, and which of that has been looked at.
        self.heard: list[dict] = []
        self._taken: set[int] = set()
        self._changed = asyncio.Condition()
        self._is_over = False
        self.said_on_stderr = b""

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_BYTES_MAX
        )
        self._tasks = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._read_errors())]

    async def _read(self) -> None:
        assert self.process.stdout is not None, "it is a pipe"
        while line := await self.process.stdout.readline():
            said = json.loads(line)
            async with self._changed:
                self.heard.append(said)
                self._changed.notify_all()
        async with self._changed:
            self._is_over = True
            self._changed.notify_all()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None, "it is a pipe"
        while data := await self.process.stderr.read(65536):
            self.said_on_stderr = (self.said_on_stderr + data)[-65536:]

    def do(self, what: str, **members: object) -> None:
        """Tells the client to do something."""
        assert self.process.stdin is not None, "it is a pipe"
        self.process.stdin.write(json.dumps({"do": what, **members}).encode() + b"\n")

    async def next(self, kind: str, **members: object) -> dict:
        """The next thing of a kind that was not taken yet and has these members; waits for it."""
        async with self._changed:
            while True:
                for at, said in enumerate(self.heard):
                    if at not in self._taken and _is(said, kind, members):
                        self._taken.add(at)
                        return said
                if self._is_over:
                    raise AssertionError(f"the client ended without saying {kind} {members}")
                await self._changed.wait()

    async def events(self, id: str, count: int) -> list[dict]:
        """The next so many events of a subscription."""
        return [(await self.next("event", id=id))["event"] for _ in range(count)]

    async def offsets(self, id: str, count: int) -> list[int]:
        return [event["offset"] for event in await self.events(id, count)]

    async def state(self, state: str) -> dict:
        return await self.next("state", state=state)

    def untaken(self, kind: str, **members: object) -> list[dict]:
        """What it said of a kind and nobody asked for."""
        return [said for at, said in enumerate(self.heard) if at not in self._taken and _is(said, kind, members)]

    def index(self, said: dict) -> int:
        """Where in everything that it said this stands."""
        return next(at for at, other in enumerate(self.heard) if other is said)

    async def close(self) -> None:
        """Closes the client, which ends its process in good order."""
        self.do("close")
        await self.state("closed")
        code = await self.process.wait()
        if code != 0:
            raise AssertionError(f"the adapter ended with {code}")

    async def end(self) -> None:
        """Whatever state it is in."""
        # By its id: `Process.kill` would take the exit code of one that has just ended from whoever waits for it.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _is(said: dict, kind: str, members: dict) -> bool:
    return said["heard"] == kind and all(said.get(name) == value for name, value in members.items())
