//! What a WebSocket client may say: another `SubscribeRequest`, which takes the place of the one before.

use super::request::Request;
use crate::dialect::Answer;
use crate::dialect::Context;
use crate::dialect::Outcome;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Voiced;

/// One client's conversation.
#[derive(Debug)]
pub struct Conversation {
    request: Request,
}

impl Conversation {
    /// A conversation that begins with what the URL asks for.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self { request }
    }
}

impl Talk for Conversation {
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        steps.push(Step::Want(self.request.wish(&[], context.view).into_iter().collect()));
    }

    //= peat-node#1.8
    //# replaces the
    //# filter wholesale and re-sends the snapshot of newly named collections. Anything else is ignored (house
    //# style), never a close.
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let Ok(mut request) = Request::of_json(said.text()) else { return };
        request.snapshot = self.request.snapshot;
        let wish = request.wish(&self.request.collections, context.view);
        self.request = request;
        steps.push(Step::Want(wish.into_iter().collect()));
    }

    /// The dialect has no words for any of it: what is dropped, is dropped in silence.
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
        unreachable!("this conversation asks nothing: {ticket:?}")
    }

    /// On a WebSocket the close frame says it.
    fn ended(&mut self, _code: u16, _reason: &str, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }
}

/// The conversation of an event stream: its client says nothing after its request.
#[derive(Clone, Copy, Debug)]
pub struct Stream;

impl Talk for Stream {
    fn open(&mut self, _context: &Context<'_>, steps: &mut Vec<Step>) {
        debug_assert!(steps.is_empty(), "a stream begins with what its request asks for");
    }

    fn hear(&mut self, said: Said<'_>, _context: &Context<'_>, _steps: &mut Vec<Step>) {
        unreachable!("a stream's client says nothing: {said:?}")
    }

    /// As on a WebSocket: changes, and nothing besides.
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
        unreachable!("a stream asks nothing: {ticket:?}")
    }

    /// An event stream just ends.
    fn ended(&mut self, _code: u16, _reason: &str, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }
}
