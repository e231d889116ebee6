//! HyperBEAM's HTTP side: casting, which is answered before it is done, and telling which topics there are.
//!
//! Invariants: a cast is answered `OK` whatever becomes of it, unless its publisher has published too many lately; and nothing more is read of its connection until that is known; the topics
//! of all shards are gathered before they are told, each once.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::super::Shard;
use super::super::input::Address;
use super::super::input::ConnId;
use super::super::input::ConnRef;
use super::super::input::Mesh;
use super::super::publish::draft_bytes;
use super::PublishResult;
use super::http::Http;
use super::http::State;
use crate::clock::Now;
use crate::dialect::DialectId;
use crate::dialect::RATE_LIMITED;
use crate::dialect::RefusalCode;
use crate::dialect::hyperbeam;
use crate::event::Draft;
use crate::event::Op;
use crate::event::ShardId;
use crate::event::TopicPattern;
use crate::limits::HYPERBEAM_INFO_TOPICS_MAX;
use crate::limits::RETRY_AFTER_S;
use crate::wire::http::Head;
use crate::wire::http::Name;
use crate::wire::http::Reply;

/// Topics that are being gathered from the other shards.
#[derive(Debug)]
pub(in super::super) struct Gathering {
    host: String,
    awaited: u16,
    topics: BTreeSet<String>,
}

/// What a cast that waits has still to be told.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Owed {
    Nothing,
    Answer,
}

fn is_within_rate(results: &[PublishResult]) -> bool {
    !results.contains(&Err(RefusalCode::RateLimited))
}

impl Shard {
    /// Answers `OK`, and publishes the message if it is one and may be. Its connection waits until it has its place.
    pub(super) fn cast(&mut self, id: ConnId, http: &mut Http, body: &[u8], now: Now) {
        let draft = self.draft_of_cast(body).filter(|draft| self.may_publish(id, &draft.topic));
        let Some(draft) = draft else { return self.say_cast(id, http, true, now) };
        let drafts_bytes = draft_bytes(&draft);
        self.heard_bytes += drafts_bytes;
        match self.publish(id, vec![draft], now) {
            Some(results) => self.say_cast(id, http, is_within_rate(&results), now),
            // Whether it may be published at all is not known yet.
            None if self.allowances.is_parked(id) => {
                http.set_state(State::Casting { owed: Owed::Answer, drafts_bytes });
            }
            None => {
                self.say_cast(id, http, true, now);
                if http.answering().stays() {
                    http.set_state(State::Casting { owed: Owed::Nothing, drafts_bytes });
                }
            }
        }
    }

    /// What was cast has its place, or was refused.
    pub(super) fn answer_cast(
        &mut self,
        id: ConnId,
        http: &mut Http,
        owed: Owed,
        results: &[PublishResult],
        now: Now,
    ) {
        match owed {
            Owed::Nothing => http.set_state(State::Head),
            Owed::Answer => self.say_cast(id, http, is_within_rate(results), now),
        }
    }

    fn say_cast(&mut self, id: ConnId, http: &mut Http, is_within_rate: bool, now: Now) {
        self.reply(id, http, now, |out, answering| {
            if is_within_rate {
                Reply::begin(out, 200, answering).body("text/plain; charset=utf-8", b"OK");
            } else {
                Reply::begin(out, 429, answering)
                    .header("retry-after", &RETRY_AFTER_S.to_string())
                    .error(RefusalCode::RateLimited.name(), RATE_LIMITED);
            }
        });
    }

    fn draft_of_cast(&mut self, body: &[u8]) -> Option<Draft> {
        let options = self.settings.hyperbeam.options;
        let text = std::str::from_utf8(body).ok()?;
        let hyperbeam::Cast { topic, key } = hyperbeam::cast(text, options)?;
        let fields = self.ingest.take(body).ok()?;
        Some(Draft {
            topic: self.settings.views.hyperbeam.topic_of(&topic)?,
            key: Arc::from(key),
            op: Op::Event,
            payload: Bytes::copy_from_slice(body),
            fields,
        })
    }

    /// Asks every shard for its topics.
    pub(super) fn gather_topics(&mut self, id: ConnId, http: &mut Http, head: &Head) {
        let Some(conn) = self.conns.conn_ref(id) else { return };
        let host = head.value(Name::Host).filter(|host| !host.is_empty()).unwrap_or("localhost");
        let mut gathering = Gathering {
            host: host.to_owned(),
            awaited: self.shard_count - 1,
            topics: BTreeSet::new(),
        };
        gathering.topics.extend(self.topics_here());
        for shard in (0..self.shard_count).map(ShardId).filter(|shard| *shard != self.id) {
            let asker = Address { shard: self.id, conn };
            self.outgoing.to(shard).push(Mesh::AskTopics(asker));
        }
        http.set_state(State::Topics(Box::new(gathering)));
    }

    /// Tells another shard which topics its HyperBEAM clients can know of from here.
    pub(in super::super) fn tell_topics(&mut self, asker: Address) {
        let topics = self.topics_here();
        self.outgoing.to(asker.shard).push(Mesh::Topics { conn: asker.conn, topics });
    }

    /// Whether a client may be told that a topic has this name: one that its token covers. What others filter by is for whoever may hear all
    /// that this dialect sees.
    pub(super) fn may_know_of(&self, id: ConnId, name: &str) -> bool {
        let Some(who) = self.conns.find(id).and_then(|conn| conn.who.as_deref()) else {
            return false;
        };
        let view = &self.settings.views.hyperbeam;
        if hyperbeam::is_filtered(name, self.settings.hyperbeam.options) {
            return view.topics.iter().all(|topics| who.hears_of_all(topics));
        }
        view.topic_of(name).is_some_and(|topic| who.hears_of(&topic))
    }

    //= model#9
    //# `info.topics` = topics with subscribers by default, plus seen topics with a switch
    fn topics_here(&self) -> Vec<String> {
        let view = &self.settings.views.hyperbeam;
        let mut topics = BTreeSet::new();
        for class in self.classes.iter() {
            if class.key.voice.dialect != DialectId::HyperBeam {
                continue;
            }
            for sub in &class.key.subs {
                if sub.id.bytes().all(|byte| byte.is_ascii_digit()) {
                    let exact = sub.topics.iter().filter_map(|topic| match topic {
                        TopicPattern::Exact(name) => Some(view.name_of(name).into_owned()),
                        TopicPattern::Wild(_) => None,
                    });
                    topics.extend(exact);
                } else {
                    topics.insert(sub.id.to_string());
                }
            }
        }
        if self.settings.hyperbeam.info_seen {
            let seen = self.home.topics().filter(|topic| view.sees(topic));
            topics.extend(seen.map(|topic| view.name_of(topic).into_owned()));
        }
        topics.into_iter().take(HYPERBEAM_INFO_TOPICS_MAX).collect()
    }

    /// Another shard has told its topics.
    pub(in super::super) fn topics_told(&mut self, conn: ConnRef, topics: Vec<String>, now: Now) {
        if self.conns.find_ref(conn).is_some() {
            self.http_topics(conn.id, |gathering| gathering.take(topics), now);
        }
    }
}

impl Gathering {
    fn take(&mut self, topics: Vec<String>) {
        self.topics.extend(topics);
        self.awaited -= 1;
    }

    pub(super) fn is_complete(&self) -> bool {
        self.awaited == 0
    }

    /// As the answer has them.
    /// What is told of those that may be.
    pub(super) fn body(self, may_know_of: impl Fn(&str) -> bool) -> Vec<u8> {
        let topics = self.topics.into_iter().filter(|name| may_know_of(name));
        let topics: Vec<String> = topics.collect();
        hyperbeam::info(&self.host, &topics)
    }
}
