"""What lies in a data folder is what docs/HISTORY.md says, as a reader sees it that shares no code with the server."""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from history import Folder, crc32c, lz4_block
from server import BINARY, ROOT


def run(*words, stdin=None):
    return subprocess.run([BINARY, "history", *map(str, words)], input=stdin, capture_output=True, timeout=120)


def line(number):
    topic = ["fleet/north", "fleet/süd", "log"][number % 3]
    event = {"topic": topic, "key": f"k{number % 7}", "payload": {"number": number, "text": "wörter " * (number % 5)}}
    if number % 11 == 10:
        event |= {"op": "delete", "time_us": 2_000_000_000_000_000 + number, "offset": 1 + number // 3}
        before = {"op": "event", "offset": 1, "time_us": 7, "payload": {"before": number}}
        event["before"] = before
    if number % 13 == 5:
        event["meta"] = {"publisher": f"{0xffff_ffff_ffff_ff00 + number % 256:x}", "qos": number % 3, "retained": number % 2 == 1, "expiry_s": number, "traceparent": f"00-{number + 1:032x}-{number + 7:016x}-{number % 4:02x}"}
    if number % 13 == 7:
        event["meta"] = {"qos": 1, "retained": False, "properties": base64.b64encode(bytes(range(number % 256))).decode()}
    return event | {"time_us": 2_000_000_000_000_000 + number, "home": number % 2}


def meta_of(line):
    """Of a line of NDJSON what its publisher said besides, as a folder's reader has it."""
    said = line.get("meta")
    if said is None:
        return None
    said = said | {"properties": base64.b64decode(said.get("properties", ""))}
    return said | ({"publisher": int(said["publisher"], 16)} if "publisher" in said else {})


class History(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.root = pathlib.Path(place.name, "data")

    def import_lines(self, lines):
        text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in lines)
        done = run("import", self.root, stdin=text.encode())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done

    def test_checksums_and_lz4_are_the_published_ones(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        # One literal, then a match of 4 + 15 + 5 at distance 1, then the last literals.
        self.assertEqual(lz4_block(b"\x1fa\x01\x00\x05\x50bcdef", 30), b"a" * 25 + b"bcdef")

    def test_every_byte_of_every_event_lies_where_the_page_says(self):
        lines = [line(number) for number in range(5_000)]
        self.import_lines(lines[:3_000])
        self.import_lines(lines[3_000:])
        folder = Folder(self.root)
        self.assertEqual(folder.faults, [])
        self.assertTrue(folder.is_clean)
        self.assertEqual(len(folder.events), len(lines))
        by_stamp = sorted(folder.events, key=lambda event: event["time_us"])
        for wanted, event in zip(lines, by_stamp):
            self.assertEqual(json.loads(event["payload"]), wanted["payload"])
            self.assertEqual((event["topic"], event["key"], event["time_us"]), (wanted["topic"], wanted["key"], wanted["time_us"]))
            self.assertEqual(event["op"], wanted.get("op", "upsert"))
            self.assertEqual("before" in event, "before" in wanted)
            self.assertEqual(event.get("meta"), meta_of(wanted))
        exported = run("export", self.root)
        self.assertEqual(exported.returncode, 0)
        told = [json.loads(text) for text in exported.stdout.splitlines()]
        self.assertEqual([event["offset"] for event in told], [event["offset"] for event in folder.events])
        for event, text in zip(folder.events, exported.stdout.splitlines()):
            self.assertIn(b'"payload":' + event["payload"], text)
            self.assertEqual(meta_of(json.loads(text)), event.get("meta"))

    def test_a_folder_of_the_first_format_is_read_and_goes_on_in_the_newest(self):
        shutil.copytree(ROOT / "tests/fixtures/history/format-1", self.root)
        old = Folder(self.root)
        self.assertEqual((old.faults, old.format), ([], 1))
        lines = [json.loads(text) for text in (ROOT / "tests/fixtures/history/format-1.ndjson").read_text().splitlines()]
        def told(folder):
            return [(event["topic"], event["offset"], event["time_us"], json.loads(event["payload"])) for event in folder.events]
        wanted = [(event["topic"], event["offset"], event["time_us"], event["payload"]) for event in lines]
        self.assertEqual(told(old), wanted)
        said = {"qos": 2, "retained": True, "expiry_s": 60, "properties": base64.b64encode(b"\x03\x00\x00").decode()}
        self.import_lines([{"topic": "fleet/north", "key": "k", "payload": {"new": 1}, "meta": said}])
        new = Folder(self.root)
        self.assertEqual((new.faults, new.format), ([], 2))
        self.assertEqual(told(new)[:-1], wanted)
        self.assertEqual(new.events[-1]["meta"], meta_of({"meta": said}))

    def test_a_flipped_bit_is_seen_by_both(self):
        self.import_lines([line(number) for number in range(300)])
        segment = next(self.root.glob("1/*.log"))
        good = segment.read_bytes()
        (self.root / "1" / segment.name.replace(".log", ".index")).unlink()
        for place in range(0, len(good), len(good) // 40):
            rotten = bytearray(good)
            rotten[place] ^= 4
            segment.write_bytes(rotten)
            self.assertTrue(Folder(self.root).faults, place)
            verdict = run("verify", self.root).stdout.decode()
            self.assertTrue("rotten" in verdict or "are lost" in verdict, (place, verdict))
        segment.write_bytes(good)
        self.assertEqual(Folder(self.root).faults, [])


if __name__ == "__main__":
    unittest.main()
