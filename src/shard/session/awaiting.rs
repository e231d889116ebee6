//! What an HTTP request waits for: its body, or the answer to a question of its call.
//!
//! Invariant: no more of a body is held than the call's own limit allows.

use super::operator_request::OperatorRequest;
use super::unread::Unread;
use crate::dialect::Calling;
use crate::dialect::DialectId;
use crate::dialect::ThenListed;
use crate::dialect::ThenPublished;
use crate::event::TopicName;
use crate::wire::grow;
use crate::wire::http::BodyDecoder;
use crate::wire::http::HttpError;

/// The answer that a call's response waits for.
#[derive(Debug)]
pub(super) enum AnswerAwaited {
    /// Places for drafts of these topics, which take `drafts_bytes` together.
    Publish { dialect: DialectId, topics: Vec<TopicName>, drafts_bytes: usize, then: ThenPublished },
    /// The names of the topics that there are.
    List(ThenListed),
    /// What is answered outside of the core: a page, or whether a revocation is kept.
    Outside,
}

impl AnswerAwaited {
    /// Bytes of drafts whose places are awaited.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Publish { drafts_bytes, .. } => *drafts_bytes,
            Self::List(_) | Self::Outside => 0,
        }
    }
}

/// The taker of a body that has come whole.
#[derive(Debug)]
pub(super) enum Action {
    /// The conversation of a dialect hears the body.
    Call(Calling),
    /// The body names tokens to revoke.
    Revoke,
    /// An operator asks.
    Operator(Box<OperatorRequest>),
}

/// The body of a call, of which a part has come.
#[derive(Debug)]
pub(super) struct PartialBody {
    pub(super) decoder: BodyDecoder,
    pub(super) body: Vec<u8>,
    pub(super) action: Action,
}

impl PartialBody {
    /// Bytes of the body that have come.
    pub(super) fn come_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Whether what it asks for may be to publish something: then it has its turn with others that do. A revocation does not wait for them.
    pub(super) const fn may_publish(&self) -> bool {
        matches!(self.action, Action::Call(_))
    }

    /// Bytes of memory that the body holds.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.body.capacity()
    }

    pub(super) fn feed(&mut self, input: &mut Unread) -> Result<(), HttpError> {
        while !self.decoder.is_done() && !input.is_empty() {
            let decoded = self.decoder.decode(input.as_slice())?;
            grow::extend(&mut self.body, &input.as_slice()[decoded.data]);
            input.take(decoded.consumed);
        }
        Ok(())
    }
}
