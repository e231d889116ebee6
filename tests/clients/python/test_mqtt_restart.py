"""Clients of MQTT whose server is killed with -9: who slept through it gets what it missed, who was there goes on, and nobody is told a thing that is not so. paho-mqtt and mosquitto's commands, unmodified."""

import json
import pathlib
import queue
import shutil
import subprocess
import tempfile
import unittest

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from server import Server

PATIENCE_S = 20
VERSIONS = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}


class Stored(Server):
    """A server on a folder that outlives it; whatever lies below `fleet` is durable."""

    def __init__(self, folder, **settings):
        durable = '[[history.durable]]\ntopics = ["fleet/**"]\n'
        super().__init__("epoll", data_dir=json.dumps(str(folder)), **settings)
        self.settings["mqtt.listen"] = '"127.0.0.1:0"'
        self.settings["topics_max"] = f"1000\n{durable}"

    def kill(self):
        self.process.kill()
        self.is_killed = True


class Client:
    """A paho client with a session that lasts."""

    def __init__(self, server, name, version):
        self.heard, self.connected, self.subscribed, self.published = (queue.Queue() for _ in range(4))
        api = mqtt.CallbackAPIVersion.VERSION2
        options = {"clean_session": False} if version == mqtt.MQTTv311 else {}
        self.paho = mqtt.Client(api, client_id=name, protocol=version, **options)
        self.paho.on_connect = lambda _c, _u, flags, reason, _p: self.connected.put((flags.session_present, int(reason.value)))
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self.subscribed.put([int(r.value) for r in reasons])
        self.paho.on_publish = lambda _c, _u, mid, reason, _p: self.published.put(int(reason.value))
        self.paho.on_message = lambda _c, _u, message: self.heard.put((message.topic, message.payload.decode(), message.qos, message.retain))
        self.version = version
        self.begin(server)

    def begin(self, server):
        options = {}
        if self.version == mqtt.MQTTv5:
            lasting = Properties(PacketTypes.CONNECT)
            lasting.SessionExpiryInterval = 600
            options = {"clean_start": False, "properties": lasting}
        self.paho.connect("127.0.0.1", server.own_port, **options)
        self.paho.loop_start()
        self.present, reason = self.connected.get(timeout=PATIENCE_S)
        assert reason == 0, reason

    def subscribe(self, topic, qos):
        self.paho.subscribe(topic, qos)
        return self.subscribed.get(timeout=PATIENCE_S)

    def publish(self, topic, payload, qos=1, **options):
        self.paho.publish(topic, payload, qos, **options)
        return self.published.get(timeout=PATIENCE_S)

    def hear(self):
        return self.heard.get(timeout=PATIENCE_S)

    def sleep(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def lose(self):
        """Its server is gone; it does not look for another one by itself."""
        self.paho.loop_stop()


class Restart(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = pathlib.Path(place.name, "data")

    def test_who_slept_through_it_gets_what_it_missed(self):
        for word, version in VERSIONS.items():
            for qos in (1, 2):
                with self.subTest(version=word, qos=qos):
                    topic = f"fleet/{word.replace('.', '')}/{qos}"
                    with Stored(self.folder) as server:
                        hears = Client(server, f"h{word}{qos}", version)
                        self.assertEqual(hears.subscribe(f"{topic}/#", qos), [qos])
                        says = Client(server, "says", version)
                        says.publish(f"{topic}/a", "0", qos)
                        self.assertEqual(hears.hear(), (f"{topic}/a", "0", qos, False))
                        hears.sleep()
                        for number in range(1, 6):
                            says.publish(f"{topic}/a", str(number), qos)
                        server.kill()
                    says.lose()
                    with Stored(self.folder) as server:
                        says = Client(server, "other", version)
                        for number in range(6, 10):
                            says.publish(f"{topic}/a", str(number), qos)
                        hears.begin(server)
                        self.assertTrue(hears.present, "its session is there")
                        self.assertEqual([hears.hear()[1] for _ in range(9)], [str(number) for number in range(1, 10)])
                        says.publish(f"{topic}/a", "live", qos)
                        self.assertEqual(hears.hear()[1], "live")
                        hears.sleep()
                        says.sleep()

    def test_who_was_there_goes_on_at_least_once_and_of_qos_2_hears_that_its_session_is_gone(self):
        with Stored(self.folder) as server:
            once, least = Client(server, "once", mqtt.MQTTv5), Client(server, "least", mqtt.MQTTv5)
            says = Client(server, "says", mqtt.MQTTv5)
            once.subscribe("fleet/#", 2)
            least.subscribe("fleet/#", 1)
            for number in range(5):
                says.publish("fleet/a", str(number), 2)
            for number in range(5):
                self.assertEqual(once.hear()[1], str(number))
                self.assertEqual(least.hear()[1], str(number))
            server.kill()
        for client in (once, least, says):
            client.lose()
        with Stored(self.folder) as server:
            says = Client(server, "other", mqtt.MQTTv5)
            says.publish("fleet/a", "5", 2)
            least.begin(server)
            once.begin(server)
            self.assertTrue(least.present)
            self.assertFalse(once.present, "what is exactly once is not told from where it stood before")
            heard = [least.hear()[1]]
            while heard[-1] != "5":
                heard.append(least.hear()[1])
            self.assertEqual(heard, [str(number) for number in range(6)][-len(heard) :], "in order, and some again at most")
            for client in (once, least, says):
                client.sleep()

    def test_what_lies_in_memory_only_is_not_said_to_be_there(self):
        with Stored(self.folder) as server:
            hears = Client(server, "h", mqtt.MQTTv5)
            hears.subscribe("fleet/#", 1)
            hears.subscribe("memory/#", 1)
            hears.sleep()
            server.kill()
        with Stored(self.folder) as server:
            hears.begin(server)
            self.assertFalse(hears.present)
            hears.sleep()

    def test_a_stop_in_good_order_keeps_all_of_it(self):
        with Stored(self.folder, shards=3) as server:
            clients = [Client(server, f"c{number}", mqtt.MQTTv5) for number in range(6)]
            for client in clients:
                client.subscribe("fleet/#", 2)
            clients[0].publish("fleet/a", "0", 2)
            for client in clients:
                self.assertEqual(client.hear()[1], "0")
        for client in clients:
            client.lose()
        with Stored(self.folder, shards=3) as server:
            for client in clients:
                client.begin(server)
                self.assertTrue(client.present)
            clients[0].publish("fleet/a", "1", 2)
            for client in clients:
                self.assertEqual(client.hear()[1], "1", "and nothing again")
                client.sleep()

    def test_mosquittos_subscriber_gets_what_it_missed(self):
        if not shutil.which("mosquitto_sub"):
            self.skipTest("mosquitto_sub is not installed")
        command = ["mosquitto_sub", "-c", "-i", "m", "-q", "1", "-t", "fleet/#", "-h", "127.0.0.1"]
        with Stored(self.folder) as server:
            first = [*command, "-p", str(server.own_port), "-E"]
            subprocess.run(first, check=True, timeout=PATIENCE_S)
            says = Client(server, "says", mqtt.MQTTv5)
            says.publish("fleet/a", "missed")
            server.kill()
        says.lose()
        with Stored(self.folder) as server:
            again = [*command, "-p", str(server.own_port), "-C", "1"]
            heard = subprocess.run(again, check=True, timeout=PATIENCE_S, capture_output=True, text=True)
            self.assertEqual(heard.stdout, "missed\n")
