//! What an MQTT client may say: CONNECT first, and then the rest.
//!
//! Invariants: before CONNECT is answered nothing else is heard; whatever is wrong with a packet ends the conversation with the reason code of the standard.

use super::asking::Asking;
use super::kept;
use super::opening::Opened;
use super::opening::say_refused;
use super::opening::shares;
use super::publishing::Publications;
use super::publishing::Terms;
use super::reasons::close_code;
use super::requests::Ears;
use super::requests::Requests;
use super::subscribing::Subscriptions;
use crate::dialect::Answer;
use crate::dialect::Ask;
use crate::dialect::Context;
use crate::dialect::Hook;
use crate::dialect::Kept;
use crate::dialect::NoPacket;
use crate::dialect::Request;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::dialect::hook::Credentials;
use crate::wire::mqtt::Connect;
use crate::wire::mqtt::Fault;
use crate::wire::mqtt::Packet;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Reason;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::answered_in;
use crate::wire::mqtt::put_pingresp;
use crate::wire::mqtt::read;

/// One client's conversation.
#[derive(Debug)]
pub struct Conversation {
    /// Bytes of the largest packet that this server takes.
    packet_bytes_max: usize,
    /// Seconds for which a session may outlast its connection.
    session_s_max: u32,
    /// Seconds for which this one does.
    lasts_s: u32,
    /// The client is known to have heard whether it goes on with a session: it has said something since, or it does.
    is_met: bool,
    /// CONNACK waits until the session that is gone on with is kept as it is now.
    is_entering: bool,
    state: State,
    /// What it publishes, once it has published something or goes on with a session.
    publications: Option<Box<Publications>>,
    subscriptions: Subscriptions,
    /// What it says in another protocol, by publishing it.
    requests: Option<Box<Requests>>,
    /// What it has shown in CONNECT, if that protocol's hooks look at it.
    shown: Option<Box<Credentials>>,
}

/// How far it has come.
#[derive(Debug)]
enum State {
    /// CONNECT has not come.
    Silent,
    /// It has, and whether its client is let in is being found out.
    Entering(Box<Opened>),
    Open(Terms),
}

impl Conversation {
    /// A conversation that has not heard who its client is.
    #[must_use]
    pub fn new(packet_bytes_max: usize, session_s_max: u32) -> Self {
        Self {
            packet_bytes_max,
            session_s_max,
            lasts_s: 0,
            is_met: false,
            is_entering: false,
            state: State::Silent,
            publications: None,
            subscriptions: Subscriptions::default(),
            requests: None,
            shown: None,
        }
    }

    /// The version that CONNECT agreed.
    fn version(&self) -> Option<Version> {
        match &self.state {
            State::Silent => None,
            State::Entering(opened) => Some(opened.version),
            State::Open(terms) => Some(terms.version),
        }
    }

    /// How the client is answered, once it is let in.
    fn terms(&self) -> Option<Terms> {
        match &self.state {
            State::Open(terms) => Some(*terms),
            State::Silent | State::Entering(_) => None,
        }
    }

    /// What the session remembers.
    fn words(&self) -> Box<[u8]> {
        let requests = self.requests.iter().flat_map(|requests| requests.packets());
        let requests: Vec<Vec<u8>> = requests.collect();
        let packets = self.subscriptions.packets().chain(requests.iter().map(|packet| &**packet));
        let taken: Vec<u16> =
            self.publications.iter().flat_map(|publications| publications.taken()).collect();
        kept::written(taken.into_iter(), packets)
    }

    /// Ends the conversation for what is wrong.
    fn end_for(fault: Fault, steps: &mut Vec<Step>) {
        steps.push(Step::Close { code: close_code(fault.reason), reason: fault.what });
    }

    fn hear_packet(&mut self, packet: &[u8], context: &Context<'_>, steps: &mut Vec<Step>) {
        let version = self.version();
        self.is_met |= matches!(self.state, State::Open(_));
        let bytes = packet;
        let packet = match read(bytes, version) {
            Ok(packet) => packet,
            Err(fault) => return self.refuse_unread(bytes, fault, steps),
        };
        match packet {
            Packet::Connect(connect) => {
                if context.hooks.asked.contains(Hook::BeforeConnect) {
                    self.shown = Some(Box::new(shown_in(&connect)));
                }
                if let Some(opened) = Opened::new(&connect, (context, self.session_s_max), steps) {
                    self.state = State::Entering(Box::new(opened));
                }
            }
            Packet::Publish(publish) => {
                let Some(terms) = self.terms() else { return };
                let publications = self.publications.get_or_insert_default();
                if publish.qos == QoS::ExactlyOnce && publications.begins_once() {
                    keep_first(self.lasts_s, steps);
                }
                if let Err(fault) = publications.publish(&publish, context, terms, steps) {
                    Self::end_for(fault, steps);
                }
            }
            Packet::Ack(ack) => {
                let Some(terms) = self.terms() else { return };
                Publications::hear_ack(self.publications.as_deref_mut(), &ack, terms, steps);
            }
            Packet::Subscribe(subscribe) => {
                if let Some(terms) = self.terms() {
                    self.subscriptions.subscribe(&subscribe, (terms, context.view), steps);
                }
            }
            Packet::Unsubscribe(unsubscribe) => {
                if let Some(version) = version {
                    self.subscriptions.unsubscribe(&unsubscribe, version, steps);
                    self.filters_changed(context, steps);
                }
            }
            Packet::Ping => {
                let mut out = Vec::with_capacity(2);
                put_pingresp(&mut out);
                steps.push(Step::say(out));
            }
            Packet::Disconnect { reason, properties } => {
                if let Some(asked_s) = properties.number(PropertyId::SessionExpiry) {
                    //= mqtt-v5.0#3.14.2.2.2
                    //# If the Session Expiry Interval in the CONNECT packet was zero, then it is a Protocol Error to set a non-zero Session
                    //# Expiry Interval in the DISCONNECT packet sent by the Client.
                    if asked_s > 0 && self.lasts_s == 0 && self.session_s_max > 0 {
                        let what = "a session that ends with its connection is to outlast it";
                        return Self::end_for(Fault::protocol(what), steps);
                    }
                    self.lasts_s = asked_s.min(self.session_s_max);
                }
                //= mqtt-v5.0#3.14.4
                //# On receipt of DISCONNECT, the Server MUST discard any Will Message associated with the current Connection without
                //# publishing it, if the Reason Code is 0x00 (Success)
                if reason == Reason::SUCCESS {
                    steps.push(Step::Will(None));
                }
                steps.push(Step::Close { code: close_code(Reason::SUCCESS), reason: "" });
            }
            //= mqtt-v5.0#4.12
            //# If a Client does not include an Authentication Method in the CONNECT, the Client MUST NOT send an AUTH packet to the Server.
            Packet::Auth { .. } => {
                let what = "AUTH without an authentication method in CONNECT";
                Self::end_for(Fault::protocol(what), steps);
            }
        }
    }

    /// A message was taken, and is a request.
    fn hear_request(&mut self, asking: Asking, context: &Context<'_>, steps: &mut Vec<Step>) {
        let Some(terms) = self.terms() else { return };
        let ears = Ears { terms, filters: &self.subscriptions };
        let shown = &mut self.shown;
        let requests = self.requests.get_or_insert_with(|| {
            Box::new(Requests::new(context, shown.take().map(|shown| *shown)))
        });
        requests.hear(asking, ears, context, steps);
    }

    /// The name is the client's: it is let in, and goes on with what was kept under that name.
    fn claimed(
        &mut self,
        (words, received): (Option<&[u8]>, &[u16]),
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let State::Entering(opened) = &mut self.state else { return };
        steps.extend(opened.will());
        if words.is_some() {
            self.is_entering = true;
            steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Keep });
        }
        let terms = opened.let_in((self.packet_bytes_max, shares(context)), words.is_some(), steps);
        self.lasts_s = opened.lasts_s();
        self.is_met = words.is_some();
        self.subscriptions.is_kept = self.lasts_s > 0;
        self.state = State::Open(terms);
        if let Some(words) = words {
            let (taken, packets) = kept::read(words);
            let publications = self.publications.get_or_insert_default();
            publications.go_on(taken, received, terms, steps);
            let mut wishes = self.subscriptions.go_on(&packets, (terms, context.view));
            wishes.extend(self.resume_requests(&packets, terms, context));
            let what = Request::Resume(wishes);
            steps.push(Step::Ask { ticket: Ticket::Id(None), what });
        }
    }

    /// The client goes on with a session in which it had asked to be told of rows; what it is told of. Where hooks say who may subscribe to what, it has to ask again.
    fn resume_requests(
        &mut self,
        packets: &[&[u8]],
        terms: Terms,
        context: &Context<'_>,
    ) -> Vec<Wish> {
        let had_some = packets.iter().any(|packet| kept::request_of(packet).is_some());
        if !had_some || !context.hooks.asked.is_empty() {
            return Vec::new();
        }
        let mut requests = Box::new(Requests::new(context, None));
        let ears = Ears { terms, filters: &self.subscriptions };
        let wishes = requests.resume(packets, (ears, context));
        self.requests = Some(requests);
        wishes
    }

    fn filters_changed(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        if let (Some(terms), Some(requests)) = (self.terms(), self.requests.as_deref_mut()) {
            requests.filters_changed(Ears { terms, filters: &self.subscriptions }, context, steps);
        }
    }

    /// Has what was subscribed to settled before it is answered: that it is kept, and shared with others.
    fn settle_first(&self, steps: &mut Vec<Step>) {
        if self.lasts_s > 0 || self.subscriptions.awaits_share() {
            steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Keep });
        }
    }

    /// There is no room for the session where it would outlast the server.
    fn not_kept(&self, steps: &mut Vec<Step>) {
        let why = "the session cannot be kept: there is no room for it on the server's disk";
        match &self.state {
            State::Open(terms) if self.is_entering => {
                let whom = (terms.version, terms.packet_bytes_max);
                say_refused(whom, Reason::QUOTA_EXCEEDED, why, steps);
            }
            _ => Self::end_for(Fault::of(Reason::QUOTA_EXCEEDED, why), steps),
        }
    }

    /// Ends the conversation for what is wrong with a packet; one that has not begun ends with CONNACK, if there is a word for it.
    fn refuse_unread(&self, packet: &[u8], fault: Fault, steps: &mut Vec<Step>) {
        //= mqtt-v3.1.1#3.1.2.2
        //# The Server MUST respond to the CONNECT Packet with a CONNACK return code 0x01 (unacceptable protocol level)
        let version = if self.version().is_none() { answered_in(packet) } else { None };
        match version {
            // How large a packet may be that the client takes is not known.
            Some(version) => say_refused((version, 0), fault.reason, fault.what, steps),
            None => Self::end_for(fault, steps),
        }
    }
}

/// Has a session kept as it is, if it is to last, before anything else is done: nobody goes on from what it was before.
fn keep_first(lasts_s: u32, steps: &mut Vec<Step>) {
    if lasts_s > 0 {
        steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Keep });
    }
}

/// The name and the password of CONNECT.
fn shown_in(connect: &Connect<'_>) -> Credentials {
    let password = connect.password.and_then(|password| std::str::from_utf8(password).ok());
    Credentials {
        user: connect.user.map(Into::into),
        password: password.map(Into::into),
        ..Credentials::default()
    }
}

impl Talk for Conversation {
    fn open(&mut self, _context: &Context<'_>, _steps: &mut Vec<Step>) {
        debug_assert!(matches!(self.state, State::Silent), "the client speaks first");
    }

    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let fault = match said {
            Said::Packet(packet) => return self.hear_packet(packet, context, steps),
            Said::NoPacket(NoPacket::TooLong) => {
                Fault::of(Reason::PACKET_TOO_LARGE, "message_bytes_max: the packet is too large")
            }
            Said::NoPacket(NoPacket::Malformed) => Fault::malformed("no packet begins like this"),
            //= mqtt-v5.0#6.0
            //# If any other type of data frame is received the recipient MUST close the Network Connection.
            Said::NoPacket(NoPacket::Text) | Said::Text(_) | Said::Binary(_) => {
                Fault::malformed("packets come in binary messages")
            }
        };
        Self::end_for(fault, steps);
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        let opened = match &self.state {
            State::Entering(opened) => opened.held_bytes(),
            State::Silent | State::Open(_) => 0,
        };
        let requests = self.requests.as_ref().map_or(0, |requests| requests.held_bytes());
        let published = self.publications.as_ref().map_or(0, |of| of.held_bytes());
        opened + requests + published + self.subscriptions.held_bytes()
    }

    fn keep(&mut self) -> Option<Kept> {
        let is_kept = matches!(self.state, State::Open(_)) && self.lasts_s > 0;
        is_kept.then(|| Kept {
            words: self.words(),
            lasts_s: self.lasts_s,
            is_met: self.is_met,
            is_open: self.publications.as_ref().is_some_and(|of| of.is_open()),
            is_once: self.publications.as_ref().is_some_and(|of| of.is_once())
                || self.subscriptions.is_once(),
        })
    }
}

impl Ask for Conversation {
    fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        if Requests::has_asked(&ticket)
            && let (Some(terms), Some(requests)) = (self.terms(), self.requests.as_deref_mut())
        {
            let ears = Ears { terms, filters: &self.subscriptions };
            return requests.answered(&ticket, answer, (ears, context), steps);
        }
        match (answer, ticket) {
            (Answer::Identified { .. }, _) => {
                if let State::Entering(opened) = &self.state {
                    opened.claim(steps);
                }
            }
            (Answer::Claimed { words, received }, _) => {
                self.claimed((words, received), context, steps);
            }
            (Answer::Subscribed(results), Ticket::Id(_)) => {
                let of_requests = self.subscriptions.gone_on(results);
                if let Some(requests) = &mut self.requests {
                    requests.resumed(of_requests);
                }
            }
            (Answer::NotIdentified { reason }, _) => {
                if let State::Entering(opened) = &self.state {
                    opened.not_let_in(reason, steps);
                }
            }
            (Answer::Kept { is_kept: true }, _) => self.is_entering = false,
            (Answer::Kept { is_kept: false }, _) => self.not_kept(steps),
            (Answer::Subscribed(results), _) => {
                if let Some(terms) = self.terms() {
                    self.settle_first(steps);
                    self.subscriptions.answered(results, terms, steps);
                    self.filters_changed(context, steps);
                }
            }
            (Answer::Published(published), Ticket::Number(number)) => {
                let Some(terms) = self.terms() else { return };
                let publications = self.publications.get_or_insert_default();
                match publications.answered(number, &published, terms, steps) {
                    Ok(None) => {}
                    Ok(Some(asking)) => self.hear_request(asking, context, steps),
                    Err(fault) => Self::end_for(fault, steps),
                }
            }
            (
                Answer::Rows(_) | Answer::Written(_) | Answer::TableFailed(_) | Answer::Hooked(_),
                _,
            ) => {
                unreachable!("what is asked of tables, or hooks, is asked by requests")
            }
            (Answer::Published(_), Ticket::Id(_) | Ticket::Only) => {
                unreachable!("publications are asked for by number")
            }
        }
    }
}
