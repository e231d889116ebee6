//! What a shard tells an operator of its connections and topics: one row each.
//!
//! Invariant: at most so many rows as were asked for, and at most `ADMIN_PLACES_MAX` places are looked at for a page. Never changes anything but the count of
//! the turn's work.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::super::Shard;
use super::super::conns::Conn;
use super::super::deadlines::seconds;
use super::super::input::ConnId;
use super::super::inquiry::ConnName;
use super::super::inquiry::Finding;
use super::super::inquiry::Findings;
use super::super::session::Session;
use super::super::transport::Transport;
use super::super::transport::Voice;
use crate::clock::Now;
use crate::event::Event;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::history::Read;
use crate::history::Start;
use crate::limits::ADMIN_PLACES_MAX;
use crate::limits::ADMIN_TOPICS_SHOWN;
use crate::limits::PAGE_BYTES_MIN;

/// Connections from a place on.
pub(super) fn connections(shard: &mut Shard, from: u32, rows: usize, now: Now) -> Findings {
    let mut findings = Findings::default();
    let places = shard.conns.places();
    let end = places.min(from.saturating_add(ADMIN_PLACES_MAX));
    let mut place = from;
    while place < end && findings.rows.len() < rows {
        findings.rows.extend(row(shard, ConnId(place), now));
        place += 1;
    }
    shard.telling.turn.spend(u64::from(place.saturating_sub(from)));
    findings.next = (place < places).then_some(place);
    findings
}

/// The connections that are owed the most bytes, if any.
pub(super) fn slowest(shard: &mut Shard, rows: usize, now: Now) -> Findings {
    let places = shard.conns.places();
    // Each place that is looked at costs about a unit.
    shard.telling.turn.spend(u64::from(places));
    let owed = |id: ConnId| Some((shard.conns.solo(id)?.unread_bytes(), id));
    let mut behind: Vec<(usize, ConnId)> =
        (0..places).map(ConnId).filter_map(owed).filter(|(bytes, _)| *bytes > 0).collect();
    behind.sort_unstable_by(|a, b| b.cmp(a));
    behind.truncate(rows);
    let rows = behind.into_iter().filter_map(|(_, id)| row(shard, id, now)).collect();
    Findings { rows, ..Findings::default() }
}

/// What one connection is and how it does.
fn row(shard: &Shard, id: ConnId, now: Now) -> Option<Finding> {
    let conn = shard.conns.find(id)?;
    let name = name_of(shard, id)?;
    let (kind, dialect) = spoken(conn);
    let subs = shard.wants_of(id);
    let topics = subs.iter().flat_map(|sub| sub.patterns()).map(TopicPattern::as_str);
    let topics: Vec<&str> = topics.take(ADMIN_TOPICS_SHOWN).collect();
    let principal = conn.who.as_deref().map(|who| &who.principal);
    let solo = conn.solo.as_deref();
    let owed_bytes = solo.map_or(0, |solo| solo.unread_bytes());
    let behind_ms = match solo {
        Some(solo) if owed_bytes > 0 => now.mono_ms.saturating_sub(solo.moved_ms),
        _ => 0,
    };
    let json = json!({
        "connection": name,
        "peer": conn.caller.peer.to_string(),
        "user": principal.and_then(|of| of.user.as_deref()),
        "roles": principal.map(|of| of.roles.as_slice()).unwrap_or_default(),
        "kind": kind,
        "dialect": dialect,
        "subscriptions": subs.len(),
        "topics": topics,
        "in_step": conn.class.is_some() && solo.is_none(),
        "queue_bytes": owed_bytes,
        "queue_events_bytes": solo.map_or(0, |solo| solo.outbox.event_bytes()),
        "blocked": solo.is_some_and(|solo| solo.blocked),
        "behind_ms": behind_ms,
        "told_past": solo.is_some_and(|solo| !solo.replays.is_empty()),
        "silent_s": seconds(now).saturating_sub(conn.heard_s),
        "closing": conn.is_closing(),
    });
    Some(Finding { owed_bytes: owed_bytes as u64, name, json: json.to_string() })
}

/// As an operator names it.
pub(super) fn name_of(shard: &Shard, id: ConnId) -> Option<String> {
    let conn = shard.conns.conn_ref(id)?;
    Some(ConnName { shard: shard.shards.here(), conn }.to_string())
}

/// What kind of a connection it is, and the dialect that is spoken.
fn spoken(conn: &Conn) -> (&'static str, Option<&'static str>) {
    let dialect = conn.voice.map(|voice| voice.dialect.speaker().name);
    let kind = match (&conn.session, conn.voice) {
        (_, Some(Voice { transport: Transport::Bare, .. })) => "packets",
        (_, Some(Voice { transport: Transport::WebSocket { .. }, .. }))
        | (Session::WebSocket(_), _) => "websocket",
        (_, Some(Voice { transport: Transport::Sse { .. }, .. })) => "sse",
        (_, Some(Voice { transport: Transport::Messages, .. })) => "stream",
        (_, None) => "http",
    };
    (kind, dialect)
}

/// Topics at home here, behind a name, in their order.
pub(super) fn topics(shard: &mut Shard, after: &str, rows: usize) -> Findings {
    let mut first: BTreeMap<&str, (&TopicName, bool)> = BTreeMap::new();
    let durable = shard.durable.as_ref().map(|durable| &durable.home);
    let durable =
        durable.into_iter().flat_map(|home| home.every_topic()).map(|topic| (topic, true));
    let mut looked_at = 0;
    for (topic, is_durable) in shard.home.topics().map(|topic| (topic, false)).chain(durable) {
        looked_at += 1;
        if topic.as_str() <= after {
            continue;
        }
        first.insert(topic.as_str(), (topic, is_durable));
        if first.len() > rows {
            first.pop_last();
        }
    }
    let found = first.into_values().map(|(topic, is_durable)| {
        let home = shard.durable.as_ref().filter(|_| is_durable).map(|durable| &durable.home);
        let home = home.unwrap_or(&shard.home);
        let json = json!({
            "topic": topic.as_str(),
            "durable": is_durable,
            "offset": home.newest_offset(topic),
            "shard": shard.shards.here().0,
        });
        Finding { owed_bytes: 0, name: topic.as_str().to_owned(), json: json.to_string() }
    });
    let rows = found.collect();
    shard.telling.turn.spend(looked_at);
    Findings { rows, ..Findings::default() }
}

/// An event that memory holds here.
pub(super) fn event(shard: &Shard, topic: &TopicName, offset: u64) -> Option<Arc<Event>> {
    let of = shard.shards.homes().of(topic);
    let is_durable = of.is_durable(shard.shards.count());
    let home = match &shard.durable {
        Some(durable) if is_durable => &durable.home,
        _ => &shard.home,
    };
    let offsets = Arc::new([(topic.clone(), offset.checked_sub(1)?)]);
    let read = Read {
        topics: vec![TopicPattern::Exact(topic.clone())],
        start: Start::AfterOffsets { offsets, others_us: None },
        after_us: 0,
        page_bytes: PAGE_BYTES_MIN,
        with_before: true,
    };
    let page = home.look(&read);
    page.events.into_iter().find(|event| event.offset == offset)
}
