#!/usr/bin/env python3
"""Breaks one mechanism at a time by a line or two, and sees whether a seed of `tests/crowds`, or the test that holds the mechanism by itself, fails.

    python3 tests/crowds/sabotages.py            all of them, some minutes
    python3 tests/crowds/sabotages.py A4 A11     those whose names begin so

Each sabotage names a file, what stands there once, what is put in its place, and what is to find it: seeds of the crowds; or a test program (`lib`:
the crate itself) and its test, where a crowd is too mixed for one mechanism's absence to be seen in it. The file is put back whatever happens, and one
that has changes of its own is not touched. Fails if a sabotage stays unfound or does not apply any more.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS_MAX = 300

SABOTAGES = [
    # The promise, the file, what stands there, what is put in its place, seeds or a test.
    ("A1 slow readers do not hold the source", "src/shard/work.rs",
     "        if !self.arrived.is_in_round() && self.may_begin_round(now) {",
     "        if self.telling.solos.outboxes().held() > 64 * 1024 {\n            self.telling.turn.spend(1 << 40);\n            return true;\n        }\n"
     "        if !self.arrived.is_in_round() && self.may_begin_round(now) {",
     "1..3"),
    ("A1 who reads does not pay for what others hold", "src/shard/work.rs",
     "        self.telling.solos.outboxes().set_share(self.outbox_share());\n", "",
     ("core", "overload::who_reads_does_not_pay_for_what_others_hold")),
    ("A1 the past waits in a line of its own", "src/shard/solos.rs",
     "if is_listener && solo.is_told_past() {", "if false {", "180..183"),
    ("A2 a large event lies in memory once", "src/event/mod.rs",
     "self.payload.len() >= LARGE_BYTES", "self.payload.len() >= 1000 * LARGE_BYTES", "2..5"),
    ("A3 events keep no interest alive", "src/event/interest.rs",
     "        Sought(self.0.as_ref().map(Arc::downgrade))",
     "        std::mem::forget(self.clone());\n        Sought(self.0.as_ref().map(Arc::downgrade))",
     "19..20"),
    ("A4 topics that have nothing are forgotten", "src/history/memory.rs",
     "        while let Some(index) = self.idle.pop_front() {", "        while let Some(index) = None::<u32> {", "31..33"),
    ("A4 drafts are counted in bytes", "src/shard/intake.rs",
     "self.heard_bytes + bytes < HEARD_BYTES_MAX", "self.heard_bytes + bytes < HEARD_BYTES_MAX * 1000",
     ("memory", "input_bounds::deflated_publishes_are_inflated_as_they_are_carried_out")),
    ("A5 revocations do not wait behind events", "src/shard/input.rs",
     "            Self::Revoke(_) | Self::Keys(_) | Self::KeysWanted | Self::Interest(..) => {\n                Lane::Control",
     "            Self::Revoke(_) | Self::Keys(_) | Self::KeysWanted | Self::Interest(..) => {\n                Lane::Data",
     "211..214"),
    ("A5 admissions do not wait behind events", "src/shard/input.rs",
     "            | Self::Topics { .. } => Lane::Control", "            | Self::Topics { .. } => Lane::Data", "8..10"),
    ("A6 a turn has an end", "src/shard/turn.rs",
     "self.spent >= self.units_max", "self.spent >= self.units_max * 1000", "180..184"),
    ("A6 what is sent counts", "src/shard/flight.rs", "ground.turn.spend(spans.units);", "", "23..27"),
    ("A8 what drips ends", "src/shard/session/patience.rs",
     "u64::from(coming_s) >= u64::from(self.timeout_s).saturating_add(bought_s)",
     "u64::from(coming_s) >= u64::from(self.timeout_s).saturating_add(bought_s).saturating_mul(100)", "4..5"),
    ("A10 commands are answered in their order", "src/shard/session/hearing.rs",
     "said if run.is_empty() =>", "said if !run.is_empty() || run.is_empty() =>",
     ("core", "input_order")),
    ("A11 filters have a budget of steps", "src/matcher/accounts.rs",
     "let is_spent = account.steps_of_event", "let is_spent = account.steps_of_event / 1_000_000",
     ("core", "filter_work::who_asks_for_too_much_of_one_event_is_told_and_pays_alone")),
    ("A12 expressions are measured before they are compiled", "src/matcher/filter/regex.rs",
     "if others.saturating_add(size) > REGEX_SIZE_MAX {", "if others.saturating_add(size) > REGEX_SIZE_MAX * 1_000_000 {",
     ("lib", "matcher::filter::regex")),
    ("A13 answers wait until their client reads", "src/shard/solo.rs",
     "self.outbox.has_room_for_answers(ANSWERS_BYTES_MAX)\n            && self.unread_bytes() <= OUTBOX_INPUT_BYTES_MAX",
     "self.outbox.has_room_for_answers(1000 * ANSWERS_BYTES_MAX)\n            || self.unread_bytes() <= OUTBOX_INPUT_BYTES_MAX",
     "120..123"),
    ("A14 what has come in part has a budget", "src/shard/intake.rs",
     "if self.intake.held <= self.intake.bytes_max {", "if self.intake.held <= self.intake.bytes_max * 1000 {", "135..138"),
    ("A4 what conversations remember is counted", "src/shard/intake.rs",
     "conn.session.held_bytes() + of_talk", "conn.session.held_bytes() + 0 * of_talk",
     ("memory", "worst_case::conversations")),
    ("A4 batches that are being filled have a budget", "src/shard/batches.rs",
     "if self.budget.is_over() { self.due.pop_next() } else { None }", "if false { self.due.pop_next() } else { None }",
     ("memory", "worst_case::batches")),
    ("A4 who does not acknowledge gives way", "src/shard/relief.rs",
     "solo.outbox.event_bytes() + solo.window_bytes()", "solo.outbox.event_bytes()",
     ("memory", "worst_case::windows")),
    ("A4 what is not acknowledged has a bound", "src/shard/window.rs",
     "self.bytes() >= WINDOW_BYTES_MAX.min(self.counted.share())", "self.bytes() >= 1000 * WINDOW_BYTES_MAX",
     ("memory", "worst_case::windows::one_client_is_not_sent_more_than_it_may_hold")),
    ("A11 patterns in tables are short", "src/tables/filter.rs",
     "pattern.len() > TABLE_PATTERN_BYTES_MAX", "pattern.len() > 100_000 * TABLE_PATTERN_BYTES_MAX",
     ("tables", "attacks")),
    ("B2 what a rate holds is confined by a narrower token", "src/shard/confine.rs",
     "        self.telling.shapings.confine(&mut self.conns, id, confine, hears_of);", "        drop((confine, hears_of));",
     ("rights", "renewal")),
    ("B2 what an outbox holds is", "src/shard/confine.rs",
     "                |event| who.confine_event(event, steps),\n", "                |event| Some(Arc::clone(event)),\n",
     ("rights", "renewal")),
    ("B2 pages of the past are", "src/shard/confine.rs",
     "replay.is_narrowed = true;", "replay.is_narrowed = false;",
     ("rights", "renewal")),
    ("B2 what a batch holds is", "src/shard/confine.rs",
     "if let Some(event) = who.confine_event(&event, steps) {", "if let Some(event) = Some(Arc::clone(&event)) {",
     ("rights", "renewal")),
    ("B2 behind the end of a token nothing is told that waited", "src/shard/session/identity.rs",
     "        drop(self.leave_open_batch(id));\n", "",
     ("rights", "losing")),
]


def try_one(path, old, new, finder):
    """Whether what is to find it fails, and what it says."""
    changed = subprocess.run(["git", "status", "--porcelain", path], cwd=ROOT, capture_output=True, text=True, check=True)
    if changed.stdout:
        return False, f"{path} has changes of its own"
    file = ROOT / path
    before = file.read_text()
    if before.count(old) != 1:
        return False, f"{path} has it {before.count(old)} times, and not once"
    file.write_text(before.replace(old, new))
    try:
        program, test = ("crowds", "nobody_harms_anybody") if isinstance(finder, str) else finder
        command = ["cargo", "test", *(["--lib"] if program == "lib" else ["--test", program]), test]
        environment = dict(os.environ, RUST_BACKTRACE="0")
        if isinstance(finder, str):
            environment["FANWIRE_SEEDS"] = finder
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return False, f"not over after {SECONDS_MAX} s"
    finally:
        file.write_text(before)
    if f"Running {'unittests src' if program == 'lib' else 'tests'}/{program}" not in run.stderr:
        return False, run.stderr[-600:]
    if not isinstance(finder, str):
        said = re.search(r"panicked at (?:tests|src)/.*\n(.*)", run.stdout + run.stderr)
        return f"test {test}" in run.stdout and "test result: FAILED" in run.stdout, f"{test} {said and said[1]}"
    found = re.search(r"seeds (\[.*?\]) break a promise", run.stdout + run.stderr)
    said = re.search(r"panicked at tests/crowds/(?:main|crowd|attacks).*\n(.*)", run.stdout + run.stderr)
    return found is not None, f"{found and found[1]} {said and said[1]}"


def main():
    # So that a file is put back then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    wanted = sys.argv[1:]
    missed = []
    for name, *sabotage in SABOTAGES:
        if wanted and not any(name.startswith(word) for word in wanted):
            continue
        is_found, said = try_one(*sabotage)
        print(f"{'found ' if is_found else 'MISSED'} {name}: {said[:300]}", flush=True)
        if not is_found:
            missed.append(name)
    if missed:
        sys.exit(f"{len(missed)} sabotages were not found")


main()
