//! HTTP/1.1: requests one after the other, each routed, answered in order, and some of them turned into something else.
//!
//! Invariants: requests that were pipelined wait until the one before them is answered; bytes glued to an upgrade request belong to the
//! WebSocket; an error that leaves the framing in doubt ends the connection.

use super::super::Shard;
use super::super::class::Deflate;
use super::super::class::Transport;
use super::super::class::Voice;
use super::super::input::ConnId;
use super::super::input::Port;
use super::super::lifecycle::seconds;
use super::Response;
use super::Session;
use super::cast;
use super::cast::Owed;
use super::gather::Gathering;
use super::stream::Asked;
use super::upload::Upload;
use super::websocket::Speaks;
use super::websocket::WebSocket;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect;
use crate::dialect::DialectId;
use crate::dialect::Door;
use crate::dialect::Refusal;
use crate::dialect::native;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::limits::PROVISIONING_AUTH_S;
use crate::wire::deflate::Agreed;
use crate::wire::http::Answering;
use crate::wire::http::CONTINUE;
use crate::wire::http::Connection;
use crate::wire::http::Head;
use crate::wire::http::HttpDate;
use crate::wire::http::HttpError;
use crate::wire::http::Reply;
use crate::wire::http::parse_head;
use crate::wire::upgrade::Terms;
use crate::wire::upgrade::Upgrade;
use crate::wire::upgrade::UpgradeError;

/// The state of an HTTP connection.
#[derive(Debug)]
pub(in super::super) struct Http {
    port: Port,
    /// What was read and could not be used yet.
    input: Vec<u8>,
    state: State,
    /// How the request that is being answered is answered.
    answering: Answering,
    /// When the request that is being read began, in milliseconds since the start.
    since_ms: Option<u64>,
}

#[derive(Debug)]
pub(super) enum State {
    Head,
    Upload(Box<Upload>),
    /// The registrar has been asked about the one who sent this, and where it goes then.
    Entering(Box<(Head, &'static Door)>),
    /// A small body is being gathered.
    Gather(Box<Gathering>),
    /// What was published is not known to have its place yet.
    Casting(Owed),
    /// What was posted is not known to have its place yet, and its answer waits for that.
    Posting,
    /// Topics are being gathered from the other shards.
    Topics(Box<cast::Gathering>),
    /// An admin request is being answered.
    Asked,
    /// The connection ends with what was said; nothing more is read.
    Ended,
}

impl Http {
    pub(super) fn new(port: Port) -> Self {
        let answering = Answering::nobody(HttpDate::default());
        Self { port, input: Vec::new(), state: State::Head, answering, since_ms: None }
    }

    pub(super) fn answering(&self) -> &Answering {
        &self.answering
    }

    pub(super) fn set_answering(&mut self, answering: Answering) {
        self.answering = answering;
    }

    /// The body of the request is read to its end: the next one may follow if the client likes.
    pub(super) fn reads_body(&mut self, head: &Head) {
        if head.keep_alive {
            self.answering.connection = Connection::KeepAlive;
        }
    }

    pub(super) fn input_mut(&mut self) -> &mut Vec<u8> {
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

    /// Whether it waits for something before it reads on.
    pub(in super::super) fn is_waiting(&self) -> bool {
        match &self.state {
            State::Head | State::Gather(_) => false,
            State::Upload(upload) => upload.is_waiting(),
            State::Asked
            | State::Entering(_)
            | State::Casting(_)
            | State::Posting
            | State::Topics(_) => true,
            State::Ended => false,
        }
    }

    /// Whether a request's head has been on its way for too long.
    pub(in super::super) fn is_overdue(&self, now: Now, timeout_s: u32) -> bool {
        let began = if matches!(self.state, State::Head) { self.since_ms } else { None };
        began.is_some_and(|since_ms| {
            now.mono_ms.saturating_sub(since_ms) >= u64::from(timeout_s) * 1000
        })
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
        http.input.extend_from_slice(bytes);
        self.http_go_on(id, http, now);
    }

    /// Works through what has been read, as far as it goes.
    pub(super) fn http_go_on(&mut self, id: ConnId, mut http: Box<Http>, now: Now) {
        loop {
            match &http.state {
                State::Head => {
                    if http.input.is_empty() {
                        http.input = Vec::new();
                        break;
                    }
                    http.since_ms.get_or_insert(now.mono_ms);
                    match parse_head(&http.input) {
                        Ok(None) => break,
                        Ok(Some((head, consumed))) => {
                            http.input.drain(..consumed);
                            http.since_ms = None;
                            let Some(back) = self.route(id, http, &head, now) else { return };
                            http = back;
                        }
                        Err(error) => {
                            // Who asks is not known: not even which page.
                            http.answering = Answering::nobody(self.date);
                            self.http_fault(id, &mut http, error, now);
                            break;
                        }
                    }
                }
                State::Upload(upload) if !upload.is_waiting() => {
                    let input = std::mem::take(&mut http.input);
                    let State::Upload(upload) = std::mem::replace(&mut http.state, State::Head)
                    else {
                        unreachable!("it is one")
                    };
                    let answering = Answering { date: self.date, ..http.answering.clone() };
                    let (state, rest) = self.upload_go_on(id, upload, input, &answering, now);
                    http.input = rest;
                    let is_stuck = matches!(&state, UploadState::More(_))
                        || matches!(&state, UploadState::Ended);
                    http.state = state.into_state();
                    if is_stuck {
                        break;
                    }
                }
                State::Gather(_) => {
                    let Some(back) = self.go_on_gathering(id, http, now) else { return };
                    http = back;
                    if matches!(http.state, State::Gather(_)) {
                        break;
                    }
                }
                State::Topics(gathering) if gathering.is_complete() => {
                    http = self.answer_topics(id, http, now);
                }
                State::Upload(_)
                | State::Asked
                | State::Entering(_)
                | State::Casting(_)
                | State::Posting
                | State::Topics(_) => break,
                State::Ended => {
                    http.input = Vec::new();
                    break;
                }
            }
        }
        self.put_back(id, Session::Http(http));
    }

    /// Says what is wrong with the bytes themselves, and ends the connection.
    pub(super) fn http_fault(&mut self, id: ConnId, http: &mut Http, error: HttpError, now: Now) {
        http.answering = http.answering.last();
        self.reply(id, http, now, |out, answering| error.write_reply(out, answering));
    }

    /// Makes a connection a WebSocket, if its request is one for that.
    pub(super) fn route_websocket(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        opening: Opening,
        now: Now,
    ) -> Option<Box<Http>> {
        let protocols: &'static [&'static str] =
            if matches!(opening, Opening::Native { .. }) { &[native::SUBPROTOCOL] } else { &[] };
        let may_deflate = !matches!(&opening, Opening::Talk(talk) if !talk.may_deflate);
        let terms = Terms { protocols, deflate: self.settings.deflate && may_deflate };
        let upgrade = match Upgrade::check(head, &terms) {
            Ok(upgrade) => upgrade,
            Err(error) => {
                self.refuse_upgrade(id, &mut http, error, now);
                return Some(http);
            }
        };
        let mut reply = std::mem::take(&mut self.reply_scratch);
        reply.clear();
        upgrade.write_reply(&mut reply);
        self.push_item(id, Item::Raw(reply[..].into()));
        self.reply_scratch = reply;
        let may_deflate = upgrade.deflate.is_some();
        let (speaks, dialect, asked) = match opening {
            Opening::Native { asked } => {
                (Speaks::Dialect(DialectId::Native), Some(DialectId::Native), asked)
            }
            Opening::Echo => (Speaks::Echo { deflate: upgrade.deflate }, None, None),
            Opening::Talk(dialect::Opening { dialect, talk, .. }) => {
                (Speaks::Talk(talk), Some(dialect), None)
            }
        };
        let bytes_max =
            if dialect.is_some() { self.settings.message_bytes_max } else { MESSAGE_BYTES_MAX };
        if let (Some(dialect), Some(conn)) = (dialect, self.conns.find_mut(id)) {
            let transport = Transport::WebSocket { deflate: deflate_of(upgrade.deflate) };
            conn.voice = Some(Voice { dialect, transport });
        }
        let mut websocket = WebSocket::new(bytes_max, may_deflate, speaks);
        if self.conns.find(id).is_some_and(|conn| conn.who.is_none()) && dialect.is_some() {
            websocket.must_identify_by(seconds(now) + PROVISIONING_AUTH_S);
        }
        self.greet(id, &mut websocket, now);
        if let Some(asked) = asked {
            self.subscribe_asked(id, &asked, now);
        }
        // What was glued to the request is the WebSocket's.
        let mut rest = std::mem::take(&mut http.input);
        if rest.is_empty() {
            self.put_back(id, Session::WebSocket(websocket));
        } else {
            self.websocket_received(id, websocket, &mut rest, now);
        }
        None
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

    /// Begins to take events in.
    pub(super) fn begin_upload(&mut self, id: ConnId, http: &mut Http, head: &Head, now: Now) {
        if self.stopping.is_some() {
            let message = "the server is shutting down";
            return self.refuse(id, http, 503, ("shutting_down", message), now);
        }
        match Upload::read(head, self.settings.message_bytes_max) {
            Ok(upload) if !self.may_publish(id, upload.topic()) => {
                let refusal = self.why_not_publish(id);
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

    /// Answers an admin request, and goes on with what was pipelined.
    pub(super) fn http_answered(&mut self, id: ConnId, response: &Response, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let mut http = match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => http,
            session => return self.put_back(id, session),
        };
        if !matches!(http.state, State::Asked) {
            return self.put_back(id, Session::Http(http));
        }
        self.reply(id, &mut http, now, |out, answering| {
            let mut reply = Reply::begin(out, response.status, answering);
            for (name, value) in &response.headers {
                reply = reply.header(name, value);
            }
            match response.status {
                304 => reply.empty(),
                _ => reply.body(response.content_type, &response.body),
            }
        });
        self.http_go_on(id, http, now);
        self.resumed.push(id);
    }

    /// The home shards have answered an upload's lines.
    pub(super) fn upload_published(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        results: &[super::PublishResult],
        now: Now,
    ) {
        match http.state {
            State::Casting(owed) => {
                self.answer_cast(id, &mut http, owed, results, now);
                return self.http_go_on(id, http, now);
            }
            State::Posting => {
                self.answer_post(id, &mut http, results, now);
                return self.http_go_on(id, http, now);
            }
            _ => {}
        }
        let State::Upload(upload) = &mut http.state else {
            return self.put_back(id, Session::Http(http));
        };
        upload.take_results(results, now);
        self.hold(id, &http, now);
        self.http_go_on(id, http, now);
    }

    /// Has an upload that found everything full try again soon.
    fn hold(&mut self, id: ConnId, http: &Http, now: Now) {
        if let State::Upload(upload) = &http.state
            && upload.is_held()
            && let Some(conn) = self.conns.conn_ref(id)
        {
            self.held.push(now.mono_ms + upload.retry_ms(), conn);
        }
    }

    /// Tries again with an upload that found everything full.
    pub(super) fn retry_upload(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let mut http = match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => http,
            session => return self.put_back(id, session),
        };
        if let State::Upload(upload) = &mut http.state
            && let Some(drafts) = upload.retry()
        {
            if let Some(results) = self.publish(id, drafts, now) {
                upload.take_results(&results, now);
            }
            self.hold(id, &http, now);
        }
        self.http_go_on(id, http, now);
        self.resumed.push(id);
    }

    /// A request did not arrive in time, or nobody has anything to ask any more.
    pub(in super::super) fn time_out(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let Session::Http(http) = &mut conn.session else { return };
        let is_idle = matches!(http.state, State::Head) && http.input.is_empty();
        let answering = match http.state {
            // The request before this one is over, and whose this one is nobody knows.
            State::Head => Answering::nobody(self.date),
            _ => Answering { date: self.date, ..http.answering.last() },
        };
        http.state = State::Ended;
        if !is_idle {
            let mut out = Vec::new();
            Reply::begin(&mut out, 408, &answering)
                .error("timeout", "the request did not arrive in time");
            self.push_item(id, Item::Raw(out.into()));
        }
        self.close_after_sent(id, now);
    }
}

/// What a connection is to become.
pub(super) enum Opening {
    Native { asked: Option<Asked> },
    Echo,
    Talk(dialect::Opening),
}

/// How far an upload has come.
pub(super) enum UploadState {
    /// It waits for more of its body, or for an answer.
    More(Box<Upload>),
    /// It is answered, and the next request may follow.
    Answered,
    /// It is answered, and the connection ends.
    Ended,
}

impl UploadState {
    fn into_state(self) -> State {
        match self {
            Self::More(upload) => State::Upload(upload),
            Self::Answered => State::Head,
            Self::Ended => State::Ended,
        }
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

/// `{"error":{"code":…,"message":…,"field":…}}`
pub(super) fn refusal_body(refusal: &Refusal) -> Vec<u8> {
    let mut error = serde_json::Map::new();
    error.insert("code".into(), refusal.code.name().into());
    error.insert("message".into(), (*refusal.message).into());
    if let Some(field) = &refusal.field {
        error.insert("field".into(), (**field).into());
    }
    serde_json::json!({ "error": error }).to_string().into_bytes()
}
