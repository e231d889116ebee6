"""The examples for ResolveSpec in Python and Go, over a WebSocket and over MQTT, as strangers run them."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from server import BINARY, ROOT

EXAMPLE = ROOT / "docs/examples/resolvespec"


class ResolveSpecTest(unittest.TestCase):
    SAID = [
        'heard: create {"id": 1, "name": "Ada", "team": "red", "age": 36}',
        "1 of 1: [('Ada', ['Notes'])]",
        'heard: update {"id": 1, "name": "Ada", "team": "red", "age": 37}',
        'heard: delete {"id": "1"}',
        "read_error: failed to read record: sql: no rows in result set",
    ]

    def round(self, settings, program, where):
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
                said = subprocess.run([*program, where(found)], capture_output=True, text=True, timeout=60, check=False)
            finally:
                server.kill()
                server.communicate()
        self.assertEqual(said.returncode, 0, said.stderr)
        return said.stdout.splitlines()

    def test_the_round_of_the_example(self):
        python = [sys.executable, str(EXAMPLE / "client.py")]
        said = self.round("resolvespec.toml", python, lambda found: f"ws://{found[1]}/ws")
        self.assertEqual(said, self.SAID)

    def test_the_round_of_the_example_over_mqtt(self):
        python = [sys.executable, str(EXAMPLE / "mqtt_client.py")]
        said = self.round("mqtt.toml", python, lambda found: f"127.0.0.1:{found[2]}")
        self.assertEqual(said, self.SAID)

    def test_the_round_of_the_example_in_go(self):
        go = shutil.which("go") or "/usr/local/go/bin/go"
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "client")
            vetted = subprocess.run([go, "vet", "."], cwd=EXAMPLE, capture_output=True, text=True, timeout=600, check=False)
            self.assertEqual(vetted.returncode, 0, vetted.stderr)
            built = subprocess.run([go, "build", "-o", program, "."], cwd=EXAMPLE, capture_output=True, text=True, timeout=600, check=False)
            self.assertEqual(built.returncode, 0, built.stderr)
            said = self.round("resolvespec.toml", [program], lambda found: f"ws://{found[1]}/ws")
        expected = [line.replace('": ', '":').replace(', "', ',"') for line in self.SAID]
        expected[1] = "1 of 1: Ada wrote Notes"
        self.assertEqual(said, expected)


if __name__ == "__main__":
    unittest.main()
