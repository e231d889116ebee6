//! How one dialect sees the server's events: which topics, under which names.
//!
//! Invariants: a name stands for one topic and a topic has one name, so that what is published under a name by one dialect is heard under
//! the same name by its subscribers. Any text is a name; only one that is too long for a topic, as its topic writes it, stands for none.
//! Configuration makes views, nothing changes them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::dialect::DialectId;
use crate::event::Naming;
use crate::event::TopicError;
use crate::event::TopicName;
use crate::event::TopicPattern;

/// One dialect's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What `all` means, and beyond which nothing is seen.
    pub topics: Vec<TopicPattern>,
    /// How it calls them. Shared with the filters that look at names.
    pub naming: Arc<Naming>,
    /// Whether deletes are seen, in dialects that have no word for them.
    pub deletes: bool,
}

impl Default for View {
    fn default() -> Self {
        let everything = TopicPattern::new("**").expect("it is a pattern");
        Self { topics: vec![everything], naming: Arc::default(), deletes: false }
    }
}

impl View {
    /// The topic that a name stands for; `None`: no event can have it, or none that is seen.
    #[must_use]
    pub fn topic_of(&self, name: &str) -> Option<TopicName> {
        self.topic_for(name).ok().filter(|topic| self.sees(topic))
    }

    /// The topic that a name stands for, be it seen or not.
    ///
    /// # Errors
    /// If it is too long to be one.
    pub fn topic_for(&self, name: &str) -> Result<TopicName, TopicError> {
        self.naming.topic_for(name)
    }

    /// The name of a topic.
    #[must_use]
    pub fn name_of<'t>(&'t self, topic: &'t TopicName) -> Cow<'t, str> {
        self.naming.name_of(topic)
    }

    /// Whether events of this topic are seen.
    #[must_use]
    pub fn sees(&self, topic: &TopicName) -> bool {
        self.topics.iter().any(|pattern| pattern.matches(topic))
    }
}

/// The views of all dialects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    pub native: View,
    pub peat: View,
    pub hyperbeam: View,
    pub provisioning: View,
}

impl Views {
    /// The view of one dialect.
    #[must_use]
    pub fn of(&self, dialect: DialectId) -> &View {
        match dialect {
            DialectId::Native | DialectId::NativeSse => &self.native,
            DialectId::Peat | DialectId::PeatProto => &self.peat,
            DialectId::HyperBeam => &self.hyperbeam,
            DialectId::Provisioning => &self.provisioning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_and_names_are_undone() {
        let view = View {
            topics: vec![
                TopicPattern::new("peat/**").unwrap(),
                TopicPattern::new("adsb/ch").unwrap(),
            ],
            naming: Arc::new(Naming {
                prefix: "peat/".into(),
                names: vec![("aircraft".into(), TopicName::new("adsb/ch").unwrap())],
            }),
            deletes: true,
        };
        assert_eq!(view.topic_of("tracks").unwrap().as_str(), "peat/tracks");
        assert_eq!(view.topic_of("aircraft").unwrap().as_str(), "adsb/ch");
        assert_eq!(view.name_of(&TopicName::new("peat/tracks").unwrap()), "tracks");
        assert_eq!(view.name_of(&TopicName::new("adsb/ch").unwrap()), "aircraft");
    }
}
