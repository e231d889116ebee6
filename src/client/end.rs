//! Why a connection's turn is over, and whether another attempt would help.
//!
//! `docs/CLIENTS.md` has the table. Pure.

use crate::client::message::ClientError;
use crate::client::socket::SocketError;
use crate::client::told::Cause;
use crate::client::told::Lost;

/// Why a connection's turn is over.
pub(super) enum End {
    /// The application closes the client, and is answered if it still waits.
    Closed(Option<flume::Sender<Result<(), ClientError>>>),
    Lost {
        lost: Lost,
        is_final: bool,
    },
}

impl End {
    /// Of a connection that was lost, and may be made again.
    pub(super) fn passing(cause: Cause, code: u16, reason: impl Into<String>) -> Self {
        Self::Lost { lost: Lost { cause, code, reason: reason.into() }, is_final: false }
    }

    pub(super) fn for_good(cause: Cause, code: u16, reason: impl Into<String>) -> Self {
        Self::Lost { lost: Lost { cause, code, reason: reason.into() }, is_final: true }
    }
}

/// What follows from the end of a connection.
pub(super) fn ended_by(error: SocketError, has_other_tokens: bool) -> End {
    let reason = error.to_string();
    match error {
        SocketError::Connect(_) | SocketError::Lost(_) => End::passing(Cause::Lost, 1006, reason),
        SocketError::Refused { status, .. } => {
            if status >= 500 || matches!(status, 408 | 425 | 429) {
                return End::passing(Cause::Lost, status, reason);
            }
            let cause = if status == 401 { Cause::Required } else { Cause::Mistake };
            End::for_good(cause, status, reason)
        }
        SocketError::Handshake(_) => End::for_good(Cause::Mistake, 0, reason),
        SocketError::Protocol(_) => End::for_good(Cause::Mistake, 1002, reason),
        SocketError::Closed { code: code @ (1002 | 1003 | 1007 | 1009), reason } => {
            End::for_good(Cause::Mistake, code, reason)
        }
        SocketError::Closed { code, reason } => match Cause::of_reason(&reason) {
            Some(cause) if !has_other_tokens => End::for_good(cause, code, reason),
            Some(cause) => End::passing(cause, code, reason),
            None => End::passing(Cause::Lost, code, reason),
        },
    }
}
