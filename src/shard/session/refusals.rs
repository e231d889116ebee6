//! The words for requests that are refused, or end before they are complete.

use std::fmt;

use crate::dialect::Response;
use crate::wire::http::HttpError;

/// The text for a client that has to authenticate and has not.
pub(in super::super) const WHO_FIRST: &str = "say who you are first: send auth with a token";

/// Why a request ended before it was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Cut {
    /// The request took too long.
    Late,
    /// The client has ended its sending side.
    Ended,
    /// The server stops.
    Stopping,
    /// The budget of unfinished input is spent, and the request holds the most of it.
    NoRoom,
    /// The body is not framed as the head says.
    Broken(HttpError),
}

impl Cut {
    /// The status that answers the request.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Late => 408,
            Self::Ended => 400,
            Self::Stopping | Self::NoRoom => 503,
            Self::Broken(error) => error.status(),
        }
    }

    /// The error's code.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Late => "timeout",
            Self::Ended => "cut_off",
            Self::Stopping => "shutting_down",
            Self::NoRoom => "full",
            Self::Broken(error) => error.code(),
        }
    }

    /// What answers it, with this status.
    pub(super) fn response(self, status: u16) -> Response {
        let response = Response::error(status, self.code(), &self.to_string());
        match self {
            Self::Stopping | Self::NoRoom => response.with_retry(),
            Self::Late | Self::Ended | Self::Broken(_) => response,
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "the request did not arrive in time",
            Self::Ended => "the request ended before it was complete",
            Self::Stopping => "the server is shutting down",
            Self::NoRoom => {
                "there is no room for unfinished requests, and this one holds the most; try again"
            }
            Self::Broken(error) => return error.fmt(f),
        })
    }
}
