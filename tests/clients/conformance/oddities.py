"""Scenarios of what a client of today does not know, or seldom meets: later versions of the server, and the rarer sentences of this one."""

from stage import Stage, check, hold, numbered, scenario


def with_news(message: dict) -> list[dict]:
    """A message as a later version may send it: with members and values that nobody knows, between messages that nobody knows."""
    later = {**message, "from_the_future": {"type": "event", "list": [1, None]}}
    if message["type"] == "batch":
        later["events"] = [{**event, "from_the_future": 1} for event in message["events"]]
    return [{"type": "from_the_future", "id": "s", "subs": ["s"], "topic": "x", "offset": 9}, later]


@scenario
async def unknown(stage: Stage) -> None:
    """Members and messages that the client does not know are passed over, in every message and between them, on resuming, too."""
    proxy = await stage.proxy()
    proxy.rewrite = with_news
    client = await stage.client(proxy)
    await stage.live(client, options={"topics": [stage.topic()], "batch": {"max_events": 8, "max_delay_ms": 10}})
    await stage.shared.publish(stage.topic(), *numbered(1, 20))
    check(await client.offsets("s", 20), list(range(1, 21)), "offsets")
    client.do("publish", ref="p", topic=stage.topic("b"), payload={})
    await client.next("published", ref="p")
    proxy.links[0].cut()
    check((await client.next("live"))["recovered"], True, "recovered")
    since = next(message["since"] for message in proxy.links[1].said if message["type"] == "subscribe")
    check(since["offsets"], {stage.topic(): 20}, "the position")


@scenario
async def frames(stage: Stage) -> None:
    """A message that comes in frames, with pings between them, is one message; each ping is answered with its payload."""
    proxy = await stage.proxy()
    proxy.fragment_bytes = 7
    client = await stage.client(proxy)
    await stage.live(client)
    await stage.shared.publish(stage.topic(), *({"n": n, "text": "é" * 20} for n in range(1, 6)))
    events = await client.events("s", 5)
    check([event["payload"]["text"] for event in events], ["é" * 20] * 5, "payloads")
    link = proxy.links[0]
    link.ping(b"the last one")
    await proxy.until(lambda: b"the last one" in link.pongs)


@scenario
async def foreign(stage: Stage) -> None:
    """Answers to nothing that the client has asked, and events of subscriptions that it does not have, disturb nothing; an error that is about neither
    is told as `error`."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await stage.live(client)
    link = proxy.links[0]
    for message in (
        {"type": "published", "id": 999_999, "topic": "x", "epoch": "e", "offset": 1, "time_us": 1},
        {"type": "updated", "id": "nobody"},
        {"type": "live", "id": "nobody", "epoch": "e", "offsets": {}, "time_us": 1, "replayed": 0},
        {"type": "event", "subs": ["nobody"], "topic": stage.topic(), "op": "event", "offset": 50, "time_us": 1, "payload": {}},
        {"type": "error", "code": "full", "message": "the server is full"},
    ):
        link.say(message)
    error = await client.next("error")
    check((error["code"], error["message"]), ("full", "the server is full"), "the error")
    await stage.shared.publish(stage.topic(), {"n": 1})
    check(await client.offsets("s", 1), [1], "offsets")


@scenario
async def gaps(stage: Stage) -> None:
    """A gap stands in the stream in its place, whatever its reason, one that this client does not know included; one of a topic pattern is told and is
    no position; `skipped` is told with its count."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await stage.live(client)
    link = proxy.links[0]
    await stage.shared.publish(stage.topic(), *numbered(1, 2))
    check(await client.offsets("s", 2), [1, 2], "offsets")
    topic = stage.topic()
    # Two events that are there, and that the client is told are not coming.
    proxy.rewrite = lambda message: [] if message["type"] == "event" else [message]
    await stage.shared.publish(topic, *numbered(3, 4))
    await proxy.until(lambda: link.heard[-1].get("offset") == 4)
    for reason in ("slow", "corrupt", "unavailable", "of_the_future"):
        link.say({"type": "gap", "subs": ["s"], "topic": topic, "from": 3, "to": 4, "reason": reason})
        check((await client.next("gap"))["gap"]["reason"], reason, "the reason")
    link.say({"type": "gap", "subs": ["s"], "topic": "other/**", "from": 1, "to": 0, "reason": "evicted"})
    gap = (await client.next("gap"))["gap"]
    check((gap["topic"], gap["from"], gap["to"]), ("other/**", 1, 0), "a gap of a pattern")
    link.say({"type": "skipped", "subs": ["s"], "count": 120, "from_us": 1, "to_us": 2})
    check((await client.next("skipped"))["count"], 120, "what was skipped")
    client.do("position", id="s")
    position = (await client.next("position"))["position"]
    check(position["offsets"], {topic: 4}, "a gap is a place to come back to, and a pattern none")
    link.cut()
    live = await client.next("live")
    hold(live["recovered"], "gaps of before do not count for this connection")


@scenario
async def leave(stage: Stage) -> None:
    """With `leave` a key that no longer passes is told once with the operation `leave`; after an update of the filter the client resumes with
    `filter_changed`."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await stage.live(client, options={"topics": [stage.topic()], "filter": "n < 10", "leave": True})
    publish = stage.shared.publish
    await publish(stage.topic(), {"key": "k", "n": 1}, {"key": "k", "n": 20}, {"key": "k", "n": 30}, key_field="key")
    events = await client.events("s", 2)
    check([(event["op"], event["offset"]) for event in events], [("upsert", 1), ("leave", 2)], "operations")
    client.do("update", id="s", changes={"filter": "n > 100"})
    await client.next("updated", id="s")
    proxy.links[0].cut()
    link = await proxy.link(1)
    await client.next("live")
    [asked] = [message for message in link.said if message["type"] == "subscribe"]
    check((asked["since"].get("filter_changed"), asked["filter"]), (True, "n > 100"), "what is asked for")
