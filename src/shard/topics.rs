//! Which topics there are, for whoever asks: gathered from all shards, each once.
//!
//! Invariant: a client is told the names that its token covers, and no others.

use std::collections::BTreeSet;

use super::Shard;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::tickets::Question;
use super::tickets::TopicsAwaited;
use crate::clock::Now;
use crate::dialect::Listing;

impl Shard {
    /// Asks every shard for its topics. `Some`: they are all there; else they come to `topics_listed`.
    pub(super) fn list_topics(&mut self, id: ConnId, listing: Listing) -> Option<Vec<String>> {
        let conn = self.conns.conn_ref(id)?;
        let topics = self.topics_here(&listing);
        let awaited = self.shards.count() - 1;
        let gathering = TopicsAwaited { listing, awaited, topics };
        if awaited == 0 {
            return Some(self.known_of(id, gathering));
        }
        for shard in self.shards.others() {
            let asker = Address { shard: self.shards.here(), conn };
            self.outgoing.to(shard).push(Mesh::AskTopics(asker, listing));
        }
        self.intake.tickets.open(id, Question::Topics(gathering));
        None
    }

    /// Tells another shard which topics its clients can know of from here.
    pub(super) fn tell_topics(&mut self, asker: Address, listing: &Listing) {
        let topics = self.topics_here(listing).into_iter().collect();
        self.outgoing.to(asker.shard).push(Mesh::Topics { conn: asker.conn, topics });
    }

    /// Another shard has told its topics.
    pub(super) fn topics_told(&mut self, conn: ConnRef, topics: Vec<String>, now: Now) {
        if self.conns.find_ref(conn).is_none() {
            return;
        }
        let Some(Question::Topics(gathering)) = self.intake.tickets.find_mut(conn.id) else {
            return;
        };
        gathering.topics.extend(topics);
        gathering.awaited -= 1;
        if gathering.awaited == 0
            && let Some(Question::Topics(gathering)) = self.intake.tickets.close(conn.id)
        {
            let topics = self.known_of(conn.id, gathering);
            self.topics_listed(conn.id, &topics, now);
        }
    }

    fn topics_here(&self, listing: &Listing) -> BTreeSet<String> {
        let view = self.settings.views.of(listing.dialect);
        let mut topics = BTreeSet::new();
        for (class, subs) in self.classes.iter_named() {
            if class.key.voice.dialect == listing.dialect {
                topics.extend(subs.iter().flat_map(|sub| (listing.names_of)(sub, view)));
            }
        }
        if listing.with_seen {
            let durable = self.durable.iter().flat_map(|durable| durable.home.every_topic());
            let seen = self.home.topics().chain(durable).filter(|topic| view.sees(topic));
            topics.extend(seen.map(|topic| view.name_of(topic).into_owned()));
        }
        topics.into_iter().take(listing.names_max).collect()
    }

    /// The topics of which a client may know: that its token covers. What others filter by is for whoever may hear all that the dialect sees.
    fn known_of(&self, id: ConnId, gathering: TopicsAwaited) -> Vec<String> {
        let Some(who) = self.conns.find(id).and_then(|conn| conn.who.as_deref()) else {
            return Vec::new();
        };
        let view = self.settings.views.of(gathering.listing.dialect);
        let setup = self.settings.setup();
        let may_know = |name: &String| {
            if (gathering.listing.is_filter)(name, &setup) {
                return view.topics.iter().all(|topics| who.hears_of_all(topics));
            }
            view.topic_of(name).is_some_and(|topic| who.hears_of(&topic))
        };
        gathering.topics.into_iter().filter(may_know).collect()
    }
}
