//! Calls: a dialect hears the whole body, asks what it has to ask, and answers.
//!
//! Invariants: a call is answered once; while what it asked is not answered, nothing more is read of its connection.

use super::super::Shard;
use super::super::input::ConnId;
use super::super::publish::PublishResult;
use super::super::tickets::draft_bytes;
use super::super::transport::Transport;
use super::super::transport::Voice;
use super::Session;
use super::awaiting::AnswerAwaited;
use super::http::Http;
use super::http::State;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Calling;
use crate::dialect::Context;
use crate::dialect::DialectId;
use crate::dialect::Next;
use crate::dialect::NotTaken;
use crate::dialect::Published;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Response;
use crate::dialect::Tells;
use crate::dialect::ThenPublished;
use crate::event::Draft;
use crate::event::TopicName;
use crate::wire::http::Reply;
use crate::wire::http::Version;
use crate::wire::sse;

impl Shard {
    /// Carries out a call whose body has come whole. `None` if the connection is no longer HTTP.
    pub(super) fn call(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        calling: Calling,
        body: &[u8],
        now: Now,
    ) -> Option<Box<Http>> {
        let Calling { dialect, respond } = calling;
        let next = respond.respond(body, &self.context_of_call(id, dialect, now));
        let asked = match next {
            Next::Reply(response) => {
                self.respond(id, &mut http, &response, now);
                None
            }
            Next::Publish { drafts, then } => {
                self.publish_in_call(id, &mut http, dialect, (drafts, then), now)
            }
            Next::List { listing, then } => match self.list_topics(id, listing) {
                Some(topics) => {
                    self.respond(id, &mut http, &(then.0)(&topics), now);
                    None
                }
                None => Some(AnswerAwaited::List(then)),
            },
            Next::Stream { dialect, content_type, tells } => {
                let mut head = Vec::new();
                Reply::stream(&mut head, content_type, Version::Http11, http.answering());
                let voice = Voice { dialect, transport: Transport::Messages };
                self.begin_stream(id, head, voice, now);
                match tells {
                    Tells::Wish(wish) => self.want(id, wish.as_slice(), now),
                    Tells::End(message) => self.end_stream_with(id, &message, now),
                }
                return None;
            }
        };
        if let Some(asked) = asked {
            http.set_state(State::Awaiting(Box::new(asked)));
        }
        Some(http)
    }

    /// Says which types of bodies a call takes.
    pub(super) fn refuse_media(&mut self, id: ConnId, http: &mut Http, fault: &NotTaken, now: Now) {
        let refusal = Refusal::of(RefusalCode::BadField, fault.field(), fault);
        let headers = vec![fault.remedy()];
        self.respond(id, http, &Response { headers, ..Response::refusal(415, &refusal) }, now);
    }

    fn context_of_call(&self, id: ConnId, dialect: DialectId, now: Now) -> Context<'_> {
        Context {
            now,
            view: self.settings.views.of(dialect),
            views: &self.settings.views,
            epoch: self.shards.epoch(),
            tables: &self.settings.tables.schema,
            hooks: self.settings.hooks.terms,
            is_known: self.conns.find(id).is_some_and(|conn| conn.who.is_some()),
            serial: self.conns.find(id).map_or(0, |conn| conn.serial(self.shards.here(), id)),
        }
    }

    /// Publishes the drafts of a call and answers the call if their places are known at once; else returns the answer that is awaited.
    fn publish_in_call(
        &mut self,
        id: ConnId,
        http: &mut Http,
        dialect: DialectId,
        (mut drafts, then): (Vec<Draft>, ThenPublished),
        now: Now,
    ) -> Option<AnswerAwaited> {
        if let Some(barred) = drafts
            .iter()
            .find(|draft| !self.conns.may_publish(id, &draft.topic, &self.settings.tables.schema))
        {
            let refusal = &self.conns.why_not_publish(id);
            let published = Published::Barred { topic: &barred.topic, refusal };
            self.answer_call(id, http, (dialect, then, published), now);
            return None;
        }
        let topics: Vec<TopicName> = drafts.iter().map(|draft| draft.topic.clone()).collect();
        let drafts_bytes = drafts.iter().map(draft_bytes).sum();
        self.intake.heard(drafts_bytes);
        self.intake.ingest.find_fields(&mut drafts);
        let Some(results) = self.publish(id, drafts, now) else {
            return Some(AnswerAwaited::Publish { dialect, topics, drafts_bytes, then });
        };
        let published = Published::Answered { topics: &topics, results: &results };
        self.answer_call(id, http, (dialect, then, published), now);
        None
    }

    fn answer_call(
        &mut self,
        id: ConnId,
        http: &mut Http,
        (dialect, then, published): (DialectId, ThenPublished, Published<'_>),
        now: Now,
    ) {
        let response = (then.0)(published, &self.context_of_call(id, dialect, now));
        self.respond(id, http, &response, now);
    }

    /// Answers a call whose drafts have their places or were refused.
    pub(super) fn call_published(
        &mut self,
        id: ConnId,
        http: &mut Http,
        asked: AnswerAwaited,
        results: &[PublishResult],
        now: Now,
    ) {
        let AnswerAwaited::Publish { dialect, topics, then, .. } = asked else {
            unreachable!("nothing else is answered with places: {asked:?}")
        };
        let published = Published::Answered { topics: &topics, results };
        self.answer_call(id, http, (dialect, then, published), now);
    }

    /// Answers a call that asked for the topics, once all shards have told theirs.
    pub(in super::super) fn topics_listed(&mut self, id: ConnId, topics: &[String], now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(mut http) => match http.take_state() {
                State::Awaiting(awaited) if matches!(*awaited, AnswerAwaited::List(_)) => {
                    if let AnswerAwaited::List(then) = *awaited {
                        self.respond(id, &mut http, &(then.0)(topics), now);
                    }
                    self.http_go_on(id, http, now);
                }
                state => {
                    http.set_state(state);
                    self.put_back(id, Session::Http(http));
                }
            },
            session => self.put_back(id, session),
        }
        self.conns.resume(id);
        self.make_room(now);
    }

    /// Answers a request.
    pub(super) fn respond(&mut self, id: ConnId, http: &mut Http, response: &Response, now: Now) {
        self.reply(id, http, now, |out, answering| {
            let mut reply = Reply::begin(out, response.status, answering);
            for (name, value) in &response.headers {
                reply = reply.header(name, value);
            }
            match response.status {
                304 => reply.empty(),
                _ => reply.body(response.content_type, &response.body),
            }
        });
    }

    /// Ends a stream with a message of its own, behind everything that waits to be sent to its client.
    fn end_stream_with(&mut self, id: ConnId, message: &[u8], now: Now) {
        let mut bytes = Vec::new();
        sse::put_chunk(&mut bytes, message);
        bytes.extend_from_slice(sse::LAST_CHUNK);
        self.push_item(id, Item::Raw(bytes.into()));
        self.close_after_sent(id, now);
    }
}
