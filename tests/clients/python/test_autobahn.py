"""The public fuzzing suite for WebSocket servers (Autobahn, its cases as kosoku runs them) against /echo, on every driver.

All cases of the protocol run; of those that only measure compression at growing sizes, which take minutes, the smaller ones of each section do.
`FANWIRE_AUTOBAHN=all` runs all 517.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import unittest

from server import Server, drivers

DRIVERS = drivers()
RUNNER = str(pathlib.Path(__file__).with_name("autobahn_cases.py"))
# Every section but compression; of compression (12, 13) every kind of message and every agreement, at a few sizes.
CASES = [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
CASES += [f"{section}.{part}.{size}" for section, parts in ((12, 5), (13, 7)) for part in range(1, parts + 1) for size in (1, 4, 11)]
CASE_COUNT = 301 + 36
ALL_COUNT = 517
# What the suite has no opinion of: what comes after a close frame, and close codes that nobody has given a meaning.
UNJUDGED = {"7.1.6", "7.13.1", "7.13.2"}
# What a verdict means that is good: the message exchange, and the close.
GOOD = ["OK", "OK"]
# How long a run may take; only a server that hangs reaches it.
PATIENCE_S = 1800


def run(driver, cases):
    """What the runner says of a server with this driver."""
    with Server(driver, echo="true", message_bytes_max=16 << 20) as server:
        command = [sys.executable, RUNNER, server.url("/echo"), *cases]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


class Autobahn(unittest.TestCase):
    def test_every_case_is_passed(self):
        is_all = os.environ.get("FANWIRE_AUTOBAHN") == "all"
        cases = [] if is_all else CASES
        # Of both drivers at once: a case is mostly a wait for the other end.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            runs = list(pool.map(run, DRIVERS, [cases] * len(DRIVERS)))
        for driver, done in zip(DRIVERS, runs, strict=True):
            with self.subTest(driver=driver):
                results = [json.loads(line) for line in done.stdout.splitlines()]
                self.assertEqual(len(results), ALL_COUNT if is_all else CASE_COUNT, done.stderr)
                bad = [result for result in results if result["verdict"] != GOOD and result["case"] not in UNJUDGED]
                self.assertEqual(bad, [])
                for result in results:
                    if result["case"] in UNJUDGED:
                        self.assertEqual(result["verdict"], ["INFORMATIONAL", "INFORMATIONAL"], result)


if __name__ == "__main__":
    unittest.main()
