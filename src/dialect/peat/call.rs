//! The Connect call: one request, answered with a stream of changes, or with nothing but the error.
//!
//! Invariant: every stream ends with a message that says how, whoever ends it.

use super::connect;
use crate::dialect::Context;
use crate::dialect::Next;
use crate::dialect::Respond;
use crate::dialect::Tells;

/// The close code with which a server stops.
const GOING_AWAY: u16 = 1001;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscribe {
    pub(super) terms: connect::Terms,
}

impl Respond for Subscribe {
    fn respond(self: Box<Self>, body: &[u8], context: &Context<'_>) -> Next {
        let codec = self.terms.codec;
        let tells = match connect::request(self.terms, body) {
            Ok(request) => Tells::Wish(request.wish(&[], context.view)),
            Err(error) => {
                let mut end = Vec::new();
                connect::put_end(Some(&error), &mut end);
                Tells::End(end.into())
            }
        };
        Next::Stream { dialect: codec.dialect(), content_type: codec.content_type(), tells }
    }
}

/// Appends the last message of a stream that the server ends.
pub(super) fn put_end(code: u16, reason: &str, out: &mut Vec<u8>) {
    let error = match code {
        GOING_AWAY => connect::CallError::ShuttingDown,
        _ => connect::CallError::Unauthenticated { reason: reason.into() },
    };
    connect::put_end(Some(&error), out);
}
