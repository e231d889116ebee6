//! What is said while a session runs: one line that is written over on a terminal, a line a run otherwise; and how long it
//! will still take.
//!
//! Invariant: an estimate is of what is left, scaled by how long what was done really took. Never says anything on standard
//! output, which is for the report.

use crate::clock;
use crate::clock::SECOND;
use crate::num;
use crate::scenario::Kind;
use crate::scenario::Scenario;

use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;

/// Where nothing can be written over, what a long run is doing is said this often.
const SAID_NS: u64 = 30 * SECOND;

/// Starting and stopping processes, settling.
const RUN_SECONDS: f64 = 2.5;
/// Connecting one subscriber and closing it again, joins of slow subjects included.
const SUBSCRIBER_SECONDS: f64 = 0.000_1;

/// Tells how far a session is.
#[derive(Debug)]
pub(crate) struct Progress {
    began_ns: u64,
    runs: usize,
    done: usize,
    /// Of all runs, and of those done.
    estimate: f64,
    behind: f64,
    is_terminal: bool,
    said_ns: u64,
    /// What has not to be waited for any more stands in the way of the next line.
    is_open: bool,
}

/// How many seconds a run takes, more or less.
pub(crate) fn estimate(scenario: &Scenario) -> f64 {
    let subscribers = f64::from(scenario.subscribers) * SUBSCRIBER_SECONDS;
    let live = match scenario.kind {
        Kind::Live => scenario.warmup_seconds + scenario.seconds + 0.5,
        Kind::Replay => 1.0,
        Kind::Connect => 0.0,
    };
    RUN_SECONDS + subscribers + live
}

/// A length of time as one would say it.
pub(crate) fn spoken(seconds: f64) -> String {
    let whole = num::whole(seconds);
    if whole < 90 { format!("{whole} s") } else { format!("{} min", (whole + 30) / 60) }
}

impl Progress {
    pub(crate) fn new(runs: usize, estimate: f64) -> Self {
        Self {
            began_ns: clock::now_ns(),
            runs,
            done: 0,
            estimate,
            behind: 0.0,
            is_terminal: io::stderr().is_terminal(),
            said_ns: clock::now_ns(),
            is_open: false,
        }
    }

    /// What is being done now.
    pub(crate) fn show(&mut self, what: &str) {
        let now = clock::now_ns();
        let line = format!("[{}/{}] {what}; {} left", self.done + 1, self.runs, self.left(now));
        if self.is_terminal {
            write(&format!("\r\x1b[K{line}"));
            self.is_open = true;
        } else if now - self.said_ns >= SAID_NS {
            self.said_ns = now;
            write(&format!("{line}\n"));
        }
    }

    /// A run is over, which was thought to take `estimate` seconds.
    pub(crate) fn done(&mut self, what: &str, estimate: f64) {
        self.done += 1;
        self.behind += estimate;
        self.said_ns = clock::now_ns();
        let over = if self.is_open { "\r\x1b[K" } else { "" };
        self.is_open = false;
        let left = self.left(self.said_ns);
        write(&format!("{over}[{}/{}, {left} left] {what}\n", self.done, self.runs));
    }

    fn left(&self, now: u64) -> String {
        let spent = (now - self.began_ns) as f64 / SECOND as f64;
        // One run says little about the others.
        let scale = if self.done < 3 { 1.0 } else { spent / self.behind.max(1.0) };
        spoken((self.estimate - self.behind).max(0.0) * scale)
    }
}

/// Nobody is left to tell if standard error is gone.
fn write(text: &str) {
    let mut err = io::stderr().lock();
    drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_shrinks_as_runs_end() {
        let mut it = Progress::new(4, 400.0);
        assert_eq!(it.left(it.began_ns), "7 min");
        for _ in 0..3 {
            it.done("a run", 100.0);
        }
        assert_eq!(it.left(it.began_ns + 30 * SECOND), "10 s");
        it.done("a run", 100.0);
        assert_eq!(it.left(it.began_ns + 40 * SECOND), "0 s");
    }

    #[test]
    fn a_longer_scenario_is_thought_to_take_longer() {
        let of = |text: &str| estimate(&toml::from_str(&format!("title = \"t\"\n{text}")).unwrap());
        assert!(of("subscribers = 10000") > of("subscribers = 10"));
        assert!(of("subscribers = 10\nseconds = 60.0") > of("subscribers = 10") + 50.0);
        assert!(of("subscribers = 10") > of("subscribers = 10\nkind = \"connect\""));
    }
}
