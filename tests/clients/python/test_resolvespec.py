"""The examples for ResolveSpec in Python, over a WebSocket and over MQTT, as strangers run them."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from server import BINARY, ROOT

EXAMPLE = ROOT / "docs/examples/resolvespec"


class ResolveSpecTest(unittest.TestCase):
    def round(self, settings, client, where):
        """What an example's client says, to the server of an example's settings."""
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder, settings)
            config.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", (EXAMPLE / settings).read_text()))
            server = subprocess.Popen([BINARY, "serve", "--config", str(config)], stderr=subprocess.PIPE, text=True, cwd=folder)
            try:
                found = None
                while not found:
                    line = server.stderr.readline()
                    self.assertTrue(line, "the server has ended")
                    found = re.search(r"address=(\S+)(?:.*own=\[.*?:(\d+)\))?", line)
                command = [sys.executable, str(EXAMPLE / client), where(found)]
                said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            finally:
                server.kill()
                server.communicate()
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

    def test_the_round_of_the_example(self):
        self.round("resolvespec.toml", "client.py", lambda found: f"ws://{found[1]}/ws")

    def test_the_round_of_the_example_over_mqtt(self):
        self.round("mqtt.toml", "mqtt_client.py", lambda found: f"127.0.0.1:{found[2]}")


if __name__ == "__main__":
    unittest.main()
