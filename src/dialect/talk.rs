//! Dialects that remember what their client said: one conversation a connection, a state machine without a socket.
//!
//! A conversation is asked what to do when the connection opens and with every message, and answers with steps that the shard takes in
//! order. Invariant: it names what it wants as a whole, so that the shard alone finds what begins and what ends.

use std::fmt;
use std::sync::Arc;

use crate::clock::Now;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::position::Since;

/// One client's side of a dialect.
pub trait Talk: fmt::Debug + Send {
    /// The connection is open.
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>);

    /// It is now known who the client is: at once after the opening if it came with a token or may be anonymous, and again when it shows
    /// a new token.
    fn identified(&mut self, context: &Context<'_>, steps: &mut Vec<Step>);

    /// A token that the client showed on the open connection is not taken.
    fn refused(&mut self, reason: &str, context: &Context<'_>, steps: &mut Vec<Step>);

    /// The client said something; whether as text or binary makes no difference to those who listen to both.
    fn hear(&mut self, text: &str, context: &Context<'_>, steps: &mut Vec<Step>);
}

/// What a conversation may know of the world.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Now,
    pub view: &'a View,
}

/// One thing to be done for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Say this to it alone, as one message.
    Say(Box<[u8]>),
    /// From here on these are its subscriptions, by id; whatever else it has ends in silence.
    Want(Vec<Wish>),
    /// It says that it is whoever this token was given to.
    Identify { token: String },
    /// Say good-bye.
    Close { code: u16, reason: &'static str },
}

/// A subscription that a conversation wants to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub subscription: Arc<Subscription>,
    /// What it is told of the past, be it new or running.
    pub since: Since,
}
