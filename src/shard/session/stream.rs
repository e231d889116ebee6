//! One subscription, stated in the URL: of a WebSocket its first, of an event stream the only one, told as an endless reply.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::Shard;
use super::super::class::Transport;
use super::super::class::Voice;
use super::super::input::ConnId;
use super::super::lifecycle::CLOSE_GOING_AWAY;
use super::super::lifecycle::seconds;
use super::Session;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Cursor;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Since;
use crate::dialect::Subscription;
use crate::dialect::Talk;
use crate::dialect::Wish;
use crate::dialect::native;
use crate::dialect::peat::connect;
use crate::event::Mark;
use crate::event::TopicPattern;
use crate::limits::SUBSCRIPTION_TOPICS_MAX;
use crate::wire::http::Head;
use crate::wire::http::Name;
use crate::wire::sse;

/// The subscription that a URL asks for.
pub(super) struct Asked {
    subscription: Arc<Subscription>,
    since: Since,
}

impl Asked {
    pub(super) fn subscription(&self) -> &Arc<Subscription> {
        &self.subscription
    }

    pub(super) fn into_wish(self) -> Wish {
        Wish { subscription: self.subscription, since: self.since }
    }

    /// Reads the subscription that a WebSocket may have in its URL; `None` if there is none.
    ///
    /// # Errors
    /// Which parameter is wrong.
    pub(super) fn read_if_any(head: &Head) -> Result<Option<Self>, Refusal> {
        if head.query_pairs().any(|(name, _)| name != "token") {
            Self::read(head).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Reads the subscription of a URL that must have one.
    ///
    /// # Errors
    /// Which parameter is wrong.
    pub(super) fn read(head: &Head) -> Result<Self, Refusal> {
        let (mut topics, mut since, mut subscription) =
            (Vec::new(), Since::Now, Subscription::default());
        for (name, value) in head.query_pairs() {
            match &*name {
                "topic" => topics.push(topic(topics.len(), &value)?),
                // Whose request it is has been found out before this.
                "token" => {}
                "since" => since = native::parse_since_text(&value)?,
                LAST_ID_PARAMETER => {}
                name if native::parameter(name, &value, &mut subscription)? => {}
                _ => {
                    let message =
                        format_args!("a subscription in the URL has no parameter `{name}`");
                    return Err(Refusal::of(RefusalCode::UnknownField, &name, message));
                }
            }
        }
        if topics.is_empty() || topics.len() > SUBSCRIPTION_TOPICS_MAX {
            let message = format_args!(
                "`topic` stands {} times; 1 to {SUBSCRIPTION_TOPICS_MAX} are allowed",
                topics.len()
            );
            return Err(Refusal::of(RefusalCode::BadField, "topic", message));
        }
        topics.sort_unstable();
        topics.dedup();
        if let Some(id) = last_id(head) {
            since = cursor_of(&id).map_or(Since::Lost, Since::Cursor);
        }
        subscription.check()?;
        let subscription = Arc::new(Subscription { id: Arc::from("0"), topics, ..subscription });
        Ok(Self { subscription, since })
    }
}

fn topic(index: usize, text: &str) -> Result<TopicPattern, Refusal> {
    TopicPattern::new(text)
        .map_err(|e| Refusal::of(RefusalCode::BadTopic, format_args!("topic[{index}]"), e))
}

/// What the usual polyfills call it, which cannot set a header.
const LAST_ID_PARAMETER: &str = "lastEventId";

/// The last id that a client says it has seen, be it one of this server's or not.
pub(super) fn last_id(head: &Head) -> Option<String> {
    let of_header = head.value(Name::LastEventId).filter(|id| !id.is_empty()).map(str::to_owned);
    of_header.or_else(|| {
        let id = head.query_value(LAST_ID_PARAMETER).filter(|id| !id.is_empty());
        id.map(Cow::into_owned)
    })
}

/// Reads `epoch.t1.t2…`, with `-hash.offset` behind it or not, back; `None`: no server gives such an id.
pub(super) fn cursor_of(id: &str) -> Option<Cursor> {
    let (id, mark) = match id.split_once('-') {
        Some((id, mark)) => (id, Some(mark_of(mark)?)),
        None => (id, None),
    };
    let mut parts = id.split('.');
    let epoch = parts.next().unwrap_or_default();
    let times: Option<Vec<u64>> = parts.map(|part| u64::from_str_radix(part, 36).ok()).collect();
    let times_us = times.filter(|times| !times.is_empty())?;
    (!epoch.is_empty()).then(|| Cursor { epoch: epoch.into(), times_us, mark })
}

fn mark_of(text: &str) -> Option<Mark> {
    let (topic_hash, offset) = text.split_once('.')?;
    let topic_hash = u32::from_str_radix(topic_hash, 36).ok()?;
    Some(Mark { topic_hash, offset: u64::from_str_radix(offset, 36).ok()? })
}

impl Shard {
    /// Subscribes as the URL asks.
    pub(super) fn subscribe_asked(&mut self, id: ConnId, asked: &Asked, now: Now) {
        self.subscribe(id, &asked.subscription, &asked.since, now);
    }

    /// Makes a connection an endless reply.
    pub(super) fn begin_stream(
        &mut self,
        id: ConnId,
        head: Vec<u8>,
        (voice, talk): (Voice, Box<dyn Talk>),
        now: Now,
    ) {
        self.push_item(id, Item::Raw(head.into()));
        let Some(conn) = self.conns.find_mut(id) else { return };
        conn.session = Session::Sse { said_s: seconds(now) };
        conn.voice = Some(voice);
        conn.talk = Some(talk);
        self.count_held(id);
    }

    /// Ends a Connect call after everything that it is owed.
    pub(super) fn end_call(&mut self, id: ConnId, error: Option<&connect::CallError>, now: Now) {
        let mut bytes = Vec::new();
        put_call_end(error, &mut bytes);
        self.push_item(id, Item::Raw(bytes.into()));
        self.close_after_sent(id, now);
    }

    /// Appends what tells a stream's client that it has ended, and of a call why: a close code and its reason say it, as they would on a WebSocket.
    pub(in super::super) fn put_stream_end(
        &self,
        id: ConnId,
        code: u16,
        reason: &str,
        out: &mut Vec<u8>,
    ) {
        match self.voice_of(id).map(|voice| voice.transport) {
            Some(Transport::Connect) if code == CLOSE_GOING_AWAY => {
                put_call_end(Some(&connect::CallError::ShuttingDown), out);
            }
            Some(Transport::Connect) => {
                let reason = reason.into();
                put_call_end(Some(&connect::CallError::Unauthenticated { reason }), out);
            }
            Some(Transport::Sse { chunked: true }) => out.extend_from_slice(sse::LAST_CHUNK),
            Some(Transport::Sse { chunked: false } | Transport::WebSocket { .. }) | None => {}
        }
    }

    fn sse_bytes(&self, id: ConnId, text: &[u8]) -> Option<Vec<u8>> {
        let voice = self.voice_of(id)?;
        let mut bytes = Vec::new();
        match voice.transport {
            Transport::Sse { chunked: true } => sse::put_chunk(&mut bytes, text),
            // A call has messages only, so nothing can be said that means nothing.
            Transport::Connect => return None,
            _ => bytes.extend_from_slice(text),
        }
        Some(bytes)
    }

    /// Says something that means nothing, so that it shows whether a stream's client is there.
    pub(in super::super) fn probe(&mut self, id: ConnId) {
        if self.voice_of(id).is_some_and(|voice| voice.transport == Transport::Connect) {
            let mut probe = Vec::new();
            sse::put_probe(&mut probe);
            self.push_item(id, Item::Raw(probe.into()));
        } else {
            self.say_comment(id);
        }
    }

    /// Keeps a stream awake.
    pub(in super::super) fn say_comment(&mut self, id: ConnId) {
        let mut comment = Vec::new();
        sse::put_comment(&mut comment, "");
        if let Some(bytes) = self.sse_bytes(id, &comment) {
            self.push_item(id, Item::Raw(bytes.into()));
        }
    }

    /// Ends a stream after everything that it is owed.
    pub(in super::super) fn end_sse(&mut self, id: ConnId, now: Now) {
        let mut bytes = Vec::new();
        self.put_stream_end(id, CLOSE_GOING_AWAY, "", &mut bytes);
        self.push_item(id, Item::Raw(bytes.into()));
        self.close_after_sent(id, now);
    }
}

/// Appends the message that ends a call, and the last chunk.
fn put_call_end(error: Option<&connect::CallError>, out: &mut Vec<u8>) {
    let mut end = Vec::new();
    connect::put_end(error, &mut end);
    sse::put_chunk(out, &end);
    out.extend_from_slice(sse::LAST_CHUNK);
}
