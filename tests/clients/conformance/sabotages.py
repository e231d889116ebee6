"""Breaks the Python client by a line, one way after the other, to see that a scenario goes red each time. Too long for `.ci/run`; run it when scenarios change.

    python3 tests/clients/conformance/sabotages.py [NAME]...

Needs a `fanwire` as the script does, and Python's `websockets`. Works on copies: the client itself is not touched. Ends with 1 if one stays unfound, or does
not apply any more.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CLIENT = HERE.parents[2] / "src/clients/python/fanwire"
ADAPTER = HERE.parent / "python/conformance_adapter.py"
PATIENCE_S = 30

# Name, file, what stands there, what is put in its place, and where it is found.
SABOTAGES = [
    ("waits from the upper half alone", "client.py", "random.random() *", "(0.5 + random.random() / 2) *", "jitter"),
    ("the ceiling begins anew at once", "client.py", "await asyncio.sleep(self._steady_s)", "pass", "backoff"),
    ("advice is not heard", "client.py", 'self._advice_s = said["after_ms"] / 1000', "pass", "drain"),
    ("advice is obeyed again and again", "client.py", "            self._advice_s = None\n            self._failures", "            self._failures", "advice"),
    ("no code is final", "state.py", "frozenset([1002, 1003, 1007, 1009])", "frozenset([])", "final"),
    ("nobody listens for silence", "client.py", "session.go(self._watch(session))", "pass", "silence"),
    ("the moment is left out", "position.py", "if self.time_us is not None:", "if False:", "resume"),
    ("what was told is told again", "position.py", "return self._seen is not None and", "return False and", "cut-last"),
    ("it begins live again", "subscription.py", "since = self._heard.begin(epoch)", "self._heard.begin(epoch); since = None", "cut-live"),
    ("a pattern is a place", "position.py", 'if "*" in topic:', "if False:", "gaps"),
    ("all is recovered, always", "messages.py", "return not self.gaps", "return True", "evicted"),
    ("the filter's change is not told", "position.py", "                place.filter_changed = True", "                pass", "leave"),
    ("a batch is its first event", "client.py", 'for event in said["events"]:', 'for event in said["events"][:1]:', "batches"),
    ("a publish is repeated", "client.py", "        for id in [id for id in self._requests if id not in unsent]:", "        for id in []:", "publish-lost"),
    (
        "updates are not made again",
        "subscription.py",
        "        for changes, _ in self._pending:\n            self._send",
        "        for changes, _ in ():\n            self._send",
        "away",
    ),
    (
        "what is not known is a fault",
        "client.py",
        '            case "reconnect":',
        '            case "from_the_future":\n                raise ValueError\n            case "reconnect":',
        "unknown",
    ),
    ("no token is renewed", "client.py", '            case "token_expiring":', '            case "never":', "token-renewed"),
    (
        "a revoked token is the end",
        "state.py",
        "is_final=cause is not Cause.LOST and not has_other_tokens",
        "is_final=cause is not Cause.LOST",
        "token-revoked",
    ),
    ("tokens are asked for without end", "client.py", "range(TOKEN_TRIES_MAX - 1)", "range(1_000_000)", "token-refused"),
    (
        "a token that is missing is the end",
        "client.py",
        'return Lost(Cause.NO_TOKEN, 0, f"there is no token: {error}")',
        'return Lost(Cause.NO_TOKEN, 0, "", is_final=True)',
        "token-missing",
    ),
]


def is_found(file: str, what: str, instead: str, scenario: str) -> bool:
    with tempfile.TemporaryDirectory() as place:
        copy = pathlib.Path(place, "fanwire")
        shutil.copytree(CLIENT, copy)
        text = (copy / file).read_text()
        if text.count(what) != 1:
            raise SystemExit(f"{file} has {what!r} {text.count(what)} times, and not once")
        (copy / file).write_text(text.replace(what, instead))
        command = [sys.executable, HERE, "--only", scenario, "--patience", str(PATIENCE_S), "--", sys.executable, ADAPTER]
        ran = subprocess.run(command, env={**os.environ, "PYTHONPATH": place}, stdout=subprocess.PIPE, text=True, check=False)
        return ran.returncode == 1 and f"FAILED  {scenario}" in ran.stdout


def main() -> int:
    wanted = [each for each in SABOTAGES if not sys.argv[1:] or each[0] in sys.argv[1:]]
    unfound = 0
    for name, file, what, instead, scenario in wanted:
        found = is_found(file, what, instead, scenario)
        unfound += not found
        print(f"{'found' if found else 'NOT FOUND'}: {name} ({scenario})", flush=True)
    return 1 if unfound else 0


sys.exit(main())
