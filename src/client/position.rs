//! How far a subscriber has come, so that it can go on from there.
//!
//! Invariants: it covers what was printed, never more. Within one epoch offsets only grow. A replay that was cut short is gone on with
//! where the protocol allows it, and else begun again, with what was printed already held back. Pure: no file, no connection.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::client::limits::POSITION_TOPICS_MAX;
use crate::event::moment;

/// What `since` of a `subscribe` may be; it is written as the protocol writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Since {
    /// With what happens from now on.
    #[default]
    Live,
    /// With everything that history holds, or with the last event of each key.
    Word(Word),
    /// Behind a position that was reached before.
    Position(Position),
    /// With what was ordered at that moment or later.
    Time {
        /// In microseconds since 1970.
        time_us: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Everything that history holds.
    Earliest,
    /// The last event of each key, of those not deleted.
    Last,
}

/// A place in any number of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The numbering that the offsets are of.
    pub epoch: String,
    /// For each topic the last offset that was seen.
    #[serde(default)]
    pub offsets: BTreeMap<String, u64>,
    /// The moment that stands for all other topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_us: Option<u64>,
    /// What was seen was told under another filter, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filter_changed: bool,
}

/// A text is none of the forms of `since`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinceError;

impl fmt::Display for SinceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "write `earliest`, `last`, a time such as 2018-08-01T05:00:00Z, whole microseconds since 1970, or a position \
             {{\"epoch\":…,\"offsets\":{{…}},\"time_us\":…}}"
        )
    }
}

impl std::error::Error for SinceError {}

impl Since {
    /// Everything that history holds, then live.
    pub const EARLIEST: Self = Self::Word(Word::Earliest);
    /// The last event of each key, then live.
    pub const LAST: Self = Self::Word(Word::Last);

    /// Whether events are told from there on in their order, so that they can be told at a pace.
    pub(crate) const fn is_place_in_time(&self) -> bool {
        match self {
            Self::Word(Word::Earliest) | Self::Position(_) | Self::Time { .. } => true,
            Self::Live | Self::Word(Word::Last) => false,
        }
    }

    /// Reads what a person wrote.
    ///
    /// # Errors
    /// If it is none of the forms.
    pub fn parse(text: &str) -> Result<Self, SinceError> {
        match text {
            "earliest" => return Ok(Self::Word(Word::Earliest)),
            "last" => return Ok(Self::Word(Word::Last)),
            _ => {}
        }
        if let Some(time_us) = moment::since_us(text) {
            return Ok(Self::Time { time_us });
        }
        match serde_json::from_str(text) {
            Ok(since @ (Self::Position(_) | Self::Time { .. })) => Ok(since),
            _ => Err(SinceError),
        }
    }
}

/// What was printed, as a subscription is resumed by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Where the replay begins that is under way or was completed last.
    since: Since,
    /// What was printed of a replay that cannot be resumed by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Position>,
}

impl Progress {
    /// Nothing was printed yet.
    pub(crate) fn new(since: Since) -> Self {
        Self { since, seen: None }
    }

    /// Where the subscription would begin now.
    pub(crate) const fn since(&self) -> &Since {
        &self.since
    }

    /// A server of this epoch is there: answers what to ask it for.
    pub(crate) fn begin(&mut self, epoch: &str) -> Since {
        let seen = self.seen.take().filter(|seen| seen.epoch == epoch);
        let fresh = || Position { epoch: epoch.to_owned(), ..Position::default() };
        match &self.since {
            // Its own numbering: what is printed moves the position itself.
            Since::Position(position) if position.epoch == epoch => {}
            // Everything, and everything after a moment, are positions too once something of it was seen.
            Since::Word(Word::Earliest) | Since::Time { .. } if seen.is_some() => {
                let time_us = match self.since {
                    Since::Time { time_us } => time_us.saturating_sub(1),
                    _ => 0,
                };
                self.since = Since::Position(Position {
                    time_us: Some(time_us),
                    ..seen.unwrap_or_default()
                });
            }
            // The replay is asked for again as it was, and what was printed of it is held back.
            Since::Live | Since::Word(_) | Since::Time { .. } | Since::Position(_) => {
                self.seen = Some(seen.unwrap_or_else(fresh));
            }
        }
        self.since.clone()
    }

    /// Whether what ends at this offset has been printed already, when a replay had to begin again.
    pub(crate) fn has_seen(&self, topic: &str, offset: u64) -> bool {
        self.seen
            .as_ref()
            .and_then(|seen| seen.offsets.get(topic))
            .is_some_and(|seen| *seen >= offset)
    }

    /// An event, or a gap that ends there, was printed. False: there is no room to remember another topic.
    pub(crate) fn printed(&mut self, topic: &str, offset: u64) -> bool {
        let position = match (&mut self.seen, &mut self.since) {
            (Some(seen), _) => seen,
            (None, Since::Position(position)) => position,
            // Nothing can be printed before `begin`.
            (None, _) => return true,
        };
        // Of topics that the server has forgotten the pattern is told, which is no place to come back to.
        topic.contains('*') || advance(&mut position.offsets, topic, offset)
    }

    /// From here on another filter holds: keys that the former one let pass may be inside all the same.
    pub(crate) fn filter_changed(&mut self) {
        let since = match &mut self.since {
            Since::Position(position) => Some(position),
            Since::Live | Since::Word(_) | Since::Time { .. } => None,
        };
        since.into_iter().chain(&mut self.seen).for_each(|place| place.filter_changed = true);
    }

    /// Where it stands; nowhere while a replay is under way that has no position.
    pub(crate) const fn position(&self) -> Option<&Position> {
        match (&self.since, &self.seen) {
            (Since::Position(position), None) => Some(position),
            _ => None,
        }
    }

    /// The replay is complete. From here on the position is exact.
    pub(crate) fn live(&mut self, live: Position) {
        let mut position = match (self.seen.take(), std::mem::take(&mut self.since)) {
            (Some(seen), _) => seen,
            (None, Since::Position(position)) => position,
            (None, _) => Position::default(),
        };
        if position.epoch != live.epoch {
            position = Position { epoch: live.epoch, ..Position::default() };
        }
        for (topic, offset) in live.offsets {
            advance(&mut position.offsets, &topic, offset);
        }
        // All of the replay was printed, so this moment is as good as the first one, and nearer.
        position.time_us = live.time_us.or(position.time_us);
        self.since = Since::Position(position);
    }
}

fn advance(offsets: &mut BTreeMap<String, u64>, topic: &str, offset: u64) -> bool {
    if let Some(known) = offsets.get_mut(topic) {
        *known = offset.max(*known);
        return true;
    }
    if offsets.len() >= POSITION_TOPICS_MAX {
        return false;
    }
    offsets.insert(topic.to_owned(), offset);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(epoch: &str, offsets: &[(&str, u64)], time_us: Option<u64>) -> Position {
        let offsets =
            offsets.iter().map(|(topic, offset)| ((*topic).to_owned(), *offset)).collect();
        Position { epoch: epoch.to_owned(), offsets, time_us, filter_changed: false }
    }

    #[test]
    fn every_form_of_since_is_read_and_written_as_the_protocol_does() {
        for (text, json) in [
            ("earliest", r#""earliest""#),
            ("last", r#""last""#),
            ("2018-08-01T05:00:00Z", r#"{"time_us":1533099600000000}"#),
            ("1969-01-01T00:00:00Z", r#"{"time_us":0}"#),
            ("1533099600000001", r#"{"time_us":1533099600000001}"#),
            (r#"{"time_us":7}"#, r#"{"time_us":7}"#),
            (
                r#"{"epoch":"e","offsets":{"t":4},"time_us":9}"#,
                r#"{"epoch":"e","offsets":{"t":4},"time_us":9}"#,
            ),
            (r#"{"epoch":"e"}"#, r#"{"epoch":"e","offsets":{}}"#),
        ] {
            assert_eq!(
                serde_json::to_string(&Since::parse(text).unwrap()).unwrap(),
                json,
                "{text}"
            );
        }
        for text in ["", "newest", "null", "-1", r#"{"epoch":"e","offset":{}}"#] {
            assert_eq!(Since::parse(text), Err(SinceError), "{text}");
        }
    }

    #[test]
    fn live_only_becomes_a_position() {
        let mut progress = Progress::new(Since::Live);
        assert_eq!(progress.begin("a"), Since::Live);
        progress.live(position("a", &[("t", 3)], Some(50)));
        assert!(progress.printed("t", 4) && progress.printed("u", 1));
        assert_eq!(
            progress.begin("a"),
            Since::Position(position("a", &[("t", 4), ("u", 1)], Some(50)))
        );
        assert!(!progress.has_seen("t", 4));
    }

    #[test]
    fn a_replay_of_everything_is_gone_on_with() {
        for (since, time_us) in
            [(Since::Word(Word::Earliest), 0), (Since::Time { time_us: 80 }, 79)]
        {
            let mut progress = Progress::new(since.clone());
            assert_eq!(progress.begin("a"), since);
            progress.printed("t", 7);
            assert_eq!(
                progress.begin("a"),
                Since::Position(position("a", &[("t", 7)], Some(time_us)))
            );
            progress.printed("t", 8);
            progress.live(position("a", &[("t", 8), ("v", 0)], Some(90)));
            assert_eq!(
                progress.begin("a"),
                Since::Position(position("a", &[("t", 8), ("v", 0)], Some(90)))
            );
        }
    }

    #[test]
    fn a_replay_of_last_values_begins_again_without_what_was_printed() {
        let mut progress = Progress::new(Since::Word(Word::Last));
        assert_eq!(progress.begin("a"), Since::Word(Word::Last));
        progress.printed("t", 7);
        assert_eq!(progress.begin("a"), Since::Word(Word::Last));
        assert!(
            progress.has_seen("t", 7) && progress.has_seen("t", 2) && !progress.has_seen("t", 8)
        );
        assert!(!progress.has_seen("u", 1));
        // A new numbering: what was seen means nothing.
        assert_eq!(progress.begin("b"), Since::Word(Word::Last));
        assert!(!progress.has_seen("t", 7));
    }

    #[test]
    fn a_position_of_another_epoch_is_asked_for_until_the_replay_is_complete() {
        let old = position("a", &[("t", 100)], Some(50));
        let mut progress = Progress::new(Since::Position(old.clone()));
        assert_eq!(progress.begin("b"), Since::Position(old.clone()));
        progress.printed("t", 2);
        assert_eq!(progress.begin("b"), Since::Position(old));
        assert!(progress.has_seen("t", 2) && !progress.has_seen("t", 3));
        progress.live(position("b", &[("t", 5)], Some(70)));
        assert_eq!(progress.begin("b"), Since::Position(position("b", &[("t", 5)], Some(70))));
        assert!(!progress.has_seen("t", 3));
    }

    #[test]
    fn progress_survives_a_file() {
        let mut progress = Progress::new(Since::Word(Word::Last));
        progress.begin("a");
        progress.printed("t", 7);
        for _ in 0..2 {
            let json = serde_json::to_string(&progress).unwrap();
            assert_eq!(serde_json::from_str::<Progress>(&json).unwrap(), progress, "{json}");
            progress.live(position("a", &[], Some(9)));
        }
        let live = Progress::new(Since::Live);
        assert_eq!(
            serde_json::from_str::<Progress>(&serde_json::to_string(&live).unwrap()).unwrap(),
            live
        );
    }

    #[test]
    fn a_full_position_says_so() {
        let mut progress = Progress::new(Since::Live);
        progress.begin("a");
        assert!((0..POSITION_TOPICS_MAX).all(|n| progress.printed(&n.to_string(), 1)));
        assert!(!progress.printed("one more", 1));
        assert!(progress.printed("0", 2));
    }
}
