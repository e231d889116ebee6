"""The examples for ResolveSpec in Python and Go, as strangers run them."""

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
    def round(self, command):
        """What a program says that is given the address of a server with the example's tables."""
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
                said = subprocess.run([*command, f"ws://{found[1]}/ws"], capture_output=True, text=True, timeout=60, check=False)
            finally:
                server.kill()
                server.communicate()
        self.assertEqual(said.returncode, 0, said.stderr)
        return said.stdout.splitlines()

    def test_the_round_of_the_example(self):
        self.assertEqual(
            self.round([sys.executable, str(EXAMPLE / "client.py")]),
            [
                'heard: create {"id": 1, "name": "Ada", "team": "red", "age": 36}',
                "1 of 1: [('Ada', ['Notes'])]",
                'heard: update {"id": 1, "name": "Ada", "team": "red", "age": 37}',
                'heard: delete {"id": "1"}',
                "read_error: failed to read record: sql: no rows in result set",
            ],
        )

    def test_the_round_of_the_example_in_go(self):
        go = shutil.which("go") or "/usr/local/go/bin/go"
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "client")
            vetted = subprocess.run([go, "vet", "."], cwd=EXAMPLE, capture_output=True, text=True, timeout=600, check=False)
            self.assertEqual(vetted.returncode, 0, vetted.stderr)
            built = subprocess.run([go, "build", "-o", program, "."], cwd=EXAMPLE, capture_output=True, text=True, timeout=600, check=False)
            self.assertEqual(built.returncode, 0, built.stderr)
            said = self.round([program])
        self.assertEqual(
            said,
            [
                'heard: create {"id":1,"name":"Ada","team":"red","age":36}',
                "1 of 1: Ada wrote Notes",
                'heard: update {"id":1,"name":"Ada","team":"red","age":37}',
                'heard: delete {"id":"1"}',
                "read_error: failed to read record: sql: no rows in result set",
            ],
        )


if __name__ == "__main__":
    unittest.main()
