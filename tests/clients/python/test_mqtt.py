"""MQTT as clients of others speak it: paho-mqtt over TCP and WebSocket in both versions, mosquitto's commands, and sockets that behave badly."""

import json
import queue
import socket
import struct
import subprocess
import tempfile
import unittest
import urllib.request

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from server import Server, drivers

PATIENCE_S = 20
VERSIONS = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}


class MqttServer(Server):
    """A server with a listener of MQTT's own."""

    def __enter__(self):
        self.settings["mqtt.listen"] = '"127.0.0.1:0"'
        return super().__enter__()

    @property
    def port(self):
        return self.own_port


class Client:
    """A paho client that notes what it hears."""

    def __init__(self, server, name, version, transport="tcp", **options):
        self.heard, self.subscribed, self.connected, self.published = (queue.Queue() for _ in range(4))
        api = mqtt.CallbackAPIVersion.VERSION2
        self.paho = mqtt.Client(api, client_id=name, protocol=version, transport=transport)
        if transport == "websockets":
            self.paho.ws_set_options(path="/mqtt")
        self.paho.on_connect = lambda _c, _u, _f, reason, _p: self.connected.put(reason)
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self.subscribed.put([int(r.value) for r in reasons])
        self.paho.on_publish = lambda _c, _u, mid, reason, _p: self.published.put(int(reason.value))
        self.paho.on_message = lambda _c, _u, message: self.heard.put(message)
        if will := options.pop("will", None):
            self.paho.will_set(*will)
        host, port = server.address.rsplit(":", 1)
        self.paho.connect(host, int(port) if transport == "websockets" else server.port, **options)
        self.paho.loop_start()
        assert int(self.connected.get(timeout=PATIENCE_S).value) == 0

    def subscribe(self, *filters, **options):
        self.paho.subscribe(list(filters), **options)
        return self.subscribed.get(timeout=PATIENCE_S)

    def publish(self, topic, payload, qos=1, **options):
        self.paho.publish(topic, payload, qos, **options)
        return self.published.get(timeout=PATIENCE_S)

    def hear(self):
        return self.heard.get(timeout=PATIENCE_S)

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


class Paho(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = MqttServer(drivers()[0])
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def client(self, name, version=mqtt.MQTTv5, **options):
        client = Client(self.server, name, version, **options)
        self.addCleanup(client.close)
        return client

    def test_both_versions_and_transports_hear_each_other_at_every_qos(self):
        for number, (word, version) in enumerate(VERSIONS.items()):
            for transport in ("tcp", "websockets"):
                topic = f"qos/{number}/{transport}"
                with self.subTest(version=word, transport=transport):
                    hears = self.client(f"h-{topic}", version, transport=transport)
                    says = self.client(f"s-{topic}", version, transport=transport)
                    self.assertEqual(hears.subscribe((f"{topic}/#", 2)), [2])
                    for qos in (0, 1, 2):
                        payload = bytes(range(256)) * 400 if qos == 2 else b'{"n": 1.50}'
                        self.assertEqual(says.publish(f"{topic}/{qos}", payload, qos), 0)
                        heard = hears.hear()
                        self.assertEqual((heard.topic, heard.payload, heard.qos), (f"{topic}/{qos}", payload, qos))

    def test_a_hundred_messages_of_each_qos_arrive_once_and_in_order(self):
        hears, says = self.client("h-many"), self.client("s-many", mqtt.MQTTv311)
        hears.subscribe(("many/+", 2))
        for number in range(300):
            says.paho.publish(f"many/{number % 3}", json.dumps({"n": number}), number % 3)
        seen = {0: [], 1: [], 2: []}
        for _ in range(300):
            heard = hears.hear()
            seen[heard.qos].append(json.loads(heard.payload)["n"])
        for qos, numbers in seen.items():
            self.assertEqual(numbers, list(range(qos, 300, 3)))

    def test_those_who_share_are_told_each_message_once(self):
        members = [self.client("w-5"), self.client("w-4", mqtt.MQTTv311), self.client("w-ws", transport="websockets")]
        for member in members:
            self.assertEqual(member.subscribe(("$share/crew/jobs/#", 1)), [1])
        everybody, says = self.client("w-all"), self.client("w-says")
        everybody.subscribe(("jobs/#", 1))
        for number in range(60):
            self.assertEqual(says.publish(f"jobs/{number % 4}", str(number)), 0)
        heard = [[int(member.hear().payload) for _ in range(20)] for member in members]
        self.assertEqual(sorted(sum(heard, [])), list(range(60)), "each of them has a third")
        self.assertTrue(all(numbers == sorted(numbers) for numbers in heard))
        self.assertEqual(len([everybody.hear() for _ in range(60)]), 60)
        # One that goes leaves its turns to the others.
        members[0].close()
        for number in range(60, 70):
            self.assertEqual(says.publish("jobs/0", str(number)), 0)
        rest = [int(member.hear().payload) for member in members[1:] for _ in range(5)]
        self.assertEqual(sorted(rest), list(range(60, 70)))

    def test_retained_will_and_properties(self):
        says = self.client("s-state")
        said = Properties(PacketTypes.PUBLISH)
        said.ContentType, said.ResponseTopic, said.CorrelationData = "text/plain", "r/t", b"\x00\xff"
        said.UserProperty = [("a", "1"), ("a", "2")]
        says.publish("state/1", "on", retain=True, properties=said)
        gone = self.client("gone", will=("state/2", "gone", 1, True))
        gone.paho._sock_close()
        hears = self.client("h-state")
        hears.subscribe(("state/#", SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True)))
        heard = {}
        while len(heard) < 2:
            message = hears.hear()
            heard[message.topic] = message
        self.assertEqual({topic: message.payload for topic, message in heard.items()}, {"state/1": b"on", "state/2": b"gone"})
        of = heard["state/1"].properties
        self.assertEqual((of.ContentType, of.ResponseTopic, of.CorrelationData), ("text/plain", "r/t", b"\x00\xff"))
        self.assertEqual(of.UserProperty, [("a", "1"), ("a", "2")])

    def test_a_filter_on_the_content(self):
        hears, old, says = self.client("h-filter"), self.client("h-old", mqtt.MQTTv311), self.client("s-filter")
        asked = Properties(PacketTypes.SUBSCRIBE)
        asked.UserProperty = [("filter", "altitude < 10000"), ("fields", "altitude")]
        self.assertEqual(hears.subscribe(("sky/#", SubscribeOptions(qos=0)), properties=asked), [0])
        self.assertEqual(old.subscribe(("$filter/altitude < 10000/sky/#", 0)), [0])
        for altitude in (38000, 9000):
            says.publish("sky/a", json.dumps({"altitude": altitude, "area": "CH"}))
        self.assertEqual(json.loads(hears.hear().payload), {"altitude": 9000})
        self.assertEqual(json.loads(old.hear().payload), {"altitude": 9000, "area": "CH"})

    def test_what_http_publishes_is_heard_and_the_other_way(self):
        hears = self.client("h-http")
        hears.subscribe(("http/#", 1))
        request = urllib.request.Request(f"http://{self.server.address}/v1/publish/http/a", b'{"n":1}', method="POST")
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()
        self.assertEqual(hears.hear().payload, b'{"n":1}')

    def test_mosquittos_commands(self):
        for version in ("mqttv311", "mqttv5"):
            where = ["-h", "127.0.0.1", "-p", str(self.server.port), "-V", version]
            for qos in ("0", "1", "2"):
                pub = ["mosquitto_pub", *where, "-t", f"{version}/{qos}", "-m", f"m {qos}", "-q", qos, "-r"]
                subprocess.run(pub, check=True, timeout=PATIENCE_S)
            sub = ["mosquitto_sub", *where, "-t", f"{version}/#", "-q", "2", "-v", "-C", "3", "-W", str(PATIENCE_S)]
            heard = subprocess.run(sub, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout
            self.assertEqual(sorted(heard.splitlines()), [f"{version}/{qos} m {qos}" for qos in range(3)])

    # What follows behaves badly, while somebody who does not is served.

    def raw(self, *bytes_of):
        sock = socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE_S)
        self.addCleanup(sock.close)
        for piece in bytes_of:
            sock.sendall(piece)
        return sock

    def serves(self, name):
        client = self.client(name)
        client.subscribe((f"served/{name}", 1))
        client.publish(f"served/{name}", name)
        self.assertEqual(client.hear().payload, name.encode())

    def test_half_packets_and_huge_lengths_hold_up_nobody(self):
        connect = packet(0x10, text("MQTT") + bytes([5, 2, 0, 0, 0]) + text(""))
        half = [self.raw(connect, b"\x30\xff\xff\x20") for _ in range(40)]
        half += [self.raw(b"\x10") for _ in range(40)]
        self.serves("half")
        huge = self.raw(connect, b"\x30\xff\xff\xff\x7f")
        self.assertIn(b"\xe0", read_all(huge), "it is told why, and closed")
        for sock in half:
            sock.close()

    def test_floods_of_subscriptions_and_aliases_meet_their_limits(self):
        sock = self.raw(packet(0x10, text("MQTT") + bytes([5, 2, 0, 0, 0]) + text("flood")))
        filters = [text(f"flood/{number}/{'x' * 100}") + b"\0" for number in range(200)]
        sock.sendall(packet(0x82, b"\0\1\0" + b"".join(filters)))
        said = b""
        while said.count(b"\x97") < 200 - 64:
            piece = sock.recv(65536)
            self.assertTrue(piece, "a filter that is refused ends nothing")
            said += piece
        for alias in range(1, 40):
            sock.sendall(packet(0x30, text(f"flood/{alias}") + b"\x03\x23" + struct.pack(">H", alias) + b"{}"))
        self.assertIn(b"\x94", read_all(sock))
        self.serves("flood")

    def test_who_does_not_read_holds_up_nobody(self):
        connect = packet(0x10, text("MQTT") + bytes([4, 2, 0, 0]) + text(""))
        deaf = [self.raw(connect, packet(0x82, b"\0\1" + text("loud") + bytes([qos]))) for qos in (0, 1, 2) for _ in range(4)]
        hears, says = self.client("h-loud"), self.client("s-loud")
        hears.subscribe(("loud", 0))
        for number in range(200):
            says.publish("loud", json.dumps({"n": number, "x": "x" * 20_000}))
            self.assertEqual(json.loads(hears.hear().payload)["n"], number)
        for sock in deaf:
            sock.close()


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def packet(first, body):
    length, rest = b"", len(body)
    while True:
        length += bytes([rest % 128 | (128 if rest > 127 else 0)])
        rest //= 128
        if not rest:
            return bytes([first]) + length + body


def read_all(sock):
    said = b""
    while piece := sock.recv(65536):
        said += piece
    return said


class Kept(unittest.TestCase):
    """Topics on a disk: a message is after a kill what it was."""

    def server(self, place):
        durable = '1000\n[[history.durable]]\ntopics = ["kept/**"]\n'
        settings = {"data_dir": json.dumps(place), "mqtt.listen": '""', "topics_max": durable}
        return MqttServer(drivers()[0], **settings)

    def test_what_a_message_says_of_itself_outlasts_a_kill(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        said = Properties(PacketTypes.PUBLISH)
        said.ContentType, said.ResponseTopic, said.CorrelationData = "text/plain", "r/t", b"\x00\xff"
        said.UserProperty = [("a", "1"), ("a", "2")]
        said.MessageExpiryInterval = 3600
        with self.server(place.name) as server:
            says = Client(server, "says", mqtt.MQTTv5)
            for qos in (1, 2):
                self.assertEqual(says.publish(f"kept/{qos}", f"on {qos}", qos, retain=True, properties=said), 0)
            server.is_killed = True
            server.process.kill()
            says.paho.loop_stop()
        with self.server(place.name) as server:
            hears = Client(server, "hears", mqtt.MQTTv5)
            self.addCleanup(hears.close)
            hears.subscribe(("kept/#", SubscribeOptions(qos=2, retainAsPublished=True)))
            heard = {message.topic: message for message in (hears.hear(), hears.hear())}
            for qos in (1, 2):
                message = heard[f"kept/{qos}"]
                self.assertEqual((message.payload, message.qos, message.retain), (f"on {qos}".encode(), qos, True))
                of = message.properties
                self.assertEqual((of.ContentType, of.ResponseTopic, of.CorrelationData), ("text/plain", "r/t", b"\x00\xff"))
                self.assertEqual(of.UserProperty, [("a", "1"), ("a", "2")])
                self.assertLessEqual(of.MessageExpiryInterval, 3600)
                self.assertGreater(of.MessageExpiryInterval, 3000)


if __name__ == "__main__":
    unittest.main()
