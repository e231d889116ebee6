//! A conversation claims a name for its client, and goes on when it has it.
//!
//! Invariant: nothing that a client says behind the claim is heard before it is answered.

use super::super::Shard;
use super::super::input::ConnId;
use super::super::names::Holding;
use super::super::outlasting::Outlasting;
use super::Session;
use super::waits::Awaited;
use super::waits::Heard;
use super::waits::Paused;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Refusal;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Wish;

impl Shard {
    /// A connection goes on from what the one before has left behind, with these subscriptions; what became of each.
    pub(super) fn go_on_named(
        &mut self,
        id: ConnId,
        wishes: &[Wish],
        now: Now,
    ) -> Vec<Result<(), Refusal>> {
        Holding::at(self).resume(id, wishes, now)
    }

    /// Asks for the name that the first of these steps claims, or for what is kept under it to be written; what is left of them.
    pub(super) fn ask_name(
        &mut self,
        id: ConnId,
        mut steps: Vec<Step>,
        paused: &mut Paused,
        now: Now,
    ) -> Option<Heard> {
        match steps.remove(0) {
            Step::Ask { ticket, what: Request::Claim { client, is_clean } } => {
                Holding::at(self).claim(id, &client, is_clean, now);
                paused.asked = Some(Awaited::Name(ticket));
            }
            Step::Ask { ticket, what: Request::Keep }
                if Outlasting::at(self).settle_first(id, now) =>
            {
                paused.asked = Some(Awaited::Kept(ticket));
            }
            Step::Ask { ticket, .. } => {
                let answer = Answer::Kept { is_kept: true };
                let answered = self.answer_in_talk(id, ticket, answer, now);
                steps.splice(0..0, answered).for_each(drop);
            }
            _ => unreachable!("it is a question about a name"),
        }
        (!steps.is_empty()).then_some(Heard::Steps { steps, is_counted: true })
    }

    /// A connection has its name; its conversation is told what of an earlier one was kept, and which messages its client had received.
    pub(in super::super) fn name_granted(
        &mut self,
        id: ConnId,
        (words, received): (Option<&[u8]>, &[u16]),
        now: Now,
    ) {
        let answer = Answer::Claimed { words, received };
        self.answer_about_name(id, |asked| matches!(asked, Awaited::Name(_)), answer, now);
    }

    /// What is kept of a connection's conversation is written, or cannot be.
    pub(in super::super) fn session_kept(&mut self, id: ConnId, is_kept: bool, now: Now) {
        let answer = Answer::Kept { is_kept };
        self.answer_about_name(id, |asked| matches!(asked, Awaited::Kept(_)), answer, now);
    }

    fn answer_about_name(
        &mut self,
        id: ConnId,
        is_meant: impl Fn(&Awaited) -> bool,
        answer: Answer<'_>,
        now: Now,
    ) {
        let Some(found) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut found.session, Session::Busy) {
            Session::WebSocket(mut websocket) => {
                let asked = websocket
                    .waits_mut()
                    .and_then(|waits| waits.asked.take_if(|asked| is_meant(asked)));
                if let Some(Awaited::Name(ticket) | Awaited::Kept(ticket)) = asked {
                    let steps = self.answer_in_talk(id, ticket, answer, now);
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
}
