//! Bytes of a connection are taken in, and a WebSocket's messages carried out: one after the other, each once what came before it is answered.
//!
//! Invariants: any split of a client's bytes into reads gives the same answers in the same order; publishes that stand side by side travel as one run
//! of at most `DRAFTS_BYTES_MAX`; a message is not even inflated before there is room for what it brings. What has to wait stays as bytes.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::super::Shard;
use super::super::conns::Conn;
use super::super::conns::Conns;
use super::super::deadlines::seconds;
use super::super::input::ConnId;
use super::super::publish::PublishResult;
use super::super::settings::Settings;
use super::super::shards::Shards;
use super::super::tickets::draft_bytes;
use super::Session;
use super::talk::asks_outside;
use super::talk::begins_with_claim;
use super::talk::begins_with_publish;
use super::waits::Awaited;
use super::waits::Heard;
use super::waits::Paused;
use super::waits::RunAwaited;
use super::waits::Waits;
use super::websocket::WebSocket;
use super::websocket::echo;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Context;
use crate::dialect::NoPacket;
use crate::dialect::Published;
use crate::dialect::Request;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::event::Draft;
use crate::limits::DRAFTS_BYTES_MAX;
use crate::limits::TICKETS_MAX;
use crate::tables::Schema;
use crate::wire::decoder::Incoming;

/// Publishes that stand side by side.
#[derive(Default)]
struct OpenRun {
    drafts: Vec<Draft>,
    awaited: RunAwaited,
}

impl Shard {
    /// Takes in bytes of a connection, all of them; they may be changed.
    pub fn received(&mut self, id: ConnId, bytes: &mut [u8], now: Now) {
        self.stats.bytes_received += bytes.len() as u64;
        let Some(conn) = self.conns.find_mut(id) else { return };
        conn.heard_s = seconds(now);
        match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => self.http_received(id, http, bytes, now),
            Session::WebSocket(websocket) => self.websocket_received(id, websocket, bytes, now),
            session => self.put_back(id, session),
        }
        self.make_room(now);
    }

    /// Takes in bytes of a WebSocket, and carries out as many of its messages as may be carried out now.
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
        let paused = self.hear(id, &mut websocket, VecDeque::new(), bytes, now);
        let is_over =
            paused.taken == bytes.len() && paused.heard.is_empty() && !websocket.has_packet();
        if !is_over || paused.asked.is_some() {
            let mut waits = Box::<Waits>::default();
            waits.unread.extend(&bytes[paused.taken..]);
            waits.take(Paused { taken: 0, ..paused });
            websocket.set_waits(waits);
        }
        self.put_back(id, Session::WebSocket(websocket));
    }

    /// Carries out the messages that had to wait, as far as may be.
    pub(super) fn websocket_go_on(&mut self, id: ConnId, mut websocket: WebSocket, now: Now) {
        let Some(mut waits) = websocket.take_waits() else {
            return self.put_back(id, Session::WebSocket(websocket));
        };
        self.ask_for_next_page(id, &mut waits);
        if !waits.is_asking() {
            let heard = std::mem::take(&mut waits.heard);
            let bytes = waits.unread.as_mut_slice();
            let paused = self.hear(id, &mut websocket, heard, bytes, now);
            waits.take(paused);
        }
        let is_over = waits.is_over() && !websocket.has_packet();
        let is_last = is_over && waits.has_ended;
        if !is_over {
            websocket.set_waits(waits);
        }
        self.put_back(id, Session::WebSocket(websocket));
        if is_last {
            self.end_after_answers(id, now);
        }
    }

    /// Takes in the results of a run of publishes.
    pub(super) fn websocket_published(
        &mut self,
        id: ConnId,
        mut websocket: WebSocket,
        results: &[PublishResult],
        now: Now,
    ) {
        let awaited = websocket.waits_mut().and_then(|waits| waits.asked.take());
        let rest = match awaited {
            Some(Awaited::Run(awaited)) => self.answer_published(id, &awaited, results, now),
            _ => None,
        };
        if let (Some(rest), Some(waits)) = (rest, websocket.waits_mut()) {
            waits.heard.push_front(rest);
        }
        self.websocket_go_on(id, websocket, now);
    }

    /// Answers publishes; returns the steps of their conversation that are left then.
    fn answer_published(
        &mut self,
        id: ConnId,
        awaited: &RunAwaited,
        results: &[PublishResult],
        now: Now,
    ) -> Option<Heard> {
        let mut from = 0;
        let mut steps = Vec::new();
        for (ticket, count) in &awaited.tickets {
            let range = from..from + count;
            from = range.end;
            let (topics, results) = (&awaited.topics[range.clone()], &results[range]);
            let answer = Answer::Published(Published::Answered { topics, results });
            steps.extend(self.answer_in_talk(id, ticket.clone(), answer, now));
        }
        let steps = self.take_steps(id, steps, now);
        (!steps.is_empty()).then_some(Heard::Steps { steps, is_counted: true })
    }

    /// Carries out messages in their order, until something has to be awaited.
    fn hear(
        &mut self,
        id: ConnId,
        websocket: &mut WebSocket,
        heard: VecDeque<Heard>,
        bytes: &mut [u8],
        now: Now,
    ) -> Paused {
        let mut paused = Paused { heard, ..Paused::default() };
        let mut run = OpenRun::default();
        loop {
            if run.is_full() {
                self.publish_run(id, &mut run, &mut paused, now);
            }
            if paused.asked.is_some() || !self.conns.may_hear(id) {
                break;
            }
            let is_all = paused.taken == bytes.len() && !websocket.has_packet();
            let said = match paused.heard.pop_front() {
                Some(said) => said,
                None if is_all && run.is_empty() => break,
                None if is_all => {
                    // What it is answered with may go on with what is asked of tables.
                    self.publish_run(id, &mut run, &mut paused, now);
                    continue;
                }
                None => {
                    let rest = &mut bytes[paused.taken..];
                    let (taken, said) = self.next_heard(id, websocket, rest, now);
                    paused.taken += taken;
                    let Some(said) = said else { continue };
                    said
                }
            };
            let drafts_bytes = said.is_publish().then_some(run.awaited.bytes);
            if !self.has_time(id, self.intake.lack(drafts_bytes, said.is_subscribe())) {
                paused.heard.push_front(said);
                break;
            }
            match said {
                Heard::Steps { steps, .. }
                    if self.conns.joins(id, &steps, &self.settings.tables.schema) =>
                {
                    paused.heard.extend(run.push_first(steps));
                }
                said if run.is_empty() => {
                    let rest = match said {
                        Heard::Steps { steps, .. } if begins_with_publish(&steps) => {
                            self.refuse_first(id, steps, now)
                        }
                        Heard::Steps { steps, is_counted: true } if asks_outside(&steps) => {
                            self.ask_outside(id, steps, &mut paused, now)
                        }
                        Heard::Steps { steps, is_counted: true } if begins_with_claim(&steps) => {
                            self.ask_name(id, steps, &mut paused, now)
                        }
                        Heard::Steps { steps, is_counted } => {
                            self.carry_out(id, websocket, (steps, is_counted), now)
                        }
                        said => {
                            self.carry_out_frame(id, said, now);
                            None
                        }
                    };
                    if let Some(rest) = rest {
                        paused.heard.push_front(rest);
                    }
                }
                said => {
                    paused.heard.push_front(said);
                    self.publish_run(id, &mut run, &mut paused, now);
                }
            }
        }
        if !run.is_empty() {
            self.publish_run(id, &mut run, &mut paused, now);
        }
        paused
    }

    /// Takes the steps of one message, but for questions; what is left of them.
    fn carry_out(
        &mut self,
        id: ConnId,
        websocket: &mut WebSocket,
        (steps, is_counted): (Vec<Step>, bool),
        now: Now,
    ) -> Option<Heard> {
        let rate = self.settings.access.limits.messages;
        if !is_counted && !websocket.may_say(rate, now) {
            self.hear_no_more(id, now);
            return None;
        }
        let steps = self.take_steps(id, steps, now);
        (!steps.is_empty()).then_some(Heard::Steps { steps, is_counted: true })
    }

    /// Answers the first of these steps, a publish that may not join others; what is left of them.
    fn refuse_first(&mut self, id: ConnId, mut steps: Vec<Step>, now: Now) -> Option<Heard> {
        if let Step::Ask { ticket, what: Request::Publish(drafts) } = steps.remove(0) {
            let answered = self.answer_barred(id, ticket, &drafts, now);
            steps.splice(0..0, answered).for_each(drop);
        }
        (!steps.is_empty()).then_some(Heard::Steps { steps, is_counted: true })
    }

    /// Tells a conversation that nothing of this was published, since one draft may not be.
    fn answer_barred(
        &mut self,
        id: ConnId,
        ticket: Ticket,
        drafts: &[Draft],
        now: Now,
    ) -> Vec<Step> {
        let barred = drafts
            .iter()
            .find(|draft| !self.conns.may_publish(id, &draft.topic, &self.settings.tables.schema));
        let Some(Draft { topic, .. }) = barred else { return Vec::new() };
        let refusal = &self.conns.why_not_publish(id);
        let answer = Answer::Published(Published::Barred { topic, refusal });
        self.answer_in_talk(id, ticket, answer, now)
    }

    /// The next message, and the number of bytes that it took.
    fn next_heard(
        &mut self,
        id: ConnId,
        websocket: &mut WebSocket,
        bytes: &mut [u8],
        now: Now,
    ) -> (usize, Option<Heard>) {
        let echoes = websocket.echo();
        // What shards share for decoding stays where it is, so the conversation is asked without the shard.
        let mut conn = self.conns.find_mut(id);
        let settings = &self.settings;
        let mut hear = |said: Said<'_>| match echoes {
            Some(echoes) => echo(said, echoes),
            None => {
                // Nearly everything that is said is one thing to be done.
                let mut steps = Vec::with_capacity(1);
                if let Some(conn) = conn.as_deref_mut() {
                    conn.converse(settings, (&self.shards, id), now, |talk, context| {
                        talk.hear(said, context, &mut steps);
                    });
                }
                let is_counted =
                    matches!(steps.first(), Some(Step::Uncounted | Step::Acknowledged { .. }));
                Heard::Steps { steps, is_counted }
            }
        };
        let has_packet = websocket.has_packet();
        let (decoder, mut packets) = websocket.input_mut();
        let decoder = match (decoder, packets.as_deref_mut()) {
            (Some(decoder), _) if !has_packet => decoder,
            (_, Some(packets)) => {
                let rest = if has_packet { &[][..] } else { bytes };
                let next = packets.next(rest, &mut hear);
                websocket.look_whole();
                return next;
            }
            (_, None) => unreachable!("without frames there are packets"),
        };
        let mut heard = None;
        let fed = decoder.feed(bytes, self.intake.inbound(), &mut |incoming| {
            heard = match (incoming, packets.as_deref_mut()) {
                (Incoming::Text(_), Some(packets)) => {
                    packets.end();
                    Some(hear(Said::NoPacket(NoPacket::Text)))
                }
                (Incoming::Text(text), None) => Some(hear(Said::Text(text))),
                (Incoming::Binary(bytes), None) => Some(hear(Said::Binary(bytes))),
                (Incoming::Binary(bytes), Some(packets)) => {
                    packets.push(bytes);
                    return ControlFlow::Break(());
                }
                (Incoming::Ping(payload), _) => Some(Heard::Ping(payload.into())),
                (Incoming::Pong(_), _) => None,
                (Incoming::Close { code, .. }, _) => Some(Heard::Close { code }),
            };
            if heard.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        // A ping in the midst of a message is no message.
        websocket.look_whole();
        match fed {
            Ok(taken) => (taken, heard),
            Err(violation) => (bytes.len(), Some(Heard::Broken(violation))),
        }
    }

    /// Publishes a run; its results are awaited, or answered at once.
    fn publish_run(&mut self, id: ConnId, run: &mut OpenRun, paused: &mut Paused, now: Now) {
        let OpenRun { mut drafts, awaited } = std::mem::take(run);
        self.intake.heard(awaited.bytes);
        self.intake.ingest.find_fields(&mut drafts);
        match self.publish(id, drafts, now) {
            Some(results) => {
                if let Some(rest) = self.answer_published(id, &awaited, &results, now) {
                    paused.heard.push_front(rest);
                }
            }
            None => paused.asked = Some(Awaited::Run(awaited)),
        }
    }
}

impl Conn {
    /// Has its conversation speak, unless its last words have been said.
    pub(super) fn converse(
        &mut self,
        settings: &Settings,
        (shards, id): (&Shards, ConnId),
        now: Now,
        ask: impl FnOnce(&mut dyn Talk, &Context<'_>),
    ) {
        if self.is_closing() {
            return;
        }
        let serial = self.serial(shards.here(), id);
        if let (Some(voice), Some(talk)) = (self.voice, self.talk.as_deref_mut()) {
            let (view, is_known) = (settings.views.of(voice.dialect), self.who.is_some());
            let (epoch, tables) = (shards.epoch(), &settings.tables.schema);
            let views = &*settings.views;
            let hooks = settings.hooks.terms;
            ask(talk, &Context { now, view, views, epoch, is_known, serial, tables, hooks });
        }
    }
}

impl OpenRun {
    /// Whether nobody waits for an outcome; a question about no event has no draft.
    fn is_empty(&self) -> bool {
        self.awaited.tickets.is_empty()
    }

    fn is_full(&self) -> bool {
        self.awaited.bytes >= DRAFTS_BYTES_MAX || self.awaited.tickets.len() >= TICKETS_MAX
    }

    /// Takes the first of these steps, a publish, in; what is left of them.
    fn push_first(&mut self, mut steps: Vec<Step>) -> Option<Heard> {
        if let Step::Ask { ticket, what: Request::Publish(drafts) } = steps.remove(0) {
            self.awaited.tickets.push((ticket, drafts.len()));
            self.awaited.bytes += drafts.iter().map(draft_bytes).sum::<usize>();
            self.awaited.topics.extend(drafts.iter().map(|draft| draft.topic.clone()));
            if self.drafts.is_empty() {
                self.drafts = drafts;
            } else {
                self.drafts.extend(drafts);
            }
        }
        (!steps.is_empty()).then_some(Heard::Steps { steps, is_counted: true })
    }
}

impl Conns {
    /// The client says no more. True: something that it said waits, and is carried out first.
    pub(in super::super) fn websocket_ended(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.find_mut(id) else { return false };
        let Session::WebSocket(websocket) = &mut conn.session else { return false };
        let Some(waits) = websocket.waits_mut() else { return false };
        waits.has_ended = true;
        true
    }

    /// Whether the next of these steps is a publish that may travel with others: all that it asks for is allowed.
    fn joins(&self, id: ConnId, steps: &[Step], tables: &Schema) -> bool {
        match steps.first() {
            Some(Step::Ask { what: Request::Publish(drafts), .. }) => {
                drafts.iter().all(|draft| self.may_publish(id, &draft.topic, tables))
            }
            _ => false,
        }
    }

    /// Whether the next thing that a client says may be carried out now. If not, it is gone on with when it may.
    pub(super) fn may_hear(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.find_mut(id) else { return false };
        let Some(solo) = conn.solo.as_deref_mut() else { return true };
        if solo.closing.is_some() {
            return true;
        }
        solo.is_unheard |= !solo.has_room();
        solo.is_read()
    }
}

impl WebSocket {
    /// Has steps taken that are not the answer to something said on the connection: at once, or when it goes on.
    pub(super) fn begin_with(&mut self, steps: Vec<Step>) {
        if !steps.is_empty() {
            let heard = VecDeque::from([Heard::Steps { steps, is_counted: true }]);
            self.set_waits(Box::new(Waits { heard, ..Waits::default() }));
        }
    }
}
