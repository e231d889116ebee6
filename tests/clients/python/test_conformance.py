"""The conformance script with the Python client, which is built as a wheel and installed for it, as its users have it, and with the JavaScript client."""

import pathlib
import subprocess
import sys
import unittest

from server import BINARY, ROOT

SCRIPT = ROOT / "tests/clients/conformance"
ADAPTER = pathlib.Path(__file__).parent / "conformance_adapter.py"


class Conformance(unittest.TestCase):
    def test_the_client_passes(self):
        ran = subprocess.run([sys.executable, SCRIPT, "--server", BINARY, "--", sys.executable, ADAPTER], stdout=subprocess.PIPE, text=True, check=False)
        print(ran.stdout)
        self.assertEqual(ran.returncode, 0)
        self.assertIn(" passed, 0 failed", ran.stdout)

    def test_the_javascript_client_passes(self):
        # Before Node 22 there is no WebSocket without asking for it.
        node = ["node", "--no-warnings", "--experimental-websocket", ROOT / "tests/clients/js/conformance_adapter.mjs"]
        ran = subprocess.run([sys.executable, SCRIPT, "--server", BINARY, "--", *node], stdout=subprocess.PIPE, text=True, check=False)
        print(ran.stdout)
        self.assertEqual(ran.returncode, 0)
        self.assertIn(" passed, 0 failed", ran.stdout)

    def test_a_client_that_hears_nothing_fails(self):
        """An adapter that says nothing and goes is a client that fails, whatever it is asked."""
        command = [sys.executable, SCRIPT, "--server", BINARY, "--only", "connect", "--only", "order", "--", sys.executable, "-c", ""]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual((ran.returncode, ran.stdout.splitlines()[-1]), (1, "0 passed, 2 failed"))

    def test_the_page_lists_the_scenarios(self):
        listed = subprocess.run([sys.executable, SCRIPT, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
        page = (ROOT / "docs/CLIENTS.md").read_text()
        self.assertIn(listed, page, "run `python3 tests/clients/conformance --list` into docs/CLIENTS.md")


if __name__ == "__main__":
    unittest.main()
