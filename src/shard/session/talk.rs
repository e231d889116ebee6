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
        let steps = self.asked(id, now, |context, steps| talk.open(context, steps));
        self.take_steps(id, talk, steps, now);
        if self.conns.find(id).is_some_and(|conn| conn.who.is_some()) {
            let steps = self.asked(id, now, |context, steps| talk.identified(context, steps));
            self.take_steps(id, talk, steps, now);
        }
    }

    /// Hands what a client said to its conversation.
    pub(super) fn talk_hear(&mut self, id: ConnId, talk: &mut dyn Talk, text: &str, now: Now) {
        let steps = self.asked(id, now, |context, steps| talk.hear(text, context, steps));
        self.take_steps(id, talk, steps, now);
    }

    /// What a conversation answers.
    fn asked(
        &self,
        id: ConnId,
        now: Now,
        ask: impl FnOnce(&Context<'_>, &mut Vec<Step>),
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(voice) = self.voice_of(id)
            && !self.is_closing(id)
        {
            ask(&Context { now, view: self.settings.views.of(voice.dialect) }, &mut steps);
        }
        steps
    }

    fn take_steps(&mut self, id: ConnId, talk: &mut dyn Talk, steps: Vec<Step>, now: Now) {
        for step in steps {
            match step {
                Step::Say(text) => self.push_item(id, Item::Said { kind: "said", text }),
                Step::Want(wishes) => self.want(id, &wishes, now),
                Step::Close { code, reason } => return self.close(id, code, reason, now),
                Step::Identify { token } => {
                    let answer = match self.identify(id, &token, now) {
                        Ok(()) => self.asked(id, now, |cx, steps| talk.identified(cx, steps)),
                        Err(error) => {
                            let reason = error.to_string();
                            self.asked(id, now, |cx, steps| talk.refused(&reason, cx, steps))
                        }
                    };
                    self.take_steps(id, talk, answer, now);
                }
            }
        }
    }

    /// Whether a connection's last words have been said.
    pub(in super::super) fn is_closing(&self, id: ConnId) -> bool {
        let solo = self.conns.find(id).and_then(|conn| conn.solo.as_deref());
        solo.is_some_and(|solo| solo.closing.is_some())
    }
}
