//! HTTP/1.1: requests one after the other, each routed, answered in order, and some of them turned into something else.
//!
//! Invariants: requests that were pipelined wait until the one before them is answered; bytes glued to an upgrade request belong to the
//! WebSocket; an error that leaves the framing in doubt ends the connection.

use super::super::Shard;
use super::super::conns::Conns;
use super::super::deadlines::seconds;
use super::super::input::ConnId;
use super::super::input::Port;
use super::super::transport::Deflate;
use super::super::transport::Transport;
use super::super::transport::Voice;
use super::Response;
use super::Session;
use super::awaiting::AnswerAwaited;
use super::awaiting::PartialBody;
use super::bare;
use super::packets::PacketInput;
use super::patience::Patience;
use super::unread::Unread;
use super::upload::Upload;
use super::websocket::Echo;
use super::websocket::WebSocket;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Door;
use crate::dialect::MediaType;
use crate::dialect::Opening;
use crate::dialect::OpensUpload;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::limits::PROVISIONING_AUTH_S;
use crate::wire::deflate::Agreed;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Answering;
use crate::wire::http::CONTINUE;
use crate::wire::http::Connection;
use crate::wire::http::Head;
use crate::wire::http::HttpDate;
use crate::wire::http::HttpError;
use crate::wire::http::parse_head;
use crate::wire::upgrade::Terms;
use crate::wire::upgrade::Upgrade;
use crate::wire::upgrade::UpgradeError;

/// The state of an HTTP connection.
#[derive(Debug)]
pub(in super::super) struct Http {
    port: Port,
    /// Bytes that were read and are not part of a request yet.
    input: Unread,
    state: State,
    /// How the request that is being answered is answered.
    answering: Answering,
    /// Seconds for which a request, or a line of it, has been coming, counted by looks at the connection, one a second.
    coming_s: u32,
    /// Parsing waits until the client has read responses, or until other connections had their turn.
    is_paused: bool,
    /// The client has closed its sending side.
    has_ended: bool,
}

#[derive(Debug)]
pub(super) enum State {
    Head,
    Upload(Box<Upload>),
    /// The registrar was asked whether the client may have one more connection: the request's head, and its route.
    Entering(Box<(Head, &'static Door)>),
    /// The body of a call is coming.
    Gather(Box<PartialBody>),
    /// The response waits for an answer to a question of the call.
    Awaiting(Box<AnswerAwaited>),
    /// The response that ends the connection was sent; nothing more is read.
    Ended,
}

impl Http {
    pub(super) fn new(port: Port) -> Self {
        let answering = Answering::nobody(HttpDate::default());
        Self {
            port,
            input: Unread::default(),
            state: State::Head,
            answering,
            coming_s: 0,
            is_paused: false,
            has_ended: false,
        }
    }

    pub(super) fn answering(&self) -> &Answering {
        &self.answering
    }

    pub(super) fn set_answering(&mut self, answering: Answering) {
        self.answering = answering;
    }

    /// No other request follows the one that is being answered.
    pub(super) fn ends(&mut self) {
        self.answering.connection = Connection::Close;
    }

    /// The body of the request is read to its end: the next one may follow if the client likes.
    pub(super) fn reads_body(&mut self, head: &Head) {
        if head.keep_alive {
            self.answering.connection = Connection::KeepAlive;
        }
    }

    /// The connection ends with the answer.
    pub(super) fn answers_last(&mut self) {
        self.answering = self.answering.last();
    }

    pub(super) fn input_mut(&mut self) -> &mut Unread {
        &mut self.input
    }

    pub(super) fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Head)
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    pub(super) fn port(&self) -> Port {
        self.port
    }

    pub(super) fn set_state(&mut self, state: State) {
        self.state = state;
    }

    /// Whether a response is awaited before the next request is parsed.
    pub(in super::super) fn is_waiting(&self) -> bool {
        match &self.state {
            State::Head | State::Gather(_) => false,
            State::Upload(upload) => upload.is_waiting(),
            State::Awaiting(_) | State::Entering(_) => true,
            State::Ended => false,
        }
    }

    /// Whether requests that were read are not answered yet.
    pub(in super::super) fn is_owing(&self) -> bool {
        self.is_waiting() || self.is_paused
    }

    /// Whether a body is coming: what has come of it is answered for.
    pub(in super::super) fn is_coming(&self) -> bool {
        matches!(self.state, State::Upload(_) | State::Gather(_))
    }

    /// Whether the call's drafts are published, and only their places are not known yet.
    pub(super) fn is_published(&self) -> bool {
        matches!(&self.state, State::Awaiting(awaited) if awaited.held_bytes() > 0)
    }

    /// Whether the connection is between two requests.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Head) && self.input.is_empty()
    }

    pub(super) fn pause(&mut self) {
        self.is_paused = true;
    }

    /// The request timeout begins anew.
    pub(super) fn begin_count(&mut self) {
        self.coming_s = 0;
    }

    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Drops what was read and not parsed.
    pub(super) fn forget_input(&mut self) {
        self.input = Unread::default();
        self.is_paused = false;
    }

    /// Once a second: whether a request, or a line of one that lasts, has been coming for longer than it may at this pace.
    pub(super) fn is_late(&mut self, patience: Patience) -> bool {
        let come = match &self.state {
            State::Head if self.input.is_empty() => None,
            State::Head => Some(0),
            State::Gather(gathering) => Some(gathering.come_bytes()),
            State::Upload(upload) => Some(upload.come_bytes()),
            _ => None,
        };
        let Some(come) = come.filter(|_| !self.is_owing()) else { return false };
        self.coming_s = self.coming_s.saturating_add(1);
        patience.is_late(self.coming_s, come)
    }

    /// Bytes held of requests that are not answered: unparsed input, bodies and drafts.
    pub(super) fn held_bytes(&self) -> usize {
        let of_state = match &self.state {
            State::Upload(upload) => upload.held_bytes(),
            State::Gather(gathering) => gathering.held_bytes(),
            State::Entering(entering) => entering.0.weight_bytes(),
            State::Awaiting(awaited) => awaited.held_bytes(),
            _ => 0,
        };
        self.input.held_bytes() + of_state
    }
}

impl Shard {
    pub(super) fn http_received(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        bytes: &[u8],
        now: Now,
    ) {
        http.input.extend(bytes);
        self.http_go_on(id, http, now);
    }

    /// Works through what has been read, as far as it goes and there is room for answers.
    pub(super) fn http_go_on(&mut self, id: ConnId, mut http: Box<Http>, now: Now) {
        http.is_paused = false;
        loop {
            match &http.state {
                State::Head => {
                    if http.input.is_empty() {
                        http.coming_s = 0;
                        break;
                    }
                    let (port, first) = (http.port, http.input.as_slice().first());
                    if let Some(packets) = bare::packets_at(&self.settings, port, first) {
                        let conn = self.conns.find_mut(id);
                        let (packets, opening) =
                            bare::open(&self.settings, conn, port, packets, now);
                        let come = (Transport::Bare, http.input);
                        return self.begin_talk(id, packets, Some(opening), come, now);
                    }
                    if !self.conns.may_answer(id) {
                        http.is_paused = true;
                        break;
                    }
                    match parse_head(http.input.as_slice()) {
                        Ok(None) => break,
                        Ok(Some((head, consumed))) => {
                            http.input.take(consumed);
                            http.coming_s = 0;
                            let Some(back) = self.route(id, http, &head, now) else { return };
                            http = back;
                        }
                        Err(error) => {
                            // Who asks is not known: not even which page.
                            http.answering = Answering::nobody(self.life.date());
                            self.http_fault(id, &mut http, error, now);
                            break;
                        }
                    }
                }
                State::Upload(upload) if !upload.is_waiting() => {
                    if !self.go_on_uploading(id, &mut http, now) {
                        break;
                    }
                }
                State::Gather(body)
                    if body.may_publish()
                        && !self.has_time(id, self.intake.lack(Some(0), false)) =>
                {
                    http.is_paused = true;
                    break;
                }
                State::Gather(_) => {
                    let Some(back) = self.go_on_gathering(id, http, now) else { return };
                    http = back;
                    if matches!(http.state, State::Gather(_)) {
                        break;
                    }
                }
                State::Upload(_) | State::Awaiting(_) | State::Entering(_) => break,
                State::Ended => {
                    http.input = Unread::default();
                    break;
                }
            }
        }
        if http.has_ended && !http.is_owing() {
            self.cut_what_ended(id, &mut http, now);
        }
        self.put_back(id, Session::Http(http));
    }

    /// Says what is wrong with the bytes themselves, and ends the connection.
    pub(super) fn http_fault(&mut self, id: ConnId, http: &mut Http, error: HttpError, now: Now) {
        http.answering = http.answering.last();
        self.reply(id, http, now, |out, answering| error.write_reply(out, answering));
    }

    /// Makes a connection a WebSocket, if its request is one for that; without an opening, one that echoes.
    pub(super) fn route_websocket(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        opening: Option<Opening>,
        now: Now,
    ) -> Option<Box<Http>> {
        let (protocols, deflate) = opening
            .as_ref()
            .map_or((&[][..], DeflateTerms::Any), |opening| (opening.protocols, opening.deflate));
        let deflate = if self.settings.deflate { deflate } else { DeflateTerms::None };
        let terms = Terms { protocols, deflate };
        let upgrade = match Upgrade::check(head, &terms) {
            Ok(upgrade) => upgrade,
            Err(error) => {
                self.refuse_upgrade(id, &mut http, error, now);
                return Some(http);
            }
        };
        let packets = opening.as_ref().and_then(|of| of.dialect.speaker().protocol.packets);
        //= mqtt-v5.0#6.0
        //# The Client MUST include "mqtt" in the list of WebSocket Sub Protocols it offers
        if packets.is_some() && upgrade.protocol.is_none() {
            self.refuse_upgrade(id, &mut http, UpgradeError::ProtocolMissing, now);
            return Some(http);
        }
        let mut reply = Vec::with_capacity(256);
        upgrade.write_reply(&mut reply);
        self.push_item(id, Item::Raw(reply.into()));
        let may_deflate = upgrade.deflate.is_some();
        let echo = opening.is_none().then_some(Echo { deflate: upgrade.deflate });
        let bytes_max =
            if echo.is_none() { self.settings.message_bytes_max } else { MESSAGE_BYTES_MAX };
        let transport = Transport::WebSocket { deflate: deflate_of(upgrade.deflate) };
        let mut websocket = WebSocket::new(bytes_max, may_deflate, echo);
        if let Some(packets) = packets {
            websocket = websocket.with_packets(PacketInput::new(packets, bytes_max));
        }
        let is_unknown = self.conns.find(id).is_some_and(|conn| conn.who.is_none());
        if (is_unknown || packets.is_some()) && echo.is_none() {
            websocket.must_identify_by(seconds(now) + PROVISIONING_AUTH_S);
        }
        // What was glued to the request is the WebSocket's.
        let rest = std::mem::take(&mut http.input);
        self.begin_talk(id, websocket, opening, (transport, rest), now);
        None
    }

    /// Begins a conversation, which hears what has come already.
    pub(super) fn begin_talk(
        &mut self,
        id: ConnId,
        mut websocket: WebSocket,
        opening: Option<Opening>,
        (transport, mut come): (Transport, Unread),
        now: Now,
    ) {
        let mut first = Vec::new();
        if let (Some(opening), Some(conn)) = (opening, self.conns.find_mut(id)) {
            conn.voice = Some(Voice { dialect: opening.dialect, transport });
            self.stats.tally.of(opening.dialect).connections += 1;
            conn.talk = Some(opening.talk);
            first = opening.first;
        }
        let rest = self.talk_open(id, first, now);
        websocket.begin_with(rest);
        if come.is_empty() {
            // Whoever looks at clients before they are heard is asked at once, not with their first word.
            self.websocket_go_on(id, websocket, now);
        } else {
            self.websocket_received(id, websocket, come.as_mut_slice(), now);
        }
    }

    /// Refuses what is no request for a WebSocket. The connection ends: what a confused client sends next may be frames.
    pub(super) fn refuse_upgrade(
        &mut self,
        id: ConnId,
        http: &mut Http,
        error: UpgradeError,
        now: Now,
    ) {
        http.answering = http.answering.last();
        self.reply(id, http, now, |out, answering| error.write_reply(out, answering));
    }

    /// Begins to take events in: one, or one a line.
    pub(super) fn begin_upload(
        &mut self,
        id: ConnId,
        http: &mut Http,
        head: &Head,
        (opens, media): (OpensUpload, Option<&'static MediaType>),
        now: Now,
    ) {
        let uploading = match opens(head, media) {
            Ok(uploading) => uploading,
            Err(problem) => return self.refuse_opening(id, http, &problem, now),
        };
        match Upload::new(uploading, head.framing, self.settings.message_bytes_max) {
            Ok(upload)
                if !self.conns.may_publish(id, upload.topic(), &self.settings.tables.schema) =>
            {
                let refusal = self.conns.why_not_publish(id);
                self.refuse_for(id, http, (403, &refusal), now);
            }
            Ok(upload) => {
                if head.expect_continue {
                    self.push_item(id, Item::Raw(CONTINUE.into()));
                }
                http.reads_body(head);
                http.state = State::Upload(Box::new(upload));
            }
            Err((status, refusal)) => self.refuse_for(id, http, (status, &refusal), now),
        }
    }

    /// Answers what was asked outside of the core, and goes on with what was pipelined.
    pub(super) fn http_answered(&mut self, id: ConnId, response: &Response, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let mut http = match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => http,
            session => return self.put_back(id, session),
        };
        if !matches!(&http.state, State::Awaiting(awaited) if matches!(**awaited, AnswerAwaited::Outside))
        {
            return self.put_back(id, Session::Http(http));
        }
        self.respond(id, &mut http, response, now);
        self.http_go_on(id, http, now);
        self.conns.resume(id);
    }
}

fn deflate_of(agreed: Option<Agreed>) -> Deflate {
    match agreed {
        None => Deflate::Off,
        Some(agreed) if agreed.server_no_context_takeover => {
            Deflate::Alone { window_bits: agreed.server_window_bits }
        }
        Some(agreed) => Deflate::Takeover { window_bits: agreed.server_window_bits },
    }
}

impl Conns {
    /// Whether a request may be answered now; if not, the connection goes on when its client has taken its answers.
    fn may_answer(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.find_mut(id) else { return false };
        let Some(solo) = conn.solo.as_deref_mut() else { return true };
        solo.is_unheard |= !solo.has_room();
        !solo.is_unheard
    }
}
