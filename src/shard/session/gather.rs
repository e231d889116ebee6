//! Calls whose body is one small message: the body is collected whole, and then the call is carried out.
//!
//! Invariant: no more of a body is held than the call's own limit allows.

use super::super::Shard;
use super::super::input::ConnId;
use super::awaiting::Action;
use super::awaiting::PartialBody;
use super::http::Http;
use super::http::State;
use super::operator;
use crate::batch::Item;
use crate::clock::Now;
use crate::wire::http::BodyDecoder;
use crate::wire::http::CONTINUE;
use crate::wire::http::Head;

impl Shard {
    /// Begins to collect a request's body.
    pub(super) fn gather_body(
        &mut self,
        id: ConnId,
        http: &mut Http,
        head: &Head,
        (bytes_max, action): (usize, Action),
        now: Now,
    ) {
        match BodyDecoder::new(head.framing, bytes_max as u64) {
            Ok(decoder) => {
                if head.expect_continue {
                    self.push_item(id, Item::Raw(CONTINUE.into()));
                }
                http.reads_body(head);
                let gathering = PartialBody { decoder, body: Vec::new(), action };
                http.set_state(State::Gather(Box::new(gathering)));
            }
            Err(error) => self.http_fault(id, http, error, now),
        }
    }

    /// Takes in what was read; what is left of the input is the next request's. `None` if the connection is something else now.
    pub(super) fn go_on_gathering(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        now: Now,
    ) -> Option<Box<Http>> {
        let State::Gather(mut gathering) = http.take_state() else { unreachable!("it is one") };
        if let Err(error) = gathering.feed(http.input_mut()) {
            self.http_fault(id, &mut http, error, now);
            return Some(http);
        }
        if !gathering.decoder.is_done() {
            http.set_state(State::Gather(gathering));
            return Some(http);
        }
        let PartialBody { body, action, .. } = *gathering;
        match action {
            Action::Call(calling) => self.call(id, http, calling, &body, now),
            Action::Operator(asked) => {
                operator::hear(self, (id, &mut http), &asked, &body, now);
                Some(http)
            }
            Action::Revoke => {
                self.carry_out_revocation(id, &mut http, &body, now);
                Some(http)
            }
        }
    }
}
