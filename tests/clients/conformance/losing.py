"""Scenarios of connections that end: the client comes back, in its time, and every event is told once or a gap says exactly which are not."""

import asyncio
import random
import time

from stage import Adapter, Proxy, Stage, check, hold, numbered, scenario

# As docs/CLIENTS.md has it: full jitter below a ceiling that doubles.
CEILING_MS = (100, 10_000)
# Timers of some platforms fire a little before their time.
EARLY_S = 0.02


def ceiling_ms(failures: int) -> int:
    """The longest wait before the so-manieth attempt in a row, counted from 0."""
    return min(CEILING_MS[1], CEILING_MS[0] << failures)


async def marked(stage: Stage, client: Adapter, count: int, id: str = "s") -> list[int]:
    """The offsets of the next events, and that nothing came besides: behind them comes one of our own."""
    offsets = await client.offsets(id, count)
    answer = await stage.shared.publish(stage.topic(), {"mark": True})
    check(await client.offsets(id, 1), [answer["offset"]], "the next event")
    return offsets


@scenario
async def cut(stage: Stage) -> None:
    """Connections that are cut at any byte, again and again, while events are published: each event is told once, in order, no gap, and each `live` says
    `recovered`."""
    choice = random.Random(stage.name)
    proxy = await stage.proxy()
    # Of the handshake's answer nothing counts; some of these do not even get to `live`.
    proxy.budget = lambda number: choice.randrange(1, 6000) if number < 25 else None
    client = await stage.client(proxy, steady_ms=0)
    client.do("subscribe", id="s", options={"topics": [stage.topic()], "since": "earliest"})
    for n in range(1, 301, 10):
        await stage.shared.publish(stage.topic(), *numbered(n, n + 9))
        await asyncio.sleep(0.01)
    check(await marked(stage, client, 300), list(range(1, 301)), "offsets")
    check(client.untaken("gap"), [], "gaps")
    hold(len(proxy.links) > 5, f"connections were cut: there were {len(proxy.links)}")
    hold(all(live["recovered"] for live in client.untaken("live")), "each `live` says that all was recovered")


@scenario
async def cut_live(stage: Stage) -> None:
    """A subscription that began live, without any event, misses nothing that is published while its connection is lost: it resumes from the position of
    its first `live`, in topics of patterns, too."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await stage.live(client, options={"topics": [f"{stage.name}/*"]})
    proxy.upstream, server = None, proxy.upstream
    proxy.links[0].cut()
    await client.state("waiting")
    await stage.shared.publish(stage.topic("a"), {"n": 1})
    await stage.shared.publish(stage.topic("b"), {"n": 2})
    proxy.upstream = server
    events = await client.events("s", 2)
    check(sorted(event["topic"] for event in events), [stage.topic("a"), stage.topic("b")], "topics")
    live = await client.next("live")
    check((live["recovered"], client.untaken("gap")), (True, []), "recovered")


@scenario
async def cut_last(stage: Stage) -> None:
    """A replay that cannot be resumed by itself (`last`) and is cut begins anew, and what was told of it already is not told again."""
    await stage.shared.publish(stage.topic(), *({"key": f"k{n}", "n": n, "pad": "x" * 500} for n in range(1, 61)), key_field="key")
    proxy = await stage.proxy()
    proxy.budget = lambda number: 9000 if number < 2 else None
    client = await stage.client(proxy)
    client.do("subscribe", id="s", options={"topics": [stage.topic()], "since": "last"})
    check(await marked(stage, client, 60), list(range(1, 61)), "offsets")
    sinces = [message.get("since") for link in proxy.links for message in link.said if message["type"] == "subscribe"]
    hold(len(sinces) == 3, f"two connections were cut: {sinces}")


@scenario
async def resume(stage: Stage) -> None:
    """With the connection the client asks for what follows its position: epoch, the last offset that it was told of each topic, and the moment of
    `live`; nothing comes twice over the wire."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    live = await stage.live(client)
    await stage.shared.publish(stage.topic(), *numbered(1, 5))
    check(await client.offsets("s", 5), [1, 2, 3, 4, 5], "offsets")
    first = proxy.links[0]
    first.cut()
    link = await proxy.link(1)
    await client.next("live")
    [asked] = [message for message in link.said if message["type"] == "subscribe"]
    [told] = [message for message in first.heard if message["type"] == "live"]
    since = asked["since"]
    check((since["epoch"], since["offsets"]), (told["epoch"], {stage.topic(): 5}), "the position")
    check(since["time_us"], told["time_us"], "the moment of the first `live`")
    check(asked["topics"], [stage.topic()], "topics")
    hold(live["recovered"], "the first `live` misses nothing")
    check([message for message in link.heard if message["type"] == "event"], [], "what came again")


@scenario
async def position(stage: Stage) -> None:
    """The position that a client gives away is a `since` for another one, which goes on exactly there: nothing is missing, nothing is told twice."""
    proxy = await stage.proxy()
    first = await stage.client(proxy)
    await stage.live(first)
    await stage.shared.publish(stage.topic(), *numbered(1, 7))
    check(await first.offsets("s", 7), list(range(1, 8)), "offsets")
    first.do("position", id="s")
    given = (await first.next("position", id="s"))["position"]
    check(given["offsets"], {stage.topic(): 7}, "the position")
    await first.close()
    await stage.shared.publish(stage.topic(), *numbered(8, 9))
    second = await stage.client(proxy)
    live = await stage.live(second, options={"topics": [stage.topic()], "since": given})
    check((live["recovered"], live["replayed"]), (True, 2), "live")
    check(await marked(stage, second, 2), [8, 9], "offsets")


@scenario
async def evicted(stage: Stage) -> None:
    """What history has let go of meanwhile is a gap, from the first offset that was missed to the last that is not kept, told in its place before what
    follows; `live` says that not all was recovered."""
    server = await stage.serve("[history]\ntopic_events_max = 10\n")
    proxy = await stage.proxy(server)
    client = await stage.client(proxy)
    await stage.live(client)
    await server.publish(stage.topic(), *numbered(1, 3))
    check(await client.offsets("s", 3), [1, 2, 3], "offsets")
    proxy.upstream, upstream = None, proxy.upstream
    proxy.links[0].cut()
    await client.state("waiting")
    await server.publish(stage.topic(), *numbered(4, 50))
    proxy.upstream = upstream
    gap = await client.next("gap", id="s")
    first = await client.next("event", id="s")
    to = gap["gap"]["to"]
    said = {name: gap["gap"][name] for name in ("topic", "from", "to", "reason")}
    check(said, {"topic": stage.topic(), "from": 4, "to": first["event"]["offset"] - 1, "reason": "evicted"}, "the gap")
    hold(3 < to < 50 and client.index(gap) < client.index(first), "the gap stands before what follows it")
    check(await client.offsets("s", 50 - to - 1), list(range(to + 2, 51)), "what follows")
    check((await client.next("live"))["recovered"], False, "recovered")
    proxy.links[1].cut()
    check((await client.next("live"))["recovered"], True, "recovered from where the gap ended")
    check(client.untaken("event"), [], "what came again")


@scenario
async def restart(stage: Stage) -> None:
    """A server that was killed and comes back without its memory has a new epoch: a gap with the reason `epoch` says so before anything else is told,
    and the subscription goes on in the new one."""
    server = await stage.serve()
    proxy = await stage.proxy(server)
    client = await stage.client(proxy)
    await stage.live(client)
    await server.publish(stage.topic(), *numbered(1, 3))
    check(await client.offsets("s", 3), [1, 2, 3], "offsets")
    before = await client.state("open")
    proxy.upstream = None
    await server.kill()
    await client.state("waiting")
    other = await stage.serve()
    await other.publish(stage.topic(), {"n": 1, "life": 2}, {"n": 2, "life": 2})
    proxy.upstream = other.address
    gap = await client.next("gap")
    check((gap["gap"]["topic"], gap["gap"]["reason"]), (stage.topic(), "epoch"), "the gap")
    events = await client.events("s", 2)
    check([(event["offset"], event["payload"]["life"]) for event in events], [(1, 2), (2, 2)], "the new epoch's events")
    live = await client.next("live")
    check(live["recovered"], False, "recovered")
    after = await client.state("open")
    hold(before["epoch"] != after["epoch"], "the epoch is another one")
    proxy.links[-1].cut()
    check((await client.next("live"))["recovered"], True, "recovered in the new epoch")
    await other.publish(stage.topic(), {"n": 3})
    check(await client.offsets("s", 1), [3], "what follows")


@scenario
async def restart_durable(stage: Stage) -> None:
    """A server that was killed and keeps its topics on a disk goes on in their epoch: what was published before the kill and not told comes after it,
    once, without a gap."""
    config = 'data_dir = "data"\n[[history.durable]]\ntopics = ["**"]\n'
    server = await stage.serve(config)
    proxy = await stage.proxy(server)
    client = await stage.client(proxy)
    await stage.live(client)
    await server.publish(stage.topic(), *numbered(1, 3))
    check(await client.offsets("s", 3), [1, 2, 3], "offsets")
    proxy.upstream = None
    proxy.links[0].cut()
    await client.state("waiting")
    await server.publish(stage.topic(), *numbered(4, 6))
    await server.kill()
    other = await stage.serve(config)
    proxy.upstream = other.address
    check(await client.offsets("s", 3), [4, 5, 6], "offsets after the restart")
    check((await client.next("live"))["recovered"], True, "recovered")
    await other.publish(stage.topic(), {"n": 7})
    [event] = await client.events("s", 1)
    check((event["payload"], client.untaken("gap")), ({"n": 7}, []), "what follows")


@scenario
async def jitter(stage: Stage) -> None:
    """A connection that has lasted (`steady_ms`) and is lost is followed by a wait drawn evenly from 0 to 100 ms: of 24 waits some are in the lower half
    of it and some in the upper, none is longer, and no attempt comes before its time."""
    proxy = await stage.proxy()
    client = await stage.client(proxy, steady_ms=0)
    await stage.live(client)
    waits = []
    for number in range(24):
        link = await proxy.link(number)
        link.cut()
        waiting = await client.state("waiting")
        waits.append(waiting["wait_ms"])
        await proxy.link(number + 1)
        await client.next("live")
        assert link.ended_s is not None, "it was cut"
        waited_s = proxy.attempts[number + 1] - link.ended_s
        hold(waited_s >= waiting["wait_ms"] / 1000 - EARLY_S, f"came back after {waited_s} s instead of {waiting['wait_ms']} ms")
    hold(all(0 <= wait <= ceiling_ms(0) for wait in waits), f"waits of at most {ceiling_ms(0)} ms: {waits}")
    half = ceiling_ms(0) / 2
    hold(any(wait < half for wait in waits) and any(wait > half for wait in waits), f"drawn from the whole of it: {waits}")


@scenario
async def backoff(stage: Stage) -> None:
    """The ceiling of the waits doubles with each attempt in a row that comes to nothing, to 10 s at most; being let in and sent away at once (1008) is
    nothing, too: only what lasts for `steady_ms`, usually 5 s, begins anew."""
    proxy = await stage.proxy()
    upstream, proxy.upstream = proxy.upstream, None
    client = await stage.client(proxy)
    waits = [(await client.state("waiting"))["wait_ms"] for _ in range(4)]
    proxy.upstream = upstream
    proxy.rewrite = lambda message: [message] if message["type"] == "welcome" else []
    for number in range(4):
        link = await proxy.link(number)
        await proxy.until(lambda link=link: bool(link.heard))
        link.close(1008, "too much of it")
        waiting = await client.state("waiting")
        check(waiting["code"], 1008, "why it waits")
        waits.append(waiting["wait_ms"])
    for number, wait in enumerate(waits):
        hold(wait <= ceiling_ms(number), f"wait {number} is at most {ceiling_ms(number)} ms: {waits}")
    # Drawn from 1.6 s, 3.2 s, 6.4 s and 10 s; from 100 ms each they would be less. All below that is drawn once in 300,000 times.
    hold(sum(waits[4:]) > 4 * ceiling_ms(0), f"the ceiling grows: {waits}")
    proxy.rewrite = None
    await stage.live(client)


@scenario
async def turned_away(stage: Stage) -> None:
    """A handshake that is answered with 503, by a server that is full or stops, is an attempt that comes to nothing: the client waits with the cause `lost`,
    and is let in later."""
    proxy = await stage.proxy()
    proxy.answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    client = await stage.client(proxy)
    client.do("subscribe", id="s", options={"topics": [stage.topic()]})
    for _ in range(2):
        check((await client.state("waiting"))["cause"], "lost", "why it waits")
    proxy.answer = None
    await client.next("live", id="s")


@scenario
async def drain(stage: Stage) -> None:
    """A server that stops says when to come back (`reconnect`): everything told before it is told, the client waits exactly so long and says so, and
    then resumes without a gap."""
    config = 'data_dir = "data"\n[[history.durable]]\ntopics = ["**"]\n'
    server = await stage.serve(config)
    proxy = await stage.proxy(server)
    client = await stage.client(proxy)
    await stage.live(client)
    await server.publish(stage.topic(), *numbered(1, 20))
    server.ask_to_stop()
    waiting = await client.state("waiting")
    check(await client.offsets("s", 20), list(range(1, 21)), "offsets")
    [advice] = [message["after_ms"] for message in proxy.links[0].heard if message["type"] == "reconnect"]
    check((waiting["wait_ms"], waiting["code"], waiting["cause"]), (advice, 1001, "stopping"), "the wait")
    await server.stop()
    other = await stage.serve(config)
    await other.publish(stage.topic(), {"n": 21})
    proxy.upstream = other.address
    check(await client.offsets("s", 1), [21], "what follows")
    check((await client.next("live"))["recovered"], True, "recovered")
    check(client.untaken("gap"), [], "gaps")


@scenario
async def advice(stage: Stage) -> None:
    """The server's advice is obeyed once, and never too early: the attempt comes after `after_ms`; if it comes to nothing the client's own waits follow,
    and the advice is not obeyed again."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await stage.live(client)
    link = proxy.links[0]
    upstream, proxy.upstream = proxy.upstream, None
    link.say({"type": "reconnect", "after_ms": 1234})
    link.close(1001, "shutting down")
    said_s = time.monotonic()
    check((await client.state("waiting"))["wait_ms"], 1234, "the wait")
    await proxy.until(lambda: len(proxy.attempts) == 2)
    hold(time.monotonic() - said_s >= 1.234 - EARLY_S, "it comes back no earlier")
    own = (await client.state("waiting"))["wait_ms"]
    hold(own <= ceiling_ms(1), f"then it is the client's own waits: {own} ms")
    proxy.upstream = upstream
    check((await client.next("live"))["recovered"], True, "recovered")


@scenario
async def silence(stage: Stage) -> None:
    """A connection on which nothing arrives any more, and which nobody closes, is given up: the client asks whether the server is there, hears nothing
    within `silence_ms`, and connects anew; one that is merely quiet is kept."""
    proxy = await stage.proxy()
    # Long enough for a server on a busy machine to answer.
    client = await stage.client(proxy, silence_ms=5000)
    await stage.live(client)
    link = proxy.links[0]
    # Quiet, and answering: the client has asked twice, and is content.
    await proxy.until(lambda: sum(message["type"] == "pong" for message in link.heard) >= 2)
    check(len(proxy.links), 1, "connections while it was quiet")
    link.fall_silent()
    check((await client.state("waiting"))["cause"], "silent", "why it waits")
    await proxy.link(1)
    await stage.shared.publish(stage.topic(), {"n": 1})
    check(await client.offsets("s", 1), [1], "what follows")
    check((await client.next("live"))["recovered"], True, "recovered")


@scenario
async def slow(stage: Stage) -> None:
    """A client that was too slow (close code 4008) comes back and resumes; the code is said with the state."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await stage.live(client)
    proxy.links[0].close(4008, "slow subscriber")
    check((await client.state("waiting"))["code"], 4008, "why it waits")
    await stage.shared.publish(stage.topic(), {"n": 1})
    check(await client.offsets("s", 1), [1], "what follows")


async def closed_for_good(stage: Stage, proxy: Proxy, code: int) -> None:
    client = await stage.client(proxy)
    await stage.live(client)
    proxy.links[-1].close(code, "what the server said")
    closed = await client.state("closed")
    check((closed["cause"], closed["code"], closed["reason"]), ("mistake", code, "what the server said"), "why it is closed")
    await client.next("ended", id="s", code="closed")


@scenario
async def final(stage: Stage) -> None:
    """After 1002, 1003, 1007 and 1009, which the same client would only be told again, it is `closed` with code and reason, ends its subscriptions with
    `closed`, and does not come back."""
    proxy = await stage.proxy()
    for code in (1002, 1003, 1007, 1009):
        await closed_for_good(stage, proxy, code)
    check(len(proxy.links), 4, "connections")


@scenario
async def away(stage: Stage) -> None:
    """What is asked while there is no connection is done with the next one: an update takes effect, a subscription is made, one that ended is not made
    again, and a publish is sent, once."""
    proxy = await stage.proxy()
    client = await stage.client(proxy)
    await stage.live(client, "changed", options={"topics": [stage.topic()], "filter": "n < 10"})
    await stage.live(client, "ended")
    upstream, proxy.upstream = proxy.upstream, None
    proxy.links[0].cut()
    await client.state("waiting")
    client.do("update", id="changed", changes={"filter": "n >= 10"})
    client.do("unsubscribe", id="ended")
    await client.next("ended", id="ended", code="unsubscribed")
    client.do("subscribe", id="new", options={"topics": [stage.topic("b")]})
    client.do("publish", ref="p", topic=stage.topic("c"), payload={"n": 1})
    # A publish that waits shows that all of it has been taken before the way is open again.
    client.do("position", id="changed")
    await client.next("position", id="changed")
    proxy.upstream = upstream
    await client.next("updated", id="changed")
    await client.next("live", id="new")
    check((await client.next("published", ref="p"))["answer"]["offset"], 1, "the publish")
    await stage.shared.publish(stage.topic(), {"n": 5}, {"n": 15})
    await stage.shared.publish(stage.topic("b"), {"n": 1})
    check((await client.offsets("changed", 1), await client.offsets("new", 1)), ([2], [1]), "offsets")
    subscribed = [message["id"] for message in proxy.links[1].said if message["type"] == "subscribe"]
    check(sorted(subscribed), ["changed", "new"], "what was subscribed to anew")


@scenario
async def publish_lost(stage: Stage) -> None:
    """A publish whose connection is lost before its answer fails with `connection_lost`, as it may have been taken, and is not repeated."""
    proxy = await stage.proxy()
    proxy.rewrite = lambda message: [] if message["type"] == "published" else [message]
    client = await stage.client(proxy)
    await stage.live(client)
    client.do("publish", ref="p", topic=stage.topic(), payload={"n": 1})
    check(await client.offsets("s", 1), [1], "the event was taken")
    proxy.rewrite = None
    proxy.links[0].cut()
    check((await client.next("failed", ref="p"))["code"], "connection_lost", "the answer")
    await client.next("live")
    check(await marked(stage, client, 0), [], "offsets")
