"""Filters over recorded aircraft: what each subscriber is sent is counted here a second time, by a few lines that share nothing with the server.

By hand, over a whole recording: python tests/clients/python/test_filters.py RECORDING [FILTERS [EVERY]]
"""

import asyncio
import bisect
import collections
import fnmatch
import gzip
import json
import logging
import math
import random
import subprocess
import sys
import time
import unittest

from websockets.asyncio.client import connect

from server import BINARY, ROOT, Server

SAMPLE = ROOT / "tests/fixtures/adsb-sample.ndjson.gz"
TOPIC = "adsb/ch"
# The test runner's loop complains of every step that takes long; counting does.
logging.getLogger("asyncio").setLevel(logging.ERROR)
# Subscriptions of one connection.
SHARE = 50


def metres(lat, lon, to_lat, to_lon):
    """Great-circle distance on a sphere of 6371.0088 km, by the haversine formula."""
    (a, b), (c, d) = (math.radians(lat), math.radians(lon)), (math.radians(to_lat), math.radians(to_lon))
    h = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(h))


def number(event, name):
    """A member that is there and not null."""
    return event.get(name) if isinstance(event.get(name), (int, float)) else None


def near(event, lat, lon, radius):
    at = number(event, "latitude"), number(event, "longitude")
    return None not in at and metres(*at, lat, lon) <= radius


def below(event, name, limit):
    return number(event, name) is not None and event[name] < limit


PLAIN = {
    "altitude < 35000": lambda e: below(e, "altitude", 35000),
    "altitude is null": lambda e: "altitude" in e and e["altitude"] is None,
    "not altitude < 35000": lambda e: not below(e, "altitude", 35000),
    'callsign ~ "RYR*"': lambda e: fnmatch.fnmatchcase(e.get("callsign") or "", "RYR*"),
    'callsign =~ "^(EZY|EZS)[0-9]"': lambda e: (e.get("callsign") or "")[:3] in ("EZY", "EZS")
    and (e["callsign"] + " ")[3].isdigit(),
    'icao24 in ("4067f2", "44093b") or vertical_rate <= -2000': lambda e: e["icao24"] in ("4067f2", "44093b")
    or (number(e, "vertical_rate") is not None and e["vertical_rate"] <= -2000),
    "groundspeed between 100 and 200": lambda e: number(e, "groundspeed") is not None and 100 <= e["groundspeed"] <= 200,
    "within(latitude, longitude, box(46, 6, 47, 8))": lambda e: number(e, "latitude") is not None
    and number(e, "longitude") is not None
    and 46 <= e["latitude"] <= 47
    and 6 <= e["longitude"] <= 8,
    'altitude < 36000 and callsign ~ "EZY*" and within(latitude, longitude, circle(46.5, 8, 60km))': lambda e: below(
        e, "altitude", 36000
    )
    and (e.get("callsign") or "").startswith("EZY")
    and near(e, 46.5, 8, 60_000),
}


# What differs by case alone, in ways that lower-casing misses, and what does not.
NAMES = """ΟΔΟΣ οδος Οδός STRASSE straße Straẞe ſtrasse İstanbul istanbul ılık ILIK Ǆ ǅ ǆ ﬃ ffi ᏸ Ᏸ ᾳ ΑΙ Å å Å ŉ ʼN
    Kelvin kelvin ÄPFEL äpfel apfel 😀 ß ss s ΰ ΐ ΐ ẖ և ԵՒ""".split()


class Recording:
    def __init__(self, path, every=1):
        with gzip.open(path, "rt") as file:
            self.lines = [line for index, line in enumerate(file) if index % every == 0]
        self.events = [json.loads(line) for line in self.lines]
        placed = [n for n, e in enumerate(self.events) if None not in (number(e, "latitude"), number(e, "longitude"))]
        self.by_latitude = sorted((self.events[n]["latitude"], n) for n in placed)

    def publish(self, server, filename):
        """As fast as the server takes them, by the command of the house."""
        command = [BINARY, "publish", "--url", f"http://{server.address}", "--topic", TOPIC, "--key", "icao24", "--max"]
        subprocess.run([*command, filename], check=True, capture_output=True, timeout=300)

    def in_circle(self, lat, lon, radius, low, high):
        """Offsets of what is near enough and of an altitude from low to less than high."""
        degrees = radius / 111_000 + 0.01
        first = bisect.bisect_left(self.by_latitude, (lat - degrees, 0))
        last = bisect.bisect_right(self.by_latitude, (lat + degrees, len(self.events)))
        found = []
        for _, index in self.by_latitude[first:last]:
            event = self.events[index]
            altitude = number(event, "altitude")
            if altitude is not None and low <= altitude < high and near(event, lat, lon, radius):
                found.append(index + 1)
        return sorted(found)


def draw(seed, count):
    """Circles somewhere over Switzerland, each with a band of altitudes."""
    numbers = random.Random(seed)
    for _ in range(count):
        lat, lon = round(numbers.uniform(45.8, 47.8), 4), round(numbers.uniform(5.9, 10.5), 4)
        low = numbers.randrange(30_000, 42_000, 100)
        yield lat, lon, numbers.randrange(2_000, 20_000), low, low + numbers.randrange(1_000, 6_000, 100)


async def hear(socket, ends):
    """The offsets that each subscription is sent, until `ends` says that it was the last message."""
    heard = collections.defaultdict(list)
    while True:
        message = json.loads(await socket.recv())
        for event in [message] if message["type"] == "event" else message.get("events", []):
            for sub in event["subs"]:
                heard[sub].append(event["offset"])
        if message["type"] in ("error", "gap", "skipped"):
            raise AssertionError(message)
        if ends(message):
            return heard


async def listen(server, filters, ready):
    """One connection with these filters, from before the first event to the one that says that it was the last."""
    async with connect(f"ws://{server.address}/v1/ws", max_size=1 << 25, ping_interval=None, max_queue=None) as socket:
        for index, text in enumerate(filters):
            batch = {"max_events": 100, "max_delay_ms": 50}
            ask = {"type": "subscribe", "id": index, "topics": [TOPIC], "filter": f"{text} or last exists"}
            await socket.send(json.dumps({**ask, "batch": batch}))
        lives = iter(range(len(filters)))
        await hear(socket, lambda message: message["type"] == "live" and next(lives) == len(filters) - 1)
        ready.release()

        def is_last(message):
            events = [message] if message["type"] == "event" else message.get("events", [])
            return any("last" in event["payload"] for event in events)

        return await hear(socket, is_last)


async def live(server, recording, filename, filters):
    """What each of many filters hears while the recording is published."""
    ready = asyncio.Semaphore(0)
    shares = [filters[first : first + SHARE] for first in range(0, len(filters), SHARE)]
    tasks = [asyncio.create_task(listen(server, share, ready)) for share in shares]
    for _ in shares:
        await ready.acquire()
    began = time.monotonic()
    await asyncio.to_thread(recording.publish, server, filename)
    async with connect(f"ws://{server.address}/v1/ws") as socket:
        await socket.send(json.dumps({"type": "publish", "topic": TOPIC, "payload": {"last": True}}))
        heard = await asyncio.gather(*tasks)
    seconds = time.monotonic() - began
    end = len(recording.events) + 1
    by_filter = [[offset for offset in share[n] if offset != end] for share in heard for n in range(SHARE)]
    return by_filter[: len(filters)], seconds


async def replayed(server, text):
    async with connect(f"ws://{server.address}/v1/ws", max_size=1 << 25, max_queue=None) as socket:
        ask = {"type": "subscribe", "id": 0, "topics": [TOPIC], "filter": text, "since": "earliest"}
        await socket.send(json.dumps(ask))
        return (await hear(socket, lambda message: message["type"] == "live"))[0]


def printed(server, text, count):
    """The offsets of the first so many events that the command of the house prints."""
    command = [BINARY, "subscribe", "--url", f"ws://{server.address}/v1/ws", "--topic", TOPIC]
    command += ["--since", "earliest", "--count", str(count), "--filter", text]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return [json.loads(line)["offset"] for line in done.stdout.splitlines()]


def circles(seed, count):
    drawn = list(draw(seed, count))
    texts = [
        f"within(latitude, longitude, circle({lat}, {lon}, {radius})) and altitude between >= {low} and < {high}"
        for lat, lon, radius, low, high in drawn
    ]
    # An `or` follows.
    return drawn, [f"({text})" for text in texts]


class Filters(unittest.IsolatedAsyncioTestCase):
    maxDiff = None

    async def test_each_filter_lets_through_what_python_counts(self):
        recording = Recording(SAMPLE)
        with Server("epoll") as server:
            await asyncio.to_thread(recording.publish, server, SAMPLE)
            for text, passes in PLAIN.items():
                expected = [n + 1 for n, event in enumerate(recording.events) if passes(event)]
                with self.subTest(text):
                    self.assertEqual(await replayed(server, text), expected)

    async def test_the_command_prints_what_python_counts(self):
        recording = Recording(SAMPLE)
        with Server("epoll") as server:
            await asyncio.to_thread(recording.publish, server, SAMPLE)
            for text, passes in PLAIN.items():
                expected = [n + 1 for n, event in enumerate(recording.events) if passes(event)]
                if not expected:
                    # There is nothing to wait for.
                    continue
                with self.subTest(text):
                    self.assertEqual(await asyncio.to_thread(printed, server, text, len(expected)), expected)

    async def test_case_is_folded_as_python_folds_it(self):
        with Server("epoll") as server:
            async with connect(f"ws://{server.address}/v1/ws") as socket:
                for name in NAMES:
                    await socket.send(json.dumps({"type": "publish", "topic": TOPIC, "payload": {"name": f"x{name}y"}}))
                await socket.send(json.dumps({"type": "ping", "id": 1}))
                await hear(socket, lambda message: message["type"] == "pong")
            for wanted in NAMES:
                folded = wanted.casefold()
                having = [n + 1 for n, name in enumerate(NAMES) if folded in name.casefold()]
                same = [n + 1 for n, name in enumerate(NAMES) if folded == name.casefold()]
                longer = [n + 1 for n, name in enumerate(NAMES) if name.casefold()[:-1].endswith(folded)]
                for text, expected in (
                    (f'name icontains "{wanted}"', having),
                    (f'name ilike "X{wanted}Y"', same),
                    (f'name ilike "%{wanted}_y%"', longer),
                ):
                    with self.subTest(text):
                        self.assertEqual(await replayed(server, text), expected)

    async def test_many_circles_at_once_are_each_right(self):
        recording = Recording(SAMPLE)
        drawn, texts = circles(5, 1000)
        with Server("epoll") as server:
            heard, _ = await live(server, recording, SAMPLE, texts)
        for circle, offsets in zip(drawn, heard, strict=True):
            self.assertEqual(offsets, recording.in_circle(*circle), circle)


async def by_hand(filename, count, every):
    recording = Recording(filename, every)
    published = filename
    if every > 1:
        published = f"{sys.argv[0]}.part"
        with open(published, "w") as file:
            file.writelines(recording.lines)
    roomy = {"connections_max": 400, "history.topic_events_max": 1 << 20, "history.topic_bytes_max": 1 << 30, "history.bytes_max": 1 << 30}
    with Server("epoll", **roomy) as server:
        drawn, texts = circles(5, count)
        heard, seconds = await live(server, recording, published, texts)
        wrong = sum(got != recording.in_circle(*circle) for circle, got in zip(drawn, heard, strict=True))
        matches = sum(map(len, heard))
        print(f"{count} circles, {len(recording.events)} events in {seconds:.1f} s: {matches} matches, {wrong} filters wrong")
        for text, passes in PLAIN.items():
            expected = [n + 1 for n, event in enumerate(recording.events) if passes(event)]
            is_right = not expected or await asyncio.to_thread(printed, server, text, len(expected)) == expected
            print(f"{'right' if is_right else 'WRONG'}: {len(expected)} of {text}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        count, every = (*map(int, sys.argv[2:]), *[10_000, 1][len(sys.argv) - 2 :])
        asyncio.run(by_hand(sys.argv[1], count, every))
    else:
        unittest.main()
