//! What a conversation asks of tables, and what it is answered, page by page.
//!
//! Invariants: a connection has at most one question with whoever has the tables, and nothing else that its client says is carried out before the last answer; the
//! next page is asked for only once the client takes what it was told. What a client's token does not let it see or do never leaves the shard.

use super::super::Shard;
use super::super::input::ConnId;
use super::super::input::ConnRef;
use super::super::input::Mesh;
use super::super::lanes::Lane;
use super::super::rows::asker_of;
use super::super::tickets::Question;
use super::Session;
use super::waits::Awaited;
use super::waits::Heard;
use super::waits::Paused;
use super::waits::TableAwaited;
use super::waits::Waits;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::event::TopicName;
use crate::tables::ErrorCode;
use crate::tables::TableError;
use crate::tables::asks;
use crate::tables::asks::Ask;

impl Shard {
    /// Whether a connection may publish to a topic: its token lets it, and no table's rows are told on it.
    pub(super) fn may_publish(&self, id: ConnId, topic: &TopicName) -> bool {
        self.conns.may_publish(id, topic) && self.settings.tables.schema.of_topic(topic).is_none()
    }

    /// Asks the first of these steps, which is asked of tables; what is left of them.
    pub(super) fn ask_tables(
        &mut self,
        id: ConnId,
        mut steps: Vec<Step>,
        paused: &mut Paused,
        now: Now,
    ) -> Option<Heard> {
        if let Step::Ask { ticket, what } = steps.remove(0)
            && let Some(conn) = self.conns.conn_ref(id)
        {
            let asker = asker_of(self.shards.here(), conn);
            let asked = self.confined_ask(id, asker, what);
            match asked.and_then(|ask| self.send_to_tables(ask)) {
                Ok(bytes) => {
                    self.intake.tickets.open(id, Question::Table);
                    let awaited = TableAwaited { ticket, is_paused: false, bytes };
                    paused.asked = Some(Awaited::Table(awaited));
                }
                Err(error) => {
                    let answer = Answer::TableFailed(&error);
                    let answered = self.answer_in_talk(id, ticket, answer, now);
                    steps.splice(0..0, answered).for_each(drop);
                }
            }
        }
        (!steps.is_empty()).then_some(Heard::Steps { steps, is_counted: true })
    }

    /// What is asked, within what the client may.
    fn confined_ask(
        &self,
        id: ConnId,
        asker: asks::Asker,
        what: Request,
    ) -> Result<Ask, TableError> {
        let who = self.conns.find(id).and_then(|conn| conn.who.as_ref());
        let Some(who) = who else {
            return Err(TableError::new(ErrorCode::Forbidden, super::WHO_FIRST));
        };
        let schema = &self.settings.tables.schema;
        match what {
            Request::Query(mut query) => {
                query.check(schema)?;
                who.confine_query(schema, &mut query)?;
                Ok(Ask::Query { asker, query })
            }
            Request::Write(mut write) => {
                write.check(schema)?;
                who.confine_write(schema, &mut write)?;
                Ok(Ask::Write { asker, write })
            }
            Request::Publish(_) | Request::Identify { .. } => {
                unreachable!("it is not asked of tables")
            }
        }
    }

    /// Hands it on, if there is room; says what it weighs.
    fn send_to_tables(&mut self, ask: Ask) -> Result<usize, TableError> {
        let party = self.settings.tables.party.expect("a schema with tables has who keeps them");
        if !self.outgoing.has_room(party, Lane::Data) {
            return Err(TableError::new(
                ErrorCode::Busy,
                "more is asked of tables just now than is answered",
            ));
        }
        let bytes = ask.weight_bytes();
        self.outgoing.to(party).push(Mesh::Tables(ask));
        Ok(bytes)
    }

    /// Whoever has the tables answers.
    pub(in super::super) fn table_answered(
        &mut self,
        conn: ConnRef,
        answer: &asks::Answer,
        now: Now,
    ) {
        if self.conns.find_ref(conn).is_none() {
            return;
        }
        let id = conn.id;
        if !matches!(self.intake.tickets.find_mut(id), Some(Question::Table)) {
            return;
        }
        let Some(found) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut found.session, Session::Busy) {
            Session::WebSocket(mut websocket) => {
                if let Some(waits) = websocket.waits_mut() {
                    self.take_table_answer(id, waits, answer, now);
                }
                self.websocket_go_on(id, websocket, now);
            }
            session => self.put_back(id, session),
        }
        self.conns.resume(id);
        self.make_room(now);
    }

    fn take_table_answer(
        &mut self,
        id: ConnId,
        waits: &mut Waits,
        answer: &asks::Answer,
        now: Now,
    ) {
        let Some(Awaited::Table(awaited)) = &mut waits.asked else { return };
        let ticket = awaited.ticket.clone();
        let (said, is_last) = match answer {
            asks::Answer::Page(page) => (Answer::Rows(page), page.end.is_some()),
            asks::Answer::Written(written) => (Answer::Written(written), true),
            asks::Answer::Failed(error) => (Answer::TableFailed(error), true),
        };
        awaited.is_paused = !is_last;
        if is_last {
            waits.asked = None;
            self.intake.tickets.close(id);
        }
        let steps = self.answer_in_talk(id, ticket, said, now);
        let steps = self.take_steps(id, steps, now);
        if !steps.is_empty() {
            waits.heard.push_front(Heard::Steps { steps, is_counted: true });
        }
    }

    /// Asks for the next page of what is being answered, if the client takes what it was told.
    pub(super) fn ask_for_next_page(&mut self, id: ConnId, waits: &mut Waits) {
        let Some(Awaited::Table(awaited)) = &mut waits.asked else { return };
        if !awaited.is_paused {
            return;
        }
        if self.conns.is_closing(id) {
            waits.asked = None;
            return self.leave_tables(id);
        }
        if self.conns.may_hear(id)
            && let (Some(party), Some(conn)) = (self.settings.tables.party, self.conns.conn_ref(id))
        {
            awaited.is_paused = false;
            let asker = asker_of(self.shards.here(), conn);
            self.outgoing.to(party).push(Mesh::Tables(Ask::More { asker }));
        }
    }

    /// A connection waits for nothing any more.
    pub(in super::super) fn leave_tables(&mut self, id: ConnId) {
        let was = self.intake.tickets.close(id);
        if let (Some(Question::Table), Some(party), Some(conn)) =
            (was, self.settings.tables.party, self.conns.conn_ref(id))
        {
            let asker = asker_of(self.shards.here(), conn);
            self.outgoing.to(party).push(Mesh::Tables(Ask::Leave { asker }));
        }
    }
}
