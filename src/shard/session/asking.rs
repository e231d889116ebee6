//! What a conversation asks of other parties, and what it is answered: of tables page by page, of whoever answers hooks at once.
//!
//! Invariants: a connection has at most one question with another party, and nothing else that its client says is carried out before the last answer; the
//! next page is asked for only once the client takes what it was told. What a client's token does not let it see or do never leaves the shard.

use super::super::Shard;
use super::super::access::Who;
use super::super::classes::Classes;
use super::super::conns::Conns;
use super::super::hooked::signed;
use super::super::input::ConnId;
use super::super::input::ConnRef;
use super::super::input::asker_of;
use super::super::tickets::Question;
use super::Session;
use super::WHO_FIRST;
use super::waits::Awaited;
use super::waits::Heard;
use super::waits::HookAwaited;
use super::waits::Paused;
use super::waits::TableAwaited;
use super::waits::Waits;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Ticket;
use crate::dialect::hook;
use crate::dialect::hook::HookAsk;
use crate::tables::ErrorCode;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::asks;
use crate::tables::asks::Ask;

/// What somebody answers who is asked outside of the shard.
#[derive(Debug)]
pub(in super::super) enum Reply<'a> {
    Table(&'a asks::Answer),
    Hook(&'a hook::Answered),
}

impl Reply<'_> {
    /// Whether nothing more comes.
    const fn is_last(&self) -> bool {
        match self {
            Self::Table(asks::Answer::Page(page)) => page.end.is_some(),
            Self::Table(asks::Answer::Written(_) | asks::Answer::Failed(_)) | Self::Hook(_) => true,
        }
    }

    const fn as_said(&self) -> Answer<'_> {
        match self {
            Self::Table(asks::Answer::Page(page)) => Answer::Rows(page),
            Self::Table(asks::Answer::Written(written)) => Answer::Written(written),
            Self::Table(asks::Answer::Failed(error)) => Answer::TableFailed(error),
            Self::Hook(answered) => Answer::Hooked(answered),
        }
    }

    /// Whether this is what a connection waits for.
    const fn answers(&self, question: Option<&Question>) -> bool {
        matches!(
            (self, question),
            (Self::Table(_), Some(Question::Table)) | (Self::Hook(_), Some(Question::Hook))
        )
    }
}

impl Shard {
    /// Asks the first of these steps, which is asked of another party; what is left of them.
    pub(super) fn ask_outside(
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
            let refused = match what {
                Request::Hook(call) => {
                    let ask =
                        HookAsk { asker: Some(asker), call: signed(&self.conns, asker, *call) };
                    let is_behind_a_write = ask.call.hook.is_behind_a_write();
                    match self.settings.hooks.ask(&mut self.outgoing, ask) {
                        Ok(bytes) => {
                            self.intake.tickets.open(id, Question::Hook);
                            if is_behind_a_write {
                                self.push_item(id, Item::Reserved);
                            }
                            let awaited = HookAwaited { ticket, is_behind_a_write, bytes };
                            paused.asked = Some(Awaited::Hook(awaited));
                            None
                        }
                        Err(failure) => Some((ticket, Refused::Hook(Err(failure)))),
                    }
                }
                what => {
                    let tables = &self.settings.tables;
                    let who = self.conns.find(id).and_then(|conn| conn.who.as_ref());
                    let asked = confined(who.map(|who| &**who), &tables.schema, asker, what);
                    match asked.and_then(|ask| tables.ask(&mut self.outgoing, ask)) {
                        Ok(bytes) => {
                            self.intake.tickets.open(id, Question::Table);
                            let awaited = TableAwaited { ticket, is_paused: false, bytes };
                            paused.asked = Some(Awaited::Table(awaited));
                            None
                        }
                        Err(error) => Some((ticket, Refused::Table(error))),
                    }
                }
            };
            if let Some((ticket, refused)) = refused {
                let answered = self.answer_in_talk(id, ticket, refused.as_said(), now);
                steps.splice(0..0, answered).for_each(drop);
            }
        }
        (!steps.is_empty()).then_some(Heard::Steps { steps, is_counted: true })
    }

    /// Another party answers.
    pub(in super::super) fn answered_outside(
        &mut self,
        conn: ConnRef,
        reply: &Reply<'_>,
        now: Now,
    ) {
        let id = conn.id;
        let is_here = self.conns.find_ref(conn).is_some();
        if !is_here || !reply.answers(self.intake.tickets.find(id)) {
            return;
        }
        let Some(found) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut found.session, Session::Busy) {
            Session::WebSocket(mut websocket) => {
                let is_last = reply.is_last();
                let awaited = websocket.waits_mut().and_then(|waits| waits.answered(is_last));
                if is_last {
                    self.intake.tickets.close(id);
                }
                if let Some((ticket, is_behind_a_write)) = awaited {
                    let mut steps = self.answer_in_talk(id, ticket, reply.as_said(), now);
                    if is_behind_a_write {
                        let answer = first_said((&self.conns, &self.classes), id, &mut steps, now);
                        if let Some(solo) = self.conns.solo_mut(id) {
                            solo.outbox.fill(answer);
                            self.mark_solo(id);
                        }
                    }
                    let steps = self.take_steps(id, steps, now);
                    websocket.put_off(steps);
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

/// Takes what a client is answered now out of the first of these steps: it stands where that was kept for it, before what it was told meanwhile.
fn first_said(
    (conns, classes): (&Conns, &Classes),
    id: ConnId,
    steps: &mut Vec<Step>,
    now: Now,
) -> Option<Item> {
    if !matches!(steps.first(), Some(Step::Say { .. } | Step::Tell(_))) {
        return None;
    }
    match steps.remove(0) {
        Step::Say { kind, text } => Some(Item::Said { kind, text }),
        Step::Tell(draft) => {
            let class = conns.find(id).and_then(|conn| conn.class)?;
            classes.find(class)?.own_item(*draft, now)
        }
        _ => None,
    }
}

/// What was not even asked.
enum Refused {
    Table(TableError),
    Hook(hook::Answered),
}

impl Refused {
    const fn as_said(&self) -> Answer<'_> {
        match self {
            Self::Table(error) => Answer::TableFailed(error),
            Self::Hook(answered) => Answer::Hooked(answered),
        }
    }
}

impl Waits {
    /// Something asked of another party is answered; what its conversation calls it, and whether its client's answer has a place that was kept for it.
    fn answered(&mut self, is_last: bool) -> Option<(Ticket, bool)> {
        let awaited = match &mut self.asked {
            Some(Awaited::Table(awaited)) => {
                awaited.is_paused = !is_last;
                (awaited.ticket.clone(), false)
            }
            Some(Awaited::Hook(awaited)) => (awaited.ticket.clone(), awaited.is_behind_a_write),
            Some(Awaited::Run(_) | Awaited::Name(_) | Awaited::Kept(_)) | None => return None,
        };
        if is_last {
            self.asked = None;
        }
        Some(awaited)
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
        | Request::Keep
        | Request::Resume(_)
        | Request::Admit(_)
        | Request::Hook(_)
        | Request::Subscribe(_) => unreachable!("it is not asked of tables"),
    }
}
