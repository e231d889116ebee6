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
use super::AdminRequest;
use super::Response;
use super::Session;
use super::cast;
use super::cast::Owed;
use super::endpoint::Routed;
use super::gather::Gathered;
use super::gather::Gathering;
use super::identity::Entered;
use super::stream::Asked;
use super::upload::Upload;
use super::websocket::Speaks;
use super::websocket::WebSocket;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::DialectId;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Talk;
use crate::dialect::native;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::limits::PROVISIONING_AUTH_S;
use crate::wire::deflate::Agreed;
use crate::wire::http::CONTINUE;
use crate::wire::http::Connection;
use crate::wire::http::Head;
use crate::wire::http::HttpError;
use crate::wire::http::Method;
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
    /// When the request that is being read began, in milliseconds since the start.
    since_ms: Option<u64>,
}

#[derive(Debug)]
pub(super) enum State {
    Head,
    Upload(Box<Upload>),
    /// The registrar has been asked about the one who sent this.
    Entering(Box<Head>),
    /// A small body is being gathered.
    Gather(Box<Gathering>),
    /// What was published is not known to have its place yet.
    Casting(Owed),
    /// What was posted is not known to have its place yet, and its answer waits for that.
    Posting {
        keep_alive: bool,
    },
    /// Topics are being gathered from the other shards.
    Topics(Box<cast::Gathering>),
    /// An admin request is being answered.
    Asked {
        keep_alive: bool,
        head_only: bool,
    },
    /// The connection ends with what was said; nothing more is read.
    Ended,
}

impl Http {
    pub(super) fn new(port: Port) -> Self {
        Self { port, input: Vec::new(), state: State::Head, since_ms: None }
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
            State::Asked { .. }
            | State::Entering(_)
            | State::Casting(_)
            | State::Posting { .. }
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
                    let (state, rest) = self.upload_go_on(id, upload, input, now);
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
                | State::Asked { .. }
                | State::Entering(_)
                | State::Casting(_)
                | State::Posting { .. }
                | State::Topics(_) => break,
                State::Ended => {
                    http.input = Vec::new();
                    break;
                }
            }
        }
        self.put_back(id, Session::Http(http));
    }

    /// Takes in more of a small body; `None` if the connection is something else now.
    fn go_on_gathering(&mut self, id: ConnId, mut http: Box<Http>, now: Now) -> Option<Box<Http>> {
        let State::Gather(gathering) = std::mem::replace(&mut http.state, State::Ended) else {
            unreachable!("it is one")
        };
        let mut input = std::mem::take(&mut http.input);
        let gathered = self.gather_go_on(id, gathering, &mut input, now);
        http.input = input;
        http.state = match gathered {
            Gathered::More(gathering) => State::Gather(gathering),
            Gathered::Ended => State::Ended,
            Gathered::Answered => State::Head,
            Gathered::Casting(owed) => State::Casting(owed),
            Gathered::Posting { keep_alive } => State::Posting { keep_alive },
            Gathered::Taken => return None,
        };
        Some(http)
    }

    /// Says what is wrong with the bytes themselves, and ends the connection.
    pub(super) fn http_fault(&mut self, id: ConnId, http: &mut Http, error: HttpError, now: Now) {
        let mut out = Vec::new();
        error.write_reply(&mut out);
        self.push_item(id, Item::Raw(out.into()));
        http.state = State::Ended;
        self.close_after_sent(id, now);
    }

    /// Answers a request, or turns the connection into what it asks for; `None` if it no longer is HTTP.
    fn route(&mut self, id: ConnId, http: Box<Http>, head: &Head, now: Now) -> Option<Box<Http>> {
        if !super::endpoint::is_here(http.port(), head) {
            let message = "there is nothing here: this port is one dialect's own";
            return Some(self.refuse(id, http, head, 404, "not_found", message, now));
        }
        let mut http = match self.enter(id, http, head, now) {
            Entered::Yes(http) => http,
            Entered::Refused(http) => return Some(http),
        };
        let is_counted = self.conns.find(id).is_none_or(|conn| conn.is_counted);
        if is_counted || !super::endpoint::is_lasting(head) {
            return self.route_known(id, http, head, now);
        }
        match self.ask_registrar(id, now) {
            Some(Ok(())) => self.route_known(id, http, head, now),
            Some(Err(error)) => Some(self.refuse_entry(id, http, head, error, now)),
            None => {
                http.state = State::Entering(Box::new(head.clone()));
                Some(http)
            }
        }
    }

    /// As `route`, once it is known who asks.
    pub(super) fn route_known(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        let path = head.path();
        match path {
            "/v1/ws" => return self.route_native(id, http, head, now),
            "/echo" if self.settings.echo => {
                return self.route_websocket(id, http, head, Opening::Echo, now);
            }
            "/v1/sse" => return self.route_sse(id, http, head, now),
            _ => {}
        }
        if path.starts_with("/v1/publish/") || path == "/v1/publish" {
            return Some(self.route_publish(id, http, head, now));
        }
        let http = match self.route_dialects(id, http, head, now) {
            Routed::Taken(back) => return back,
            Routed::Other(http) => http,
        };
        Some(self.route_admin(id, http, head, now))
    }

    fn route_native(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        match Asked::read_if_any(head) {
            Ok(asked) => self.route_websocket(id, http, head, Opening::Native { asked }, now),
            Err(refusal) => Some(self.refuse_for(id, http, head, (400, &refusal), now)),
        }
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
        let may_deflate = !matches!(opening, Opening::Talk { may_deflate: false, .. });
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
            Opening::Talk { dialect, talk, .. } => (Speaks::Talk(talk), Some(dialect), None),
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

    fn refuse_upgrade(&mut self, id: ConnId, http: &mut Http, error: UpgradeError, now: Now) {
        let mut reply = Vec::new();
        error.write_reply(&mut reply);
        self.push_item(id, Item::Raw(reply.into()));
        http.state = State::Ended;
        self.close_after_sent(id, now);
    }

    fn route_sse(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        if head.method != Method::Get {
            return Some(self.refuse(
                id,
                http,
                head,
                405,
                "method_not_allowed",
                "an event stream is asked for with GET",
                now,
            ));
        }
        match Asked::read(head) {
            Ok(asked) => {
                self.begin_sse(id, head, &asked, now);
                None
            }
            Err(refusal) => Some(self.refuse_for(id, http, head, (400, &refusal), now)),
        }
    }

    fn route_publish(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Box<Http> {
        if head.method != Method::Post {
            return self.refuse(
                id,
                http,
                head,
                405,
                "method_not_allowed",
                "events are published with POST",
                now,
            );
        }
        if self.stopping.is_some() {
            return self.refuse(
                id,
                http,
                head,
                503,
                "shutting_down",
                "the server is shutting down",
                now,
            );
        }
        match Upload::read(head, self.settings.message_bytes_max) {
            Ok(upload) if !self.may_publish(id, upload.topic()) => {
                let message = "publishing to this topic is not allowed";
                let refusal = Refusal::of(RefusalCode::Forbidden, "topic", message);
                self.refuse_for(id, http, head, (403, &refusal), now)
            }
            Ok(upload) => {
                if head.expect_continue {
                    self.push_item(id, Item::Raw(CONTINUE.into()));
                }
                http.state = State::Upload(Box::new(upload));
                http
            }
            Err((status, refusal)) => self.refuse_for(id, http, head, (status, &refusal), now),
        }
    }

    fn route_admin(&mut self, id: ConnId, mut http: Box<Http>, head: &Head, now: Now) -> Box<Http> {
        let head_only = head.method == Method::Head;
        if !head_only && head.method != Method::Get {
            let (status, code) = if super::upload::is_known_path(head.path()) {
                (405, "method_not_allowed")
            } else {
                (404, "not_found")
            };
            return self.refuse(
                id,
                http,
                head,
                status,
                code,
                "there is nothing here for this method",
                now,
            );
        }
        let Some(conn) = self.conns.conn_ref(id) else { return http };
        let path = head.path_after("").unwrap_or_default().into_owned();
        let if_none_match = head.header("if-none-match").map(str::to_owned);
        // A body would have to be read; nobody asks with one, so the connection ends instead.
        let has_body = !matches!(
            head.framing,
            crate::wire::http::Framing::None | crate::wire::http::Framing::Length(0)
        );
        self.admin.push_back((conn, AdminRequest { path, head_only, if_none_match }));
        http.state = State::Asked { keep_alive: head.keep_alive && !has_body, head_only };
        http
    }

    /// Refuses a request with a word and a reason.
    #[expect(clippy::too_many_arguments, reason = "a refusal has a status, a code and a reason")]
    pub(super) fn refuse(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        status: u16,
        code: &str,
        message: &str,
        now: Now,
    ) -> Box<Http> {
        self.reply_refusal(id, http, head, now, |out, connection| {
            let reply = Reply::begin(out, status, connection);
            let reply =
                if status == 405 { reply.header("allow", "GET, HEAD, POST") } else { reply };
            reply.error(code, message);
        })
    }

    /// Refuses a request with what is wrong with it.
    fn refuse_for(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        (status, refusal): (u16, &Refusal),
        now: Now,
    ) -> Box<Http> {
        let mut http = self.reply_refusal(id, http, head, now, |out, connection| {
            Reply::begin(out, status, connection).body("application/json", &refusal_body(refusal));
        });
        if refusal.code == RefusalCode::BadFilter {
            self.charge(id, FILTER_REFUSED_STEPS, now);
            if self.is_closing(id) {
                http.state = State::Ended;
            }
        }
        http
    }

    pub(super) fn reply_refusal(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        now: Now,
        write: impl FnOnce(&mut Vec<u8>, Connection),
    ) -> Box<Http> {
        // A body that nobody wants is not read to its end.
        let has_body = !matches!(
            head.framing,
            crate::wire::http::Framing::None | crate::wire::http::Framing::Length(0)
        );
        let connection =
            if head.keep_alive && !has_body { Connection::KeepAlive } else { Connection::Close };
        let mut out = Vec::new();
        write(&mut out, connection);
        self.push_item(id, Item::Raw(out.into()));
        if connection == Connection::Close {
            http.state = State::Ended;
            self.close_after_sent(id, now);
        }
        http
    }

    /// Answers an admin request, and goes on with what was pipelined.
    pub(super) fn http_answered(&mut self, id: ConnId, response: &Response, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let mut http = match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => http,
            session => return self.put_back(id, session),
        };
        let State::Asked { keep_alive, head_only } = http.state else {
            return self.put_back(id, Session::Http(http));
        };
        let connection = if keep_alive { Connection::KeepAlive } else { Connection::Close };
        let mut out = Vec::new();
        let mut reply = Reply::begin(&mut out, response.status, connection);
        for (name, value) in &response.headers {
            reply = reply.header(name, value);
        }
        match (response.status, head_only) {
            (304, _) => reply.empty(),
            (_, true) => {
                reply.head_only(response.content_type, response.body.len());
            }
            (_, false) => reply.body(response.content_type, &response.body),
        }
        self.push_item(id, Item::Raw(out.into()));
        if keep_alive {
            http.state = State::Head;
            self.http_go_on(id, http, now);
            self.resumed.push(id);
        } else {
            http.state = State::Ended;
            self.put_back(id, Session::Http(http));
            self.close_after_sent(id, now);
        }
    }

    /// The home shards have answered an upload's lines.
    pub(super) fn upload_published(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        results: &[super::PublishResult],
        now: Now,
    ) {
        if let State::Casting(owed) = http.state {
            let stays = self.answer_cast(id, owed, results, now);
            http.state = if stays { State::Head } else { State::Ended };
            return self.http_go_on(id, http, now);
        }
        if let State::Posting { keep_alive } = http.state {
            self.answer_post(id, results, keep_alive);
            http.state = if keep_alive { State::Head } else { State::Ended };
            self.http_go_on(id, http, now);
            if !keep_alive {
                self.close_after_sent(id, now);
            }
            return;
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
        http.state = State::Ended;
        if !is_idle {
            let mut out = Vec::new();
            Reply::begin(&mut out, 408, Connection::Close)
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
    Talk { dialect: DialectId, talk: Box<dyn Talk>, may_deflate: bool },
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
