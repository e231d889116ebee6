//! What the processes of the load generator say to each other: one JSON object a line, orders down a child's standard
//! input, words up its standard output.
//!
//! Invariant: a child's first line is its plan; it answers each order with one word at most and reports progress unasked.

use crate::attack::CrowdFelt;
use crate::attack::CrowdPlan;
use crate::latency::Counts;
use crate::speech::Listen;
use crate::speech::Say;
use crate::tally::Faults;

use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

/// What a child process is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Plan {
    Worker(WorkerPlan),
    Publisher(PublisherPlan),
    Floor(FloorPlan),
    Crowd(CrowdPlan),
}

/// A process that holds subscribers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorkerPlan {
    pub(crate) index: u32,
    pub(crate) first: u32,
    pub(crate) subscribers: u32,
    pub(crate) listen: Listen,
    pub(crate) membership: Membership,
    /// Of all subscribers, those before this one never read once they have joined.
    pub(crate) slow: u32,
    /// Filters leave events out.
    pub(crate) gaps_allowed: bool,
    /// One event in so many is timed.
    pub(crate) time_every: u64,
    /// Of compressed connections, one in so many is inflated.
    pub(crate) inflate_every: u32,
    /// Each joins with a circle and a band of altitude of its own.
    pub(crate) circles: bool,
    pub(crate) scoreboard: PathBuf,
}

/// Which topics a subscriber listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Membership {
    pub(crate) topics: u32,
    /// How many topics a subscriber has; several numbers take turns.
    pub(crate) each: Vec<u32>,
}

/// The process that publishes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PublisherPlan {
    pub(crate) say: Say,
    pub(crate) pace: Pace,
    pub(crate) burst: u32,
    pub(crate) payload_bytes: usize,
    pub(crate) feed: Option<PathBuf>,
    /// How many hear an event, by topic; empty: not known.
    pub(crate) audience: Vec<u64>,
    pub(crate) topics: u32,
    pub(crate) workers: u32,
    pub(crate) scoreboard: PathBuf,
}

/// When the next event is due.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pace {
    /// So many events a second, whatever became of the earlier ones.
    Open { rate: f64 },
    /// At most so many events on their way.
    Closed { window: u32 },
}

/// The built-in server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FloorPlan {
    pub(crate) topics: u32,
    /// So many messages are gathered for one `send`.
    pub(crate) frames_per_send: u32,
}

/// What a child is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Worker, crowd: connect and join all.
    Connect,
    /// Worker, crowd: from here on it counts.
    Measure,
    /// Worker, crowd: so many events were sent, by topic; say what became of them, and end.
    Settle { sent: Vec<u64> },
    /// Publisher: publish for so long at the plan's pace, then wait until all has arrived.
    Publish { ns: u64 },
    /// Publisher: publish so many events as fast as they are taken, and wait for nothing.
    Fill { events: u64 },
}

/// What a child says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// Floor: listening here.
    Listening { subscribers: u16, publishers: u16 },
    /// Child: the plan is understood.
    Ready,
    /// Worker, crowd: all have joined.
    Joined { ns: u64 },
    /// Worker: running totals.
    Progress(Progress),
    /// Worker: the last word.
    Settled(Settled),
    /// Crowd: the last word.
    Felt(CrowdFelt),
    /// Publisher: an order is done.
    Published(Published),
    /// Child: it cannot go on.
    Failed { what: String },
}

/// Totals of one worker since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) at_ns: u64,
    pub(crate) joined: u64,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

/// What one worker found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settled {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) closed: u64,
    pub(crate) skipped: u64,
    pub(crate) faults: Faults,
    pub(crate) latencies: Counts,
    pub(crate) inflated_subscribers: u64,
    /// The first fault of a connection, in words.
    pub(crate) first_fault: Option<String>,
}

/// What the publisher did on one order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) events: u64,
    pub(crate) refused: u64,
    /// From the first publish to the last delivery.
    pub(crate) ns: u64,
    pub(crate) deliveries: u64,
    pub(crate) drained: bool,
    /// Events by topic since the publisher began: the last numbers.
    pub(crate) sent: Vec<u64>,
}

impl Membership {
    /// The topics of one subscriber, distinct and ascending.
    pub(crate) fn of(&self, subscriber: u32) -> Vec<u32> {
        let topics = self.topics.max(1);
        let turn = usize::try_from(subscriber / topics).unwrap_or(0) % self.each.len().max(1);
        let many = self.each.get(turn).copied().unwrap_or(1).clamp(1, topics);
        let stride = topics / many;
        let mut of: Vec<u32> =
            (0..many).map(|at| (subscriber % topics + at * stride) % topics).collect();
        of.sort_unstable();
        of
    }

    /// How many of `subscribers` hear each topic, those before `from` left out.
    pub(crate) fn audience(&self, from: u32, subscribers: u32) -> Vec<u64> {
        let mut audience = vec![0; usize::try_from(self.topics.max(1)).unwrap_or(1)];
        for subscriber in from..subscribers {
            for topic in self.of(subscriber) {
                if let Some(count) = usize::try_from(topic).ok().and_then(|it| audience.get_mut(it))
                {
                    *count += 1;
                }
            }
        }
        audience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_are_distinct_and_even() {
        let it = Membership { topics: 16, each: vec![1, 2, 4] };
        for subscriber in 0..500 {
            let mut of = it.of(subscriber);
            of.dedup();
            assert!([1, 2, 4].contains(&of.len()), "{subscriber}: {of:?}");
            assert!(of.iter().all(|&topic| topic < 16));
        }
        let audience = Membership { topics: 1000, each: vec![1] }.audience(0, 10_000);
        assert!(audience.iter().all(|&count| count == 10));
    }

    #[test]
    fn slow_ones_are_no_audience() {
        assert_eq!(Membership { topics: 1, each: vec![1] }.audience(10, 100), [90]);
    }

    #[test]
    fn orders_survive_a_line() {
        for order in [Order::Connect, Order::Settle { sent: vec![1, 2] }, Order::Publish { ns: 5 }]
        {
            let line = serde_json::to_string(&order).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), order);
        }
    }
}
