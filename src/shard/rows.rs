//! Rows of tables: what is handed to whoever has them, and, at the home of a table's topic, who is told that one has changed.
//!
//! Invariants: rows of a table are told in the order in which they were written; whoever wrote a row is answered before it hears the row's event; no change is lost because
//! there is no room to tell it just now.

use std::sync::Arc;

use super::Shard;
use super::input::ConnId;
use super::input::Mesh;
use super::input::conn_of;
use super::lanes::Lane;
use super::lanes::Outgoing;
use super::session::Reply;
use super::settings::Tables;
use super::tickets::Question;
use super::tickets::Tickets;
use crate::clock::Now;
use crate::event::Event;
use crate::tables::ErrorCode;
use crate::tables::TableError;
use crate::tables::asks::Answer;
use crate::tables::asks::Ask;
use crate::tables::asks::Asker;
use crate::tables::asks::Told;

impl Tables {
    /// Hands on what is asked, if there is room; says what it weighs.
    pub(super) fn ask(&self, outgoing: &mut Outgoing<Mesh>, ask: Ask) -> Result<usize, TableError> {
        let party = self.party.expect("a schema with tables has who keeps them");
        if !outgoing.has_room(party, Lane::Data) {
            return Err(TableError::new(
                ErrorCode::Busy,
                "more is asked of tables just now than is answered",
            ));
        }
        let bytes = ask.weight_bytes();
        outgoing.to(party).push(Mesh::Tables(ask));
        Ok(bytes)
    }

    /// Says something that nobody waits for.
    pub(super) fn tell(&self, outgoing: &mut Outgoing<Mesh>, ask: Ask) {
        if let Some(party) = self.party {
            outgoing.to(party).push(Mesh::Tables(ask));
        }
    }

    /// A connection waits for nothing any more.
    pub(super) fn leave(
        &self,
        outgoing: &mut Outgoing<Mesh>,
        tickets: &mut Tickets,
        asker: Option<(ConnId, Asker)>,
    ) {
        let Some((id, asker)) = asker else { return };
        if let Some(Question::Table) = tickets.close(id) {
            self.tell(outgoing, Ask::Leave { asker });
        }
    }

    /// Tells whoever has the tables of events from which rows are made.
    pub(super) fn feed(&self, outgoing: &mut Outgoing<Mesh>, events: &[Arc<Event>]) {
        if !self.schema.is_fed() {
            return;
        }
        let of = |event: &Arc<Event>| {
            let event = Arc::clone(event);
            self.schema.fed_by(&event.topic).map(|table| (table, Arc::clone(&event))).collect()
        };
        let rows: Vec<_> = events.iter().flat_map(|event| -> Vec<_> { of(event) }).collect();
        if !rows.is_empty() {
            self.tell(outgoing, Ask::Rows { rows });
        }
    }

    /// Whether whoever has the tables can be told of more events, if rows come from any.
    pub(super) fn can_be_fed(&self, outgoing: &Outgoing<Mesh>) -> bool {
        let Some(party) = self.party else { return true };
        !self.schema.is_fed() || outgoing.has_room(party, Lane::Data)
    }
}

impl Shard {
    /// A row of a table whose topic is at home here has changed.
    pub(super) fn row_told(&mut self, told: Told, now: Now) {
        if let Some((asker, written)) = told.answer {
            let (conn, answer) = (conn_of(asker), Answer::Written(written));
            if asker.shard == self.shards.here() {
                self.answered_outside(conn, &Reply::Table(&answer), now);
            } else {
                let answer = Box::new(answer);
                self.outgoing.to(asker.shard).push(Mesh::TablesSay { conn, answer });
            }
        }
        self.intake.untold.push(told.draft);
        self.tell_rows(now);
    }

    /// Tells of rows that have changed, as far as there is room.
    pub(super) fn tell_rows(&mut self, now: Now) {
        while self.arrived.has_room()
            && self.outgoing.has_room_everywhere(Lane::Data)
            && let Some(draft) = self.intake.untold.pop()
        {
            let home = self.shards.homes().of(&draft.topic);
            let mut drafts = vec![draft];
            self.intake.ingest.find_fields(&mut drafts);
            let results = self.place_run(home, drafts, None, now);
            if let Some([Err(code)]) = results.as_deref() {
                // There is no room for its topic, or for what is kept of it, or everything stops; the row itself is written.
                tracing::debug!(code = code.name(), "a row has changed and nobody could be told");
                self.stats.rows_untold += 1;
            }
        }
    }
}
