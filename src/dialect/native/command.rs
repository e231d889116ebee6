//! What a client of the native protocol may say, read and not yet carried out.

use std::sync::Arc;

use crate::dialect::Change;
use crate::dialect::Refusal;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::event::Draft;
use crate::position::Playback;
use crate::position::Seek;
use crate::position::Since;

/// What a client asks of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Subscribe {
        subscription: Arc<Subscription>,
        since: Since,
        playback: Option<Playback>,
    },
    /// Changes a running subscription.
    Update {
        id: SubId,
        change: Box<Change>,
        seek: Box<Seek>,
    },
    Unsubscribe {
        id: SubId,
    },
    /// `id`: names the acknowledgement that is wanted, if one is.
    Publish {
        id: Option<SubId>,
        draft: Draft,
    },
    Ping {
        id: Option<SubId>,
    },
    /// The client says that it is whoever this token was given to.
    Authenticate {
        id: Option<SubId>,
        token: Box<str>,
    },
}

/// A message that is no command: why, and the id it carried, if it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub id: Option<SubId>,
    pub refusal: Refusal,
}
