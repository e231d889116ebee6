//! The Connect call: one request, answered with a stream of changes, or with nothing but the error.
//!
//! Invariant: every stream ends with a message that says how, whoever ends it.

use super::connect;
use crate::dialect::Answer;
use crate::dialect::Context;
use crate::dialect::Outcome;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Voiced;

/// The close code with which a server stops.
const GOING_AWAY: u16 = 1001;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscribe {
    pub(super) terms: connect::Terms,
}

impl Talk for Subscribe {
    fn open(&mut self, _context: &Context<'_>, steps: &mut Vec<Step>) {
        debug_assert!(steps.is_empty(), "a call begins with its body");
    }

    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let body = match said {
            Said::Packet(body) | Said::Binary(body) => body,
            Said::Text(text) => text.as_bytes(),
        };
        let codec = self.terms.codec;
        let (dialect, content_type) = (codec.dialect(), codec.content_type());
        steps.push(Step::Stream { dialect, content_type });
        steps.push(match connect::request(self.terms, body) {
            Ok(request) => Step::Want(request.wish(&[], context.view).into_iter().collect()),
            Err(error) => {
                let mut end = Vec::new();
                connect::put_end(Some(&error), &mut end);
                Step::Last(end.into())
            }
        });
    }

    /// Changes, and nothing besides.
    fn told(&mut self, _outcome: &Outcome<'_>, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }

    fn answered(
        &mut self,
        ticket: Ticket,
        _answer: Answer<'_>,
        _context: &Context<'_>,
        _steps: &mut Vec<Step>,
    ) {
        unreachable!("a call asks nothing: {ticket:?}")
    }

    fn ended(&mut self, code: u16, reason: &str, out: &mut Vec<u8>) -> Voiced {
        let error = match code {
            GOING_AWAY => connect::CallError::ShuttingDown,
            _ => connect::CallError::Unauthenticated { reason: reason.into() },
        };
        connect::put_end(Some(&error), out);
        Voiced::As("end")
    }
}
