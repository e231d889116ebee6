"""`kill -9` while events are published: what was acknowledged and what subscribers saw is there afterwards, byte for byte, as a reader finds it that shares no code with the server.

Rounds: FANWIRE_KILLS (usual: 40). `FANWIRE_KILLS=10000 python -m unittest test_kill` takes some hours. A failure prints its round's seed; FANWIRE_KILL_SEED begins with it.
"""

import http.client
import json
import os
import pathlib
import random
import socket
import tempfile
import threading
import time
import unittest

from history import Folder
from server import Server

ROUNDS = int(os.environ.get("FANWIRE_KILLS", "40"))
SEED = int(os.environ.get("FANWIRE_KILL_SEED", "1"))
# After so many rounds another folder is begun: the reader goes through all of it each time.
ROUNDS_A_FOLDER = 8
TOPICS = 6
ADMIN = "the admin secret of these tests, long enough"


class Publisher(threading.Thread):
    """Publishes until its server is gone; `sent` has what it has ever said, `known` where that was acknowledged to lie."""

    def __init__(self, address, seed):
        super().__init__(daemon=True)
        self.address, self.seed, self.random = address, seed, random.Random(seed)
        self.sent, self.known, self.refused = set(), [], []

    def run(self):
        try:
            connection = http.client.HTTPConnection(self.address, timeout=30)
            while True:
                self.publish(connection)
        except (OSError, http.client.HTTPException):
            pass

    def payload(self):
        text = json.dumps({"by": self.seed, "n": len(self.sent), "pad": "x" * self.random.randrange(200)})
        self.sent.add(text)
        return text

    def publish(self, connection):
        topic = f"fleet/{self.random.randrange(TOPICS)}"
        ack = self.random.choice(["ordered", "stored", "durable"])
        count = self.random.choice([1, 1, 1, 40])
        payloads = [self.payload() for _ in range(count)]
        headers = {"Content-Type": "application/x-ndjson" if count > 1 else "application/json"}
        if count == 1:
            headers["Fanwire-Key"] = f"k{self.random.randrange(5)}"
        connection.request("POST", f"/v1/publish/{topic}?ack={ack}", "\n".join(payloads), headers)
        response = connection.getresponse()
        said = json.loads(response.read())
        if response.status != 200 or said["accepted"] != count:
            self.refused.append(said)
            return
        # Of one upload other publishers' events may stand between: what is known for sure is the last one's place, and that all are there.
        self.known.append((topic, said["offset"], payloads))


class Revoker(threading.Thread):
    """Revokes tokens until its server is gone; `known` has what was acknowledged, as the ledger's notes have it."""

    def __init__(self, address, seed):
        super().__init__(daemon=True)
        self.address, self.random = address, random.Random(seed)
        self.known, self.refused = [], []

    def run(self):
        try:
            connection = http.client.HTTPConnection(self.address, timeout=30)
            while True:
                until = self.random.randrange(1 << 31)
                name = f"{self.random.randrange(1 << 40):x}"
                body, note = self.random.choice(
                    [
                        ({"jti": name}, (f"revoked/token/{name}", 0)),
                        ({"user": "ada", "issued_until_s": until}, ("revoked/user/ada", until)),
                        ({"issued_until_s": until}, ("revoked/all", until)),
                    ]
                )
                headers = {"Authorization": f"Bearer {ADMIN}"}
                connection.request("POST", "/v1/admin/revoke", json.dumps(body), headers)
                response = connection.getresponse()
                said = json.loads(response.read())
                if said == {"revoked": True}:
                    self.known.append(note)
                else:
                    self.refused.append(said)
                time.sleep(self.random.uniform(0, 0.02))
        except (OSError, http.client.HTTPException):
            pass


class Subscriber(threading.Thread):
    """Keeps every event that it is told, in the order of each topic."""

    def __init__(self, address, since):
        super().__init__(daemon=True)
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        request = f"GET /v1/sse?topic=fleet/**&since={since} HTTP/1.1\r\nHost: test\r\n\r\n"
        self.socket.sendall(request.encode())
        self.events, self.gaps, self.is_live = [], [], threading.Event()

    def run(self):
        data = b""
        while True:
            try:
                more = self.socket.recv(1 << 16)
            except OSError:
                break
            if not more:
                break
            data += more
            *whole, data = data.split(b"\n\n")
            for block in whole:
                self.take(block)
        self.is_live.set()

    def take(self, block):
        kind, said = "event", None
        for line in block.split(b"\n"):
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                said = line[6:]
        if kind == "live":
            self.is_live.set()
        elif kind == "gap":
            self.gaps.append(json.loads(said))
        elif said is not None and kind == "event":
            event = json.loads(said)
            # The text, byte for byte, and not what was read of it.
            event["text"] = said[said.index(b'"payload":') + 10 :].rstrip(b"\r").rstrip()[:-1].decode()
            self.events.append(event)


class Kill(unittest.TestCase):
    def test_nothing_that_was_acknowledged_or_seen_is_missing_or_another(self):
        done = events = 0
        while done < ROUNDS:
            with tempfile.TemporaryDirectory() as place:
                lives = Lives(self, pathlib.Path(place, "data"))
                for _ in range(min(ROUNDS_A_FOLDER, ROUNDS - done)):
                    lives.live(SEED + done)
                    done += 1
                events += len(lives.at)
                self.assertTrue(lives.notes, "something was revoked")
        print(f"{done} kills, {events} events")
        self.assertGreater(events, 10 * ROUNDS, "something was published")


class Lives:
    """A folder, and what is known of it."""

    def __init__(self, test, root):
        self.test, self.root = test, root
        # What lies at each topic and offset, as it was found; and the newest offset that anybody was told.
        self.at, self.seen, self.sent = {}, {}, set()
        # The notes of its ledger, as far as somebody was told that they are kept.
        self.notes = {}
        self.secret = root.parent / "admin"
        self.secret.write_text(ADMIN)

    def live(self, seed):
        choice = random.Random(seed)
        place = f"seed {seed}"
        durable = '[[history.durable]]\ntopics = ["fleet/**"]\nsync = "%s"\n' % choice.choice(["always", "5ms", "off"])
        server = Server("epoll", shards=choice.choice([1, 2, 3]), data_dir=json.dumps(str(self.root)))
        # A table stands behind all plain keys.
        auth = f"[auth]\nadmin_secret_file = {json.dumps(str(self.secret))}\n"
        server.settings["topics_max"] = f"1000\n{auth}{durable}"
        with server:
            before = Subscriber(server.address, "earliest")
            before.start()
            self.test.assertTrue(before.is_live.wait(60), f"{place}: the past does not end")
            told = {(event["topic"], event["offset"]): event["text"] for event in before.events}
            self.test.assertEqual(before.gaps, [], place)
            self.test.assertEqual(told, self.at, f"{place}: what is told of the past")
            publishers = [Publisher(server.address, seed * 10 + number) for number in range(2)]
            revoker = Revoker(server.address, seed)
            for thread in [*publishers, revoker]:
                thread.start()
            time.sleep(choice.uniform(0.02, 0.4))
            server.process.kill()
            server.is_killed = True
        for thread in [*publishers, revoker]:
            thread.join(60)
        before.join(60)
        folder = Folder(self.root)
        self.check_notes(place, revoker, folder)
        self.check(place, publishers, before.events, folder)

    def check_notes(self, place, revoker, folder):
        self.test.assertEqual(revoker.refused, [], place)
        for name, value in revoker.known:
            self.notes[name] = max(self.notes.get(name, 0), value)
        for name, value in self.notes.items():
            found = folder.notes.get(name)
            self.test.assertIsNotNone(found, f"{place}: {name} was revoked")
            self.test.assertGreaterEqual(found[0], value, f"{place}: {name} was revoked")

    def check(self, place, publishers, seen, folder):
        # A write that was cut off is no fault: nobody was told of it.
        torn = [fault for fault in folder.faults if "no head" not in fault and "ends too early" not in fault]
        self.test.assertEqual([fault for fault in torn if "second head" not in fault], [], place)
        there = {(event["topic"], event["offset"]): event["payload"].decode() for event in folder.events}
        self.test.assertEqual(len(there), len(folder.events), f"{place}: an offset is given twice")
        for where, text in self.at.items():
            self.test.assertEqual(there.get(where), text, f"{place}: {where} was there before")
        self.sent.update(*(publisher.sent for publisher in publishers))
        for where, text in there.items():
            self.test.assertIn(text, self.sent, f"{place}: {where} was never published")
        texts = set(there.values())
        for publisher in publishers:
            self.test.assertEqual(publisher.refused, [], place)
            for topic, offset, payloads in publisher.known:
                self.test.assertEqual(there.get((topic, offset)), payloads[-1], f"{place}: {topic} {offset} was acknowledged")
                for text in payloads:
                    self.test.assertIn(text, texts, f"{place}: {text} was acknowledged")
                self.see(place, topic, offset)
        for event in seen:
            where = (event["topic"], event["offset"])
            self.test.assertEqual(there.get(where), event["text"], f"{place}: {where} was seen")
        for where in there.keys() - self.at.keys():
            self.test.assertGreater(where[1], self.seen.get(where[0], 0), f"{place}: {where} was given before")
        for topic, offset in there:
            self.seen[topic] = max(self.seen.get(topic, 0), offset)
        self.at = there

    def see(self, place, topic, offset):
        self.test.assertGreater(offset, self.seen.get(topic, 0), f"{place}: {topic} {offset} was given before")
