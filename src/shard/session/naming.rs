//! A conversation claims a name for its client, and goes on when it has it.
//!
//! Invariant: nothing that a client says behind the claim is heard before it is answered.

use super::super::Shard;
use super::super::input::ConnId;
use super::super::names::Holding;
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

    /// Asks for the name that the first of these steps claims; what is left of them.
    pub(super) fn ask_name(
        &mut self,
        id: ConnId,
        mut steps: Vec<Step>,
        paused: &mut Paused,
    ) -> Option<Heard> {
        if let Step::Ask { ticket, what: Request::Claim { client, is_clean } } = steps.remove(0) {
            Holding::at(self).claim(id, &client, is_clean);
            paused.asked = Some(Awaited::Name(ticket));
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
        let Some(found) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut found.session, Session::Busy) {
            Session::WebSocket(mut websocket) => {
                let asked = websocket.waits_mut().and_then(|waits| waits.asked.take());
                if let Some(Awaited::Name(ticket)) = asked {
                    let answer = Answer::Claimed { words, received };
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
