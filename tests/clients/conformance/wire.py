"""WebSocket frames and HTTP heads as bytes: just enough to stand between a client and a server, and to know what they say.

Nothing here is a client or a server of its own. RFC 6455 section 5.2 has the layout of a frame.
"""

import asyncio
import dataclasses
import os

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
HEAD_BYTES_MAX = 64 * 1024
FRAME_BYTES_MAX = 64 * 1024 * 1024


@dataclasses.dataclass
class Frame:
    """One frame, unmasked."""

    is_last: bool
    opcode: int
    payload: bytes

    def encode(self, mask: bool = False) -> bytes:
        """Its bytes, with a mask as clients need one, or without as servers do."""
        head = bytearray([0x80 * self.is_last | self.opcode])
        length, masked = len(self.payload), 0x80 * mask
        if length < 126:
            head.append(masked | length)
        elif length < 1 << 16:
            head.append(masked | 126)
            head += length.to_bytes(2, "big")
        else:
            head.append(masked | 127)
            head += length.to_bytes(8, "big")
        if not mask:
            return bytes(head) + self.payload
        key = os.urandom(4)
        return bytes(head) + key + xor(self.payload, key)


def xor(payload: bytes, key: bytes) -> bytes:
    """Masks or unmasks; twice is not at all."""
    if not payload:
        return b""
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(payload), "big")


def close_frame(code: int, reason: str = "") -> Frame:
    return Frame(True, CLOSE, code.to_bytes(2, "big") + reason.encode())


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """The next frame; raises what `StreamReader` raises at the end of the stream."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length >= 126:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    key = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(length)
    return Frame(bool(first & 0x80), first & 0x0F, xor(payload, key) if key else payload)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """A request or response up to its empty line, which is part of it."""
    return await reader.readuntil(b"\r\n\r\n")


def in_long_form(head: bytes) -> bytes:
    """A request that offers the protocol, and not its compact form."""
    return head.replace(b"fanwire.v1.compact, ", b"").replace(b"fanwire.v1.compact,", b"")


def without_header(head: bytes, name: str) -> bytes:
    """A head less one field, however it is spelled."""
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line.split(b":")[0].strip().lower() != name.lower().encode())
