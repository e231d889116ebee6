"""MQTT sessions as clients of others have them, over every listener: paho-mqtt, gmqtt and mosquitto's commands sleep, come back and take over."""

import asyncio
import json
import queue
import ssl
import subprocess
import unittest

import gmqtt
import paho.mqtt.client as mqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from server import ROOT, Server, drivers

PATIENCE_S = 60
TLS = ROOT / "tests/fixtures/tls"
SECURE = {"tls.certificate_file": f'"{TLS}/localhost.pem"', "tls.key_file": f'"{TLS}/localhost.key.pem"'}
VERSIONS = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}


def serve(**settings):
    return Server(drivers()[0], **{"mqtt.listen": '"127.0.0.1:0"', **settings})


def listeners(server, is_secure):
    """Each way to it: a transport and a port."""
    shared = int(server.address.rsplit(":", 1)[1])
    return {
        "TLS" if is_secure else "TCP": ("tcp", server.own_port),
        "WebSocket at MQTT's": ("websockets", server.own_port),
        "WebSocket at the shared port": ("websockets", shared),
    }


async def hang_up(client):
    """Says DISCONNECT and closes; asyncio's TLS takes it amiss if something was still on its way then."""
    try:
        await client.disconnect()
    except ssl.SSLError as error:
        if error.reason != "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
            raise


class Sleeper:
    """A paho client whose session lasts, and what it hears."""

    def __init__(self, way, name, version, is_secure, clean=False):
        transport, port = way
        self.heard, self.subscribed, self.connected, self.published, self.lost = (queue.Queue() for _ in range(5))
        options = {} if version == mqtt.MQTTv5 else {"clean_session": clean}
        self.paho = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version, transport=transport, **options)
        if transport == "websockets":
            self.paho.ws_set_options(path="/mqtt")
        if is_secure:
            self.paho.tls_set(ca_certs=str(TLS / "ca.pem"))
        self.paho.on_connect = lambda _c, _u, flags, reason, _p: self.connected.put((reason, flags.session_present))
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self.subscribed.put([int(r.value) for r in reasons])
        self.paho.on_publish = lambda _c, _u, mid, reason, _p: self.published.put(int(reason.value))
        self.paho.on_disconnect = lambda _c, _u, _f, reason, _p: self.lost.put(reason)
        self.paho.on_message = lambda _c, _u, message: self.heard.put((message.topic, message.payload.decode(), message.qos))
        self.paho.reconnect_delay_set(PATIENCE_S, PATIENCE_S)
        how = {}
        if version == mqtt.MQTTv5:
            how = {"clean_start": clean, "properties": Properties(PacketTypes.CONNECT)}
            how["properties"].SessionExpiryInterval = 0 if clean else 600
        self.paho.connect("localhost", port, **how)
        self.paho.loop_start()
        reason, self.is_present = self.connected.get(timeout=PATIENCE_S)
        assert int(reason.value) == 0, reason

    def subscribe(self, *filters):
        self.paho.subscribe(list(filters))
        return self.subscribed.get(timeout=PATIENCE_S)

    def publish(self, topic, payload, qos):
        self.paho.publish(topic, payload, qos)
        return self.published.get(timeout=PATIENCE_S)

    def hear(self):
        return self.heard.get(timeout=PATIENCE_S)

    def sleep(self):
        self.paho.disconnect()
        self.lost.get(timeout=PATIENCE_S)
        self.paho.loop_stop()


class Sessions(unittest.TestCase):
    def each_way(self, what):
        for is_secure in (False, True):
            with serve(**(SECURE if is_secure else {})) as server:
                for name, way in listeners(server, is_secure).items():
                    for word, version in VERSIONS.items():
                        with self.subTest(way=name, secure=is_secure, version=word):
                            what(way, f"{name}-{word}-{is_secure}".replace(" ", "-").replace("'", ""), version, is_secure)

    def test_what_was_missed_is_heard_once_and_in_order(self):
        def sleeps(way, name, version, is_secure):
            sleeper = Sleeper(way, name, version, is_secure)
            self.assertFalse(sleeper.is_present)
            self.assertEqual(sleeper.subscribe((f"{name}/+", 2)), [2])
            sleeper.sleep()
            says = Sleeper(way, f"says-{name}", version, is_secure, clean=True)
            for number in range(60):
                self.assertEqual(says.publish(f"{name}/{number % 3}", str(number), number % 3), 0)
            back = Sleeper(way, name, version, is_secure)
            self.assertTrue(back.is_present)
            seen = {1: [], 2: []}
            for _ in range(40):
                topic, payload, qos = back.hear()
                self.assertEqual(topic, f"{name}/{qos}")
                seen[qos].append(int(payload))
            self.assertEqual(seen, {qos: list(range(qos, 60, 3)) for qos in (1, 2)})
            # It goes on.
            says.publish(f"{name}/1", "live", 1)
            self.assertEqual(back.hear(), (f"{name}/1", "live", 1))
            back.sleep()
            fresh = Sleeper(way, name, version, is_secure, clean=True)
            self.assertFalse(fresh.is_present)
            fresh.sleep()
            says.sleep()

        self.each_way(sleeps)

    def test_whoever_takes_over_goes_on_with_the_session(self):
        def takes_over(way, name, version, is_secure):
            first = Sleeper(way, name, version, is_secure)
            first.subscribe((f"{name}/a", 1))
            second = Sleeper(way, name, version, is_secure)
            reason = first.lost.get(timeout=PATIENCE_S)
            first.paho.loop_stop()
            self.assertTrue(second.is_present)
            if version == mqtt.MQTTv5:
                self.assertEqual(int(reason.value), 0x8E)
            second.publish(f"{name}/a", "it is its own", 1)
            self.assertEqual(second.hear(), (f"{name}/a", "it is its own", 1))
            second.sleep()

        self.each_way(takes_over)

    def test_mosquitto_sub_sleeps(self):
        for is_secure in (False, True):
            with serve(**(SECURE if is_secure else {})) as server:
                where = ["-h", "localhost", "-p", str(server.own_port), *(["--cafile", str(TLS / "ca.pem")] if is_secure else [])]
                for version, lasts in {"mqttv311": [], "mqttv5": ["-x", "600"]}.items():
                    with self.subTest(version=version, secure=is_secure):
                        sub = ["mosquitto_sub", *where, "-V", version, "-i", f"slept-{version}", "-c", *lasts, "-q", "2", "-t", f"{version}/#"]
                        subprocess.run([*sub, "-E"], check=True, timeout=PATIENCE_S)
                        for qos in ("0", "1", "2"):
                            pub = ["mosquitto_pub", *where, "-V", version, "-t", f"{version}/{qos}", "-m", f"m {qos}", "-q", qos]
                            subprocess.run(pub, check=True, timeout=PATIENCE_S)
                        heard = subprocess.run([*sub, "-v", "-C", "2", "-W", str(PATIENCE_S)], check=True, capture_output=True, text=True, timeout=2 * PATIENCE_S)
                        self.assertEqual(sorted(heard.stdout.splitlines()), [f"{version}/{qos} m {qos}" for qos in (1, 2)])


class Gmqtt:
    """A gmqtt client whose session lasts."""

    def __init__(self, name, version, clean=False):
        lasts = {"session_expiry_interval": 600} if version == MQTTv50 and not clean else {}
        self.heard, self.subscribed, self.connected = (asyncio.Queue() for _ in range(3))
        self.version = version
        self.gmqtt = gmqtt.Client(name, clean_session=clean, **lasts)

        async def message(_client, topic, payload, qos, _properties):
            await self.heard.put((topic, bytes(payload).decode(), qos))
            return 0

        self.gmqtt.on_message = message
        self.gmqtt.on_connect = lambda _client, flags, _reason, _properties: self.connected.put_nowait(bool(flags & 1))
        self.gmqtt.on_subscribe = lambda _client, _mid, reasons, _properties: self.subscribed.put_nowait(list(reasons))

    async def open(self, port, secure):
        await self.gmqtt.connect("localhost", port, ssl=secure, version=self.version)
        self.is_present = await asyncio.wait_for(self.connected.get(), PATIENCE_S)
        return self


class OfGmqtt(unittest.TestCase):
    async def sleeps(self, port, version, secure):
        sleeper = await Gmqtt("sleeper", version).open(port, secure)
        self.assertFalse(sleeper.is_present)
        sleeper.gmqtt.subscribe("slept/+", qos=2)
        self.assertEqual(await asyncio.wait_for(sleeper.subscribed.get(), PATIENCE_S), [2])
        await sleeper.gmqtt.disconnect()
        says = await Gmqtt("says", version, clean=True).open(port, secure)
        says.gmqtt.subscribe("slept/#", qos=2)
        await asyncio.wait_for(says.subscribed.get(), PATIENCE_S)
        for number in range(30):
            says.gmqtt.publish(f"slept/{number % 3}", json.dumps(number), qos=number % 3)
        for _ in range(30):
            await asyncio.wait_for(says.heard.get(), PATIENCE_S)
        back = await Gmqtt("sleeper", version).open(port, secure)
        self.assertTrue(back.is_present)
        seen = {1: [], 2: []}
        for _ in range(20):
            _, payload, qos = await asyncio.wait_for(back.heard.get(), PATIENCE_S)
            seen[qos].append(int(payload))
        self.assertEqual(seen, {qos: list(range(qos, 30, 3)) for qos in (1, 2)})
        for client in (back, says):
            await hang_up(client.gmqtt)
        fresh = await Gmqtt("sleeper", version, clean=True).open(port, secure)
        self.assertFalse(fresh.is_present)
        await fresh.gmqtt.disconnect()

    def test_what_was_missed_is_heard_once_and_in_order(self):
        secure = ssl.create_default_context(cafile=str(TLS / "ca.pem"))
        for way, settings in {False: {}, secure: SECURE}.items():
            with serve(**settings) as server:
                for word, version in {"3.1.1": MQTTv311, "5": MQTTv50}.items():
                    with self.subTest(version=word, secure=bool(way)):
                        asyncio.run(self.sleeps(server.own_port, version, way))


if __name__ == "__main__":
    unittest.main()
