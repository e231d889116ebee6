//! What the server has to say of itself, as events like any other: figures and log entries in the form of the Provisioning dialect.
//!
//! Invariants: by switch, and then bounded: figures every so many seconds, entries `OWN_LOGS_PER_S` a second; what a home shard has no room for
//! is not said. Never waits for an answer.

use std::fmt::Arguments;
use std::sync::Arc;

use bytes::Bytes;

use super::Shard;
use super::figures::FIGURES;
use super::figures::Figure;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::input::PublishRun;
use super::lanes::Lane;
use crate::auth::Bucket;
use crate::auth::Rate;
use crate::clock::Now;
use crate::dialect::FindFields;
use crate::dialect::HOUSE;
use crate::dialect::LOG_ENTRY;
use crate::dialect::METRIC_UPDATE;
use crate::dialect::json;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Op;
use crate::event::moment;
use crate::limits::OWN_LOGS_PER_S;

/// Figures that are told, by the names that they have on `GET /metrics`.
const TOLD: [&str; 12] = [
    "fanwire_connections",
    "fanwire_subscriptions",
    "fanwire_topics",
    "fanwire_history_events",
    "fanwire_events_total",
    "fanwire_events_refused_total",
    "fanwire_deliveries_total",
    "fanwire_bytes_sent_total",
    "fanwire_bytes_received_total",
    "fanwire_slow_disconnects_total",
    "fanwire_dropped_total",
    "fanwire_violations_total",
];

/// How far the shard has come with telling of itself.
#[derive(Debug, Default)]
pub(super) struct Own {
    told_s: u32,
    logs: Bucket,
    /// When it was last looked for what came to be too much, in seconds since the start; 0: never.
    looked_s: u32,
    refused_told: u64,
    dropped_told: u64,
}

impl Shard {
    /// Tells the shard's figures, if it is time.
    pub(super) fn tell_figures(&mut self, now: Now) {
        let every_s = self.settings.own.figures_s;
        let now_s = super::deadlines::seconds(now);
        if every_s == 0 || now_s < self.life.own.told_s + every_s || self.life.is_stopping() {
            return;
        }
        self.life.own.told_s = now_s;
        let stats = self.stats();
        let mut drafts = Vec::with_capacity(TOLD.len());
        for Figure { name, kind, read, .. } in FIGURES.iter().filter(|of| TOLD.contains(&of.name)) {
            let kind = kind.word();
            let data = format!(
                r#"{{"metric_name":"{name}","metric_type":"{kind}","value":{},"labels":{{"shard":"{}"}}}}"#,
                read(&stats),
                self.shards.here().0
            );
            let metadata = format!(r#"{{"interval":{every_s},"aggregation":"last"}}"#);
            let key = format!("{name}/{}", self.shards.here().0);
            drafts.extend(self.own_draft(METRIC_UPDATE, &key, &data, &metadata, now));
        }
        self.publish_own(drafts, now);
    }

    /// Tells, once a second at most, that it has begun, and of what was too much since it last looked.
    pub(super) fn tell_troubles(&mut self, now: Now) {
        let now_s = super::deadlines::seconds(now);
        if !self.settings.own.logs || now_s <= self.life.own.looked_s {
            return;
        }
        let is_first = std::mem::replace(&mut self.life.own.looked_s, now_s) == 0;
        if is_first && self.shards.here().0 == 0 {
            let version = env!("CARGO_PKG_VERSION");
            let shards = self.shards.count();
            self.tell_log(
                "info",
                "server",
                format_args!("fanwire {version} has begun, {shards} shards"),
                now,
            );
        }
        let refused = self.stats.refused_full - self.life.own.refused_told;
        if refused > 0 {
            self.life.own.refused_told = self.stats.refused_full;
            let message = format_args!("{refused} events refused: the server is full");
            self.tell_log("warning", "publish", message, now);
        }
        let dropped = self.stats.dropped - self.life.own.dropped_told;
        if dropped > 0 {
            self.life.own.dropped_told = self.stats.dropped;
            let message = format_args!("{dropped} events dropped for subscribers that fell behind");
            self.tell_log("warning", "outbox", message, now);
        }
    }

    /// Tells that something happened which an operator would look for in the log.
    pub(super) fn tell_log(
        &mut self,
        level: &str,
        component: &str,
        message: Arguments<'_>,
        now: Now,
    ) {
        self.tell_log_of(None, level, component, message, now);
    }

    /// As `tell_log`, of what happened on a connection.
    pub(super) fn tell_log_of(
        &mut self,
        conn: Option<ConnId>,
        level: &str,
        component: &str,
        message: Arguments<'_>,
        now: Now,
    ) {
        if !self.settings.own.logs
            || !self.life.own.logs.take(1, Rate::per_second(OWN_LOGS_PER_S), now.mono_ms)
        {
            return;
        }
        let mut text = Vec::new();
        json::string(&message.to_string(), &mut text);
        let details = conn.map(|id| format!(r#""connection":{}"#, id.0)).unwrap_or_default();
        let data = format!(
            r#"{{"level":"{level}","message":{},"component":"{component}","task_id":null,"details":{{{details}}}}}"#,
            String::from_utf8_lossy(&text)
        );
        let metadata =
            format!(r#"{{"source":"fanwire","thread":"shard-{}"}}"#, self.shards.here().0);
        let draft = self.own_draft(LOG_ENTRY, "", &data, &metadata, now);
        self.publish_own(draft.into_iter().collect(), now);
    }

    /// `None` if no topic can have this type, or the view does not see it.
    fn own_draft(
        &mut self,
        event_type: &str,
        key: &str,
        data: &str,
        metadata: &str,
        now: Now,
    ) -> Option<Draft> {
        let topic = self.settings.views.of_protocol(HOUSE).topic_of(event_type)?;
        let mut timestamp = Vec::new();
        moment::put_seconds(now.wall_us, &mut timestamp);
        let payload = format!(
            r#"{{"event_type":"{event_type}","timestamp":"{}","data":{data},"metadata":{metadata}}}"#,
            String::from_utf8_lossy(&timestamp)
        );
        let fields = self.intake.ingest.find(payload.as_bytes()).ok()?;
        let op = if key.is_empty() { Op::Event } else { Op::Upsert };
        Some(Draft {
            topic,
            key: Arc::from(key),
            op,
            payload: Bytes::from(payload),
            fields,
            ack: Ack::None,
            meta: None,
        })
    }

    /// Publishes the wills of those who have gone.
    pub(super) fn publish_wills(&mut self, now: Now) {
        for mut draft in std::mem::take(&mut self.life.wills) {
            self.intake.ingest.find_fields(std::slice::from_mut(&mut draft));
            self.publish_own(vec![draft], now);
        }
    }

    fn publish_own(&mut self, drafts: Vec<Draft>, now: Now) {
        let Some(first) = drafts.first() else { return };
        let home = self.shards.homes().of(&first.topic);
        let shard = self.shards.homes().shard(home);
        if shard == self.shards.here() {
            self.place_run(home, drafts, None, now);
        } else if self.outgoing.has_room(shard, Lane::Data) {
            // Nobody: the answer finds no connection.
            let conn = ConnRef { id: ConnId(u32::MAX), generation: 0 };
            let publisher = Address { shard: self.shards.here(), conn };
            let run = Mesh::Publish(Box::new(PublishRun { publisher, home, drafts }));
            self.outgoing.to(shard).push(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_that_is_told_stands_on_the_page_under_the_same_name() {
        let names: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        for told in TOLD {
            assert_eq!(names.iter().filter(|name| **name == told).count(), 1, "{told}");
        }
    }
}
