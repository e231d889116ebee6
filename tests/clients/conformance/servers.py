"""A real server for a scenario: started on a port that the kernel chose, published to over HTTP, stopped or killed."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import time
import urllib.parse

PATIENCE_S = 60
SECRET = "a secret that these scenarios sign with, long enough"
STOP_S = 30


class Server:
    """`fanwire serve`, with a configuration of its own."""

    def __init__(self, binary: str, folder: pathlib.Path, config: str = ""):
        self.binary, self.folder, self.config = binary, folder, config
        self.log: list[str] = []
        self.is_stopping = False

    async def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "fanwire.toml"
        # Tables stand behind all plain keys, so that these come first.
        file.write_text(f'shards = 2\npin = false\nconnections_max = 200\nlisten = "127.0.0.1:0"\n{self.config}')
        command = [self.binary, "serve", "--config", str(file)]
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*command, stderr=pipe, cwd=self.folder)
        while line := (await self._stderr().readline()).decode():
            self.log.append(line)
            if found := re.search(r"address=(\S+):(\d+)", line):
                self.host, self.port = found[1], int(found[2])
                # Read to its end, so that the server is never held up by its own log.
                self._reader = asyncio.ensure_future(self._read_log())
                return
        raise RuntimeError("the server did not start: " + "".join(self.log))

    def _stderr(self) -> asyncio.StreamReader:
        assert self.process.stderr is not None, "it is a pipe"
        return self.process.stderr

    async def _read_log(self) -> None:
        while line := await self._stderr().readline():
            self.log.append(line.decode())

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def ask_to_stop(self) -> None:
        """Once: a second time would mean at once."""
        if not self.is_stopping and self.process.returncode is None:
            self.is_stopping = True
            self.process.send_signal(signal.SIGTERM)

    async def stop(self) -> None:
        """Has it stop in good order, if it still runs."""
        if self.process.returncode is None:
            self.ask_to_stop()
            try:
                await asyncio.wait_for(self.process.wait(), STOP_S)
            except TimeoutError:
                self.process.kill()
        await self.process.wait()
        await self._reader

    async def kill(self) -> None:
        self.is_stopping = True
        self.process.kill()
        await self.stop()

    async def publish(self, topic: str, *payloads: dict, key_field: str = "") -> dict:
        """Publishes each payload as an event, in this order; answers what the server said of the last one."""
        path = f"/v1/publish/{urllib.parse.quote(topic)}"
        body = "\n".join(json.dumps(payload) for payload in payloads).encode()
        query = f"?key_field={key_field}" if key_field else ""
        token = "" if "anonymous" not in self.config else token_of("publisher", 600)
        answer = await self._post(path + query, body, "application/x-ndjson", token)
        if answer.get("accepted") != len(payloads):
            raise AssertionError(f"the server took {answer} of {len(payloads)} events")
        return answer

    async def revoke(self, jti: str, secret: str) -> None:
        answer = await self._post("/v1/admin/revoke", json.dumps({"jti": jti}).encode(), "application/json", secret)
        if answer != {"revoked": True}:
            raise AssertionError(f"the server answered {answer}")

    async def _post(self, path: str, body: bytes, media: str, token: str) -> dict:
        who = f"Authorization: Bearer {token}\r\n" if token else ""
        headers = f"Host: test\r\nConnection: close\r\nContent-Type: {media}\r\n{who}Content-Length: {len(body)}\r\n"
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(f"POST {path} HTTP/1.1\r\n{headers}\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        return json.loads(answer.split(b"\r\n\r\n", 1)[1])


def token_of(user: str, lasts_s: float, **claims: object) -> str:
    """A token of HS256 that servers with `SECRET` take, for everything unless `claims` say less."""
    now_s = time.time()
    grants = {"subscribe": ["**"], "publish": ["**"]}
    said = {"sub": user, "iat": int(now_s) - 1, "exp": int(now_s + lasts_s), "fanwire": grants, **claims}
    parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, said)]
    signed = ".".join(parts)
    return f"{signed}.{_base64(hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def binary(given: str | None) -> str:
    """The command to test with: that which is named, or `FANWIRE_BIN`, or the one that was built here."""
    root = pathlib.Path(__file__).resolve().parents[3]
    return given or os.environ.get("FANWIRE_BIN") or str(root / "target/debug/fanwire")
