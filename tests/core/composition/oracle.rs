//! The plain definition, "filter last, on the full stream": what one subscription must have seen of one topic.
//!
//! It is given everything that was published and everything that was told, and nothing of how the server came to tell it. Where the
//! protocol leaves a place in the stream open (when an update took hold, where a pattern's present began), some place must explain all.

use std::collections::BTreeSet;

use serde_json::Value;

use super::terms::Terms;

/// One event as it was published.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) key: String,
    pub(crate) op: String,
    pub(crate) time_us: u64,
    pub(crate) payload: Value,
}

/// One thing told to a subscription about one topic.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Event { offset: u64, op: String },
    Gap { from: u64, to: u64 },
}

/// How a stretch of a subscription's life began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    /// After this offset.
    After(u64),
    /// With the last event of each key, up to this offset if it is known.
    Last(Option<u64>),
    /// Live, from some place at or before this offset.
    By(u64),
    /// Where the stretch before ended, by an update.
    Updated,
    /// Resumed after this offset.
    Resumed(u64),
}

/// A stretch under the same terms, on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) terms: Terms,
    pub(crate) start: Start,
    pub(crate) said: Vec<Said>,
    /// From here on something was told of another topic: one rate for the whole subscription may have passed this one over.
    pub(crate) has_others: bool,
}

/// Which keys are inside, and of which it is not known since the client came back.
#[derive(Clone, Debug, Default)]
struct Inside {
    keys: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl Inside {
    /// An event without a key is about nothing in particular: nothing is inside by it.
    fn enter(&mut self, key: &str) {
        if !key.is_empty() {
            self.keys.insert(key.to_owned());
        }
    }
}

struct Topic<'a> {
    log: &'a [Fact],
    stretches: &'a [Stretch],
}

/// Whether some choice of the open places explains what was told.
pub(crate) fn check(log: &[Fact], stretches: &[Stretch]) -> Result<(), String> {
    let topic = Topic { log, stretches };
    let end = log.len() as u64;
    let firsts: Vec<u64> = match stretches[0].start {
        Start::After(offset) | Start::Resumed(offset) | Start::Last(Some(offset)) => vec![offset],
        Start::By(offset) => (0..=offset.min(end)).collect(),
        Start::Last(None) => (0..=end).collect(),
        Start::Updated => unreachable!("a life does not begin with an update"),
    };
    let mut inside = Inside::default();
    if let Start::Resumed(_) = stretches[0].start {
        inside.unknown = log.iter().map(|fact| fact.key.clone()).collect();
    }
    let mut why = String::new();
    for first in firsts {
        match topic.explain(0, first, &inside) {
            Ok(()) => return Ok(()),
            Err(problem) => why = problem,
        }
    }
    Err(why)
}

impl Topic<'_> {
    /// Stretch `index` begins after offset `from`.
    fn explain(&self, index: usize, from: u64, inside: &Inside) -> Result<(), String> {
        let Some(next) = self.stretches.get(index + 1) else {
            return self.hold(index, from, self.log.len() as u64, inside).map(|_| ());
        };
        let ends: Vec<u64> = match next.start {
            // A snapshot may have been taken behind the last event that it told: what is between the two is told anew.
            Start::Resumed(position) => vec![position],
            _ => {
                let told = self.stretches[index].said.iter().map(newest_of).max();
                let rest = self.stretches[index + 1..].iter().flat_map(|next| &next.said);
                let later = rest.map(oldest_of).min().unwrap_or(u64::MAX);
                let least = told.unwrap_or(from).max(from);
                (least..=(self.log.len() as u64).min(later.saturating_sub(1))).collect()
            }
        };
        let mut why = format!("no place for stretch {} after {from}", index + 1);
        for end in ends {
            let explained = self.hold(index, from, end, inside).and_then(|mut inside| {
                if let Start::Resumed(_) = next.start {
                    inside.unknown = self.log.iter().map(|fact| fact.key.clone()).collect();
                }
                // Whoever was told but a part of the last events, and comes back with what they brought, may have begun with an older place than their own.
                let begin = match next.start {
                    Start::Resumed(position) => position,
                    _ => end,
                };
                self.explain(index + 1, begin, &inside)
            });
            match explained {
                Ok(()) => return Ok(()),
                Err(problem) => why = problem,
            }
        }
        Err(why)
    }

    /// Holds what one stretch was told to what it must have been told of the events in `from..=end`.
    fn hold(&self, index: usize, from: u64, end: u64, before: &Inside) -> Result<Inside, String> {
        let stretch = &self.stretches[index];
        let told = |offset: u64| {
            stretch.said.iter().find_map(|said| match said {
                Said::Event { offset: of, op } if *of == offset => Some(op.as_str()),
                _ => None,
            })
        };
        let (expected, inside) = self.expected(stretch, from, end, before, &told);
        let mut last = 0;
        for said in &stretch.said {
            let (oldest, newest) = (oldest_of(said), newest_of(said));
            if oldest <= last {
                return Err(format!("{said:?} after {last}: it does not ascend"));
            }
            last = newest;
            let wanted = |offset: u64| expected.iter().any(|(of, _)| *of == offset);
            match said {
                Said::Event { offset, op } if !expected.contains(&(*offset, op.clone())) => {
                    return Err(format!("{op} {offset} was not to be told (of {from}..{end})"));
                }
                Said::Gap { from, to } if !wanted(*from) || !wanted(*to) => {
                    return Err(format!(
                        "gap {from}..{to} begins or ends with what was not wanted"
                    ));
                }
                _ => {}
            }
        }
        for (offset, op) in &expected {
            if told(*offset).is_none() && !self.may_be_left_out(index, *offset) {
                return Err(format!("{op} {offset} was never told (of {from}..{end})"));
            }
        }
        Ok(inside)
    }

    /// Every event that is to be told, and as what.
    fn expected<'t>(
        &self,
        stretch: &Stretch,
        from: u64,
        end: u64,
        before: &Inside,
        told: &impl Fn(u64) -> Option<&'t str>,
    ) -> (Vec<(u64, String)>, Inside) {
        let mut expected = Vec::new();
        let mut inside = if stretch.terms.leave { before.clone() } else { Inside::default() };
        if let Start::Last(_) = stretch.start {
            for offset in self.last_of_each_key(from) {
                let fact = self.fact(offset);
                if stretch.terms.passes(&fact.payload) {
                    expected.push((offset, fact.op.clone()));
                    inside.enter(&fact.key);
                }
            }
        }
        for offset in from + 1..=end {
            let fact = self.fact(offset);
            let is_unknown = inside.unknown.remove(&fact.key);
            if stretch.terms.passes(&fact.payload) {
                expected.push((offset, fact.op.clone()));
                if fact.op == "delete" {
                    inside.keys.remove(&fact.key);
                } else {
                    inside.enter(&fact.key);
                }
            } else if stretch.terms.leave {
                // Once the client was away, the server may say of a key that it is out, to be sure.
                let was_inside = inside.keys.remove(&fact.key);
                if was_inside || (is_unknown && told(offset) == Some("leave")) {
                    expected.push((offset, "leave".to_owned()));
                }
            }
        }
        (expected, if stretch.terms.leave { inside } else { Inside::default() })
    }

    fn fact(&self, offset: u64) -> &Fact {
        let index = usize::try_from(offset - 1).expect("it is an index of the log");
        &self.log[index]
    }

    fn last_of_each_key(&self, up_to: u64) -> Vec<u64> {
        let is_last = |offset: &u64| {
            let fact = self.fact(*offset);
            let mut later = (*offset + 1..=up_to).map(|later| self.fact(later));
            fact.op != "delete" && !later.any(|later| later.key == fact.key)
        };
        (1..=up_to).filter(is_last).collect()
    }

    /// Left out, but for a reason that was asked for, and followed by what makes good for it.
    fn may_be_left_out(&self, index: usize, offset: u64) -> bool {
        let stretch = &self.stretches[index];
        let is_in_gap =
            |said: &Said| matches!(said, Said::Gap { from, to } if (*from..=*to).contains(&offset));
        if stretch.said.iter().any(is_in_gap) {
            return true;
        }
        let rate = stretch.terms.rate;
        // A policy takes hold of what waits already, which is what was matched before the update.
        let rest = &self.stretches[index + 1..];
        let is_near = |place: usize| rest[..place].iter().all(|stretch| stretch.said.is_empty());
        let mut near = (0..rest.len()).filter(|place| is_near(*place)).map(|place| &rest[place]);
        let is_latest = |stretch: &Stretch| stretch.terms.slow == "latest_per_key";
        if !is_latest(stretch) && !near.any(is_latest) && rate.is_none() {
            return false;
        }
        // What was passed over for a newer one of its key is gone, even if from then on the key does not count.
        let is_whole = |stretch: &Stretch| stretch.terms.rate.is_some_and(|rate| !rate.per_key);
        let is_any = self.stretches[index..].iter().any(is_whole);
        let key = &self.fact(offset).key;
        if stretch.has_others && rate.is_some_and(|rate| !rate.per_key) {
            return true;
        }
        let mut later = self.stretches[index..].iter().flat_map(|stretch| &stretch.said);
        later.any(|said| match said {
            Said::Event { offset: newer, .. } if *newer > offset => {
                is_any || self.fact(*newer).key == *key
            }
            // The newer one may itself have been dropped, and that was announced.
            Said::Gap { to, .. } => *to > offset,
            Said::Event { .. } => false,
        })
    }
}

fn oldest_of(said: &Said) -> u64 {
    match said {
        Said::Event { offset, .. } => *offset,
        Said::Gap { from, .. } => *from,
    }
}

fn newest_of(said: &Said) -> u64 {
    match said {
        Said::Event { offset, .. } => *offset,
        Said::Gap { to, .. } => *to,
    }
}
