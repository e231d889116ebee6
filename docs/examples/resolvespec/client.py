"""A client of ResolveSpec's WebSocket, in Python, and a round with it: `python3 client.py [ws://host:port/ws]`. It needs the package `websockets`."""

import asyncio
import itertools
import json
import sys

import websockets


class ResolveSpecError(Exception):
    """Why a request was not carried out."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]


class ResolveSpec:
    """One connection. Requests are awaited; subscriptions are functions that hear notifications."""

    def __init__(self, socket):
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting = {}
        self._subscribed = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url):
        return cls(await websockets.connect(url, compression=None))

    async def close(self):
        await self._socket.close()
        await self._reader

    async def read(self, entity, options=None, record_id=""):
        """Rows and what is said of them; with `record_id` one row."""
        answer = await self._request("read", entity, options=options or {}, record_id=record_id)
        return answer["data"], answer["metadata"]

    async def create(self, entity, data):
        return (await self._request("create", entity, data=data))["data"]

    async def update(self, entity, record_id, data):
        return (await self._request("update", entity, record_id=record_id, data=data))["data"]

    async def delete(self, entity, record_id):
        return (await self._request("delete", entity, record_id=record_id))["data"]

    async def subscribe(self, entity, heard, filters=()):
        """Has `heard` called with each notification; returns the subscription's id."""

        def answered(answer):
            self._subscribed[answer["data"]["subscription_id"]] = heard

        message = {"type": "subscription", "operation": "subscribe", "entity": entity, "options": {"filters": list(filters)}}
        return (await self._ask(message, answered))["data"]["subscription_id"]

    async def unsubscribe(self, subscription_id):
        await self._ask({"type": "subscription", "operation": "unsubscribe", "subscription_id": subscription_id})
        self._subscribed.pop(subscription_id, None)

    async def _request(self, operation, entity, **members):
        return await self._ask({"type": "request", "operation": operation, "entity": entity, **members})

    async def _ask(self, message, answered=None):
        request_id = str(next(self._ids))
        future = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = (future, answered)
        await self._socket.send(json.dumps({"id": request_id, **message}))
        return await future

    async def _read(self):
        try:
            async for text in self._socket:
                self._hear(json.loads(text))
        except websockets.ConnectionClosed:
            pass  # Whoever is not let in is cut off without a word.
        for future, _ in self._waiting.values():
            future.set_exception(ConnectionError("the connection was closed"))

    def _hear(self, message):
        if message["type"] == "notification":
            heard = self._subscribed.get(message["subscription_id"])
            if heard:
                heard(message)
            return
        future, answered = self._waiting.pop(message["id"], (None, None))
        if future is None:
            return
        if message.get("success") is False:
            future.set_exception(ResolveSpecError(message["error"]))
            return
        if answered:
            answered(message)
        future.set_result(message)


async def main(url):
    client = await ResolveSpec.open(url)
    red = [{"column": "team", "operator": "eq", "value": "red"}]
    subscription = await client.subscribe("users", lambda told: print("heard:", told["operation"], json.dumps(told["data"])), red)
    ada = await client.create("users", {"name": "Ada", "team": "red", "age": 36})
    await client.create("users", {"name": "Bob", "team": "blue", "age": 7})
    await client.create("posts", {"user_id": ada["id"], "title": "Notes"})
    options = {"filters": [{"column": "age", "operator": "gte", "value": 18}], "preload": [{"relation": "posts"}]}
    rows, said = await client.read("users", options)
    titles = [(row["name"], [post["title"] for post in row["posts"]]) for row in rows]
    print(f"{said['count']} of {said['total']}: {titles}")
    await client.update("users", str(ada["id"]), {"age": 37})
    await client.delete("users", str(ada["id"]))
    try:
        await client.read("users", record_id=str(ada["id"]))
    except ResolveSpecError as error:
        print(error)
    await client.unsubscribe(subscription)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/ws"))
