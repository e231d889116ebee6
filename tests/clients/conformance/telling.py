"""Scenarios of a connection that lasts: what is asked for is told, in order, once, and what is wrong is named."""

import itertools

from stage import Stage, check, hold, numbered, scenario


@scenario
async def connect(stage: Stage) -> None:
    """The client opens `/v1/ws` under the URL it was given, offers `fanwire.v1`, is `connecting`, then `open` with the server's epoch; `close` is a
    WebSocket close with 1000."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await client.state("connecting")
    opened = await client.state("open")
    link = await proxy.link(0)
    check(link.request.split("\r\n")[0], "GET /v1/ws HTTP/1.1", "the request")
    offered = [line for line in link.request.split("\r\n") if line.lower().startswith("sec-websocket-protocol:")]
    names = [name.strip() for line in offered for name in line.split(":")[1].split(",")]
    # Forms of the same protocol may be offered before it.
    check((names[-1], all(name.startswith("fanwire.v1") for name in names)), ("fanwire.v1", True), "the subprotocols")
    check(opened["epoch"], link.heard[0]["epoch"], "the epoch")
    await client.close()
    await proxy.until(lambda: link.client_code is not None)
    check(link.client_code, 1000, "the client's close code")


@scenario
async def order(stage: Stage) -> None:
    """What is published is told in order, each event once, with its topic, key, operation, offset, time and payload as they were."""
    client = await stage.client(await stage.proxy())
    await stage.live(client)
    check(await client.next("subscribed"), {"heard": "subscribed", "id": "s"}, "the answer")
    payloads = [{"n": n, "key": f"k{n % 3}", "text": 'é "\n\u2028', "deep": {"list": [1.5, None, True]}} for n in range(100)]
    await stage.shared.publish(stage.topic(), *payloads, key_field="key")
    events = await client.events("s", 100)
    check([event["payload"] for event in events], payloads, "payloads")
    check([event["offset"] for event in events], list(range(1, 101)), "offsets")
    first = events[1]
    check((first["topic"], first["key"], first["op"]), (stage.topic(), "k1", "upsert"), "what else is said")
    hold(all(before["time_us"] < after["time_us"] for before, after in itertools.pairwise(events)), "times ascend")
    await stage.shared.publish(stage.topic(), {"n": 100})
    [bare] = await client.events("s", 1)
    check((bare.get("key"), bare["op"]), (None, "event"), "an event without a key has none")


@scenario
async def batches(stage: Stage) -> None:
    """Events that come in a `batch` are told one by one, in its order, as others are."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await stage.shared.publish(stage.topic(), *numbered(1, 40))
    options = {"topics": [stage.topic()], "since": "earliest", "batch": {"max_events": 16, "max_delay_ms": 20}}
    await stage.live(client, options=options)
    await stage.shared.publish(stage.topic(), *numbered(41, 60))
    check(await client.offsets("s", 60), list(range(1, 61)), "offsets")
    kinds = [message["type"] for message in proxy.links[0].heard]
    hold("batch" in kinds and "event" not in kinds, f"the server sent batches: {kinds}")


@scenario
async def large(stage: Stage) -> None:
    """An event of 700,000 bytes arrives whole, and events around it in their order."""
    client = await stage.client(await stage.proxy())
    await stage.live(client)
    text = "0123456789" * 70_000
    await stage.shared.publish(stage.topic(), {"n": 1}, {"text": text}, {"n": 3})
    events = await client.events("s", 3)
    check([event["offset"] for event in events], [1, 2, 3], "offsets")
    hold(events[1]["payload"] == {"text": text}, "the payload is whole")


@scenario
async def history(stage: Stage) -> None:
    """`since` is handed on as it is: `earliest` tells everything that is kept, `last` each key's last event, a moment what came from it on; then `live`
    says `recovered`, and how much was told."""
    published = await stage.shared.publish(stage.topic(), *({"key": f"k{n % 2}", "n": n} for n in range(4)), key_field="key")
    client = await stage.client(await stage.proxy())
    live = await stage.live(client, "all", options={"topics": [stage.topic()], "since": "earliest"})
    check((live["replayed"], live["recovered"]), (4, True), "live")
    events = await client.events("all", 4)
    check([event["offset"] for event in events], [1, 2, 3, 4], "earliest")
    hold(client.index(live) > max(client.index(said) for said in client.heard if said["heard"] == "event"), "live comes behind the past")
    await stage.live(client, "last", options={"topics": [stage.topic()], "since": "last"})
    check(await client.offsets("last", 2), [3, 4], "last")
    moment = {"time_us": events[2]["time_us"]}
    await stage.live(client, "moment", options={"topics": [stage.topic()], "since": moment})
    check(await client.offsets("moment", 2), [3, 4], "a moment")
    check(published["offset"], 4, "what was published")


@scenario
async def several(stage: Stage) -> None:
    """An event that several subscriptions match comes once over the wire and is told to each of them; one that only one matches is told to that one."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    pattern = f"{stage.name}/*"
    await stage.live(client, "all", options={"topics": [pattern]})
    await stage.live(client, "one", options={"topics": [stage.topic("a")]})
    await stage.shared.publish(stage.topic("a"), {"n": 1})
    check((await client.offsets("all", 1), await client.offsets("one", 1)), ([1], [1]), "offsets")
    await stage.shared.publish(stage.topic("b"), {"n": 2})
    [event] = await client.events("all", 1)
    check(event["topic"], stage.topic("b"), "the topic")
    await stage.shared.publish(stage.topic("a"), {"n": 3})
    check(await client.offsets("one", 1), [2], "what `one` hears next")
    sent = [message for message in proxy.links[0].heard if message["type"] == "event"]
    check([message["subs"] for message in sent], [["all", "one"], ["all"], ["all", "one"]], "what came over the wire")


@scenario
async def filters(stage: Stage) -> None:
    """A filter, as text or as JSON, lets through what passes; `update` changes it from there on, and `null` takes it away."""
    client = await stage.client(await stage.proxy())
    await stage.live(client, "text", options={"topics": [stage.topic()], "filter": "n < 10"})
    await stage.live(client, "json", options={"topics": [stage.topic()], "filter": {"ge": ["n", 10]}})
    await stage.shared.publish(stage.topic(), {"n": 5}, {"n": 15})
    check((await client.offsets("text", 1), await client.offsets("json", 1)), ([1], [2]), "offsets")
    client.do("update", id="text", changes={"filter": "n > 10"})
    await client.next("updated", id="text")
    await stage.shared.publish(stage.topic(), {"n": 6}, {"n": 16})
    check((await client.offsets("text", 1), await client.offsets("json", 1)), ([4], [4]), "offsets after the update")
    client.do("update", id="text", changes={"filter": None})
    await client.next("updated", id="text")
    await stage.shared.publish(stage.topic(), {"n": 7}, {"n": 17})
    check((await client.offsets("text", 2), await client.offsets("json", 1)), ([5, 6], [6]), "offsets without a filter")


@scenario
async def unsubscribe(stage: Stage) -> None:
    """`unsubscribe` is answered, nothing of that subscription comes behind the answer, and its id can be used again; others go on."""
    client = await stage.client(await stage.proxy())
    await stage.live(client, "going")
    await stage.live(client, "staying")
    await stage.shared.publish(stage.topic(), {"n": 1})
    check((await client.offsets("going", 1), await client.offsets("staying", 1)), ([1], [1]), "offsets")
    client.do("unsubscribe", id="going")
    await client.next("ended", id="going", code="unsubscribed")
    await stage.shared.publish(stage.topic(), {"n": 2})
    check(await client.offsets("staying", 1), [2], "the other one")
    check(client.untaken("event", id="going"), [], "what comes behind the end")
    await stage.live(client, "going")
    await stage.shared.publish(stage.topic(), {"n": 3})
    check(await client.offsets("going", 1), [3], "the same id again")


@scenario
async def publish(stage: Stage) -> None:
    """`publish` is answered with the event's topic, epoch, offset and time; events of one client to one topic have the order in which they were
    published; key and operation arrive."""
    client = await stage.client(await stage.proxy())
    await stage.live(client)
    for n in range(20):
        client.do("publish", ref=f"p{n}", topic=stage.topic(), payload={"n": n}, key="k", op="delete" if n == 19 else None)
    answers = [(await client.next("published", ref=f"p{n}"))["answer"] for n in range(20)]
    check([answer["offset"] for answer in answers], list(range(1, 21)), "the offsets that were answered")
    events = await client.events("s", 20)
    told = [(event["payload"], event["offset"], event["time_us"]) for event in events]
    check(told, [({"n": n}, n + 1, answers[n]["time_us"]) for n in range(20)], "what was told")
    check([events[0]["op"], events[19]["op"], events[0]["key"]], ["upsert", "delete", "k"], "operations and key")
    check({answer["topic"] for answer in answers}, {stage.topic()}, "the topic")
    opened = await client.state("open")
    check({answer["epoch"] for answer in answers}, {opened["epoch"]}, "the epoch")


@scenario
async def errors(stage: Stage) -> None:
    """What the server refuses ends with its code and field what it is about, and nothing else: a subscription that cannot be, an update (the
    subscription goes on as it was), a publish."""
    client = await stage.client(await stage.proxy())
    await stage.live(client, "good")
    client.do("subscribe", id="bad", options={"topics": ["a//b"]})
    ended = await client.next("ended", id="bad")
    check((ended["code"], ended.get("field")), ("bad_topic", "topics[0]"), "a bad topic")
    client.do("subscribe", id="bad", options={"topics": ["a"], "filter": "n <"})
    ended = await client.next("ended", id="bad")
    check((ended["code"], ended.get("field")), ("bad_filter", "filter"), "a bad filter")
    client.do("update", id="good", changes={"filter": "n <"})
    failed = await client.next("failed", id="good")
    check((failed["code"], failed.get("field")), ("bad_filter", "filter"), "a bad update")
    client.do("publish", ref="p", topic="a/*", payload={})
    failed = await client.next("failed", ref="p")
    check(failed["code"], "bad_topic", "a bad publish")
    await stage.shared.publish(stage.topic(), {"n": 1})
    check(await client.offsets("good", 1), [1], "what else there is goes on")
