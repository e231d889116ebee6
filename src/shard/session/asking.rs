//! What a conversation asks of tables, and what it is answered, page by page.
//!
//! Invariants: a connection has at most one question with whoever has the tables, and nothing else that its client says is carried out before the last answer; the
//! next page is asked for only once the client takes what it was told. What a client's token does not let it see or do never leaves the shard.

use super::super::Shard;
use super::super::access::Who;
use super::super::input::ConnId;
use super::super::input::ConnRef;
use super::super::rows::asker_of;
use super::super::tickets::Question;
use super::Session;
use super::WHO_FIRST;
use super::waits::Awaited;
use super::waits::Heard;
use super::waits::Paused;
use super::waits::TableAwaited;
use super::waits::Waits;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Ticket;
use crate::tables::ErrorCode;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::asks;
use crate::tables::asks::Ask;

impl Shard {
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
            let tables = &self.settings.tables;
            let who = self.conns.find(id).and_then(|conn| conn.who.as_ref());
            let asked = confined(who.map(|who| &**who), &tables.schema, asker, what);
            match asked.and_then(|ask| tables.ask(&mut self.outgoing, ask)) {
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
        let (said, is_last) = match answer {
            asks::Answer::Page(page) => (Answer::Rows(page), page.end.is_some()),
            asks::Answer::Written(written) => (Answer::Written(written), true),
            asks::Answer::Failed(error) => (Answer::TableFailed(error), true),
        };
        let Some(found) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut found.session, Session::Busy) {
            Session::WebSocket(mut websocket) => {
                let ticket = websocket.waits_mut().and_then(|waits| waits.table_answered(is_last));
                if is_last {
                    self.intake.tickets.close(id);
                }
                if let Some(ticket) = ticket {
                    let steps = self.answer_in_talk(id, ticket, said, now);
                    let steps = self.take_steps(id, steps, now);
                    if let (false, Some(waits)) = (steps.is_empty(), websocket.waits_mut()) {
                        waits.heard.push_front(Heard::Steps { steps, is_counted: true });
                    }
                }
                self.websocket_go_on(id, websocket, now);
            }
            session => self.put_back(id, session),
        }
        self.conns.resume(id);
        self.make_room(now);
    }

    /// Asks for the next page of what is being answered, if the client takes what it was told.
    pub(super) fn ask_for_next_page(&mut self, id: ConnId, waits: &mut Waits) {
        let Some(Awaited::Table(awaited)) = &mut waits.asked else { return };
        let Some(conn) = self.conns.conn_ref(id) else { return };
        let (tables, asker) = (&self.settings.tables, asker_of(self.shards.here(), conn));
        if !awaited.is_paused {
            return;
        }
        if self.conns.is_closing(id) {
            waits.asked = None;
            tables.leave(&mut self.outgoing, &mut self.intake.tickets, Some((id, asker)));
        } else if self.conns.may_hear(id) {
            awaited.is_paused = false;
            tables.tell(&mut self.outgoing, Ask::More { asker });
        }
    }
}

impl Waits {
    /// Something asked of tables is answered; what its conversation calls it.
    fn table_answered(&mut self, is_last: bool) -> Option<Ticket> {
        let Some(Awaited::Table(awaited)) = &mut self.asked else { return None };
        awaited.is_paused = !is_last;
        let ticket = awaited.ticket.clone();
        if is_last {
            self.asked = None;
        }
        Some(ticket)
    }
}

/// What is asked, within what the client may.
fn confined(
    who: Option<&Who>,
    schema: &Schema,
    asker: asks::Asker,
    what: Request,
) -> Result<Ask, TableError> {
    let who = who.ok_or_else(|| TableError::new(ErrorCode::Forbidden, WHO_FIRST))?;
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
        Request::Publish(_)
        | Request::Identify { .. }
        | Request::Enter { .. }
        | Request::Claim { .. }
        | Request::Resume(_)
        | Request::Subscribe(_) => unreachable!("it is not asked of tables"),
    }
}
