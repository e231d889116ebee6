//! Dialects that remember: a connection's conversation is asked, and its steps are taken.
//!
//! Invariant: steps are taken in their order; a connection that is being closed takes none.

use super::super::Shard;
use super::super::input::ConnId;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Context;
use crate::dialect::Step;
use crate::dialect::Talk;

impl Shard {
    /// Opens a conversation.
    pub(super) fn talk_open(&mut self, id: ConnId, talk: &mut dyn Talk, now: Now) {
        self.with_talk(id, now, |context, steps| talk.open(context, steps));
    }

    /// Hands what a client said to its conversation.
    pub(super) fn talk_hear(&mut self, id: ConnId, talk: &mut dyn Talk, text: &str, now: Now) {
        self.with_talk(id, now, |context, steps| talk.hear(text, context, steps));
    }

    fn with_talk(&mut self, id: ConnId, now: Now, ask: impl FnOnce(&Context<'_>, &mut Vec<Step>)) {
        if self.is_closing(id) {
            return;
        }
        let Some(voice) = self.voice_of(id) else { return };
        let views = std::sync::Arc::clone(&self.settings.views);
        let mut steps = Vec::new();
        ask(&Context { now, view: views.of(voice.dialect) }, &mut steps);
        for step in steps {
            match step {
                Step::Say(text) => self.push_item(id, Item::Said { kind: "said", text }),
                Step::Want(wishes) => self.want(id, &wishes, now),
                Step::Close { code, reason } => return self.close(id, code, reason, now),
            }
        }
    }

    /// Whether a connection's last words have been said.
    pub(in super::super) fn is_closing(&self, id: ConnId) -> bool {
        let solo = self.conns.find(id).and_then(|conn| conn.solo.as_deref());
        solo.is_some_and(|solo| solo.closing.is_some())
    }
}
