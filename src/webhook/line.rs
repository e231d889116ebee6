//! Calls that wait to be answered, and those that are being answered: who is next, and for whom it is too late.
//!
//! Invariants: at most so many are answered at once, and what waits is bounded in calls and in bytes; each is answered once, in its time or by the failure to be. Times are an argument, in
//! microseconds since the start.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

use crate::dialect::Hook;
use crate::dialect::hook::Call;
use crate::dialect::hook::HookAsk;
use crate::limits::HOOK_CALLS_BYTES_MAX;
use crate::limits::HOOK_CALLS_MAX;
use crate::tables::asks::Asker;

/// The least that a call is given: what is begun just before it is late has a chance.
const WITHIN_MIN: Duration = Duration::from_millis(1);

/// A call that is to be answered now.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) call: Call,
    /// How long there is.
    pub(super) within: Duration,
}

/// Who is told what becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallOwner {
    /// `None`: nobody waits.
    pub(super) asker: Option<Asker>,
    pub(super) hook: Hook,
    pub(super) since_us: u64,
}

#[derive(Debug)]
struct Waiting {
    owner: CallOwner,
    call: Call,
    bytes: usize,
    due_us: u64,
}

/// A call that somebody answers.
#[derive(Debug)]
struct Running {
    owner: CallOwner,
    due_us: u64,
    /// Whoever asked has been told that it is too late.
    is_late: bool,
}

/// The calls that wait or are underway.
#[derive(Debug)]
pub(super) struct Line {
    timeout_us: u64,
    at_once: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    running: HashMap<u64, Running, foldhash::fast::RandomState>,
    number: u64,
}

impl Line {
    /// Calls are answered within so many microseconds, at most so many at once.
    pub(super) fn new(timeout_us: u64, at_once: usize) -> Self {
        Self {
            timeout_us,
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
    /// If there are too many: whoever asked, to be told that.
    pub(super) fn push(&mut self, ask: HookAsk, now_us: u64) -> Result<(), CallOwner> {
        let HookAsk { asker, call } = ask;
        let owner = CallOwner { asker, hook: call.hook, since_us: now_us };
        let bytes = call.weight_bytes();
        let is_full = self.waiting.len() >= HOOK_CALLS_MAX
            || (!self.waiting.is_empty() && self.waiting_bytes + bytes > HOOK_CALLS_BYTES_MAX);
        if is_full {
            return Err(owner);
        }
        self.waiting_bytes += bytes;
        let due_us = now_us.saturating_add(self.timeout_us);
        self.waiting.push_back(Waiting { owner, call, bytes, due_us });
        Ok(())
    }

    /// The next call to be answered, if another may be.
    pub(super) fn pop(&mut self, now_us: u64) -> Option<Job> {
        if self.running.len() >= self.at_once {
            return None;
        }
        let Waiting { owner, call, bytes, due_us } = self.waiting.pop_front()?;
        self.waiting_bytes -= bytes;
        self.number += 1;
        let running = Running { owner, due_us, is_late: false };
        self.running.insert(self.number, running);
        let within = Duration::from_micros(due_us.saturating_sub(now_us)).max(WITHIN_MIN);
        Some(Job { number: self.number, call, within })
    }

    /// A call has its answer; who is told it, unless it is too late.
    pub(super) fn done(&mut self, number: u64) -> Option<CallOwner> {
        let running = self.running.remove(&number)?;
        (!running.is_late).then_some(running.owner)
    }

    /// Calls that wait for their turn, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.waiting_bytes)
    }

    /// The owners of calls whose time is over by now, each once.
    pub(super) fn late(&mut self, now_us: u64) -> Vec<CallOwner> {
        let mut late = Vec::new();
        // All have as much time, so whoever came first is late first.
        while let Some(Waiting { owner, bytes, .. }) =
            self.waiting.pop_front_if(|waiting| waiting.due_us <= now_us)
        {
            self.waiting_bytes -= bytes;
            late.push(owner);
        }
        for running in self.running.values_mut() {
            if running.due_us <= now_us && !running.is_late {
                running.is_late = true;
                late.push(running.owner);
            }
        }
        late
    }

    /// When somebody is late at the earliest.
    pub(super) fn due_us(&self) -> Option<u64> {
        let running = self.running.values().filter(|running| !running.is_late);
        let waiting = self.waiting.front().map(|waiting| waiting.due_us);
        running.map(|running| running.due_us).chain(waiting).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hook::Json;
    use crate::event::ShardId;

    fn ask(conn: u64) -> HookAsk {
        let asker = Some(Asker { shard: ShardId(0), conn });
        HookAsk { asker, call: Call::new(Hook::BeforeRead) }
    }

    fn conn(owner: CallOwner) -> Option<u64> {
        owner.asker.map(|asker| asker.conn)
    }

    fn conns(callers: Vec<CallOwner>) -> Vec<u64> {
        let mut conns: Vec<u64> = callers.into_iter().filter_map(conn).collect();
        conns.sort_unstable();
        conns
    }

    #[test]
    fn so_many_are_answered_at_once_and_the_others_in_their_turn() {
        let mut line = Line::new(1_000_000, 2);
        for conn in 0..3 {
            line.push(ask(conn), 5).unwrap();
        }
        assert_eq!(line.waiting().0, 3);
        let first = line.pop(10).unwrap();
        assert_eq!(first.within, Duration::from_micros(999_995));
        assert!(line.pop(10).is_some());
        assert!(line.pop(10).is_none(), "two are answered");
        let owner = line.done(first.number).unwrap();
        assert_eq!((conn(owner), owner.hook, owner.since_us), (Some(0), Hook::BeforeRead, 5));
        assert_eq!(line.done(first.number), None, "once");
        assert!(line.pop(10).is_some());
    }

    #[test]
    fn whoever_waits_is_told_in_time_whatever_becomes_of_the_call() {
        let mut line = Line::new(100, 1);
        line.push(ask(0), 0).unwrap();
        line.push(ask(1), 50).unwrap();
        let job = line.pop(0).unwrap();
        assert_eq!(line.due_us(), Some(100));
        assert!(line.late(99).is_empty());
        assert_eq!(conns(line.late(100)), [0]);
        assert_eq!(line.due_us(), Some(150));
        // Whoever answers is still at it: nobody else is answered, and told in time, too.
        assert!(line.pop(120).is_none());
        assert_eq!(conns(line.late(150)), [1]);
        assert_eq!(line.done(job.number), None, "it is too late");
        assert!(line.pop(150).is_none() && line.due_us().is_none());
    }

    #[test]
    fn what_waits_is_bounded_in_calls_and_in_bytes() {
        let mut line = Line::new(100, 1);
        for conn in 0..HOOK_CALLS_MAX as u64 {
            line.push(ask(conn), 0).unwrap();
        }
        assert_eq!(line.push(ask(7), 0).map_err(conn), Err(Some(7)));
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
