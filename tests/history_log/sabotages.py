"""Breaks one mechanism of the log, the store or the ledger at a time, and sees that a test of theirs goes red; then puts the file back.

`python3 tests/history_log/sabotages.py` tries all of them, `… H1 L2` those whose names begin so. It fails if one stays unfound, or does not apply any more. Each is compiled anew:
too long for `.ci/run`. Tests are those of `tests/history_log/`, unless another command is named; the kill test is run with a debug build.
"""

import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOG = ["cargo", "test", "-j", "2", "--quiet", "--test", "history_log"]
LEDGER = [*LOG, "ledger::"]
# A life of a folder, and one of a store.
LIVES = [*LOG, "whatever_happens"]
COUNTED = [*LOG, "counted::"]
KILLS = ["sh", "-c", "cargo build -j 2 --quiet && cd tests/clients/python && FANWIRE_KILLS=16 python3 -m unittest test_kill"]
TOPICS = ["cargo", "test", "-j", "2", "--quiet", "--test", "core", "durable_topics"]
SESSIONS = ["cargo", "test", "-j", "2", "--quiet", "--test", "core", "sessions::"]
SHARED = ["cargo", "test", "-j", "2", "--quiet", "--test", "core", "shared::"]
RETAINED = ["cargo", "test", "-j", "2", "--quiet", "--test", "core", "retained::"]

# Name, what is broken, file, what stands there, what is put in its place, and by what it is to be found.
SABOTAGES = [
    (
        "L1",
        "the ledger's first copy is not synced before the second is written",
        "src/history/log/ledger.rs",
        "        written?;\n        disk.sync(file)?;\n",
        "        written?;\n",
        LEDGER,
    ),
    (
        "L2",
        "a note that does not fit is not taken back from the copy that has it",
        "src/history/log/ledger.rs",
        "                disk.truncate(file, at)?;\n                disk.sync(file)?;\n",
        "                disk.sync(file)?;\n",
        LEDGER,
    ),
    (
        "L3",
        "what is rotten in both copies is taken for torn",
        "src/history/log/ledger.rs",
        "(None, None) if first.len() > at && second.len() <= at => {",
        "(None, None) => {",
        LEDGER,
    ),
    (
        "L4",
        "a copy is appended to though the other is of another generation",
        "src/history/log/ledger.rs",
        "        self.files = None;\n        self.generation += 1;\n",
        "        self.generation += 1;\n",
        LEDGER,
    ),
    (
        "L5",
        "notes are answered before they are kept",
        "src/history/keeper/notes.rs",
        "            self.notes.push(ask);\n",
        "            out.push(noted(&ask, Ok(())));\n            self.notes.push(ask);\n",
        LIVES,
    ),
    (
        "H1",
        "a group is answered as synced without a sync",
        "src/history/keeper/group.rs",
        "        self.kept[class.kept].log.sync(&mut self.disk)?;\n",
        "",
        LIVES,
    ),
    (
        "H2",
        "offsets are not left out after a loss of power",
        "src/history/log/folder.rs",
        "(manifest.boot != made.boot || made.boot.is_empty())",
        "false",
        LIVES,
    ),
    (
        "H3",
        "a part of a group that found no room stays in the other classes",
        "src/history/keeper/group.rs",
        "                Some(_) => log.take_back(&mut self.disk, &put)?,\n",
        "                Some(_) => drop(put),\n",
        LIVES,
    ),
    (
        "H4",
        "a block that cannot be read is passed over in silence",
        "src/history/log/walk.rs",
        "!log.knows_rotten(*number, *at)",
        "false && !log.knows_rotten(*number, *at)",
        LIVES,
    ),
    (
        "H5",
        "what outlives a segment is not written before it is unlinked",
        "src/history/log/carried.rs",
        "    replace(disk, (folder, CARRIED_NAME), &out)\n",
        "    drop((disk, folder, out));\n    Ok(())\n",
        LIVES,
    ),
    (
        "H6",
        "a page ends where the next one does not begin",
        "src/history/log/pages.rs",
        "            if time_us > reached_us && self.is_full() {\n                self.stretch.more_after_us = Some(reached_us);",
        "            if time_us > reached_us && self.is_full() {\n                self.stretch.more_after_us = Some(time_us);",
        LIVES,
    ),
    (
        "H7",
        "a block is not kept for the next reader",
        "src/history/log/shelf.rs",
        "        self.keep((number, entry.at), &shelved);\n",
        "",
        COUNTED,
    ),
    (
        "K1",
        "an event is answered and spread before it is written",
        "src/shard/durable/mod.rs",
        "        durable.line.push(Run { number, events, asker, since_ms });\n        answered\n",
        "        durable.line.push(Run { number, events, asker, since_ms });\n        self.stored(number, Box::default(), now);\n        answered\n",
        TOPICS,
    ),
    (
        "H8",
        "every folder says that it was left in order",
        "src/history/log/manifest.rs",
        'if self.is_clean { "yes" } else { "no" }',
        '"yes"',
        LIVES,
    ),
    (
        "H9",
        "with a rotten segment that goes, what it held is passed over in silence",
        "src/history/log/retention.rs",
        "                        Found::Rotten(_) => is_whole = false,\n",
        "                        Found::Rotten(_) => {}\n",
        LIVES,
    ),
    (
        "K2",
        "whoever publishes without end keeps syncs and pages waiting",
        "src/history/keeper/mod.rs",
        "                self.turn = turn.next();\n",
        "                self.turn = Turn::Write;\n",
        COUNTED,
    ),
    (
        "K3",
        "offsets of a topic begin anew after a restart",
        "src/history/keeper/opening.rs",
        "            other.newest = other.newest.max(known.newest);\n",
        "",
        KILLS,
    ),
    (
        "B1",
        "what a delete takes is not looked up where its home has forgotten it",
        "src/history/keeper/befores.rs",
        "    if asked.is_empty() {\n",
        "    if asked.is_empty() || kept.len() < 99 {\n",
        LIVES,
    ),
    (
        "B2",
        "what a delete takes is looked up though its home knew that it takes nothing",
        "src/history/keeper/befores.rs",
        "            if met.insert(key.clone()) && lacks_before(event) {\n",
        "            met.insert(key.clone());\n            if lacks_before(event) {\n",
        [*LOG, "befores::"],
    ),
    (
        "M1",
        "what was said of an event besides is not written",
        "src/history/log/shelf.rs",
        "        meta: event.meta.clone(),\n",
        "        meta: None,\n",
        LIVES,
    ),
    (
        "R1",
        "a publisher who wants it synced is not said to want it",
        "src/shard/durable/mod.rs",
        "            wants_sync: ack == Ack::Durable,\n",
        "            wants_sync: false,\n",
        TOPICS,
    ),
    (
        "S1",
        "a session is said to be kept though the store could not write it",
        "src/shard/outlasting.rs",
        "        self.tell_kept(who, result.is_ok());\n",
        "        self.tell_kept(who, true);\n",
        SESSIONS,
    ),
    (
        "S2",
        "who waits for a store that does not answer waits for ever",
        "src/shard/outlasting.rs",
        "        for who in self.shard.rights.keeping.take_late(before_ms) {\n",
        "        for who in self.shard.rights.keeping.take_late(before_ms.min(0)) {\n",
        SESSIONS,
    ),
    (
        "S3",
        "a session of which something is told exactly once lies in the folder while its client is there",
        "src/shard/outlasting.rs",
        "        let is_once = is_once || standing.is_once() || self.is_once(id);\n",
        "        let is_once = false && is_once || standing.homes.len() == usize::MAX;\n",
        SESSIONS,
    ),
    (
        "S4",
        "the time of a session does not pass while the server is down",
        "src/shard/outlasting.rs",
        "                kept::read(bytes, now)\n",
        "                kept::read(bytes, Now { wall_us: now.wall_us / 2, ..now })\n",
        SESSIONS,
    ),
    (
        "S5",
        "a will is not kept with its session",
        "src/shard/names.rs",
        "            Box::new(Bookmark { words, lasts_s, is_met, will, is_durable, ..bookmark })\n",
        "            drop(will);\n            Box::new(Bookmark { words, lasts_s, is_met, is_durable, ..bookmark })\n",
        SESSIONS,
    ),
    (
        "S6",
        "what waits in an outbox is not told again",
        "src/shard/names.rs",
        "                *at = event.time_us.saturating_sub(1).min(*at);\n",
        "                *at = event.time_us.max(*at);\n",
        SESSIONS,
    ),
    (
        "T1",
        "who is told what is retained does not know which of it is on its way as it subscribes",
        "src/shard/solo.rs",
        "            untold.since_us = if untold.is_of_states { now.wall_us } else { 0 };\n",
        "            untold.since_us = now.wall_us.min(0);\n",
        RETAINED,
    ),
    (
        "T2",
        "a WebSocket that never says CONNECT stays open",
        "src/shard/lifecycle.rs",
        "    settings.silence(conn.voice) == Some(Silence::Agreed) && !conn.caller.has_agreed()\n",
        "    settings.silence(conn.voice) == Some(Silence::Pinged) && !conn.caller.has_agreed()\n",
        RETAINED,
    ),
    (
        "G1",
        "what was in flight to a member that ends goes to nobody",
        "src/shard/sharing.rs",
        "            let back = back.filter(|event| !stays(event)).collect();\n",
        "            let back = back.filter(|event| stays(event)).collect();\n",
        SHARED,
    ),
    (
        "G2",
        "a member is handed more than it takes",
        "src/shard/groups.rs",
        "        self.ahead < self.ahead_max\n",
        "        self.ahead < self.ahead_max + 8\n",
        SHARED,
    ),
    (
        "G3",
        "what waits is forgotten when somebody has room again",
        "src/shard/groups.rs",
        "        std::mem::take(&mut group.is_woken) && group.has_backlog()\n",
        "        std::mem::take(&mut group.is_woken) && group.backlog.len() > 9\n",
        SHARED,
    ),
    (
        "G4",
        "a member that is done is not said to be",
        "src/shard/groups.rs",
        "            member.ahead = member.ahead.saturating_sub(1);\n",
        "            member.ahead = member.ahead.saturating_sub(u16::from(back.is_some()));\n",
        SHARED,
    ),
]


def try_one(name, what, file, before, after, command):
    """What is to be said against it; nothing, if a test has found it."""
    path = ROOT / file
    text = path.read_text()
    if subprocess.run(["git", "diff", "--quiet", "HEAD", "--", file], cwd=ROOT).returncode != 0:
        return f"{name}: {file} has changes of its own"
    if text.count(before) != 1:
        return f"{name} does not apply any more: {what}"
    try:
        path.write_text(text.replace(before, after))
        environment = dict(os.environ, RUST_BACKTRACE="0")
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    finally:
        path.write_text(text)
    if "could not compile" in done.stderr:
        return f"{name} does not compile: {done.stderr[-600:]}"
    return None if done.returncode != 0 else f"{name} stays unfound: {what}"


def main(names):
    # So that a file is put back then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    wanted = [one for one in SABOTAGES if not names or any(one[0].startswith(name) for name in names)]
    faults = []
    for sabotage in wanted:
        fault = try_one(*sabotage)
        print(fault or f"{sabotage[0]} found: {sabotage[1]}", flush=True)
        faults += [fault] if fault else []
    return 1 if faults or not wanted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
