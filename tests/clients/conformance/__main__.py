"""Runs a client through the scenarios of the protocol `fanwire.v1`, against the real server.

    python3 tests/clients/conformance [--only NAME]... [--jobs N] [--server FILE] -- COMMAND...

COMMAND is the client's adapter: a process that reads what to do as lines of JSON and writes what it heard as lines of JSON. docs/CLIENTS.md has both.
Needs Python 3.11 or later and nothing else. Ends with 0 if every scenario held, and with 1 if not.
"""

import argparse
import asyncio
import importlib
import inspect
import pathlib
import sys
import tempfile
import time
import traceback

import servers
from stage import SCENARIOS, Stage

# Each enters its scenarios, in the order of the page.
for chapter in ("telling", "losing", "rights", "oddities"):
    importlib.import_module(chapter)

# Nothing in a scenario takes nearly as long; what has not happened by then does not happen.
SCENARIO_S = 120


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description="Runs a client through the scenarios of fanwire.v1.")
    parser.add_argument("--only", action="append", metavar="NAME", help="this scenario alone; may be said several times")
    parser.add_argument("--jobs", type=int, default=6, metavar="N", help="so many scenarios beside one another [6]")
    parser.add_argument("--patience", type=float, default=SCENARIO_S, metavar="S", help=f"so many seconds for a scenario [{SCENARIO_S}]")
    parser.add_argument("--server", metavar="FILE", help="the server's command [FANWIRE_BIN, or target/debug/fanwire]")
    parser.add_argument("--list", action="store_true", help="say which scenarios there are and what must hold in each, and end")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="the adapter, behind --")
    return parser.parse_args()


def listed() -> str:
    """The scenarios as rows of a table, as docs/CLIENTS.md has them."""
    rows = [f"| `{name}` | {' '.join(inspect.getdoc(run).split())} |" for name, run in SCENARIOS.items()]
    return "\n".join(["| scenario | what must hold |", "| --- | --- |", *rows])


async def run_one(name: str, stage: Stage, patience_s: float) -> bool:
    """One scenario; says what became of it."""
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(patience_s):
            await SCENARIOS[name](stage)
        print(f"ok      {name} ({time.monotonic() - began_s:.1f} s)", flush=True)
        return True
    except Exception:
        print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
        for number, adapter in enumerate(stage.adapters):
            for said in adapter.heard[-20:]:
                print(f"        client {number} heard {str(said)[:300]}")
            print(f"        client {number} on stderr: {adapter.said_on_stderr.decode(errors='replace')[-2000:]}", flush=True)
        return False
    finally:
        await stage.close()


async def run_all(names: list[str], given: argparse.Namespace) -> int:
    """All of them; answers how many did not hold."""
    binary = servers.binary(given.server)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        shared = servers.Server(binary, folder / "shared")
        await shared.start()
        turn = asyncio.Semaphore(given.jobs)

        async def in_turn(name: str) -> bool:
            async with turn:
                return await run_one(name, Stage(name, binary, given.command, folder, shared), given.patience)

        try:
            # What is mostly waiting begins first.
            in_order = sorted(names, key=lambda name: name not in ("backoff", "silence", "token-renewed"))
            held = await asyncio.gather(*(in_turn(name) for name in in_order))
        finally:
            await shared.stop()
    failed = held.count(False)
    print(f"{len(held) - failed} passed, {failed} failed", flush=True)
    return failed


def main() -> int:
    given = arguments()
    if given.list:
        print(listed())
        return 0
    names = given.only or list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        print(f"there is no scenario {', '.join(unknown)}; --list has them", file=sys.stderr)
        return 2
    if not given.command:
        print("name the adapter's command behind --", file=sys.stderr)
        return 2
    return 1 if asyncio.run(run_all(names, given)) else 0


sys.exit(main())
