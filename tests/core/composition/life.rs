//! One subscription's life, as its client saw it: the terms it had, when, and what it was told under them.
//!
//! Knows of the server only what was told.

use std::collections::BTreeMap;

use serde_json::Value;

use super::oracle::Fact;
use super::oracle::Said;
use super::oracle::Start;
use super::oracle::Stretch;
use super::terms::Terms;

/// One subscription through all of its connections.
pub(crate) struct Life {
    pub(crate) id: &'static str,
    pub(crate) pattern: &'static str,
    pub(crate) since: Option<Value>,
    pub(crate) terms: Terms,
    /// The stretches of the life so far: terms, and how each began on its connection.
    pub(crate) stretches: Vec<Stage>,
    /// The newest offset of each topic that was told or that `live` named: what the client would resume from.
    pub(crate) position: BTreeMap<String, u64>,
    pub(crate) live_us: Option<u64>,
    pub(crate) is_live: bool,
    pub(crate) skipped: u64,
    /// Terms of updates that were said and not answered, in order.
    pub(crate) pending: Vec<Terms>,
}

/// A stretch over all topics.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) terms: Terms,
    pub(crate) kind: Kind,
    /// What was told, by topic, with the time it was read.
    pub(crate) said: BTreeMap<String, Vec<Said>>,
    /// When each event was read, and of which topic, key and kind it was.
    pub(crate) read: Vec<(u64, String, u64, bool)>,
    /// Updates before these are not paced: the place in `read` where `live` came.
    pub(crate) live_at: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// What `live` named, and what had been published by the time it was read.
    Begun {
        live: Option<(BTreeMap<String, u64>, BTreeMap<String, u64>)>,
    },
    Updated,
    Resumed {
        position: BTreeMap<String, u64>,
        time_us: u64,
    },
}

impl Stage {
    pub(crate) fn new(terms: &Terms, kind: Kind) -> Self {
        Self { terms: terms.clone(), kind, said: BTreeMap::new(), read: Vec::new(), live_at: 0 }
    }
}

impl Life {
    pub(crate) fn wants(&self, topic: &str) -> bool {
        match self.pattern {
            "**" => true,
            "fleet/*" => topic.starts_with("fleet/"),
            exact => exact == topic,
        }
    }

    /// Whether keys may be inside by another filter than that of the terms now.
    pub(crate) fn had_another_filter(&self) -> bool {
        let leaving = self.stretches.iter().filter(|stage| stage.terms.leave);
        leaving.map(|stage| &stage.terms.filter).any(|filter| *filter != self.terms.filter)
    }

    pub(crate) fn stage(&mut self) -> &mut Stage {
        self.stretches.last_mut().expect("a life has begun")
    }

    pub(crate) fn took(&mut self, topic: &str, said: Said) {
        let newest = match said {
            Said::Event { offset, .. } => offset,
            Said::Gap { to, .. } => to,
        };
        self.position.insert(topic.to_owned(), newest);
        self.stage().said.entry(topic.to_owned()).or_default().push(said);
    }

    /// How the stretches look to one topic. So many updates may come before the last event of each key is told.
    pub(crate) fn of_topic(&self, topic: &str, mut early_updates: usize) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for stage in &self.stretches {
            let start = match &stage.kind {
                Kind::Begun { live } => {
                    let (live, said) = live.as_ref().expect("it has been live");
                    let live = live.get(topic).copied();
                    let by = said.get(topic).copied().unwrap_or(0);
                    match self.since.as_ref().map(|since| since.as_str()) {
                        None => live.map_or(Start::By(by), Start::After),
                        Some(Some("earliest")) => Start::After(0),
                        Some(Some(_)) => Start::Last(live),
                        Some(None) => Start::After(u64::MAX),
                    }
                }
                Kind::Updated => match stretches.last() {
                    Some(Stretch { start: start @ Start::Last(_), said, .. })
                        if early_updates > 0 && said.is_empty() =>
                    {
                        early_updates -= 1;
                        let start = *start;
                        stretches.pop();
                        start
                    }
                    _ => Start::Updated,
                },
                Kind::Resumed { position, time_us } => match position.get(topic) {
                    Some(offset) => Start::Resumed(*offset),
                    None => {
                        // Nothing was told of it: it begins anew, after the moment that stands for it.
                        stretches.clear();
                        Start::Resumed(*time_us)
                    }
                },
            };
            let said = stage.said.get(topic).cloned().unwrap_or_default();
            let rest = self.stretches.iter().skip_while(|other| !std::ptr::eq(*other, stage));
            let has_others = rest.flat_map(|stage| stage.said.keys()).any(|other| other != topic);
            stretches.push(Stretch { terms: stage.terms.clone(), start, said, has_others });
        }
        stretches
    }
}

/// Beginnings that are named by a time become offsets.
pub(crate) fn resolve_times(life: &Life, log: &[Fact], stretches: &mut [Stretch]) {
    let after = |time_us: u64| log.iter().take_while(|fact| fact.time_us <= time_us).count() as u64;
    let first = &mut stretches[0];
    match (first.start, &life.since) {
        (Start::After(u64::MAX), Some(since)) => {
            first.start = Start::After(after(since["time_us"].as_u64().unwrap() - 1));
        }
        (Start::Resumed(time_us), _) => first.start = Start::Resumed(after(time_us)),
        _ => {}
    }
}

/// In any run of windows there is at most one update more than there are windows.
pub(crate) fn check_rate(stage: &Stage, traits: &impl std::fmt::Debug) {
    let Some(rate) = stage.terms.rate else { return };
    if stage.terms.batch.is_some() {
        // A batch brings together what fell due one after the other.
        return;
    }
    let mut read: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (ms, key, _, is_leave) in &stage.read[stage.live_at..] {
        if rate.per_key || !is_leave {
            read.entry(if rate.per_key { key } else { "" }).or_default().push(*ms);
        }
    }
    for (key, times) in read {
        for three in times.windows(3) {
            assert!(
                three[2] - three[0] >= rate.every_ms,
                "three updates of {key:?} at {three:?}, though {rate:?}, with {traits:?}"
            );
        }
    }
}
