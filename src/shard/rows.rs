//! Rows that have changed, at the home of their table's topic: whoever wrote one is answered, and then everybody is told.
//!
//! Invariants: rows of a table are told in the order in which they were written; whoever wrote a row is answered before it hears the row's event; none is lost because
//! there is no room to tell it just now: while rows wait here the shard takes nothing else of its inbox's data lane.

use std::collections::VecDeque;

use super::Shard;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::lanes::Lane;
use crate::clock::Now;
use crate::event::Event;
use crate::event::ShardId;
use crate::tables::asks::Answer;
use crate::tables::asks::Ask;
use crate::tables::asks::Asker;
use crate::tables::asks::Told;
use std::sync::Arc;

/// Rows that have not been told yet.
#[derive(Debug, Default)]
pub(super) struct Rows(VecDeque<Told>);

impl Rows {
    /// Whether some wait.
    pub(super) fn has_untold(&self) -> bool {
        !self.0.is_empty()
    }
}

/// How whoever has the tables knows a connection.
pub(super) fn asker_of(shard: ShardId, conn: ConnRef) -> Asker {
    Asker { shard, conn: u64::from(conn.generation) << 32 | u64::from(conn.id.0) }
}

/// The connection of this shard that is meant.
#[expect(clippy::cast_possible_truncation, reason = "each half of it is one")]
pub fn conn_of(asker: Asker) -> ConnRef {
    ConnRef { id: ConnId(asker.conn as u32), generation: (asker.conn >> 32) as u32 }
}

impl Shard {
    /// A row of a table whose topic is at home here has changed.
    pub(super) fn row_told(&mut self, mut told: Told, now: Now) {
        if let Some((asker, written)) = told.answer.take() {
            let (conn, answer) = (conn_of(asker), Box::new(Answer::Written(written)));
            if asker.shard == self.shards.here() {
                self.table_answered(conn, &answer, now);
            } else {
                self.outgoing.to(asker.shard).push(Mesh::TablesSay { conn, answer });
            }
        }
        self.rows.0.push_back(told);
        self.tell_rows(now);
    }

    /// Tells of rows that have changed, as far as there is room.
    pub(super) fn tell_rows(&mut self, now: Now) {
        while self.rows.has_untold() && self.has_room_for_run() {
            let Some(Told { draft, .. }) = self.rows.0.pop_front() else { return };
            let home = self.shards.homes().of(&draft.topic);
            let mut drafts = vec![draft];
            self.intake.ingest.find_fields(&mut drafts);
            let results = self.place_run(home, drafts, None, now);
            if let Some([Err(code)]) = results.as_deref() {
                // There is no room for its topic, or for what is kept of it; the row itself is written.
                tracing::warn!(code = code.name(), "a row has changed and nobody could be told");
                self.stats.rows_untold += 1;
            }
        }
    }

    /// Tells whoever has the tables of events from which rows are made.
    pub(super) fn feed_tables(&mut self, events: &[Arc<Event>]) {
        let tables = &self.settings.tables;
        let Some(party) = tables.party else { return };
        let rows: Vec<_> = events
            .iter()
            .flat_map(|event| {
                tables.schema.fed_by(&event.topic).map(|table| (table, Arc::clone(event)))
            })
            .collect();
        if !rows.is_empty() {
            self.outgoing.to(party).push(Mesh::Tables(Ask::Rows { rows }));
        }
    }

    /// Whether whoever has the tables can be told of more events, if any of these topics feeds one.
    pub(super) fn can_feed_tables(&self) -> bool {
        let tables = &self.settings.tables;
        let Some(party) = tables.party else { return true };
        !tables.schema.is_fed() || self.outgoing.has_room(party, Lane::Data)
    }
}
