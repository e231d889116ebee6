"""MQTT as gmqtt speaks it: both versions, over TCP and TLS, at every quality of service."""

import asyncio
import json
import ssl
import unittest

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

from server import Server, drivers

PATIENCE_S = 60
VERSIONS = {"3.1.1": MQTTv311, "5": MQTTv50}


class Client:
    """A gmqtt client that notes what it hears."""

    def __init__(self, name):
        self.heard, self.subscribed = asyncio.Queue(), asyncio.Queue()
        self.gmqtt = gmqtt.Client(name)

        async def message(_client, topic, payload, qos, properties):
            await self.heard.put((topic, bytes(payload), qos, properties))
            return 0

        self.gmqtt.on_message = message
        self.gmqtt.on_subscribe = lambda _client, _mid, reasons, _properties: self.subscribed.put_nowait(list(reasons))

    async def open(self, port, version, secure):
        await self.gmqtt.connect("127.0.0.1", port, ssl=secure, version=version)
        return self

    async def subscribe(self, filter_, qos, **properties):
        self.gmqtt.subscribe(filter_, qos=qos, **properties)
        return await asyncio.wait_for(self.subscribed.get(), PATIENCE_S)

    async def hear(self):
        return await asyncio.wait_for(self.heard.get(), PATIENCE_S)


class Gmqtt(unittest.TestCase):
    async def round(self, port, version, secure):
        hears, says = Client("hears"), Client("says")
        await hears.open(port, version, secure)
        await says.open(port, version, secure)
        says.gmqtt.publish("round/state", "on", qos=1, retain=True)
        self.assertEqual(await hears.subscribe("round/live/#", 2), [2])
        for number in range(150):
            says.gmqtt.publish(f"round/live/{number % 3}", json.dumps({"n": number}), qos=number % 3)
        seen = {0: [], 1: [], 2: []}
        for _ in range(150):
            _, payload, qos, _ = await hears.hear()
            seen[qos].append(json.loads(payload)["n"])
        self.assertEqual(seen, {qos: list(range(qos, 150, 3)) for qos in range(3)})
        large = bytes(range(256)) * 800
        says.gmqtt.publish("round/live/large", large, qos=1)
        self.assertEqual((await hears.hear())[1], large)
        await hears.subscribe("round/state", 1)
        topic, payload, _, properties = await hears.hear()
        self.assertEqual((topic, payload, properties["retain"]), ("round/state", b"on", 1))
        if version == MQTTv50:
            asked = [("filter", "altitude < 10000"), ("fields", "altitude")]
            self.assertEqual(await hears.subscribe("round/sky/#", 0, user_property=asked), [0])
            for altitude in (38000, 9000):
                body = json.dumps({"altitude": altitude, "area": "CH"})
                says.gmqtt.publish("round/sky/a", body, qos=1, content_type="application/json", user_property=("k", "v"))
            _, payload, _, properties = await hears.hear()
            self.assertEqual(json.loads(payload), {"altitude": 9000})
            self.assertEqual((properties["content_type"], properties["user_property"]), (["application/json"], [("k", "v")]))
        for client in (hears, says):
            await client.gmqtt.disconnect()

    def test_a_round_in_both_versions_over_tcp_and_tls(self):
        secure = ssl.create_default_context()
        # The server signed its certificate itself.
        secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
        for way, settings in {False: {}, secure: {"tls.self_signed": '["127.0.0.1"]'}}.items():
            with Server(drivers()[0], **{"mqtt.listen": '"127.0.0.1:0"', **settings}) as server:
                for word, version in VERSIONS.items():
                    with self.subTest(version=word, secure=bool(way)):
                        asyncio.run(self.round(server.own_port, version, way))


if __name__ == "__main__":
    unittest.main()
