//! How connections end: by their peers, by the server, by time.
//!
//! Invariants: a connection that ends leaves its class at once; its place is given away only after its socket was asked for by
//! `poll_gone`. A connection that is being closed is sent its last words within a bounded time, or not at all.

use super::Shard;
use super::closes::CLOSE_NORMAL;
use super::closes::CLOSE_POLICY;
use super::closes::CLOSE_SILENT;
use super::conns::Conn;
use super::conns::Conns;
use super::deadlines::seconds;
use super::farewell;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::asker_of;
use super::life::SWEEP_TICKS;
use super::names::Holding;
use super::outlasting::Outlasting;
use super::session::Patience;
use super::session::Session;
use super::settings::Settings;
use super::sharing::Sharing;
use super::solo::AfterSent;
use super::solo::Closing;
use super::solo::Solo;
use super::transport::Voice;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Ending;
use crate::dialect::Silence;
use crate::limits::UNITS_GONE;
use crate::wire::frame;

impl Shard {
    /// A connection's socket can take bytes again.
    pub fn writable(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let Some(solo) = conn.solo.as_deref_mut() else { return };
        if std::mem::take(&mut solo.blocked) {
            // Its client reads, so it is there: a ping may wait behind megabytes, and its answer where nobody looks yet.
            conn.heard_s = seconds(now);
            solo.moved_ms = now.mono_ms;
            self.mark_solo(id);
        }
    }

    /// A connection's peer is gone, or its socket failed.
    pub fn closed(&mut self, id: ConnId, _now: Now) {
        self.remove(id);
    }

    /// A connection's peer will send no more; it may still read, and what it asked for is still answered.
    pub fn ended(&mut self, id: ConnId, now: Now) {
        if self.conns.websocket_ended(id) {
            return;
        }
        self.http_ended(id, now);
        let Some(conn) = self.conns.find_mut(id) else { return };
        if let (Session::Sse { .. } | Session::WebSocket(_), Some(solo)) =
            (&conn.session, conn.solo.as_deref_mut())
            && let Some(closing) = &mut solo.closing
        {
            // Its last words are on their way, and it has said its own.
            closing.after_sent = AfterSent::Gone;
            return self.mark_solo(id);
        }
        match &conn.session {
            // An event stream's client has nothing to say in any case. Whether it is there is found out by saying something to it: one that
            // has closed its socket answers with a reset.
            Session::Sse { .. } => self.probe(id),
            Session::Http(http) if http.is_waiting() || conn.solo.is_some() => {
                self.close_after_sent(id, now);
            }
            Session::WebSocket(_) => match conn.solo.as_deref_mut() {
                Some(solo) if !solo.outbox.is_empty() || !solo.owed.is_empty() => {
                    self.close_with(id, &[], AfterSent::Gone, now);
                }
                _ => self.remove(id),
            },
            Session::Http(_) | Session::Busy | Session::Gone => self.remove(id),
        }
    }

    /// Takes back that a connection is to be closed, because its peer said no more while it waited and has been answered only now; true if it
    /// was. Whoever is told so says `ended` again when the answer has begun.
    pub(super) fn lives_on(&mut self, id: ConnId) -> bool {
        let solo = self.conns.solo_mut(id);
        solo.is_some_and(|solo| !self.life.is_stopping() && solo.closing.take().is_some())
    }

    /// A client that says no more has been answered everything: it is sent that, and goes.
    pub(super) fn end_after_answers(&mut self, id: ConnId, now: Now) {
        self.end_subscriptions(id);
        self.close_after_sent(id, now);
    }

    /// Takes a connection out of everything, and has its socket closed.
    pub(super) fn remove(&mut self, id: ConnId) {
        self.end_subscriptions(id);
        let asker = self.conns.conn_ref(id).map(|conn| (id, asker_of(self.shards.here(), conn)));
        self.settings.tables.leave(&mut self.outgoing, &mut self.intake.tickets, asker);
        self.classes.spending.forget(id);
        let Some(conn) = self.conns.find_mut(id) else { return };
        if matches!(conn.session, Session::Gone) {
            return;
        }
        if let Session::WebSocket(websocket) = &mut conn.session {
            websocket.release(self.intake.inbound());
        }
        if let Some(call) = conn.take_end((self.shards.here(), id)) {
            self.settings.hooks.tell_end(&mut self.outgoing, &call);
        }
        // What of it outlasts the connection was kept as its subscriptions ended.
        conn.talk = None;
        let generation = conn.generation;
        let was_counted = std::mem::take(&mut conn.caller.is_counted);
        conn.session = Session::Gone;
        if let Some(voice) = conn.voice.take() {
            self.stats.tally.of(voice.dialect).connections -= 1;
        }
        conn.solo = None;
        self.count_held(id);
        self.conns.close_socket(id);
        if was_counted {
            self.leave(Address { shard: self.shards.here(), conn: ConnRef { id, generation } });
        }
    }

    fn end_subscriptions(&mut self, id: ConnId) {
        Holding::at(self).leave(id);
        self.stats.take_subs(self.conns.voice_of(id), self.wants_of(id).len());
        self.telling.shapings.forget(&mut self.conns, id);
        self.telling.plays.forget(&mut self.conns, id);
        self.leave_class(id);
    }

    /// A subscription's outbox is full, and nothing in it may be dropped.
    pub(super) fn outbox_full(&mut self, id: ConnId, now: Now) {
        let slow = self.conns.voice_of(id).and_then(|voice| voice.dialect.speaker().manners.slow);
        // What drops its oldest in silence is full only if it has begun to be sent more than there is room for.
        let (code, reason) = slow.unwrap_or((CLOSE_POLICY, "slow"));
        self.stats.slow_disconnects += 1;
        tracing::debug!(
            shard = self.shards.here().0,
            conn = id.0,
            "slow subscriber: its outbox is full"
        );
        let message = format_args!("a subscriber fell behind, and is closed");
        self.tell_log_of(Some(id), "warning", "outbox", message, now);
        self.close(id, code, reason, now);
    }

    /// Has a client no longer: says good-bye with a close code, and closes when the peer has answered or time is up; or says nothing, where the dialect has it so.
    pub(super) fn close(&mut self, id: ConnId, code: u16, reason: &str, now: Now) {
        if is_aborted(self.conns.voice_of(id)) {
            return self.remove(id);
        }
        let mut bytes = Vec::new();
        let conn = self.conns.find(id);
        if let Some(conn) = conn.filter(|conn| matches!(conn.session, Session::Sse { .. })) {
            conn.put_stream_end(code, reason, &mut bytes);
            return self.close_with(id, &bytes, AfterSent::Gone, now);
        }
        let after_sent = farewell::put(&self.conns, id, (code, reason), &mut bytes);
        self.close_with(id, &bytes, after_sent, now);
    }

    /// Closes a connection as its conversation says: with a farewell always.
    pub(super) fn close_as_said(&mut self, id: ConnId, code: u16, reason: &str, now: Now) {
        let mut bytes = Vec::new();
        let after_sent = farewell::put(&self.conns, id, (code, reason), &mut bytes);
        self.close_with(id, &bytes, after_sent, now);
    }

    /// Closes a connection once everything said so far has been sent.
    pub(super) fn close_after_sent(&mut self, id: ConnId, now: Now) {
        let due_ms = now.mono_ms + u64::from(self.settings.close_timeout_s) * 1000;
        self.go_solo(id);
        if let Some(solo) = self.conns.solo_mut(id) {
            solo.closing = Some(Closing { due_ms, after_sent: AfterSent::Gone });
            solo.dirty = false;
        }
        self.mark_solo(id);
    }

    /// Ends a connection's subscriptions, and sends it its last bytes.
    pub(super) fn close_with(&mut self, id: ConnId, last: &[u8], after_sent: AfterSent, now: Now) {
        let is_told = self.conns.find(id).is_some_and(|conn| {
            matches!(conn.session, Session::WebSocket(_) | Session::Busy | Session::Sse { .. })
        });
        self.go_solo(id);
        self.end_subscriptions(id);
        let due_ms = now.mono_ms + u64::from(self.settings.close_timeout_s) * 1000;
        let Some(solo) = self.conns.solo_mut(id) else {
            return;
        };
        if solo.closing.is_some() {
            return;
        }
        let replies = std::mem::take(&mut solo.outbox).into_replies();
        solo.outbox = self.telling.solos.outbox();
        for item in replies {
            solo.outbox.push(item);
        }
        solo.replays.clear();
        solo.count_past();
        if is_told {
            solo.outbox.push(Item::Raw(last.into()));
            solo.closing = Some(Closing { due_ms, after_sent });
        } else {
            solo.closing = Some(Closing { due_ms, after_sent: AfterSent::Gone });
        }
        self.mark_solo(id);
        // Nothing that it said is carried out any more, but for its own good-bye.
        self.hear_later(id);
    }

    /// To be called every 100 ms.
    pub fn tick(&mut self, now: Now) {
        self.life.set_date(now);
        let durable = self.durable.as_mut().map_or(0, |durable| durable.home.expire(now));
        let gone = self.home.expire(now) + durable;
        self.telling.turn.spend(gone as u64 * UNITS_GONE);
        self.give_up_on_store(now);
        Outlasting::at(self).go_on_keeping(now);
        self.rights.groups.wake_waiting();
        self.tell_figures(now);
        self.tell_troubles(now);
        let first = self.life.sweep();
        if first == 0 {
            self.end_stalled_replays(now);
            self.stats.behind = std::mem::take(&mut self.life.behind);
        }
        for index in (first..self.conns.places()).step_by(SWEEP_TICKS as usize) {
            Outlasting::at(self).note_progress(ConnId(index), now);
            Sharing::at(self).look(ConnId(index));
            self.look_at(ConnId(index), now);
        }
        // Each place that is looked at costs about a unit.
        self.telling.turn.spend(u64::from(self.conns.places() / SWEEP_TICKS));
    }

    /// Once a second for each connection: is it heard, does it read, does it come to an end?
    fn look_at(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        if let Some(owed @ 1..) = conn.solo.as_deref().map(Solo::unread_bytes) {
            self.life.behind.connections += 1;
            self.life.behind.bytes_most = self.life.behind.bytes_most.max(owed as u64);
        }
        let closing = conn.solo.as_deref().and_then(|solo| solo.closing);
        if closing.is_some_and(|closing| closing.due_ms <= now.mono_ms) {
            return self.remove(id);
        }
        if closing.is_some() {
            return;
        }
        if self.check_token(id, now) {
            let message = format_args!("a token expired on an open connection");
            return self.tell_log_of(Some(id), "info", "auth", message, now);
        }
        let Some(conn) = self.conns.find_mut(id) else { return };
        let silent_s = seconds(now).saturating_sub(conn.heard_s);
        let is_late = is_late(&self.settings, conn);
        let is_unknown = conn.who.is_none() || is_first_awaited(&self.settings, conn);
        match &mut conn.session {
            // Who waits for an answer has nothing to say.
            Session::Http(http) if http.is_waiting() => conn.heard_s = seconds(now),
            Session::Http(_) => {
                if is_late || silent_s >= self.settings.request_timeout_s {
                    self.time_out(id, now);
                }
            }
            Session::WebSocket(websocket)
                if is_unknown
                    && websocket.identify_by_s().is_some_and(|by_s| by_s <= seconds(now)) =>
            {
                self.close(id, CLOSE_POLICY, "authentication required", now);
                let message = format_args!("a client did not say in time who it is");
                self.tell_log_of(Some(id), "warning", "auth", message, now);
            }
            Session::WebSocket(_) if is_late => {
                self.close(id, CLOSE_POLICY, "a message did not arrive in time", now);
                let message = format_args!("a message did not arrive in time");
                self.tell_log_of(Some(id), "warning", "limits", message, now);
            }
            Session::WebSocket(_) if self.settings.silence(conn.voice) != Some(Silence::Pinged) => {
                let most = self.settings.idle_s_max(conn.voice, conn.caller.silent_s_max());
                if most.is_some_and(|most| silent_s >= most) {
                    self.close(id, CLOSE_NORMAL, "", now);
                }
            }
            Session::WebSocket(websocket) => {
                // A busy shard looks late: the time that a client has for its answer begins with the ping.
                let unanswered_s =
                    websocket.pinged_s().map(|pinged_s| seconds(now).saturating_sub(pinged_s));
                let ping_after_s = self.settings.ping_after_s;
                if unanswered_s
                    .is_some_and(|unanswered_s| silent_s.min(unanswered_s) >= ping_after_s)
                {
                    self.close(id, CLOSE_SILENT, "no pong", now);
                } else if silent_s >= ping_after_s && unanswered_s.is_none() {
                    websocket.set_pinged(seconds(now));
                    let mut bytes = Vec::new();
                    frame::put_ping(&mut bytes, b"");
                    self.push_item(id, Item::Raw(bytes.into()));
                }
            }
            Session::Sse { said_s } => {
                if seconds(now).saturating_sub(*said_s) >= super::session::SSE_COMMENT_S {
                    *said_s = seconds(now);
                    self.say_comment(id);
                }
            }
            Session::Busy | Session::Gone => {}
        }
    }

    /// Says good-bye after everything that is still owed, rather than instead of it; nothing if that was said already.
    //= rfc6455#5.5.1
    //# The application MUST NOT send any more data frames after sending a Close frame.
    pub(super) fn close_politely(&mut self, id: ConnId, code: u16, reason: &str, now: Now) {
        if self.conns.is_closing(id) {
            return;
        }
        if self.conns.solo(id).is_some_and(Solo::is_told_missed) {
            // It goes on with that when it comes back.
            return self.close(id, code, reason, now);
        }
        self.send_all_held(id, now);
        self.go_solo(id);
        if is_aborted(self.conns.voice_of(id)) {
            return self.end_politely(id, AfterSent::Gone, now);
        }
        let mut bytes = Vec::new();
        let after_sent = farewell::put(&self.conns, id, (code, reason), &mut bytes);
        self.push_item(id, Item::Raw(bytes.into()));
        self.end_politely(id, after_sent, now);
    }

    /// Ends subscriptions after what waits was sent.
    pub(super) fn end_politely(&mut self, id: ConnId, after_sent: AfterSent, now: Now) {
        let due_ms = now.mono_ms + u64::from(self.settings.close_timeout_s) * 1000;
        self.telling.plays.forget(&mut self.conns, id);
        if let Some(solo) = self.conns.solo_mut(id) {
            solo.replays.clear();
            solo.count_past();
            solo.closing = Some(Closing { due_ms, after_sent });
        }
        self.mark_solo(id);
        self.hear_later(id);
    }
}

/// Whether what a client sends has been coming for too long. Whoever is not read is not late.
fn is_late(settings: &Settings, conn: &mut Conn) -> bool {
    let patience = Patience::of(settings);
    conn.solo.as_deref().is_none_or(Solo::is_read) && conn.session.is_late(patience)
}

/// Whether a client has still to say its first packet, in a dialect whose clients say with it for how long they may be silent: also one that was let in at the upgrade, however often it pings.
fn is_first_awaited(settings: &Settings, conn: &Conn) -> bool {
    settings.silence(conn.voice) == Some(Silence::Agreed) && !conn.caller.has_agreed()
}

/// Whether connections that are spoken to so are ended without a close frame.
fn is_aborted(voice: Option<Voice>) -> bool {
    voice.is_some_and(|voice| voice.dialect.speaker().manners.ending == Ending::Abort)
}

impl Conns {
    /// Whether something that a connection has said is still to be answered.
    pub(super) fn is_answer_awaited(&self, id: ConnId) -> bool {
        self.find(id)
            .is_some_and(|conn| matches!(&conn.session, Session::Http(http) if http.is_owing()))
    }
}
