//! How one dialect sees the server's events: which topics, under which names.
//!
//! Invariants: a name stands for one topic and a topic has one name, so that what is published under a name by one dialect is heard under
//! the same name by its subscribers. Any text is a name; only one that is too long for a topic, as its topic writes it, stands for none.
//! Configuration makes views, nothing changes them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::dialect::DialectId;
use crate::dialect::PROTOCOLS;
use crate::dialect::Protocol;
use crate::event::Naming;
use crate::event::TopicError;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableId;

/// One dialect's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What `all` means, and beyond which nothing is seen.
    pub topics: Vec<TopicPattern>,
    /// How the dialect calls them. Shared with the filters that look at names.
    pub naming: Arc<Naming>,
    /// Whether deletes are seen, in dialects that have no word for them.
    pub deletes: bool,
    /// What clients of the dialect have to know. `None`: nothing.
    pub secret: Option<Arc<Secret>>,
    /// What clients' messages are published under; empty: they are not.
    pub published_under: Arc<str>,
}

/// A secret that all clients of a dialect share.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// What a person types.
    pub password: Box<str>,
    /// What a client shows that has said the password. Nobody who knows the password can tell it.
    pub token: Box<str>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Default for View {
    fn default() -> Self {
        let everything = TopicPattern::new("**").expect("it is a pattern");
        Self {
            topics: vec![everything],
            naming: Arc::default(),
            deletes: false,
            secret: None,
            published_under: Arc::default(),
        }
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

    /// What clients call a table: as it is called where it is declared, unless its topic was given another name for them.
    #[must_use]
    pub fn table_name<'t>(&'t self, table: &'t Table) -> Cow<'t, str> {
        let named = self.name_of(&table.topic);
        if *named == *table.topic.as_str() { Cow::Borrowed(&table.name) } else { named }
    }

    /// The table that clients call so, if it is there and seen.
    #[must_use]
    pub fn find_table<'s>(&self, tables: &'s Schema, wanted: &str) -> Option<(TableId, &'s Table)> {
        let is_it = |table: &Table| self.sees(&table.topic) && self.table_name(table) == wanted;
        // Nearly all are called as they are declared, and there may be a thousand of them.
        let declared = tables.find(wanted).map(|id| (id, tables.table(id)));
        let declared = declared.filter(|(_, table)| is_it(table));
        declared.or_else(|| tables.tables().find(|(_, table)| is_it(table)))
    }

    /// Whether events of this topic are seen.
    #[must_use]
    pub fn sees(&self, topic: &TopicName) -> bool {
        self.topics.iter().any(|pattern| pattern.matches(topic))
    }
}

/// All protocols that are spoken: how each sees the events, and what is set of it.
#[derive(Clone, Debug)]
pub struct Views {
    all: Vec<Own>,
}

/// One protocol's.
#[derive(Clone, Debug)]
struct Own {
    protocol: &'static Protocol,
    view: View,
    /// In the order in which they are declared.
    settings: Vec<u64>,
}

/// All protocols that there are, with nothing set.
impl Default for Views {
    fn default() -> Self {
        Self::new(PROTOCOLS)
    }
}

/// Protocols that are spoken, how each sees the events, and what is set of it, in the order in which it is declared.
impl FromIterator<(&'static Protocol, View, Vec<u64>)> for Views {
    fn from_iter<I: IntoIterator<Item = (&'static Protocol, View, Vec<u64>)>>(all: I) -> Self {
        let own = |(protocol, view, settings)| Own { protocol, view, settings };
        Self { all: all.into_iter().map(own).collect() }
    }
}

impl Views {
    /// The views of these protocols, with nothing set.
    #[must_use]
    pub fn new(protocols: &[&'static Protocol]) -> Self {
        let default = |protocol: &&'static Protocol| {
            let settings = protocol.settings.iter().map(|setting| setting.default).collect();
            let published_under = protocol.guest.and_then(|guest| guest.published_under);
            let published_under = published_under.unwrap_or_default().into();
            (*protocol, View { published_under, ..View::default() }, settings)
        };
        protocols.iter().map(default).collect()
    }

    /// The protocols.
    pub fn protocols(&self) -> impl Iterator<Item = &'static Protocol> {
        self.all.iter().map(|own| own.protocol)
    }

    /// The view of one dialect.
    #[must_use]
    pub fn of(&self, dialect: DialectId) -> &View {
        self.of_protocol(dialect.speaker().protocol)
    }

    /// The view of one protocol.
    ///
    /// # Panics
    /// If it is not spoken here.
    #[must_use]
    pub fn of_protocol(&self, protocol: &Protocol) -> &View {
        &self.own(protocol).view
    }

    /// Whether a protocol is spoken here.
    #[must_use]
    pub fn speak(&self, protocol: &Protocol) -> bool {
        self.protocols().any(|spoken| std::ptr::eq(spoken, protocol))
    }

    fn own(&self, protocol: &Protocol) -> &Own {
        let own = self.all.iter().find(|own| std::ptr::eq(own.protocol, protocol));
        own.expect("who speaks came in by a door of a protocol that is spoken")
    }

    /// The view of the protocol that the configuration calls so, to be changed.
    pub fn view_mut(&mut self, key: &str) -> Option<&mut View> {
        self.all.iter_mut().find(|own| own.protocol.key == key).map(|own| &mut own.view)
    }

    /// Sets something of a protocol; false: there is no such protocol or setting.
    pub fn set(&mut self, key: &str, name: &str, value: u64) -> bool {
        let Some(own) = self.all.iter_mut().find(|own| own.protocol.key == key) else {
            return false;
        };
        let index = own.protocol.settings.iter().position(|setting| setting.name == name);
        index.is_some_and(|index| {
            own.settings[index] = value;
            true
        })
    }

    /// What is set of a protocol.
    ///
    /// # Panics
    /// If it does not declare such a setting.
    #[must_use]
    pub fn setting(&self, protocol: &Protocol, name: &str) -> u64 {
        let own = self.own(protocol);
        let index = own.protocol.settings.iter().position(|setting| setting.name == name);
        own.settings[index.expect("a protocol asks for what it declares")]
    }

    /// Whether something is switched on.
    #[must_use]
    pub fn is_on(&self, protocol: &Protocol, name: &str) -> bool {
        self.setting(protocol, name) != 0
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
            ..View::default()
        };
        assert_eq!(view.topic_of("tracks").unwrap().as_str(), "peat/tracks");
        assert_eq!(view.topic_of("aircraft").unwrap().as_str(), "adsb/ch");
        assert_eq!(view.name_of(&TopicName::new("peat/tracks").unwrap()), "tracks");
        assert_eq!(view.name_of(&TopicName::new("adsb/ch").unwrap()), "aircraft");
    }
}
