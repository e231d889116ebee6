//! The process that publishes: when the next event is due, and when all of them have arrived.
//!
//! Open loop: event i is due at start + i/rate, whatever became of the earlier ones, and its mark says so even if it is
//! published late. Closed loop: at most `window` events are on their way, by what the subscribers heard, not by what the
//! subject acknowledged. Invariant: numbers of a topic are published in order, without a hole.

use crate::child;
use crate::child::Orders;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::feed::Feed;
use crate::limits::BURST_MAX;
use crate::limits::DRAIN_NS_MAX;
use crate::limits::QUIET_NS;
use crate::mark::Mark;
use crate::message::Order;
use crate::message::Pace;
use crate::message::Published;
use crate::message::PublisherPlan;
use crate::message::Word;
use crate::num;
use crate::outlet::Publishing;
use crate::scoreboard::Scoreboard;

use std::collections::VecDeque;
use std::io;

/// How often a closed loop looks at the scoreboard between one burst and the next. Each look is a few system calls and a
/// timer, on the core that the subscribers need.
const LOOKS: u64 = 16;
const LOOK_NS_MIN: u64 = 50_000;
const LOOK_NS_MAX: u64 = MILLI;

#[derive(Debug)]
struct Publisher {
    plan: PublisherPlan,
    line: Publishing,
    feed: Feed,
    scoreboard: Scoreboard,
    sent: Vec<u64>,
    turn: u64,
    payload: Vec<u8>,
    /// Deliveries due when the events on their way have arrived, each and those before it.
    due: VecDeque<u64>,
    total_due: u64,
    base: u64,
}

/// Runs until its orders end.
pub(crate) fn run(plan: PublisherPlan) -> io::Result<()> {
    let feed = match &plan.feed {
        Some(path) => Feed::file(path).map_err(io::Error::other)?,
        None => Feed::padding(plan.payload_bytes),
    };
    let mut publisher = Publisher {
        line: Publishing::open(plan.say.clone())?,
        feed,
        scoreboard: Scoreboard::open(&plan.scoreboard)?,
        sent: vec![0; num::index(u64::from(plan.topics.max(1)))],
        turn: 0,
        payload: Vec::new(),
        due: VecDeque::new(),
        total_due: 0,
        base: 0,
        plan,
    };
    child::say(&Word::Ready)?;
    let mut orders = Orders::default();
    loop {
        let order = match orders.next(&clock::timespec(100 * MILLI)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            order => order?,
        };
        publisher.line.idle(order.is_some())?;
        let published = match order {
            Some(Order::Publish { ns }) => publisher.publish(ns)?,
            Some(Order::Fill { events }) => publisher.fill(events)?,
            Some(Order::Settle { .. }) => return Ok(()),
            Some(Order::Connect | Order::Measure) | None => continue,
        };
        child::say(&Word::Published(published))?;
        if let Some(refusal) = publisher.line.first_refusal.take() {
            child::say(&Word::Failed { what: format!("a publish was refused: {refusal}") })?;
        }
    }
}

impl Publisher {
    fn publish(&mut self, ns: u64) -> io::Result<Published> {
        self.base = self.scoreboard.total(self.plan.workers)?;
        self.total_due = 0;
        self.due.clear();
        let began = clock::now_ns();
        let refused = self.line.refused;
        let events = match self.plan.pace {
            Pace::Open { rate } => self.open_loop(began, began + ns, rate)?,
            Pace::Closed { window } => self.closed_loop(began + ns, window)?,
        };
        let (last_ns, deliveries, drained) = self.drain()?;
        Ok(Published {
            events,
            refused: self.line.refused - refused,
            ns: last_ns.saturating_sub(began),
            deliveries,
            drained,
            sent: self.sent.clone(),
        })
    }

    fn fill(&mut self, events: u64) -> io::Result<Published> {
        let began = clock::now_ns();
        for _ in 0..events {
            while !self.line.has_room() {
                self.line.wait(MILLI)?;
                self.line.drive()?;
            }
            self.burst(1, &mut |_| began)?;
        }
        // Nobody listens, so nothing tells when the last was taken: let the answers tell that they have stopped.
        let mut quiet_since = clock::now_ns();
        while clock::now_ns() - quiet_since < QUIET_NS {
            let before = clock::now_ns();
            self.line.wait(QUIET_NS / 4)?;
            self.line.drive()?;
            if clock::now_ns() - before < QUIET_NS / 8 {
                quiet_since = before;
            }
        }
        let ns = clock::now_ns() - began;
        Ok(Published {
            events,
            refused: self.line.refused,
            ns,
            deliveries: 0,
            drained: true,
            sent: self.sent.clone(),
        })
    }

    fn open_loop(&mut self, began: u64, until: u64, rate: f64) -> io::Result<u64> {
        let at = |event: u64| due_ns(began, rate, event);
        let mut events = 0;
        loop {
            let now = clock::now_ns();
            if at(events) >= until || now > until + DRAIN_NS_MAX {
                return Ok(events);
            }
            let late = late(began, rate, events, now, until);
            if late == 0 || !self.line.has_room() {
                self.line.wait(at(events).saturating_sub(now).clamp(1_000, MILLI))?;
                self.line.drive()?;
                continue;
            }
            // An event's own moment goes into its mark, also when several are published together because of a stall.
            self.burst(late, &mut |nth| at(events + u64::from(nth)))?;
            events += u64::from(late);
            self.due.clear();
        }
    }

    fn closed_loop(&mut self, until: u64, window: u32) -> io::Result<u64> {
        let window = num::index(u64::from(window.max(self.plan.burst)));
        let burst = num::index(u64::from(self.plan.burst));
        let mut events = 0;
        let mut progressed_ns = clock::now_ns();
        let mut published_ns = progressed_ns;
        let mut interval_ns = 0;
        loop {
            let now = clock::now_ns();
            if now >= until {
                return Ok(events);
            }
            let before = self.due.len();
            let heard = self.heard()?;
            while self.due.front().is_some_and(|&due| due <= heard) {
                self.due.pop_front();
            }
            if self.due.len() + burst <= window && self.line.has_room() {
                self.burst(self.plan.burst, &mut |_| now)?;
                events += u64::from(self.plan.burst);
                progressed_ns = now;
                interval_ns = (3 * interval_ns + (now - published_ns)) / 4;
                published_ns = now;
                continue;
            }
            if self.due.len() != before {
                progressed_ns = now;
            }
            if now - progressed_ns > DRAIN_NS_MAX {
                return Ok(events);
            }
            self.line.wait((interval_ns / LOOKS).clamp(LOOK_NS_MIN, LOOK_NS_MAX))?;
            self.line.drive()?;
        }
    }

    /// Publishes `many` events; topics take turns from burst to burst if they go as lines of one body.
    fn burst(&mut self, many: u32, intended: &mut dyn FnMut(u32) -> u64) -> io::Result<()> {
        let topics = u64::from(self.plan.topics.max(1));
        let is_one_body = self.line.is_of_lines();
        for nth in 0..many {
            let topic = u32::try_from(self.turn % topics).unwrap_or(0);
            let is_last_of_body = !is_one_body || nth + 1 == many;
            self.turn += u64::from(is_last_of_body);
            let Some(number) = self.sent.get_mut(num::index(u64::from(topic))) else { continue };
            *number += 1;
            let mark = Mark { topic, number: *number, intended_ns: intended(nth) };
            self.payload.clear();
            self.feed.next(mark, &mut self.payload);
            self.line.push(topic, mark.number, &self.payload);
            self.total_due +=
                self.plan.audience.get(num::index(u64::from(topic))).copied().unwrap_or(0);
            self.due.push_back(self.total_due);
            if is_last_of_body && (topics > 1 || nth + 1 == many) {
                self.line.flush(topic)?;
            }
        }
        Ok(())
    }

    fn heard(&self) -> io::Result<u64> {
        Ok(self.scoreboard.total(self.plan.workers)?.saturating_sub(self.base))
    }

    /// Waits until everything due has been heard; when that was, how much it was, and whether it was all.
    fn drain(&mut self) -> io::Result<(u64, u64, bool)> {
        let began = clock::now_ns();
        let known = !self.plan.audience.is_empty();
        let mut heard = self.heard()?;
        let mut last_ns = began;
        loop {
            let now = clock::now_ns();
            let total = self.heard()?;
            if total != heard {
                heard = total;
                last_ns = now;
            }
            if known && heard >= self.total_due {
                return Ok((last_ns, heard, true));
            }
            if !known && now - last_ns > QUIET_NS {
                return Ok((last_ns, heard, true));
            }
            if now - last_ns > DRAIN_NS_MAX {
                return Ok((last_ns, heard, false));
            }
            self.line.wait(LOOK_NS_MIN)?;
            self.line.drive()?;
        }
    }
}

/// When an event of an open loop is due.
fn due_ns(began: u64, rate: f64, event: u64) -> u64 {
    began + num::whole(event as f64 / rate * SECOND as f64)
}

/// How many events, from number `from` on, are due now; what is due at the end or after it never is.
fn late(began: u64, rate: f64, from: u64, now: u64, until: u64) -> u32 {
    let is_due = |late: &u32| {
        let at = due_ns(began, rate, from + u64::from(*late));
        at <= now && at < until
    };
    (0..BURST_MAX).take_while(is_due).last().map_or(0, |it| it + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_makes_no_event_more_and_none_less() {
        let until = SECOND / 2;
        // Two hundred a second for half a second, from a publisher that was away for all of it.
        assert_eq!(late(0, 200.0, 0, 0, until), 1);
        assert_eq!(late(0, 200.0, 0, until - 1, until), 100);
        assert_eq!(late(0, 200.0, 0, until + SECOND, until), 100);
        assert_eq!(late(0, 200.0, 99, until + SECOND, until), 1);
        assert_eq!(late(0, 200.0, 100, until + SECOND, until), 0);
        assert_eq!(late(0, 1e6, 0, until, until), BURST_MAX);
    }
}
