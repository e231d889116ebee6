"""The Python client as the conformance script drives it: lines of JSON in, lines of JSON out. docs/CLIENTS.md has what each means."""

import asyncio
import contextlib
import dataclasses
import json
import sys
from typing import Any

import fanwire


def say(heard: str, **members: Any) -> None:
    print(json.dumps({"heard": heard, **members}), flush=True)


def say_error(heard: str, error: fanwire.FanwireError, **members: Any) -> None:
    said = {"code": error.code, "message": error.message, **members}
    say(heard, **said, **({} if error.field is None else {"field": error.field}))


class Adapter:
    """One client."""

    def __init__(self) -> None:
        self.tokens: asyncio.Queue[str | None] = asyncio.Queue()
        self.subscriptions: dict[str, fanwire.Subscription] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.client: fanwire.Client

    def go(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def fetch_token(self) -> str:
        say("token_wanted")
        token = await self.tokens.get()
        if token is None:
            raise RuntimeError("there is none to be had")
        return token

    def changed(self, change: fanwire.Change) -> None:
        said = {name: value for name, value in dataclasses.asdict(change).items() if value is not None}
        if change.state == "open":
            said["epoch"] = self.client.epoch
        say("state", **said)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=16 * 1024 * 1024)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command = json.loads(line)
            if await self.do(command.pop("do"), command):
                return

    async def do(self, what: str, command: dict[str, Any]) -> bool:
        """Does one thing; true if it was the last."""
        match what:
            case "open":
                self.open(command)
            case "subscribe":
                options = command["options"]
                subscription = self.client.subscribe(options.pop("topics"), id=command["id"], **options)
                self.subscriptions[command["id"]] = subscription
                self.go(self.agreed(subscription))
                self.go(self.read(subscription))
            case "update":
                self.go(self.update(self.subscriptions[command["id"]], command["changes"]))
            case "unsubscribe":
                self.go(self.subscriptions[command["id"]].unsubscribe())
            case "publish":
                self.go(self.publish(**command))
            case "position":
                say("position", id=command["id"], position=self.subscriptions[command["id"]].position)
            case "token":
                self.tokens.put_nowait(command["token"])
            case "close":
                await self.client.close()
                return True
        return False

    def open(self, command: dict[str, Any]) -> None:
        token = self.fetch_token if command.get("token") else None
        times = {f"{name}_s": command[f"{name}_ms"] / 1000 for name in ("silence", "steady") if f"{name}_ms" in command}
        on_error = lambda error: say_error("error", error)  # noqa: E731
        self.client = fanwire.Client(command["url"], token=token, on_state=self.changed, on_error=on_error, **times)
        self.go(self.connect())

    async def connect(self) -> None:
        # If it cannot be, the state says why.
        with contextlib.suppress(fanwire.FanwireError):
            await self.client.connect()

    async def agreed(self, subscription: fanwire.Subscription) -> None:
        try:
            await subscription.ready()
        except fanwire.FanwireError:
            # Whoever reads is told.
            return
        say("subscribed", id=subscription.id)

    async def read(self, subscription: fanwire.Subscription) -> None:
        id = subscription.id
        try:
            async for told in subscription:
                match told:
                    case fanwire.Event():
                        event = dataclasses.asdict(told)
                        say("event", id=id, event={name: value for name, value in event.items() if name != "key" or value})
                    case fanwire.Gap(topic, first, last, reason):
                        say("gap", id=id, gap={"topic": topic, "from": first, "to": last, "reason": reason})
                    case fanwire.Skipped(count):
                        say("skipped", id=id, count=count)
                    case fanwire.Live():
                        say("live", id=id, recovered=told.recovered, replayed=told.replayed)
            say("ended", id=id, code="unsubscribed")
        except fanwire.FanwireError as error:
            say_error("ended", error, id=id)

    async def update(self, subscription: fanwire.Subscription, changes: dict[str, Any]) -> None:
        try:
            await subscription.update(**changes)
            say("updated", id=subscription.id)
        except fanwire.FanwireError as error:
            say_error("failed", error, id=subscription.id)

    async def publish(self, ref: str, topic: str, payload: dict[str, Any], key: str | None = None, op: str | None = None) -> None:
        try:
            answer = await self.client.publish(topic, payload, key=key or "", op=op)
            say("published", ref=ref, answer=dataclasses.asdict(answer))
        except fanwire.FanwireError as error:
            say_error("failed", error, ref=ref)


asyncio.run(Adapter().run())
