//! One subscription, stated in the URL: of a WebSocket its first, of an event stream the only one, told as an endless reply.

use std::sync::Arc;

use super::super::Shard;
use super::super::class::Transport;
use super::super::class::Voice;
use super::super::input::ConnId;
use super::super::lifecycle::seconds;
use super::Session;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Cursor;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Since;
use crate::dialect::Slow;
use crate::dialect::Subscription;
use crate::dialect::peat::connect;
use crate::event::TopicPattern;
use crate::limits::SUBSCRIPTION_TOPICS_MAX;
use crate::matcher::Filter;
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
                "since" => since = since_of(&value)?,
                "slow" => subscription.slow = slow_of(&value)?,
                "filter" => subscription.filter = Some(filter_of(&value)?),
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
        if let Some(id) = head.value(Name::LastEventId).filter(|id| !id.is_empty()) {
            since = Since::Cursor(cursor_of(id)?);
        }
        let subscription = Arc::new(Subscription { id: Arc::from("0"), topics, ..subscription });
        Ok(Self { subscription, since })
    }
}

fn topic(index: usize, text: &str) -> Result<TopicPattern, Refusal> {
    TopicPattern::new(text)
        .map_err(|e| Refusal::of(RefusalCode::BadTopic, format_args!("topic[{index}]"), e))
}

fn since_of(text: &str) -> Result<Since, Refusal> {
    match text {
        "earliest" => Ok(Since::Earliest),
        "last" => Ok(Since::Last),
        _ => text.parse().map(Since::Time).map_err(|_| {
            let message =
                format_args!("since is `earliest`, `last` or a time in microseconds, not {text:?}");
            Refusal::of(RefusalCode::BadField, "since", message)
        }),
    }
}

/// A filter in either notation.
fn filter_of(text: &str) -> Result<Filter, Refusal> {
    let parsed =
        if text.starts_with('{') { Filter::parse_json(text) } else { Filter::parse_text(text) };
    parsed.map_err(|e| Refusal::of(RefusalCode::BadFilter, "filter", e))
}

fn slow_of(text: &str) -> Result<Slow, Refusal> {
    match text {
        "disconnect" => Ok(Slow::Disconnect),
        "drop_oldest" => Ok(Slow::DropOldest),
        "latest_per_key" => Ok(Slow::LatestPerKey),
        _ => {
            let message = format_args!(
                "slow is `disconnect`, `drop_oldest` or `latest_per_key`, not {text:?}"
            );
            Err(Refusal::of(RefusalCode::BadField, "slow", message))
        }
    }
}

/// Reads `epoch.t1.t2…` back.
pub(super) fn cursor_of(id: &str) -> Result<Cursor, Refusal> {
    let mut parts = id.split('.');
    let epoch = parts.next().unwrap_or_default();
    let times: Result<Vec<u64>, _> = parts.map(|part| u64::from_str_radix(part, 36)).collect();
    match times {
        Ok(times_us) if !epoch.is_empty() && !times_us.is_empty() => {
            Ok(Cursor { epoch: epoch.into(), times_us })
        }
        _ => {
            let message =
                format_args!("Last-Event-ID {id:?} is not one that this server has given");
            Err(Refusal::of(RefusalCode::BadField, "Last-Event-ID", message))
        }
    }
}

impl Shard {
    /// Subscribes as the URL asks.
    pub(super) fn subscribe_asked(&mut self, id: ConnId, asked: &Asked, now: Now) {
        self.subscribe(id, &asked.subscription, &asked.since, now);
    }

    /// Makes a connection an endless reply.
    pub(super) fn begin_stream(&mut self, id: ConnId, head: Vec<u8>, voice: Voice, now: Now) {
        self.push_item(id, Item::Raw(head.into()));
        let Some(conn) = self.conns.find_mut(id) else { return };
        conn.session = Session::Sse { said_s: seconds(now) };
        conn.voice = Some(voice);
    }

    /// Ends a Connect call after everything that it is owed.
    pub(super) fn end_call(&mut self, id: ConnId, error: Option<&connect::CallError>, now: Now) {
        let mut end = Vec::new();
        connect::put_end(error, &mut end);
        let mut bytes = Vec::new();
        sse::put_chunk(&mut bytes, &end);
        bytes.extend_from_slice(sse::LAST_CHUNK);
        self.push_item(id, Item::Raw(bytes.into()));
        self.close_after_sent(id, now);
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
        if self.voice_of(id).is_some_and(|voice| voice.transport == Transport::Connect) {
            return self.end_call(id, Some(&connect::CallError::ShuttingDown), now);
        }
        let chunked = self
            .voice_of(id)
            .is_some_and(|voice| matches!(voice.transport, Transport::Sse { chunked: true }));
        if chunked {
            self.push_item(id, Item::Raw(sse::LAST_CHUNK.into()));
        }
        self.close_after_sent(id, now);
    }
}
