//! Calls: a conversation hears the whole body, asks what it has to ask, and answers.
//!
//! Invariants: a call is answered once; while what it asked is not answered, nothing more is read of its connection.

use super::super::Shard;
use super::super::class::Transport;
use super::super::class::Voice;
use super::super::input::ConnId;
use super::super::publish::PublishResult;
use super::super::publish::draft_bytes;
use super::Session;
use super::http::Http;
use super::http::State;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Calling;
use crate::dialect::Context;
use crate::dialect::Request;
use crate::dialect::Response;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::event::Draft;
use crate::event::TopicName;
use crate::wire::http::Reply;
use crate::wire::http::Version;
use crate::wire::sse;

/// A question whose answer a request waits for.
#[derive(Debug)]
pub(super) enum Asked {
    /// The conversation's own.
    Call {
        calling: Calling,
        ticket: Ticket,
        /// Of drafts that are being published.
        topics: Vec<TopicName>,
        drafts_bytes: usize,
    },
    /// A page that is made outside of the core.
    Page,
}

impl Asked {
    /// Bytes that wait with it.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Call { drafts_bytes, .. } => *drafts_bytes,
            Self::Page => 0,
        }
    }
}

impl Shard {
    /// The body of a call is there. `None` if the connection is no longer HTTP.
    pub(super) fn call(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        mut calling: Calling,
        body: &[u8],
        now: Now,
    ) -> Option<Box<Http>> {
        let mut steps = Vec::new();
        self.converse_in_call(id, &mut calling, now, |talk, context| {
            talk.open(context, &mut steps);
            talk.hear(Said::Packet(body), context, &mut steps);
        });
        self.take_steps_of_call(id, http, calling, steps, now)
    }

    fn converse_in_call(
        &self,
        id: ConnId,
        calling: &mut Calling,
        now: Now,
        ask: impl FnOnce(&mut dyn Talk, &Context<'_>),
    ) {
        let context = Context {
            now,
            view: self.settings.views.of(calling.dialect),
            epoch: self.shards.epoch(),
            is_known: self.conns.find(id).is_some_and(|conn| conn.who.is_some()),
        };
        ask(&mut *calling.talk, &context);
    }

    /// What a call's conversation says to an answer.
    fn answer_in_call(
        &self,
        id: ConnId,
        calling: &mut Calling,
        (ticket, answer): (Ticket, Answer<'_>),
        now: Now,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        self.converse_in_call(id, calling, now, |talk, context| {
            talk.answered(ticket, answer, context, &mut steps);
        });
        steps
    }

    fn take_steps_of_call(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        mut calling: Calling,
        mut steps: Vec<Step>,
        now: Now,
    ) -> Option<Box<Http>> {
        while !steps.is_empty() {
            match steps.remove(0) {
                Step::Reply(response) => self.respond(id, &mut http, &response, now),
                Step::Stream { dialect, content_type } => {
                    let mut head = Vec::new();
                    Reply::stream(&mut head, content_type, Version::Http11, http.answering());
                    let voice = Voice { dialect, transport: Transport::Messages };
                    self.begin_stream(id, head, (voice, calling.talk), now);
                    let rest = self.take_steps(id, steps, now);
                    debug_assert!(rest.is_empty(), "a stream asks nothing");
                    return None;
                }
                Step::Ask { ticket, what: Request::Publish(drafts) } => {
                    let asked = self.publish_in_call(id, &mut calling, (ticket, drafts), now);
                    match asked {
                        Ok(taken) => steps.splice(0..0, taken).for_each(drop),
                        Err((ticket, topics, drafts_bytes)) => {
                            let asked = Asked::Call { calling, ticket, topics, drafts_bytes };
                            http.set_state(State::Asked(Box::new(asked)));
                            return Some(http);
                        }
                    }
                }
                Step::Ask { ticket, what: Request::Topics(listing) } => {
                    match self.list_topics(id, listing) {
                        Some(topics) => {
                            let answer = (ticket, Answer::Topics(&topics));
                            let taken = self.answer_in_call(id, &mut calling, answer, now);
                            steps.splice(0..0, taken).for_each(drop);
                        }
                        None => {
                            let topics = Vec::new();
                            let asked = Asked::Call { calling, ticket, topics, drafts_bytes: 0 };
                            http.set_state(State::Asked(Box::new(asked)));
                            return Some(http);
                        }
                    }
                }
                step => unreachable!("a call has no connection of its own to do that on: {step:?}"),
            }
        }
        Some(http)
    }

    /// What follows from publishing, if that is known at once; else what is awaited.
    fn publish_in_call(
        &mut self,
        id: ConnId,
        calling: &mut Calling,
        (ticket, mut drafts): (Ticket, Vec<Draft>),
        now: Now,
    ) -> Result<Vec<Step>, (Ticket, Vec<TopicName>, usize)> {
        if let Some(barred) = drafts.iter().find(|draft| !self.may_publish(id, &draft.topic)) {
            let refusal = &self.why_not_publish(id);
            let answer = Answer::NotPublished { topic: &barred.topic, refusal };
            return Ok(self.answer_in_call(id, calling, (ticket, answer), now));
        }
        let topics: Vec<TopicName> = drafts.iter().map(|draft| draft.topic.clone()).collect();
        let drafts_bytes = drafts.iter().map(draft_bytes).sum();
        self.intake.heard(drafts_bytes);
        self.intake.ingest.find_fields(&mut drafts);
        match self.publish(id, drafts, now) {
            Some(results) => {
                let answer = Answer::Published { topics: &topics, results: &results };
                Ok(self.answer_in_call(id, calling, (ticket, answer), now))
            }
            None => Err((ticket, topics, drafts_bytes)),
        }
    }

    /// What a call published has its places, or was refused.
    pub(super) fn call_published(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        asked: Asked,
        results: &[PublishResult],
        now: Now,
    ) -> Option<Box<Http>> {
        let Asked::Call { mut calling, ticket, topics, .. } = asked else {
            unreachable!("a page publishes nothing")
        };
        let answer = Answer::Published { topics: &topics, results };
        let steps = self.answer_in_call(id, &mut calling, (ticket, answer), now);
        self.take_steps_of_call(id, http, calling, steps, now)
    }

    /// All shards have told their topics.
    pub(in super::super) fn topics_listed(&mut self, id: ConnId, topics: &[String], now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(mut http) => match http.take_state() {
                State::Asked(asked) => {
                    if let Asked::Call { mut calling, ticket, .. } = *asked {
                        let answer = (ticket, Answer::Topics(topics));
                        let steps = self.answer_in_call(id, &mut calling, answer, now);
                        if let Some(http) = self.take_steps_of_call(id, http, calling, steps, now) {
                            self.http_go_on(id, http, now);
                        }
                    }
                }
                state => {
                    http.set_state(state);
                    self.put_back(id, Session::Http(http));
                }
            },
            Session::WebSocket(websocket) => {
                self.websocket_listed(id, websocket, topics, now);
            }
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

    /// Ends a stream with a message of its own, after everything that its client is owed.
    pub(super) fn end_stream_with(&mut self, id: ConnId, message: &[u8], now: Now) {
        let mut bytes = Vec::new();
        sse::put_chunk(&mut bytes, message);
        bytes.extend_from_slice(sse::LAST_CHUNK);
        self.push_item(id, Item::Raw(bytes.into()));
        self.close_after_sent(id, now);
    }
}
