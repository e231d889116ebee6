//! What a WebSocket client may say: another `SubscribeRequest`, which takes the place of the one before.

use super::request::Request;
use crate::dialect::Ask;
use crate::dialect::Context;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Talk;

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

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        None
    }
}
