"""What a scenario has at hand, and the list that scenarios enter themselves into."""

import pathlib
from collections.abc import Awaitable, Callable

from adapter import Adapter
from proxy import Proxy
from servers import SECRET, Server, token_of

Scenario = Callable[["Stage"], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(run: Scenario) -> Scenario:
    """Enters a scenario under its function's name, with dashes; its docstring says what must hold."""
    assert run.__doc__, "a scenario says what must hold"
    SCENARIOS[run.__name__.strip("_").replace("_", "-")] = run
    return run


class Stage:
    """One scenario's server, proxies and clients; `close` ends what it started."""

    def __init__(self, name: str, binary: str, command: list[str], folder: pathlib.Path, shared: Server):
        self.name, self.binary, self.command, self.folder = name, binary, command, folder
        # A server that keeps its events in memory, for all scenarios together.
        self.shared = shared
        self.adapters: list[Adapter] = []
        self._proxies: list[Proxy] = []
        self._servers: list[Server] = []

    def topic(self, name: str = "a") -> str:
        return f"{self.name}/{name}"

    async def serve(self, config: str = "") -> Server:
        """A server of the scenario's own; a second one has the same folder."""
        server = Server(self.binary, self.folder / self.name, config)
        self._servers.append(server)
        await server.start()
        return server

    async def serve_with_tokens(self, admin: str = "") -> Server:
        """One that lets nobody in without a token, with an operator's secret in a file if there is to be one."""
        secret = self.folder / f"{self.name}-secret"
        secret.write_text(SECRET)
        auth = f'[auth]\nanonymous = "nowhere"\nleeway_s = 0\nkey_file = "{secret}"\nadmin_secret_file = "{admin}"\n'
        return await self.serve(auth)

    async def proxy(self, server: Server | None = None) -> Proxy:
        """A way to the server, or to the one that all have together."""
        proxy = Proxy()
        self._proxies.append(proxy)
        await proxy.start()
        proxy.upstream = (server or self.shared).address
        return proxy

    async def client(self, proxy: Proxy, **members: object) -> Adapter:
        """A client that is told to connect."""
        adapter = Adapter(self.command)
        self.adapters.append(adapter)
        await adapter.start()
        adapter.do("open", url=proxy.url, **members)
        return adapter

    async def live(self, client: Adapter, id: str = "s", options: dict | None = None) -> dict:
        """Subscribes, to the scenario's topic if nothing else is said, and waits until the present has begun."""
        client.do("subscribe", id=id, options=options or {"topics": [self.topic()]})
        return await client.next("live", id=id)

    async def close(self) -> None:
        for adapter in self.adapters:
            await adapter.end()
        for proxy in self._proxies:
            await proxy.close()
        for server in self._servers:
            await server.stop()


def check(found: object, wanted: object, what: str) -> None:
    """Says what is another than it must be."""
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, and not {wanted!r}")


def hold(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


def numbered(first: int, last: int) -> list[dict]:
    """Payloads that are told apart by a number."""
    return [{"n": number} for number in range(first, last + 1)]


__all__ = ["SCENARIOS", "Adapter", "Proxy", "Server", "Stage", "check", "hold", "numbered", "scenario", "token_of"]
