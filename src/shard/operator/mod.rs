//! What an operator asks of the shards: each is asked for its part, and the answer is one.
//!
//! Invariants: a question costs the shard that is asked a pass over its connections or topics at most, counted as work of its turn; nothing is kept
//! for operators between questions, so that without one nothing is slower. A question whose connection ends is forgotten. Never decides who is an operator: the
//! door does.

mod answers;
mod explain;
mod rows;

use super::Shard;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::inquiry::Finding;
use super::inquiry::Findings;
use super::inquiry::Inquiry;
use super::lanes::Lane;
use super::tickets::Question;
use crate::clock::Now;
use crate::dialect::Response;
use crate::event::ShardId;
pub(super) use answers::FindingsAwaited;
pub(super) use answers::Form;
pub(super) use answers::Whom;
use answers::not_found;

/// A shard, as it is looked at for an operator.
pub(super) struct Operator<'a> {
    shard: &'a mut Shard,
}

impl<'a> Operator<'a> {
    pub(super) const fn at(shard: &'a mut Shard) -> Self {
        Self { shard }
    }

    /// Asks for a connection. `Some`: the answer is there; else it is given by `Shard::answer` later.
    pub(super) fn ask(
        &mut self,
        id: ConnId,
        (whom, inquiry, form): (Whom, Inquiry, Form),
        now: Now,
    ) -> Option<Response> {
        let conn = self.shard.conns.conn_ref(id)?;
        let here = self.shard.shards.here();
        let asked: Vec<ShardId> = match whom {
            Whom::One(shard) if shard.0 >= self.shard.shards.count() => {
                return Some(not_found("there is no such shard"));
            }
            Whom::One(shard) => vec![shard],
            Whom::All => self.shard.shards.all().collect(),
        };
        if asked.iter().any(|of| *of != here && !self.shard.outgoing.has_room(*of, Lane::Control)) {
            return Some(Response::error(503, "full", "other cores have too much to take in"));
        }
        let asker = Address { shard: here, conn };
        let mut awaited = FindingsAwaited::new(form);
        for shard in asked {
            if shard != here {
                let question = Mesh::Inquire(asker, Box::new(inquiry.clone()));
                self.shard.outgoing.to(shard).push(question);
            } else if let Some(findings) = self.find(asker, &inquiry, now) {
                awaited.add(findings);
                continue;
            }
            awaited.shards += 1;
        }
        if awaited.shards == 0 {
            return Some(awaited.response(self.shard.shards.count()));
        }
        self.shard.intake.tickets.open(id, Question::Operator(awaited));
        None
    }

    /// Another shard asks.
    pub(super) fn asked(&mut self, asker: Address, inquiry: &Inquiry, now: Now) {
        if let Some(findings) = self.find(asker, inquiry, now) {
            self.tell(asker, findings, now);
        }
    }

    /// Another shard has found something.
    pub(super) fn found(&mut self, conn: ConnRef, findings: Findings, now: Now) {
        if self.shard.conns.find_ref(conn).is_none() {
            return;
        }
        let question = self.shard.intake.tickets.find_mut(conn.id);
        let Some(Question::Operator(awaited)) = question else { return };
        awaited.add(findings);
        awaited.shards -= 1;
        if awaited.shards == 0
            && let Some(Question::Operator(awaited)) = self.shard.intake.tickets.close(conn.id)
        {
            let response = awaited.response(self.shard.shards.count());
            self.shard.answer(conn, &response, now);
        }
    }

    fn tell(&mut self, asker: Address, findings: Findings, now: Now) {
        if asker.shard == self.shard.shards.here() {
            return self.found(asker.conn, findings, now);
        }
        let answer = Mesh::Found { conn: asker.conn, findings: Box::new(findings) };
        self.shard.outgoing.to(asker.shard).push(answer);
    }

    /// What there is here. `None`: another shard has been asked, which answers.
    fn find(&mut self, asker: Address, inquiry: &Inquiry, now: Now) -> Option<Findings> {
        match inquiry {
            Inquiry::Connections { from, rows } => {
                Some(rows::connections(self.shard, *from, *rows, now))
            }
            Inquiry::Slowest { rows } => Some(rows::slowest(self.shard, *rows, now)),
            Inquiry::Topics { after, rows } => Some(rows::topics(self.shard, after, *rows)),
            Inquiry::Disconnect { conn, reason } => Some(self.disconnect(*conn, reason, now)),
            Inquiry::Find { conn, topic, offset } => {
                let Some(event) = rows::event(self.shard, topic, *offset) else {
                    return Some(Findings::missing("memory has no such event of that topic"));
                };
                let inquiry = Inquiry::Explain { conn: conn.conn, event, is_real: true };
                if conn.shard == self.shard.shards.here() {
                    return self.find(asker, &inquiry, now);
                }
                self.shard.outgoing.to(conn.shard).push(Mesh::Inquire(asker, Box::new(inquiry)));
                None
            }
            Inquiry::Explain { conn, event, is_real } => {
                let explained = explain::explain(self.shard, *conn, event, *is_real, now);
                Some(explained.map_or_else(|| Findings::missing(NO_CONNECTION), one))
            }
        }
    }

    fn disconnect(&mut self, conn: ConnRef, reason: &str, now: Now) -> Findings {
        if self.shard.conns.find_ref(conn).is_none() {
            return Findings::missing(NO_CONNECTION);
        }
        self.shard.close(conn.id, super::closes::CLOSE_POLICY, reason, now);
        one(r#"{"disconnected":true}"#.to_owned())
    }
}

const NO_CONNECTION: &str = "there is no such connection, or no longer";

/// One row, with nothing to sort it by.
fn one(json: String) -> Findings {
    let row = Finding { owed_bytes: 0, name: String::new(), json };
    Findings { rows: vec![row], ..Findings::default() }
}
