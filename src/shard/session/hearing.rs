//! In which order a WebSocket's messages are carried out, and how far: one after the other, each once what came before it is answered.
//!
//! Invariants: any split of a client's bytes into reads gives the same answers in the same order; publishes that stand side by side travel as one run
//! of at most `DRAFTS_BYTES_MAX`; a message is not even inflated before there is room for what it brings. What has to wait stays as bytes.

use std::ops::ControlFlow;

use super::super::Shard;
use super::super::input::ConnId;
use super::super::input::ConnRef;
use super::super::publish::PublishResult;
use super::super::publish::draft_bytes;
use super::Session;
use super::unread::Unread;
use super::websocket::Heard;
use super::websocket::WebSocket;
use super::websocket::hear;
use crate::clock::Now;
use crate::dialect::Command;
use crate::dialect::SubId;
use crate::event::Draft;
use crate::event::TopicName;
use crate::limits::DRAFTS_BYTES_MAX;
use crate::limits::HEARD_BYTES_MAX;

/// A publish whose result is awaited: the id to answer to, if an answer is wanted, and the topic.
pub(super) type Awaited = (Option<SubId>, TopicName);

/// What a connection was heard to say and is to be carried out later.
#[derive(Debug, Default)]
pub(in super::super) struct Waits {
    /// Publishes whose results are awaited, and their bytes.
    publishing: Option<(Vec<Awaited>, usize)>,
    /// What was said right behind them.
    heard: Option<Heard>,
    unread: Unread,
    /// The client says nothing more after this.
    has_ended: bool,
}

/// Publishes that stand side by side.
#[derive(Default)]
struct Run {
    drafts: Vec<Draft>,
    awaited: Vec<Awaited>,
    bytes: usize,
}

/// How far bytes were carried out.
#[derive(Default)]
struct Paused {
    taken: usize,
    heard: Option<Heard>,
    publishing: Option<(Vec<Awaited>, usize)>,
}

impl Waits {
    pub(super) fn is_publishing(&self) -> bool {
        self.publishing.is_some()
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let drafts = self.publishing.as_ref().map_or(0, |(_, bytes)| *bytes);
        let heard = self.heard.as_ref().map_or(0, Heard::held_bytes);
        size_of::<Self>() + self.unread.held_bytes() + drafts + heard
    }

    fn is_over(&self) -> bool {
        self.publishing.is_none() && self.heard.is_none() && self.unread.is_empty()
    }

    fn take(&mut self, paused: Paused) {
        self.unread.take(paused.taken);
        self.heard = paused.heard;
        self.publishing = paused.publishing;
    }
}

impl Shard {
    /// Takes in bytes of a WebSocket's, and carries out as much of what they say as may be.
    pub(super) fn websocket_received(
        &mut self,
        id: ConnId,
        mut websocket: WebSocket,
        bytes: &mut [u8],
        now: Now,
    ) {
        websocket.was_heard();
        if let Some(waits) = websocket.waits_mut() {
            waits.unread.extend(bytes);
            return self.websocket_go_on(id, websocket, now);
        }
        let paused = self.hear(id, &mut websocket, None, bytes, now);
        let is_over = paused.taken == bytes.len() && paused.heard.is_none();
        if !is_over || paused.publishing.is_some() {
            let mut waits = Box::<Waits>::default();
            waits.unread.extend(&bytes[paused.taken..]);
            waits.take(Paused { taken: 0, ..paused });
            websocket.set_waits(waits);
        }
        self.put_back(id, Session::WebSocket(websocket));
    }

    /// Goes on with what had to wait, as far as may be.
    pub(super) fn websocket_go_on(&mut self, id: ConnId, mut websocket: WebSocket, now: Now) {
        let Some(mut waits) = websocket.take_waits() else {
            return self.put_back(id, Session::WebSocket(websocket));
        };
        if !waits.is_publishing() {
            let heard = waits.heard.take();
            let bytes = waits.unread.as_mut_slice();
            let paused = self.hear(id, &mut websocket, heard, bytes, now);
            waits.take(paused);
        }
        let is_last = waits.is_over() && waits.has_ended;
        if !waits.is_over() {
            websocket.set_waits(waits);
        }
        self.put_back(id, Session::WebSocket(websocket));
        if is_last {
            self.end_after_answers(id, now);
        }
    }

    /// The client says no more. True: something that it said waits, and is carried out first.
    pub(in super::super) fn websocket_ended(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.find_mut(id) else { return false };
        let Session::WebSocket(websocket) = &mut conn.session else { return false };
        let Some(waits) = websocket.waits_mut() else { return false };
        waits.has_ended = true;
        true
    }

    /// The results of a run are there.
    pub(super) fn websocket_published(
        &mut self,
        id: ConnId,
        mut websocket: WebSocket,
        results: &[PublishResult],
        now: Now,
    ) {
        let publishing = websocket.waits_mut().and_then(|waits| waits.publishing.take());
        if let Some((awaited, _)) = publishing {
            self.say_published(id, &awaited, results);
        }
        self.websocket_go_on(id, websocket, now);
    }

    /// Carries out what was said, in its order, until something has to be awaited.
    fn hear(
        &mut self,
        id: ConnId,
        websocket: &mut WebSocket,
        heard: Option<Heard>,
        bytes: &mut [u8],
        now: Now,
    ) -> Paused {
        let mut paused = Paused { heard, ..Paused::default() };
        let mut run = Run::default();
        let hears_binary =
            self.voice_of(id).is_some_and(|voice| voice.dialect.speaker().manners().hears_binary);
        loop {
            if run.bytes >= DRAFTS_BYTES_MAX {
                paused.publishing = self.publish_run(id, std::mem::take(&mut run), now);
            }
            if paused.publishing.is_some() || !self.may_hear(id) {
                break;
            }
            let said = match paused.heard.take() {
                Some(said) => said,
                None if paused.taken == bytes.len() => break,
                None => {
                    let rest = &mut bytes[paused.taken..];
                    let (taken, said) = self.next_heard(websocket, hears_binary, rest);
                    paused.taken += taken;
                    let Some(said) = said else { continue };
                    said
                }
            };
            if said.is_publish() && !self.has_time_for(id, run.bytes) {
                paused.heard = Some(said);
                break;
            }
            match said {
                Heard::Said(Ok(Command::Publish { id: ack, draft }))
                    if self.may_publish(id, &draft.topic) =>
                {
                    if !self.is_closing(id) {
                        run.push(ack, draft);
                    }
                }
                said if run.drafts.is_empty() => self.carry_out_heard(id, websocket, said, now),
                said => {
                    paused.publishing = self.publish_run(id, std::mem::take(&mut run), now);
                    paused.heard = Some(said);
                }
            }
        }
        if !run.drafts.is_empty() {
            paused.publishing = self.publish_run(id, run, now);
        }
        paused
    }

    /// The next thing that is said, and how many bytes that took.
    fn next_heard(
        &mut self,
        websocket: &mut WebSocket,
        hears_binary: bool,
        bytes: &mut [u8],
    ) -> (usize, Option<Heard>) {
        let mut heard = None;
        let (decoder, speaks) = websocket.decoder_and_speaks();
        let fed = decoder.feed(bytes, &mut self.inbound, &mut |incoming| {
            heard = hear(speaks, hears_binary, incoming);
            if heard.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        // A ping in the midst of a message is no message.
        if decoder.is_idle() {
            websocket.message_is_whole();
        }
        match fed {
            Ok(taken) => (taken, heard),
            Err(violation) => (bytes.len(), Some(Heard::Broken(violation))),
        }
    }

    /// Whether the next thing that a client says may be carried out now. If not, it is gone on with when it may.
    fn may_hear(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.find_mut(id) else { return false };
        let Some(solo) = conn.solo.as_deref_mut() else { return true };
        if solo.closing.is_some() {
            return true;
        }
        solo.is_unheard |= !solo.has_room();
        solo.is_read()
    }

    /// Whether this turn takes more drafts, which is asked before any of a connection; if not, the connection has its turn in the next.
    pub(super) fn has_time_for(&mut self, id: ConnId, run_bytes: usize) -> bool {
        let has_time = self.heard_bytes + run_bytes < HEARD_BYTES_MAX;
        if !has_time {
            self.hear_later(id);
        }
        has_time
    }

    /// Has a connection gone on with at the end of this turn, or the next.
    pub(in super::super) fn hear_later(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        if !std::mem::replace(&mut conn.is_heard_later, true) {
            self.unheard.push_back(ConnRef { id, generation: conn.generation });
        }
    }

    /// Publishes a run. `Some`: its results are awaited.
    fn publish_run(&mut self, id: ConnId, run: Run, now: Now) -> Option<(Vec<Awaited>, usize)> {
        let Run { mut drafts, awaited, bytes } = run;
        self.heard_bytes += bytes;
        self.ingest.find_fields(&mut drafts);
        match self.publish(id, drafts, now) {
            Some(results) => {
                self.say_published(id, &awaited, &results);
                None
            }
            None => Some((awaited, bytes)),
        }
    }

    /// Goes on with those who had to wait for others, each once.
    pub(in super::super) fn hear_on(&mut self, now: Now) {
        self.heard_bytes = 0;
        for _ in 0..self.unheard.len() {
            let Some(conn) = self.unheard.pop_front() else { return };
            if let Some(found) = self.conns.find_ref(conn) {
                found.is_heard_later = false;
                self.go_on(conn.id, now);
            }
        }
    }

    /// Goes on with what a connection has said.
    fn go_on(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => self.http_go_on(id, http, now),
            Session::WebSocket(websocket) => self.websocket_go_on(id, websocket, now),
            session => self.put_back(id, session),
        }
        self.resumed.push(id);
        self.make_room(now);
    }
}

impl Run {
    fn push(&mut self, ack: Option<SubId>, draft: Draft) {
        self.bytes += draft_bytes(&draft);
        self.awaited.push((ack, draft.topic.clone()));
        self.drafts.push(draft);
    }
}
