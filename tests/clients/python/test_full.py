"""A disk that runs full under a real server: durable topics are refused and say why, everything else goes on, and with room again so do they. Needs a file system of its own: a small one in memory, which only
root may mount; whoever may not is told that it is left out."""

import contextlib
import http.client
import json
import pathlib
import subprocess
import tempfile
import time
import unittest

from history import Folder
from server import Server


@contextlib.contextmanager
def small_disk(size):
    with tempfile.TemporaryDirectory() as place:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True)
        if mounted.returncode != 0:
            yield None
            return
        try:
            yield pathlib.Path(place)
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)


def ask(address, method, path, body=None):
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def metric(address, name):
    page = ask(address, "GET", "/metrics")[1]
    return next(int(line.split(" ")[1]) for line in page.splitlines() if line.startswith(f"{name} "))


class Full(unittest.TestCase):
    def settle(self, address, status):
        """Waits until readiness says so: the store looks once a second."""
        end = time.monotonic() + 30
        while ask(address, "GET", "/readyz")[0] != status:
            self.assertLess(time.monotonic(), end, f"/readyz is never {status}")
            time.sleep(0.05)

    def publish(self, address, topic, number):
        # Text that does not pack well.
        pad = "".join(chr(33 + (number * 31 + place * place * 7) % 90) for place in range(4000)).replace("\\", "/").replace('"', "'")
        status, said = ask(address, "POST", f"/v1/publish/{topic}", json.dumps({"n": number, "pad": pad}))
        return status, json.loads(said)

    def test_durable_topics_are_refused_with_the_reason_and_go_on_when_there_is_room(self):
        with small_disk("1500k") as disk:
            if disk is None:
                print("a disk that runs full is left out: only root may mount one")
                return
            filler = disk / "filler"
            filler.write_bytes(bytes(900 * 1024))
            with Server("epoll", data_dir=json.dumps(str(disk / "data")), topics_max='1000\n[[history.durable]]\ntopics = ["fleet/**"]\nsync = "always"\n') as server:
                address = server.address
                taken = 0
                for number in range(100_000):
                    status, said = self.publish(address, "fleet/a", number)
                    if status != 200:
                        break
                    taken = said["offset"]
                self.assertEqual((status, said["error"]["code"]), (507, "full"), said)
                self.assertIn("the disk is full", said["error"]["message"])
                self.assertGreater(taken, 10)
                self.settle(address, 503)
                self.assertEqual(metric(address, "fanwire_store_full"), 1)
                self.assertEqual(self.publish(address, "elsewhere", 1)[0], 200, "other topics go on")
                self.assertEqual(self.publish(address, "fleet/b", 1)[0], 507)
                filler.unlink()
                self.settle(address, 200)
                self.assertEqual(metric(address, "fanwire_store_full"), 0)
                status, said = self.publish(address, "fleet/a", 7)
                self.assertEqual((status, said["offset"]), (200, taken + 1), "no offset is left out")
                server.process.kill()
                server.is_killed = True
            folder = Folder(disk / "data")
            self.assertEqual(folder.faults, [])
            self.assertEqual([event["offset"] for event in folder.events], list(range(1, taken + 2)))
            self.assertTrue(all(event["topic"] == "fleet/a" for event in folder.events))
