"""Reads a data folder as docs/HISTORY.md has it, and shares no code with the server: `python history.py FOLDER` prints its events.

What cannot be read is said, never guessed at: a folder without a fault gives no faults.
"""

import base64
import json
import os
import pathlib
import re
import struct
import sys

HEAD = struct.Struct("<4sHBBQQQQQIIIIIIII")
assert HEAD.size == 80
OPS = {0: "upsert", 1: "delete", 2: "event"}


def _tables():
    first = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        first.append(byte)
    return first


TABLE = _tables()


def crc32c(data, salt=0):
    """Castagnoli's, begun from a salt."""
    crc = ~salt & 0xFFFFFFFF
    table = TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return ~crc & 0xFFFFFFFF


def _count(data, at, count):
    """A count of 15 goes on in the bytes behind it, up to the first that is not 255."""
    if count == 15:
        while True:
            more = data[at]
            at += 1
            count += more
            if more != 255:
                break
    return at, count


def lz4_block(data, size):
    """An LZ4 block, without frame; what it holds must have this size."""
    out, at = bytearray(), 0
    while at < len(data):
        token = data[at]
        at, count = _count(data, at + 1, token >> 4)
        out += data[at : at + count]
        at += count
        if at >= len(data):
            break
        distance = data[at] | data[at + 1] << 8
        at, count = _count(data, at + 2, token & 15)
        count += 4
        start = len(out) - distance
        if distance == 0 or start < 0:
            raise ValueError("lz4: a match before the beginning")
        if distance >= count:
            out += out[start : start + count]
        else:
            piece = bytes(out[start:])
            out += (piece * (count // distance + 1))[:count]
    if len(out) != size:
        raise ValueError(f"lz4: {len(out)} bytes, not {size}")
    return bytes(out)


class Bytes:
    """Numbers and texts from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            raise ValueError("it ends too early")
        self.at += count
        return taken

    def varint(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def run(self):
        return self.take(self.varint())

    def text(self):
        return self.run().decode()

    def end(self):
        if self.at != len(self.data):
            raise ValueError("more than is meant to be there")


def parts(data):
    """What a summary or an index holds of each topic: name, previous, last, count, stamp."""
    found = []
    for _ in range(data.varint()):
        topic, previous = data.text(), data.varint()
        found.append((topic, previous, previous + data.varint(), data.varint(), data.varint()))
    return found


def meta(data):
    """What its publisher said of an event besides."""
    bits = data.take(1)[0]
    if bits & 3 == 3 or bits & ~63:
        raise ValueError("no meta")
    said = {"qos": bits & 3, "retained": bool(bits & 4)}
    if bits & 8:
        said["publisher"] = int.from_bytes(data.take(8), "little")
    if bits & 16:
        said["expiry_s"] = data.varint()
    if bits & 32:
        trace = data.take(25)
        said["traceparent"] = f"00-{trace[:16].hex()}-{trace[16:24].hex()}-{trace[24:].hex()}"
    return said | {"properties": data.run()}


def body(raw, first_us, count):
    data = Bytes(raw)
    topics = [[data.text(), data.varint()] for _ in range(data.varint())]
    time_us, events = first_us, []
    for _ in range(count):
        topic = topics[data.varint()]
        bits = data.take(1)[0]
        time_us += data.varint()
        previous = topic[1]
        topic[1] += data.varint()
        event = {
            "topic": topic[0],
            "key": data.text(),
            "op": OPS[bits & 3],
            "offset": topic[1],
            "previous": previous,
            "time_us": time_us,
            "payload": data.run(),
        }
        if bits & 4:
            op = OPS[data.take(1)[0]]
            offset, before_us = topic[1] - data.varint(), time_us - data.varint()
            event["before"] = {"op": op, "offset": offset, "time_us": before_us, "payload": data.run()}
        if bits & 8:
            event["meta"] = meta(data)
        events.append(event)
    data.end()
    return events, [(name, newest) for name, newest in topics]


class Folder:
    """A folder: `events` in the order in which they lie there, `notes` of its ledger by name, and `faults`, each a sentence."""

    def __init__(self, root):
        self.root, self.events, self.faults = pathlib.Path(root), [], []
        self.manifest()
        self.notes = self.ledger("ledger.copy") | self.ledger("ledger")
        for number, topics in self.classes.items():
            self.read_class(self.root / str(number))

    def manifest(self):
        said = None
        for name in ["manifest.copy", "manifest"]:
            text = (self.root / name).read_bytes()
            begin, _, line = text.rstrip(b"\n").rpartition(b"\n")
            if line != b"sum %08x" % crc32c(begin + b"\n"):
                self.faults.append(f"{name}: rotten")
                continue
            said = begin.decode().split("\n")
        if said is None or said[0] not in ("fanwire history 1", "fanwire history 2"):
            raise ValueError(f"{self.root}: no history of format 1 or 2")
        self.format = int(said[0][-1])
        words = [line.split(" ", 1) for line in said[1:]]
        values = dict(words)
        self.epoch, self.salt = values["epoch"], int(values["salt"], 16)
        self.is_clean = values["clean"] == "yes"
        self.classes = {}
        for name, rest in words:
            if name == "class":
                number, topics = rest.split(" ", 1)
                self.classes[int(number)] = json.loads(topics)

    def ledger(self, name):
        """Number and moment of each note of a copy, up to its end or the first that cannot be read."""
        path = self.root / name
        if not path.exists():
            return {}
        data = path.read_bytes()
        if data[:4] != b"FwL\x01" or struct.unpack_from("<I", data, 12)[0] != crc32c(data[:12], self.salt):
            self.faults.append(f"{name}: rotten")
            return {}
        notes, at = {}, 16
        while at < len(data):
            said = data[at + 8 : at + 8 + int.from_bytes(data[at : at + 4], "little")]
            place = struct.pack("<QQ", at, len(said))
            if data[at : at + 4] != struct.pack("<I", len(said)) or data[at + 4 : at + 8] != struct.pack("<I", crc32c(place + said, self.salt)):
                self.faults.append(f"{name}: byte {at} of {len(data)}: a note ends too early")
                break
            note = Bytes(said)
            value, until = note.varint(), note.varint()
            text = said[note.at :].decode()
            known = notes.get(text, (0, 0))
            notes[text] = (max(known[0], value), max(known[1], until))
            at += 8 + len(said)
        return notes

    def read_class(self, folder):
        names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"\d{16}\.log", name))
        newest = {}
        for place, name in enumerate(names):
            number = int(name[:16])
            data = (folder / name).read_bytes()
            end = self.segment(f"{folder.name}/{name}", number, data, newest)
            index = folder / f"{number:016}.index"
            if index.exists():
                self.index(index, number, end)
            elif place < len(names) - 1:
                self.faults.append(f"{folder.name}/{name}: no index, though it is closed")

    def head(self, data, at, magic):
        if len(data) < at + 80:
            return None
        fields = HEAD.unpack_from(data, at)
        if fields[0] != magic or fields[16] != crc32c(data[at : at + 76], self.salt):
            return None
        return fields

    def stored(self, data, raw_bytes, is_packed, checksum):
        if crc32c(data, self.salt) != checksum:
            raise ValueError("its checksum is wrong")
        return lz4_block(data, raw_bytes) if is_packed else data

    def segment(self, name, number, data, newest):
        """Blocks to the end, or to the first fault; answers where the good ones end."""
        at = 0
        while at < len(data):
            try:
                at = self.block(number, data, at, newest)
            except (ValueError, IndexError, UnicodeDecodeError) as error:
                self.faults.append(f"{name}: byte {at} of {len(data)}: {error}")
                break
        return at

    def block(self, number, data, at, newest):
        head = self.head(data, at, b"FwB\x01")
        if head is None:
            raise ValueError("no head")
        _, _, flags, zero, segment, place, synced, first_us, last_us, count = head[:10]
        summary_bytes, summary_raw, body_bytes, body_raw, summary_sum, body_sum, _ = head[10:]
        if (segment, place, zero) != (number, at, 0) or synced > at:
            raise ValueError("a head of another place")
        middle = at + 80 + summary_bytes
        end = middle + body_bytes + 80
        back = self.head(data, end - 80, b"FwE\x01")
        if back is None or back[1:16] != head[1:16]:
            raise ValueError("no second head")
        summary = Bytes(self.stored(data[at + 80 : middle], summary_raw, flags & 1, summary_sum))
        held = parts(summary)
        summary.end()
        events, topics = body(self.stored(data[middle : end - 80], body_raw, flags & 2, body_sum), first_us, count)
        if [(topic, last) for topic, _, last, _, _ in held] != topics or sum(part[3] for part in held) != count:
            raise ValueError("summary and body say different things")
        if events and events[-1]["time_us"] != last_us:
            raise ValueError("its last stamp is another")
        for topic, previous, last, _, _ in held:
            if newest.get(topic, previous) != previous:
                raise ValueError(f"{topic}: {previous} follows on {newest[topic]}")
            newest[topic] = last
        self.events += events
        return end

    def index(self, path, number, end):
        data = path.read_bytes()
        if struct.unpack("<I", data[-4:])[0] != crc32c(data[:-4], self.salt):
            self.faults.append(f"{path.name}: rotten")
            return
        said = Bytes(data[:-4])
        if said.take(8) != b"FWINDEX\x01" or said.varint() != number or said.varint() != end:
            self.faults.append(f"{path.name}: of another segment")


if __name__ == "__main__":
    folder = Folder(sys.argv[1])
    for event in folder.events:
        event["payload"] = event["payload"].decode()
        if "before" in event:
            event["before"]["payload"] = event["before"]["payload"].decode()
        if "meta" in event:
            event["meta"]["properties"] = base64.b64encode(event["meta"]["properties"]).decode()
        print(json.dumps(event, ensure_ascii=False))
    for fault in folder.faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if folder.faults else 0)
