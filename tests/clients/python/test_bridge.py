"""ResolveSpec by way of another MQTT broker: Mosquitto, `fanwire bridge` and paho; what is lost in between is made anew."""

import json
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import paho.mqtt.client as mqtt

from server import BINARY, ROOT

EXAMPLE = ROOT / "docs/examples/resolvespec"
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") or "mosquitto"
PATIENCE_S = 60
TLS = ROOT / "tests/fixtures/tls"
AS_CLIENT = ["--certificate", str(TLS / "client.pem"), "--certificate-key", str(TLS / "client.key.pem")]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Broker:
    """Mosquitto on a port that was free; with a second one, encrypted there, where only who shows a certificate is let in."""

    def __init__(self, folder, port, encrypted=None):
        self.port = port
        config = pathlib.Path(folder, "mosquitto.conf")
        user = "user root\n" if pathlib.Path("/root").owner() == "root" else ""
        text = f"{user}listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        if encrypted:
            text += f"listener {encrypted} 127.0.0.1\nrequire_certificate true\ncafile {TLS}/clients-ca.pem\n"
            text += f"certfile {TLS}/localhost.pem\nkeyfile {TLS}/localhost.key.pem\n"
        config.write_text(text)
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE_S)


class Bridge(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", (EXAMPLE / "mqtt.toml").read_text())
        config = pathlib.Path(self.folder, "fanwire.toml")
        config.write_text(text)
        self.server = self.started([BINARY, "serve", "--config", str(config)], r"own=\[.*?:(\d+)\)")
        self.port = free_port()
        self.broker = Broker(self.folder, self.port)
        self.addCleanup(lambda: self.broker.stop())
        self.bridge = ["bridge", "--broker", f"127.0.0.1:{self.port}", "--server", f"127.0.0.1:{self.found[1]}"]
        self.bridging = self.started([BINARY, *self.bridge], "requests are heard")

    def pings(self):
        """Someone asks at the broker, and is answered by the server."""
        ask, hear = self.client("a")
        ask(id="p", type="ping")
        self.assertEqual(hear()[1]["type"], "pong")

    def started(self, command, word):
        """A process that has said a word; it is ended when the test is over."""
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=self.folder)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.awaited(process, word)
        return process

    def awaited(self, process, word):
        while True:
            line = process.stderr.readline()
            self.assertTrue(line, f"{process.args} has ended")
            self.found = re.search(word, line)
            if self.found:
                return

    def test_the_round_of_the_example(self):
        command = [sys.executable, str(EXAMPLE / "mqtt_client.py"), f"127.0.0.1:{self.port}"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual(
            said.stdout.splitlines(),
            [
                'heard: create {"id": 1, "name": "Ada", "team": "red", "age": 36}',
                "1 of 1: [('Ada', ['Notes'])]",
                'heard: update {"id": 1, "name": "Ada", "team": "red", "age": 37}',
                'heard: delete {"id": "1"}',
                "read_error: failed to read record: sql: no rows in result set",
            ],
        )

    def client(self, name):
        """A client of the broker's, and what it hears."""
        heard, ready = queue.Queue(), queue.Queue()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv311)
        client.on_connect = lambda c, *_: c.subscribe([(f"spec/{name}/response", 1), (f"spec/{name}/notify/+", 1)])
        client.on_subscribe = lambda *_: ready.put(True)
        client.on_message = lambda _c, _d, message: heard.put((message.topic, json.loads(message.payload)))
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        ready.get(timeout=PATIENCE_S)

        def ask(**members):
            client.publish(f"spec/{name}/request", json.dumps(members), qos=1)

        return ask, lambda: heard.get(timeout=PATIENCE_S)

    def test_each_hears_its_own_and_many_requests_are_answered_in_order(self):
        a, hear_a = self.client("a")
        b, hear_b = self.client("b")
        b(id="s", type="subscription", operation="subscribe", entity="users")
        topic, said = hear_b()
        self.assertEqual((topic, said["id"], said["success"]), ("spec/b/response", "s", True))
        for number in range(50):
            a(id=str(number), type="request", operation="create", entity="users", data={"name": f"n{number}"})
        for number in range(50):
            topic, said = hear_a()
            self.assertEqual((topic, said["id"], said["success"]), ("spec/a/response", str(number), True))
            topic, said = hear_b()
            self.assertEqual((topic, said["type"]), (f"spec/b/notify/{said['subscription_id']}", "notification"))
            self.assertEqual(said["data"]["name"], f"n{number}")
        # A broker keeps more for the bridge than it takes at once, and what finds no room there is refused by its id.
        a(id="p", type="ping")
        self.assertEqual(hear_a()[1]["type"], "pong")

    def test_what_is_asked_while_the_bridge_is_away_is_answered_when_it_is_back(self):
        ask, hear = self.client("a")
        self.bridging.kill()
        self.bridging.wait()
        ask(id="1", type="request", operation="read", entity="users")
        self.started([BINARY, *self.bridge], "requests are heard")
        self.assertEqual(hear()[1]["id"], "1")

    def test_a_broker_that_comes_back_is_connected_anew(self):
        self.broker.stop()
        self.awaited(self.bridging, "trying again")
        self.broker = Broker(self.folder, self.port)
        self.awaited(self.bridging, "requests are heard")
        self.pings()

    def test_where_the_server_is_gone_requests_are_refused(self):
        self.server.kill()
        ask, hear = self.client("a")
        ask(id="1", type="request", operation="read", entity="users")
        said = hear()[1]
        self.assertEqual((said["id"], said["error"]["code"]), ("1", "auth_error"))

    def encrypted(self):
        """The bridge is ended; the broker and a server speak TLS. Where they are."""
        self.bridging.kill()
        self.bridging.wait()
        self.broker.stop()
        port = free_port()
        self.broker = Broker(self.folder, self.port, port)
        config = pathlib.Path(self.folder, "fanwire.toml")
        text = config.read_text()
        config.write_text(f'tls.certificate_file = "{TLS}/localhost.pem"\ntls.key_file = "{TLS}/localhost.key.pem"\n' + text)
        self.started([BINARY, "serve", "--config", str(config)], r"own=\[.*?:(\d+)\)")
        return ["bridge", "--broker", f"mqtts://localhost:{port}", "--server", f"mqtts://127.0.0.1:{self.found[1]}"]

    def test_a_broker_and_a_server_that_speak_tls(self):
        bridge = [*self.encrypted(), *AS_CLIENT]
        trusting = self.started([BINARY, *bridge, "--ca", str(TLS / "ca.pem")], "requests are heard")
        self.pings()
        # What is lost is connected anew, encrypted again.
        self.broker.stop()
        self.awaited(trusting, "trying again")
        self.broker = Broker(self.folder, self.port, int(bridge[2].rpartition(":")[2]))
        self.awaited(trusting, "requests are heard")
        self.pings()
        trusting.terminate()
        self.assertEqual(trusting.wait(timeout=PATIENCE_S), 0)
        self.started([BINARY, *bridge, "--insecure"], "requests are heard")
        self.pings()

    def test_whoever_is_not_trusted_hears_nothing(self):
        bridge = self.encrypted()
        # Nobody vouches for the broker, and then the bridge does not say who it is.
        self.started([BINARY, *bridge, *AS_CLIENT, "--ca", str(TLS / "clients-ca.pem")], "certificate")
        self.started([BINARY, *bridge, "--ca", str(TLS / "ca.pem")], "trying again")
        said = subprocess.run([BINARY, *bridge, "--ca", str(TLS / "README.md")], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(said.returncode, 2)
        self.assertIn("README.md", said.stderr)


if __name__ == "__main__":
    unittest.main()
