//! Requests whose body is one small message: it is gathered, and then the call is carried out.
//!
//! Invariant: no more of a body is held than the call's own limit allows.

use super::super::Shard;
use super::super::input::ConnId;
use super::cast::Owed;
use super::http::Http;
use super::http::State;
use super::post::Post;
use super::unread::Unread;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::peat::connect;
use crate::limits::HYPERBEAM_CAST_BYTES_MAX;
use crate::limits::PEAT_REQUEST_BYTES_MAX;
use crate::limits::PROVISIONING_POST_BYTES_MAX;
use crate::limits::REVOKE_BYTES_MAX;
use crate::limits::RUN_DRAFT_BYTES;
use crate::wire::grow;
use crate::wire::http::BodyDecoder;
use crate::wire::http::CONTINUE;
use crate::wire::http::Head;
use crate::wire::http::HttpError;

/// What is done with a body once it is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    /// A subscription over Connect.
    Peat { terms: connect::Terms },
    /// A message for whoever has its topic.
    Cast { keep_alive: bool },
    /// Events of the Provisioning dialect.
    Events { keep_alive: bool },
    /// Tokens that are to open nothing any more.
    Revoke { keep_alive: bool },
}

impl Call {
    const fn bytes_max(self) -> u64 {
        match self {
            Self::Peat { .. } => PEAT_REQUEST_BYTES_MAX as u64,
            Self::Revoke { .. } => REVOKE_BYTES_MAX as u64,
            Self::Events { .. } => PROVISIONING_POST_BYTES_MAX as u64,
            Self::Cast { .. } => HYPERBEAM_CAST_BYTES_MAX as u64,
        }
    }
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct Gathering {
    decoder: BodyDecoder,
    body: Vec<u8>,
    call: Call,
}

/// How far it has come.
pub(super) enum Gathered {
    More(Box<Gathering>),
    /// The connection is something else now.
    Taken,
    /// The next request may follow.
    Answered,
    /// It may follow once what was published has its place.
    Casting {
        owed: Owed,
        drafts_bytes: usize,
    },
    /// It is answered, and the next may follow, once what was published has its place.
    Posting {
        keep_alive: bool,
        drafts_bytes: usize,
    },
    /// The connection ends with what was said.
    Ended,
}

impl Shard {
    /// Has a request's body gathered.
    pub(super) fn gather_body(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        call: Call,
        now: Now,
    ) -> Box<Http> {
        let most = match call {
            // One message, and so no larger than one.
            Call::Cast { .. } => call.bytes_max().min(self.settings.message_bytes_max as u64),
            _ => call.bytes_max(),
        };
        match BodyDecoder::new(head.framing, most) {
            Ok(decoder) => {
                if head.expect_continue {
                    self.push_item(id, Item::Raw(CONTINUE.into()));
                }
                http.set_state(State::Gather(Box::new(Gathering {
                    decoder,
                    body: Vec::new(),
                    call,
                })));
            }
            Err(error) => self.http_fault(id, &mut http, error, now),
        }
        http
    }

    /// Takes in what was read; what is left of the input is the next request's.
    pub(super) fn gather_go_on(
        &mut self,
        id: ConnId,
        mut gathering: Box<Gathering>,
        input: &mut Unread,
        now: Now,
    ) -> Gathered {
        if let Err(error) = gathering.feed(input) {
            self.refuse_body(id, error, now);
            return Gathered::Ended;
        }
        if !gathering.decoder.is_done() {
            return Gathered::More(gathering);
        }
        match gathering.call {
            Call::Peat { terms } => {
                self.peat_call(id, terms, &gathering.body, now);
                Gathered::Taken
            }
            Call::Revoke { keep_alive } => {
                self.carry_out_revocation(id, &gathering.body, keep_alive, now);
                self.after_answer(id, keep_alive, now)
            }
            Call::Events { keep_alive } => match self.post(id, &gathering.body, keep_alive, now) {
                Post::Waits { drafts_bytes } => Gathered::Posting { keep_alive, drafts_bytes },
                Post::Answered => self.after_answer(id, keep_alive, now),
            },
            Call::Cast { keep_alive } => match self.cast(id, &gathering.body, keep_alive, now) {
                Some(owed) => {
                    let drafts_bytes = gathering.body.len() + RUN_DRAFT_BYTES;
                    self.heard_bytes += drafts_bytes;
                    Gathered::Casting { owed, drafts_bytes }
                }
                None => self.after_answer(id, keep_alive, now),
            },
        }
    }
}

impl Shard {
    fn after_answer(&mut self, id: ConnId, keep_alive: bool, now: Now) -> Gathered {
        if keep_alive {
            return Gathered::Answered;
        }
        self.close_after_sent(id, now);
        Gathered::Ended
    }
}

impl Gathering {
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
