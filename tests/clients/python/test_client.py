"""What of the Python client no other client has: its filters, its reader that may be slow, its handlers. What all clients do is the conformance script's."""

import asyncio
import unittest

import fanwire
from fanwire import Event, Live, any_of, box, circle, every, field, first, polygon, within
from fanwire.filters import key, op, topic
from fanwire.position import Progress
from fanwire.subscription import QUEUE_MAX
from server import Server

PATIENCE_S = 60

FILTERS = {
    "equal": (field("a") == 1, {"eq": ["a", 1]}),
    "not equal": (field("a") != 1, {"ne": ["a", 1]}),
    "is null": (field("a") == None, {"null": "a"}),  # noqa: E711: it is no comparison of Python's
    "is not null": (field("a") != None, {"known": "a"}),  # noqa: E711
    "less": (field("a", "b") < 1.5, {"lt": ["a.b", 1.5]}),
    "at most": (field("a") <= 1, {"le": ["a", 1]}),
    "more": (field("a") > 1, {"gt": ["a", 1]}),
    "at least": (field("a") >= 1, {"ge": ["a", 1]}),
    "in": (field("a").is_in([1, "x"]), {"in": ["a", [1, "x"]]}),
    "not in": (field("a").is_not_in([1]), {"not_in": ["a", [1]]}),
    "between": (field("a").between(1, 2), {"between": ["a", 1, 2]}),
    "glob": (field("a").matches("S*"), {"glob": ["a", "S*"]}),
    "like": (field("a").like("S%"), {"like": ["a", "S%"]}),
    "ilike": (field("a").like("S%", ignore_case=True), {"ilike": ["a", "S%"]}),
    "prefix": (field("a").starts_with("S"), {"prefix": ["a", "S"]}),
    "suffix": (field("a").ends_with("S"), {"suffix": ["a", "S"]}),
    "contains": (field("a").contains("S"), {"contains": ["a", "S"]}),
    "icontains": (field("a").contains("S", ignore_case=True), {"icontains": ["a", "S"]}),
    "regex": (field("a").regex("^S"), {"regex": ["a", "^S"]}),
    "exists": (field("a").exists(), {"exists": "a"}),
    "null": (field("a").is_null(), {"null": "a"}),
    "known": (field("a").is_known(), {"known": "a"}),
    "names": (field("odd name", "a.b", "`", "not") == 1, {"eq": ["`odd name`.`a.b`.````.`not`", 1]}),
    "first": (first(field("a"), field("b", "c")) == 1, {"eq": ["first(a, b.c)", 1]}),
    "the event's own": (every(topic == "t", key == "k", op != "delete"), {"and": [{"eq": ["$topic", "t"]}, {"eq": ["$key", "k"]}, {"ne": ["$op", "delete"]}]}),
    "box": (within(field("lat"), field("lon"), box(46, 6, 47, 8)), {"within": ["lat", "lon", {"box": [46, 6, 47, 8]}]}),
    "circle": (within(field("lat"), field("lon"), circle(46, 6, 30_000)), {"within": ["lat", "lon", {"circle": [46, 6, 30_000]}]}),
    "polygon": (within(field("lat"), field("lon"), polygon((0, 0), (0, 1), (1, 1))), {"within": ["lat", "lon", {"polygon": [[0, 0], [0, 1], [1, 1]]}]}),
    "joined": (~(field("a") == 1) & ((field("b") == 2) | (field("c") == 3)), {"and": [{"not": {"eq": ["a", 1]}}, {"or": [{"eq": ["b", 2]}, {"eq": ["c", 3]}]}]}),
    "chained": ((field("a") == 1) & (field("b") == 2) & (field("c") == 3), {"and": [{"eq": ["a", 1]}, {"eq": ["b", 2]}, {"eq": ["c", 3]}]}),
    "nothing": (any_of(), {"or": []}),
}


class Filters(unittest.TestCase):
    def test_each_becomes_the_notation_of_the_page(self):
        for name, (built, json) in FILTERS.items():
            with self.subTest(name):
                self.assertEqual(built.json, json)

    def test_what_python_would_misread_is_refused(self):
        with self.assertRaises(TypeError):
            _ = 1 < field("a") < 2
        with self.assertRaises(TypeError):
            _ = (field("a") == 1) and (field("b") == 2)
        with self.assertRaises(TypeError):
            field()


class Positions(unittest.TestCase):
    """As `src/clients/js/position.js` and `src/client/position.rs` are tested."""

    def test_a_replay_that_was_cut_goes_on(self):
        for since, moment in (("earliest", 0), ({"time_us": 7}, 6), ({"time_us": 0}, 0)):
            progress = Progress(since)
            self.assertEqual(progress.begin("a"), since)
            progress.advance("t", 3)
            self.assertIsNone(progress.position)
            self.assertEqual(progress.begin("a"), {"epoch": "a", "offsets": {"t": 3}, "time_us": moment})

    def test_one_that_cannot_be_resumed_begins_anew_and_what_was_told_is_held_back(self):
        progress = Progress("last")
        progress.begin("a")
        progress.advance("t", 3)
        self.assertEqual(progress.begin("a"), "last")
        self.assertTrue(progress.has_seen("t", 3))
        self.assertFalse(progress.has_seen("t", 4))
        self.assertFalse(progress.has_seen("u", 0))
        self.assertEqual(progress.begin("b"), "last")
        self.assertFalse(progress.has_seen("t", 3))

    def test_another_epoch_begins_with_its_own_live(self):
        progress = Progress({"epoch": "a", "offsets": {"t": 3}, "time_us": 1})
        progress.begin("b")
        progress.advance("t", 1)
        self.assertIsNone(progress.position)
        progress.live("b", {"u": 2}, 9)
        self.assertEqual(progress.position, {"epoch": "b", "offsets": {"t": 1, "u": 2}, "time_us": 9})
        progress.filter_changed()
        progress.advance("u/*", 0)
        self.assertEqual(progress.position, {"epoch": "b", "offsets": {"t": 1, "u": 2}, "time_us": 9, "filter_changed": True})


class AgainstAServer(unittest.TestCase):
    def run_with(self, scenario, **settings):
        async def limited(server):
            async with asyncio.timeout(PATIENCE_S):
                await scenario(server)

        with Server("epoll", **settings) as server:
            asyncio.run(limited(server))

    def test_the_server_takes_each_filter(self):
        async def scenario(server):
            async with fanwire.Client(f"http://{server.address}") as client:
                for name, (built, _) in FILTERS.items():
                    with self.subTest(name):
                        async with client.subscribe("t", filter=built) as subscription:
                            await subscription.ready()

        self.run_with(scenario)

    def test_who_reads_slowly_is_told_everything_and_holds_up_nobody(self):
        count = 5 * QUEUE_MAX

        async def scenario(server):
            async with fanwire.Client(f"http://{server.address}") as client:
                slow, quick = client.subscribe("t"), client.subscribe("t", id="quick")
                await slow.ready()
                await quick.ready()
                for n in range(0, count, 256):
                    await asyncio.gather(*(client.publish("t", {"n": n + more}) for more in range(256)))
                    heard = [told async for told in take(quick, 256)]
                    self.assertEqual([event.payload["n"] for event in heard], list(range(n, n + 256)))
                self.assertIs(slow.state, fanwire.SubscriptionState.WAITING)
                self.assertLessEqual(len(slow._queue), QUEUE_MAX + 8, "no more waits than may")
                told = []
                async for item in slow:
                    told.append(item)
                    if isinstance(item, Event) and item.offset == count:
                        break
                events = [item for item in told if isinstance(item, Event)]
                self.assertEqual([event.offset for event in events], list(range(1, count + 1)))
                self.assertTrue(all(item.recovered for item in told if isinstance(item, Live)))
                self.assertEqual(slow.position["offsets"], {"t": count})
                # What was asked of it while it was behind is done.
                await slow.update(filter=field("n") < 0)
                self.assertEqual(slow.options["filter"], {"lt": ["n", 0]})

        self.run_with(scenario)

    def test_one_that_is_behind_can_be_ended_and_made_again(self):
        async def scenario(server):
            async with fanwire.Client(f"http://{server.address}") as client:
                slow = client.subscribe("t", id="s")
                await slow.ready()
                await asyncio.gather(*(client.publish("t", {}) for _ in range(2 * QUEUE_MAX)))
                while slow.state is not fanwire.SubscriptionState.WAITING:
                    await client.publish("t", {})
                await slow.unsubscribe()
                again = client.subscribe("t", id="s")
                await again.ready()
                offset = (await client.publish("t", {"n": 1})).offset
                self.assertEqual([event.offset async for event in take(again, 1)], [offset])

        self.run_with(scenario)

    def test_the_position_is_the_readers(self):
        async def scenario(server):
            async with fanwire.Client(f"http://{server.address}") as client:
                subscription = client.subscribe("t")
                await subscription.ready()
                await asyncio.gather(*(client.publish("t", {}) for _ in range(10)))
                await client.ping()
                self.assertIsNone(subscription.position, "nothing of it was read")
                async for told in subscription:
                    if isinstance(told, Event) and told.offset == 4:
                        break
                self.assertEqual(subscription.position["offsets"], {"t": 4})

        self.run_with(scenario)

    def test_the_past_at_a_pace(self):
        async def scenario(server):
            async with fanwire.Client(f"http://{server.address}") as client:
                for n in range(3):
                    await client.publish("t", {"n": n})
                played = client.subscribe("t", since="earliest", speed=0)
                await played.ready()
                await client.ping()
                self.assertEqual((played.speed, len(played._queue)), (0, 1), "paused, nothing is told")
                await played.update(speed=10_000, max_gap_ms=10)
                self.assertEqual([event.payload["n"] async for event in take(played, 3)], [0, 1, 2])
                await played.seek("earliest", speed=None)
                self.assertEqual([event.payload["n"] async for event in take(played, 3)], [0, 1, 2])

        self.run_with(scenario)

    def test_a_handler_that_fails_stops_nothing(self):
        async def scenario(server):
            reported = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

            def fail(change):
                raise RuntimeError("the application's own")

            async with fanwire.Client(f"http://{server.address}", on_state=fail) as client:
                self.assertGreater(await client.ping(), 0)
            self.assertEqual([str(error) for error in reported], ["the application's own"] * len(reported))
            self.assertEqual(len(reported), 3, "connecting, open and closed")

        self.run_with(scenario)

    def test_closed_is_closed(self):
        async def scenario(server):
            client = fanwire.Client(f"http://{server.address}")
            subscription = client.subscribe("t")
            await subscription.ready()
            await client.close()
            self.assertEqual([told async for told in subscription if isinstance(told, Event)], [])
            for closed in (client.publish("t", {}), client.ping()):
                with self.assertRaises(fanwire.FanwireError) as raised:
                    await closed
                self.assertEqual(raised.exception.code, "closed")

        self.run_with(scenario)


async def take(subscription, count):
    """The next so many events."""
    while count > 0:
        told = await anext(subscription)
        if isinstance(told, Event):
            count -= 1
            yield told


if __name__ == "__main__":
    unittest.main()
