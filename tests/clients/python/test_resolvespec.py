"""The example for ResolveSpec in Python, as strangers run it."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from server import BINARY, ROOT

EXAMPLE = ROOT / "docs/examples/resolvespec"


class ResolveSpecTest(unittest.TestCase):
    def test_the_round_of_the_example(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder, "resolvespec.toml")
            config.write_text((EXAMPLE / "resolvespec.toml").read_text().replace("127.0.0.1:8080", "127.0.0.1:0"))
            server = subprocess.Popen([BINARY, "serve", "--config", str(config)], stderr=subprocess.PIPE, text=True, cwd=folder)
            try:
                found = None
                while not found:
                    line = server.stderr.readline()
                    self.assertTrue(line, "the server has ended")
                    found = re.search(r"address=(\S+)", line)
                command = [sys.executable, str(EXAMPLE / "client.py"), f"ws://{found[1]}/ws"]
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


if __name__ == "__main__":
    unittest.main()
