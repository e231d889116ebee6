//! Requests that end before they are complete: by silence, by the server's stop, by bytes that are no chunk, by their client's end, for want of room.
//!
//! Invariant: every end that can still be answered is answered, with the reason; and of an upload with what was taken, and up to where.

use std::fmt;

use super::super::Shard;
use super::super::input::ConnId;
use crate::batch::Item;
use crate::limits::RETRY_AFTER_S;
use crate::wire::http::Connection;
use crate::wire::http::HttpError;
use crate::wire::http::Reply;

/// How a request ended too soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Cut {
    /// It took too long.
    Late,
    /// Its client says no more.
    Ended,
    /// The server stops.
    Stopping,
    /// Of all that is held of unfinished requests it holds the most, and there is no room.
    NoRoom,
    /// Its body is not what its head says.
    Broken(HttpError),
}

impl Cut {
    /// The status that answers it.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Late => 408,
            Self::Ended => 400,
            Self::Stopping | Self::NoRoom => 503,
            Self::Broken(error) => error.status(),
        }
    }

    /// The word for it.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Late => "timeout",
            Self::Ended => "cut_off",
            Self::Stopping => "shutting_down",
            Self::NoRoom => "full",
            Self::Broken(error) => error.code(),
        }
    }

    /// `{"error":{"code":…,"message":…}}`
    pub(super) fn body(self) -> Vec<u8> {
        let error = serde_json::json!({ "code": self.code(), "message": self.to_string() });
        serde_json::json!({ "error": error }).to_string().into_bytes()
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("the request did not arrive in time"),
            Self::Ended => f.write_str("the request ended before it was complete"),
            Self::Stopping => f.write_str("the server is shutting down"),
            Self::NoRoom => f.write_str(
                "there is no room for unfinished requests, and this one holds the most; try again",
            ),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl Shard {
    /// Answers a request that ended too soon; with its answer the connection ends.
    pub(super) fn reply_cut(&mut self, id: ConnId, cut: Cut, status: u16, body: &[u8]) {
        let mut out = Vec::new();
        let mut reply = Reply::begin(&mut out, status, Connection::Close);
        if matches!(cut, Cut::Stopping | Cut::NoRoom) {
            reply = reply.header("retry-after", &RETRY_AFTER_S.to_string());
        }
        reply.body("application/json", body);
        self.push_item(id, Item::Raw(out.into()));
    }
}
