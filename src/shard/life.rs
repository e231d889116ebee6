//! What a shard does as time passes, and whether it is being stopped.
//!
//! Invariant: it stops once, and for good. Never looks at a connection: whose turn it is, `lifecycle` asks.

use std::collections::VecDeque;

use super::input::ConnRef;
use super::own::Own;
use super::stats::Behind;
use crate::clock::Now;
use crate::event::Draft;
use crate::wire::http::HttpDate;

/// Ticks in which every connection is looked at once: one in so many is, each tick.
pub(super) const SWEEP_TICKS: u32 = 10;
/// How long a stopping shard waits for events that are still on their way between shards.
const STOP_SETTLE_MS: u64 = 50;

/// A shard's life: the time, the sweep, and how far stopping has come.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// When it is, as answers say it: set with every accepted connection and every tick.
    date: HttpDate,
    /// Which of the `SWEEP_TICKS` parts of the connections was looked at last.
    swept: u32,
    stopping: Option<Stopping>,
    /// What is to be published for those who have gone.
    pub(super) wills: Vec<Draft>,
    /// How far it has come with telling of itself.
    pub(super) own: Own,
    /// Who was found behind since the first part was looked at last.
    pub(super) behind: Behind,
}

/// How far it has come with stopping.
#[derive(Debug)]
enum Stopping {
    /// What was accepted is still being delivered; then, at this time at the earliest, connections are told.
    Settling { until_ms: u64 },
    /// Everyone is sent away but these, whose time has not come, in its order.
    Telling { left: VecDeque<(u64, ConnRef)> },
}

impl Life {
    /// The time as an answer's head says it.
    pub(super) const fn date(&self) -> HttpDate {
        self.date
    }

    pub(super) fn set_date(&mut self, now: Now) {
        self.date.set(now.wall_us / 1_000_000);
    }

    /// Which connections are looked at in this tick: the first one's place, and every `SWEEP_TICKS`th behind it.
    pub(super) const fn sweep(&mut self) -> u32 {
        self.swept = (self.swept + 1) % SWEEP_TICKS;
        self.swept
    }

    /// Begins to stop, if it has not.
    pub(super) fn begin_stopping(&mut self, now: Now) {
        let until_ms = now.mono_ms + STOP_SETTLE_MS;
        self.stopping.get_or_insert(Stopping::Settling { until_ms });
    }

    /// Whether nothing new is accepted.
    pub(super) const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether connections are to be told that the server stops, as soon as nothing is on its way any more.
    pub(super) fn may_tell_end(&self, now: Now) -> bool {
        matches!(self.stopping, Some(Stopping::Settling { until_ms }) if now.mono_ms >= until_ms)
    }

    /// Every connection is told, but those that are left, each of which has its time.
    pub(super) fn tell_end(&mut self, left: VecDeque<(u64, ConnRef)>) {
        self.stopping = Some(Stopping::Telling { left });
    }

    /// A connection whose time has come.
    pub(super) fn pop_told(&mut self, now: Now) -> Option<ConnRef> {
        let Some(Stopping::Telling { left }) = &mut self.stopping else { return None };
        left.pop_front_if(|(at_ms, _)| *at_ms <= now.mono_ms).map(|(_, conn)| conn)
    }

    /// Whether every connection was told.
    pub(super) fn is_end_told(&self) -> bool {
        matches!(&self.stopping, Some(Stopping::Telling { left }) if left.is_empty())
    }

    /// When stopping needs the next turn at the latest, in milliseconds since the start.
    pub(super) fn due_ms(&self) -> Option<u64> {
        match &self.stopping {
            Some(Stopping::Settling { until_ms }) => Some(*until_ms),
            Some(Stopping::Telling { left }) => left.front().map(|(at_ms, _)| *at_ms),
            None => None,
        }
    }
}
