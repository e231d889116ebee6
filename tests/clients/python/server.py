"""A server of our own for each test: FANWIRE_BIN or target/debug/fanwire, on a port that the kernel chose."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("FANWIRE_BIN", str(ROOT / "target/debug/fanwire"))


class Server:
    """Started when entered; when left it must stop by itself, in good order."""

    def __init__(self, driver, **settings):
        self.driver = driver
        self.is_stopping = self.is_killed = False
        self.settings = {"shards": 2, "pin": "false", "connections_max": 200, **settings}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        config = pathlib.Path(self.folder.name, "fanwire.toml")
        config.write_text("".join(f"{key} = {value}\n" for key, value in self.settings.items()))
        command = [BINARY, "serve", "--config", str(config), "--listen", "127.0.0.1:0", "--driver", self.driver]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        log = ""
        for line in self.process.stderr:
            log += line
            found = re.search(r"address=(\S+)", line)
            if found:
                self.address = found[1]
                # Of a dialect's own listener, if it has one.
                own = re.search(r"own=\[.*?:(\d+)\)", line)
                self.own_port = int(own[1]) if own else None
                return self
        self.process.wait()
        raise RuntimeError(f"the server ended with {self.process.returncode}: {log}")

    def url(self, path):
        return f"ws://{self.address}{path}"

    def stop(self):
        """Has it stop in good order; a second signal would mean at once."""
        if not self.is_stopping:
            self.is_stopping = True
            self.process.send_signal(signal.SIGTERM)

    def __exit__(self, *_):
        if not self.is_killed:
            self.stop()
        # Read to its end, so that the server is never held up by its own log.
        _, log = self.process.communicate(timeout=60)
        self.folder.cleanup()
        if self.process.returncode != (-signal.SIGKILL if self.is_killed else 0):
            raise RuntimeError(f"the server ended with {self.process.returncode}: {log}")


def drivers():
    """Those that this kernel allows."""
    try:
        with Server("io_uring"):
            return ["epoll", "io_uring"]
    except RuntimeError as error:
        print(f"io_uring is left out: {error}")
        return ["epoll"]
