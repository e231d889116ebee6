//! What one event has become so far: a body per dialect, a frame per kind of class, each made once.
//!
//! Never outlives the event; its buffers do.

use std::sync::Arc;

use super::class::Class;
use super::class::Voice;
use super::voice;
use super::voice::SseId;
use crate::batch::FrameId;
use crate::batch::Frames;
use crate::dialect::DialectId;
use crate::dialect::Form;
use crate::dialect::Subs;
use crate::dialect::Views;
use crate::event::Event;

/// Heads remembered per event; classes whose subscribers all chose other ids are framed one by one.
const HEADS_MAX: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Encoded {
    views: Arc<Views>,
    bodies: Vec<(DialectId, Vec<u8>)>,
    bodies_used: usize,
    known: Vec<Known>,
    known_used: usize,
    head: Vec<u8>,
    text: Vec<u8>,
}

#[derive(Debug)]
struct Known {
    voice: Voice,
    deflated_alone: bool,
    head: Vec<u8>,
    frame: FrameId,
}

impl Encoded {
    pub(super) fn new(views: Arc<Views>) -> Self {
        Self { views, ..Self::default() }
    }

    /// Forgets the event before.
    pub(super) fn begin(&mut self) {
        self.bodies_used = 0;
        self.known_used = 0;
    }

    /// Where the event's body in a dialect is.
    fn body_index(&mut self, dialect: DialectId, event: &Event) -> usize {
        let known = self.bodies.iter().take(self.bodies_used).position(|(of, _)| *of == dialect);
        known.unwrap_or_else(|| {
            if self.bodies.len() == self.bodies_used {
                self.bodies.push((dialect, Vec::new()));
            }
            let (of, body) = &mut self.bodies[self.bodies_used];
            *of = dialect;
            body.clear();
            dialect.speaker().encode(event, self.views.of(dialect), body);
            self.bodies_used += 1;
            self.bodies_used - 1
        })
    }

    /// The event's text for these subscriptions of a class: head and body.
    pub(super) fn text(&mut self, class: &Class, event: &Event, subs: u64, form: Form) -> &[u8] {
        let dialect = class.key.voice.dialect;
        let body = self.body_index(dialect, event);
        self.text.clear();
        let view = self.views.of(dialect);
        let subs = Subs { of: &class.key.subs, set: subs };
        dialect.speaker().head(form, event, view, subs, &mut self.text);
        self.text.extend_from_slice(&self.bodies[body].1);
        &self.text
    }

    /// The event's frame for these subscriptions of a class, as every member can read it.
    pub(super) fn frame(
        &mut self,
        class: &Class,
        event: &Event,
        subs: u64,
        sse_id: SseId<'_>,
        frames: &mut Frames,
    ) -> FrameId {
        let voice = class.key.voice;
        let body = self.body_index(voice.dialect, event);
        let body = &self.bodies[body].1;
        self.head.clear();
        let view = self.views.of(voice.dialect);
        let subs = Subs { of: &class.key.subs, set: subs };
        voice.dialect.speaker().head(Form::Single, event, view, subs, &mut self.head);
        let deflated_alone = voice::is_deflated_alone(class, self.head.len() + body.len());
        let is_same = |known: &&Known| {
            known.voice == voice
                && known.deflated_alone == deflated_alone
                && known.head == self.head
        };
        if let Some(known) = self.known.iter().take(self.known_used).find(is_same) {
            return known.frame;
        }
        let frame = frames.add(|out| {
            voice::frame_event(voice, deflated_alone, &[&self.head, body], Some(sse_id), out)
        });
        self.remember(voice, deflated_alone, frame);
        frame
    }

    fn remember(&mut self, voice: Voice, deflated_alone: bool, frame: FrameId) {
        if self.known_used >= HEADS_MAX {
            return;
        }
        if self.known.len() == self.known_used {
            self.known.push(Known { voice, deflated_alone, head: Vec::new(), frame });
        }
        let known = &mut self.known[self.known_used];
        (known.voice, known.deflated_alone, known.frame) = (voice, deflated_alone, frame);
        known.head.clone_from(&self.head);
        self.known_used += 1;
    }
}
