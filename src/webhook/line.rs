//! Calls that wait to be answered, and those that are being answered: who is next, and for whom it is too late.
//!
//! Invariants: at most so many are answered at once, and what waits is bounded in calls and in bytes; each is answered once, in its time or by the failure to be. Times are an argument, in
//! milliseconds since the start.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::dialect::hook::Call;
use crate::dialect::hook::Failure;
use crate::dialect::hook::HookAsk;
use crate::limits::HOOK_CALLS_BYTES_MAX;
use crate::limits::HOOK_CALLS_MAX;
use crate::tables::asks::Asker;

/// A call that is to be answered now.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) call: Call,
    /// How long there is.
    pub(super) within_ms: u64,
}

#[derive(Debug)]
struct Waiting {
    ask: HookAsk,
    bytes: usize,
    due_ms: u64,
}

/// A call that somebody answers.
#[derive(Debug)]
struct Running {
    asker: Option<Asker>,
    due_ms: u64,
    /// Whoever asked has been told that it is too late.
    is_late: bool,
}

/// The calls that wait or are underway.
#[derive(Debug)]
pub(super) struct Line {
    timeout_ms: u64,
    at_once: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    running: HashMap<u64, Running, foldhash::fast::RandomState>,
    number: u64,
}

impl Line {
    /// Calls are answered within so many milliseconds, at most so many at once.
    pub(super) fn new(timeout_ms: u64, at_once: usize) -> Self {
        Self {
            timeout_ms,
            at_once,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            running: HashMap::default(),
            number: 0,
        }
    }

    /// Takes a call in.
    ///
    /// # Errors
    /// If there are too many: whoever asked, to be told so.
    pub(super) fn push(
        &mut self,
        ask: HookAsk,
        now_ms: u64,
    ) -> Result<(), (Option<Asker>, Failure)> {
        let bytes = ask.call.weight_bytes();
        let is_full = self.waiting.len() >= HOOK_CALLS_MAX
            || (!self.waiting.is_empty() && self.waiting_bytes + bytes > HOOK_CALLS_BYTES_MAX);
        if is_full {
            return Err((ask.asker, Failure::Busy));
        }
        self.waiting_bytes += bytes;
        let due_ms = now_ms.saturating_add(self.timeout_ms);
        self.waiting.push_back(Waiting { ask, bytes, due_ms });
        Ok(())
    }

    /// The next call to be answered, if another may be.
    pub(super) fn pop(&mut self, now_ms: u64) -> Option<Job> {
        if self.running.len() >= self.at_once {
            return None;
        }
        let Waiting { ask, bytes, due_ms } = self.waiting.pop_front()?;
        self.waiting_bytes -= bytes;
        self.number += 1;
        let running = Running { asker: ask.asker, due_ms, is_late: false };
        self.running.insert(self.number, running);
        let within_ms = due_ms.saturating_sub(now_ms).max(1);
        Some(Job { number: self.number, call: ask.call, within_ms })
    }

    /// A call has its answer; who is told it, unless nobody waits or it is too late.
    pub(super) fn done(&mut self, number: u64) -> Option<Asker> {
        let running = self.running.remove(&number)?;
        running.asker.filter(|_| !running.is_late)
    }

    /// The askers whose time is over by now, each once.
    pub(super) fn late(&mut self, now_ms: u64) -> Vec<Asker> {
        let mut late = Vec::new();
        // All have as much time, so whoever came first is late first.
        while let Some(Waiting { ask, bytes, .. }) =
            self.waiting.pop_front_if(|waiting| waiting.due_ms <= now_ms)
        {
            self.waiting_bytes -= bytes;
            late.extend(ask.asker);
        }
        for running in self.running.values_mut() {
            if running.due_ms <= now_ms && !running.is_late {
                running.is_late = true;
                late.extend(running.asker);
            }
        }
        late
    }

    /// When somebody is late at the earliest.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let running = self.running.values().filter(|running| !running.is_late);
        let waiting = self.waiting.front().map(|waiting| waiting.due_ms);
        running.map(|running| running.due_ms).chain(waiting).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Hook;
    use crate::dialect::hook::Json;
    use crate::event::ShardId;

    fn ask(conn: u64) -> HookAsk {
        let asker = Some(Asker { shard: ShardId(0), conn });
        HookAsk { asker, call: Call::new(Hook::BeforeRead) }
    }

    fn conns(askers: Vec<Asker>) -> Vec<u64> {
        let mut conns: Vec<u64> = askers.into_iter().map(|asker| asker.conn).collect();
        conns.sort_unstable();
        conns
    }

    #[test]
    fn so_many_are_answered_at_once_and_the_others_in_their_turn() {
        let mut line = Line::new(1000, 2);
        for conn in 0..3 {
            line.push(ask(conn), 5).unwrap();
        }
        let first = line.pop(10).unwrap();
        assert_eq!(first.within_ms, 995);
        assert!(line.pop(10).is_some());
        assert!(line.pop(10).is_none(), "two are answered");
        assert_eq!(line.done(first.number).map(|asker| asker.conn), Some(0));
        assert_eq!(line.done(first.number), None, "once");
        assert!(line.pop(10).is_some());
    }

    #[test]
    fn whoever_waits_is_told_in_time_whatever_becomes_of_the_call() {
        let mut line = Line::new(100, 1);
        line.push(ask(0), 0).unwrap();
        line.push(ask(1), 50).unwrap();
        let job = line.pop(0).unwrap();
        assert_eq!(line.due_ms(), Some(100));
        assert!(line.late(99).is_empty());
        assert_eq!(conns(line.late(100)), [0]);
        assert_eq!(line.due_ms(), Some(150));
        // Whoever answers is still at it: nobody else is answered, and told in time, too.
        assert!(line.pop(120).is_none());
        assert_eq!(conns(line.late(150)), [1]);
        assert_eq!(line.done(job.number), None, "it is too late");
        assert!(line.pop(150).is_none() && line.due_ms().is_none());
    }

    #[test]
    fn what_waits_is_bounded_in_calls_and_in_bytes() {
        let mut line = Line::new(100, 1);
        for conn in 0..HOOK_CALLS_MAX as u64 {
            line.push(ask(conn), 0).unwrap();
        }
        let (asker, failure) = line.push(ask(7), 0).unwrap_err();
        assert_eq!((asker.map(|asker| asker.conn), failure), (Some(7), Failure::Busy));
        let mut line = Line::new(100, 1);
        let large = || {
            let data = Json::new(&format!("\"{}\"", "x".repeat(HOOK_CALLS_BYTES_MAX / 2))).unwrap();
            let HookAsk { asker, call } = ask(0);
            HookAsk { asker, call: Call { data, ..call } }
        };
        line.push(large(), 0).unwrap();
        assert!(line.push(large(), 0).is_err());
        line.push(ask(1), 0).unwrap();
        assert_eq!(conns(line.late(100)).len(), 2);
        line.push(large(), 0).unwrap();
    }
}
