//! Requests whose body is one small message: it is gathered, and then the call is carried out.
//!
//! Invariant: no more of a body is held than the call's own limit allows.

use super::super::Shard;
use super::super::input::ConnId;
use super::http::Http;
use super::http::State;
use super::unread::Unread;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Calling;
use crate::wire::grow;
use crate::wire::http::BodyDecoder;
use crate::wire::http::CONTINUE;
use crate::wire::http::Head;
use crate::wire::http::HttpError;

/// What is done with a body once it is there.
#[derive(Debug)]
pub(super) enum Action {
    /// A conversation hears it.
    Call(Calling),
    /// Tokens that are to open nothing any more.
    Revoke,
}

/// The body of a call, of which a part has come.
#[derive(Debug)]
pub(super) struct PartialBody {
    decoder: BodyDecoder,
    body: Vec<u8>,
    action: Action,
}

impl Shard {
    /// Has a request's body gathered.
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
            Action::Revoke => {
                self.carry_out_revocation(id, &mut http, &body, now);
                Some(http)
            }
        }
    }
}

impl PartialBody {
    /// Bytes of the body that have come.
    pub(super) fn come_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.body.capacity()
    }

    fn feed(&mut self, input: &mut Unread) -> Result<(), HttpError> {
        while !self.decoder.is_done() && !input.is_empty() {
            let decoded = self.decoder.decode(input.as_slice())?;
            grow::extend(&mut self.body, &input.as_slice()[decoded.data]);
            input.take(decoded.consumed);
        }
        Ok(())
    }
}
