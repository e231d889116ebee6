"""The server as seen by Python's websockets, which shares nothing with it: the protocol, /echo, and every way to agree on compression."""

import asyncio
import json
import logging
import random
import unittest

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from server import Server, drivers

DRIVERS = drivers()
# How long anything may take; nothing waits for time to pass.
PATIENCE_S = 60
# The test runner's loop complains of every step that takes long; big messages do.
logging.getLogger("asyncio").setLevel(logging.ERROR)

OFFERS = {
    "none": None,
    "default": [ClientPerMessageDeflateFactory(client_max_window_bits=True)],
    "no server context": [ClientPerMessageDeflateFactory(server_no_context_takeover=True)],
    "no client context": [ClientPerMessageDeflateFactory(client_no_context_takeover=True)],
    "small windows": [ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9)],
    "two offers": [
        ClientPerMessageDeflateFactory(server_max_window_bits=10, server_no_context_takeover=True),
        ClientPerMessageDeflateFactory(),
    ],
}


def opened(server, path, offer, **options):
    return connect(
        server.url(path), compression=None, extensions=OFFERS[offer], max_size=1 << 25, ping_interval=None, **options
    )


class Foreign(unittest.IsolatedAsyncioTestCase):
    maxDiff = None

    async def each(self, test, offers=tuple(OFFERS), **settings):
        for driver in DRIVERS:
            with Server(driver, **settings) as server:
                for offer in offers:
                    with self.subTest(driver=driver, offer=offer):
                        await asyncio.wait_for(test(server, offer), PATIENCE_S)

    async def test_messages_of_every_length_come_back(self):
        async def test(server, offer):
            noise = random.Random(7)
            async with opened(server, "/echo", offer) as socket:
                for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20]:
                    data = noise.randbytes(length // 2) + bytes(length - length // 2)
                    await socket.send(data)
                    self.assertTrue(await socket.recv() == data, length)
                for text in ["", "κόσμε", "\U0001d11e" * 3000]:
                    await socket.send(text)
                    self.assertTrue(await socket.recv() == text)

        await self.each(test, echo="true")

    async def test_a_message_of_16_mebibytes_comes_back(self):
        async def test(server, offer):
            data = random.Random(8).randbytes(1 << 20) * 16
            async with opened(server, "/echo", offer) as socket:
                await socket.send(data)
                self.assertTrue(await socket.recv() == data)

        await self.each(test, offers=["none", "default"], echo="true")

    async def test_fragments_are_put_together(self):
        async def test(server, offer):
            pieces = ["frag", "", "ment", "é" * 200, "end"]
            async with opened(server, "/echo", offer) as socket:
                await socket.send(pieces)
                self.assertEqual(await socket.recv(), "".join(pieces))
                pong = await socket.ping(b"between")
                await pong
                await socket.send([b"%d," % number for number in range(5000)])
                self.assertEqual(await socket.recv(), b"".join(b"%d," % number for number in range(5000)))

        await self.each(test, echo="true")

    async def test_messages_that_come_at_once_come_back_in_order(self):
        async def test(server, offer):
            async with opened(server, "/echo", offer) as socket:
                texts = [str(number) * (number % 50) for number in range(2000)]

                async def say():
                    for text in texts:
                        await socket.send(text)

                saying = asyncio.create_task(say())
                heard = [await socket.recv() for _ in texts]
                await saying
                self.assertEqual(heard, texts)

        await self.each(test, offers=["none", "default"], echo="true")

    async def test_the_close_handshake_is_clean(self):
        async def test(server, offer):
            async with opened(server, "/echo", offer) as socket:
                await socket.close(3000, "mine")
            self.assertEqual(socket.close_code, 3000)

        await self.each(test, offers=["none", "default"], echo="true")

    async def test_subscribers_hear_everything_in_order(self):
        async def test(server, offer):
            topic = "fleet/" + offer.replace(" ", "-")
            events = 500
            subscribers = [await opened(server, "/v1/ws", offer, subprotocols=["fanwire.v1"]) for _ in range(20)]
            for socket in subscribers:
                self.assertEqual(socket.subprotocol, "fanwire.v1")
                self.assertEqual(json.loads(await socket.recv())["type"], "welcome")
                await socket.send(json.dumps({"type": "subscribe", "id": "s", "topics": [topic]}))
                self.assertEqual(json.loads(await socket.recv())["type"], "subscribed")
                self.assertEqual(json.loads(await socket.recv())["type"], "live")
            async with opened(server, "/v1/ws", offer) as publisher:
                await publisher.recv()
                for number in range(1, events + 1):
                    event = {"type": "publish", "id": number, "topic": topic, "key": "k", "payload": {"n": number}}
                    await publisher.send(json.dumps(event))
                for number in range(1, events + 1):
                    answer = json.loads(await publisher.recv())
                    self.assertEqual((answer["type"], answer["id"], answer["offset"]), ("published", number, number))
            for socket in subscribers:
                for number in range(1, events + 1):
                    event = json.loads(await socket.recv())
                    self.assertEqual((event["offset"], event["payload"]), (number, {"n": number}))
                await socket.close()

        await self.each(test)

    async def test_everyone_is_told_when_the_server_stops(self):
        for driver in DRIVERS:
            with Server(driver) as server:
                socket = await opened(server, "/v1/ws", "default")
                await socket.recv()
                server.stop()
                told = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S))
                self.assertEqual(told["type"], "reconnect")
                with self.assertRaises(ConnectionClosed):
                    await asyncio.wait_for(socket.recv(), PATIENCE_S)
                self.assertEqual(socket.close_code, 1001)


if __name__ == "__main__":
    unittest.main()
