"""The hooks of the documentation, as strangers run them: `hooks.py` beside a server with `hooks.toml`, and clients of two tenants."""

import asyncio
import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import websockets

from server import BINARY, ROOT

EXAMPLE = ROOT / "docs/examples/resolvespec"
sys.path.insert(0, str(EXAMPLE))
from client import ResolveSpec, ResolveSpecError  # noqa: E402


@contextlib.contextmanager
def running(command, found_in, stream, cwd):
    """A process, once it has said what is looked for; it is stopped when left."""
    pipes = {stream: subprocess.PIPE, ({"stdout", "stderr"} - {stream}).pop(): subprocess.DEVNULL}
    process = subprocess.Popen(command, text=True, cwd=cwd, **pipes)
    try:
        said = getattr(process, stream)
        for line in said:
            found = re.search(found_in, line)
            if found:
                break
        else:
            raise RuntimeError(f"{command} has ended")
        yield found[1], said
    finally:
        process.kill()
        process.wait()
        getattr(process, stream).close()


class HooksTest(unittest.TestCase):
    """A ResolveSpec client cannot see another tenant's rows with the HTTP hook from the docs."""

    def serve(self):
        """The documentation's hooks and server; the server's address, and what the hooks print."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        secret = pathlib.Path(folder, "hooks.secret")
        secret.write_text("0123456789abcdef0123456789abcdef\n")
        hooks = [sys.executable, str(EXAMPLE / "hooks.py"), str(secret), "0"]
        port, printed = self.enterContext(running(hooks, r"127\.0\.0\.1:(\d+)", "stdout", folder))
        config = pathlib.Path(folder, "hooks.toml")
        text = (EXAMPLE / "hooks.toml").read_text()
        config.write_text(text.replace("127.0.0.1:8080", "127.0.0.1:0").replace(":9000", f":{port}"))
        server = [BINARY, "serve", "--config", str(config)]
        address, _ = self.enterContext(running(server, r"address=(\S+)", "stderr", folder))
        return address, printed

    def test_a_client_cannot_see_another_tenants_rows(self):
        address, printed = self.serve()
        asyncio.run(asyncio.wait_for(self.tenants(f"ws://{address}/rs/ws?token="), 60))
        self.assertEqual(printed.readline(), 'bob changed public.posts 1: {"title": "Ours"}\n')

    async def tenants(self, url):
        ada, bob, cyd = [await ResolveSpec.open(url + token) for token in ("ada-of-red", "bob-of-blue", "cyd-of-red")]
        heard = {"ada": [], "bob": [], "cyd": []}
        for name, client in (("ada", ada), ("bob", bob), ("cyd", cyd)):
            await client.subscribe("users", lambda told, name=name: heard[name].append((told["operation"], told["data"])))
        red = await ada.create("users", {"name": "Ada", "tenant": "blue", "wage": 100})
        self.assertEqual(red, {"id": 1, "name": "Ada", "tenant": "red", "wage": 100})
        # Whoever does not see wages does not write them, either.
        blue = await bob.create("users", {"name": "Bob", "wage": 7})
        self.assertEqual(blue, {"id": 2, "name": "Bob", "tenant": "blue"})
        await bob.create("posts", {"user_id": 2, "title": "Notes"})
        await bob.update("posts", "1", {"title": "Ours"})
        preload = {"preload": [{"relation": "posts"}]}
        rows, said = await bob.read("users", preload)
        self.assertEqual([(row["name"], [post["title"] for post in row["posts"]]) for row in rows], [("Bob", ["Ours"])])
        self.assertEqual(said, {"total": 1, "count": 1})
        rows, said = await ada.read("users", preload)
        self.assertEqual((rows, said), ([{**red, "posts": []}], {"total": 1, "count": 1}))
        self.assertEqual(await cyd.read("users"), ([{"id": 1, "name": "Ada", "tenant": "red"}], {"total": 1, "count": 1}))
        self.assertEqual((await ada.read("posts"))[0], [])
        for refused in (
            bob.read("users", record_id="1"),
            bob.update("users", "1", {"name": "Mine"}),
            bob.update("users", "2", {"tenant": "red"}),
            bob.delete("users", "2"),
            cyd.read("users", {"filters": [{"column": "wage", "operator": "gt", "value": 1}]}),
            cyd.read("users", {"sort": [{"column": "wage"}]}),
        ):
            with self.assertRaises(ResolveSpecError):
                await refused
        # It is not there for an admin of another tenant, and so not deleted.
        await ada.delete("users", "2")
        self.assertEqual((await bob.read("users"))[1]["total"], 1)
        await ada.delete("users", "1")
        await cyd.read("users")
        await bob.read("users")
        self.assertEqual(heard["ada"], [("create", red), ("delete", {"id": "1"})])
        self.assertEqual(heard["cyd"], [("create", {"id": 1, "name": "Ada", "tenant": "red"}), ("delete", {"id": "1"})])
        self.assertEqual(heard["bob"], [("create", blue)])
        for client in (ada, bob, cyd):
            await client.close()
        nobody = await ResolveSpec.open(url + "nobody")
        with self.assertRaises((ConnectionError, websockets.ConnectionClosed)):
            await nobody.read("users")

    def test_what_is_not_signed_is_not_answered(self):
        with tempfile.TemporaryDirectory() as folder:
            secret = pathlib.Path(folder, "hooks.secret")
            secret.write_text("0123456789abcdef0123456789abcdef\n")
            sys.modules.pop("hooks", None)
            import hooks  # noqa: PLC0415

            body = json.dumps({"hook": "before_read"}, separators=(",", ":")).encode()
            key = secret.read_bytes().rstrip(b"\n")
            # The line of docs/HOOKS.md.
            line = next(line for line in (ROOT / "docs/HOOKS.md").read_text().splitlines() if line.startswith("fanwire-signature: "))
            header = line.removeprefix("fanwire-signature: ")
            hooks.time.time, real = (lambda: 1_786_600_100), hooks.time.time
            try:
                self.assertTrue(hooks.is_signed(header, body, key))
                self.assertFalse(hooks.is_signed(header, body + b" ", key))
                self.assertFalse(hooks.is_signed(header.replace("t=1", "t=2"), body, key))
                self.assertFalse(hooks.is_signed(None, body, key))
                hooks.time.time = lambda: 1_786_601_000
                self.assertFalse(hooks.is_signed(header, body, key))
            finally:
                hooks.time.time = real


if __name__ == "__main__":
    unittest.main()
