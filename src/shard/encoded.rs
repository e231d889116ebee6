//! What one event has become so far: a body per dialect and choice of fields, a frame per kind of class, each made once.
//!
//! Never outlives the event; its buffers do.

use std::rc::Rc;
use std::sync::Arc;

use super::class::Audience;
use super::class::Class;
use super::codec::Codec;
use super::codec::Deflaters;
use super::transport::Voice;
use super::voice;
use super::voice::SseId;
use crate::batch::FrameId;
use crate::batch::Frames;
use crate::dialect::BatchForm;
use crate::dialect::DialectId;
use crate::dialect::Form;
use crate::dialect::Heading;
use crate::dialect::Run;
use crate::dialect::Told;
use crate::dialect::View;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Projection;
use crate::event::Text;

/// Heads remembered per event; classes whose subscribers all chose other ids are framed one by one.
const HEADS_MAX: usize = 8;
/// Bodies remembered per event; further choices of fields are encoded one by one.
const BODIES_MAX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// `None` only in what `take` leaves behind, which nobody encodes with: a default would be made for every flush and event.
    codec: Option<Rc<Codec>>,
    bodies: Vec<Body>,
    bodies_used: usize,
    keeps_parts: bool,
    /// The event that its bodies are of, where one event is told to several connections, one after the other.
    of: Option<Arc<Event>>,
    known: Vec<Known>,
    known_used: usize,
    head: Vec<u8>,
    text: Vec<u8>,
    payload: Text,
}

/// What an event is for all who speak a dialect and chose the same fields.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) dialect: DialectId,
    pub(super) fields: Option<Arc<Projection>>,
    pub(super) text: Text,
}

#[derive(Debug)]
struct Known {
    voice: Voice,
    deflated_alone: bool,
    body: usize,
    head: Vec<u8>,
    frame: FrameId,
}

impl Encoded {
    pub(super) fn new(codec: &Rc<Codec>) -> Self {
        Self { codec: Some(Rc::clone(codec)), ..Self::default() }
    }

    /// What bodies are encoded with.
    pub(super) fn codec(&self) -> Rc<Codec> {
        Rc::clone(self.codec.as_ref().expect("whoever encodes was made with one"))
    }

    /// What deflates messages that stand alone.
    pub(super) fn deflaters(&self) -> &Deflaters {
        &codec_of(self.codec.as_ref()).deflaters
    }

    /// Forgets the event before, unless it is this one.
    pub(super) fn begin_with(&mut self, event: &Arc<Event>) {
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, event)) {
            self.begin();
            self.of = Some(Arc::clone(event));
        }
    }

    /// Forgets the event before.
    pub(super) fn begin(&mut self) {
        self.of = None;
        self.bodies_used = 0;
        self.known_used = 0;
    }

    /// From here on bodies of this event keep parts of its payload where they are.
    pub(super) fn keep_parts(&mut self) {
        if !std::mem::replace(&mut self.keeps_parts, true) {
            self.begin();
        }
    }

    /// Lets go of an event whose payload was kept.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.keeps_parts) {
            self.begin();
            self.bodies.iter_mut().for_each(|body| body.text.clear());
            self.payload.clear();
        }
    }

    /// Where the event's body is, as these subscriptions of a class want it.
    fn body_index(&mut self, class: &Class, event: &Event, subs: u64, form: Form) -> usize {
        let dialect = dialect_of(class, subs, form);
        let fields = fields_of(class, subs);
        let is_same = |body: &Body| body.dialect == dialect && body.fields == fields;
        if let Some(index) = self.bodies.iter().take(self.bodies_used).position(is_same) {
            return index;
        }
        if self.bodies_used == BODIES_MAX {
            // The last place is given away again and again; frames made from it are forgotten with it.
            self.bodies_used -= 1;
            self.known_used = 0;
        }
        if self.bodies.len() == self.bodies_used {
            self.bodies.push(Body { dialect, fields: None, text: Text::default() });
        }
        let body = &mut self.bodies[self.bodies_used];
        body.dialect = dialect;
        begin(&mut body.text, event, self.keeps_parts);
        let view = view_of(self.codec.as_ref(), dialect);
        let payload = match &fields {
            None => Payload::Whole(&event.payload),
            Some(fields) => {
                begin(&mut self.payload, event, self.keeps_parts);
                fields.project(&event.payload, &mut self.payload);
                Payload::Chosen(&self.payload)
            }
        };
        let encode = match dialect.speaker().run {
            // Where parts are kept, a message has one event.
            Some(Run::PerTopic(per_topic)) if self.keeps_parts => per_topic.alone,
            _ => dialect.speaker().encode,
        };
        encode(event, payload, view, &mut body.text);
        body.fields = fields;
        self.bodies_used += 1;
        self.bodies_used - 1
    }

    /// The event's body for these subscriptions of a class, and what stands before it.
    pub(super) fn parts(
        &mut self,
        to: Audience<'_>,
        event: &Event,
        subs: u64,
        (form, told): (Form, Told),
    ) -> (&Body, &[u8]) {
        let class = to.class;
        let body = self.body_index(class, event, subs, form);
        self.head.clear();
        let dialect = self.bodies[body].dialect;
        let view = view_of(self.codec.as_ref(), dialect);
        let subs = to.subs(subs);
        let body_bytes = self.bodies[body].text.whole_bytes();
        let heading = Heading { form, event, view, subs, body_bytes, told };
        dialect.speaker().put_head(&heading, &mut self.head);
        (&self.bodies[body], &self.head)
    }

    /// The event's text where no parts are kept, for these subscriptions of a class: head and body; and what deflates it if it
    /// stands alone.
    pub(super) fn text(
        &mut self,
        to: Audience<'_>,
        event: &Event,
        subs: u64,
        (form, told): (Form, Told),
    ) -> (&[u8], &Deflaters) {
        let class = to.class;
        let body = self.body_index(class, event, subs, form);
        self.text.clear();
        let dialect = self.bodies[body].dialect;
        let view = view_of(self.codec.as_ref(), dialect);
        let subs = to.subs(subs);
        let body_bytes = self.bodies[body].text.bytes.len();
        let heading = Heading { form, event, view, subs, body_bytes, told };
        dialect.speaker().put_head(&heading, &mut self.text);
        self.text.extend_from_slice(&self.bodies[body].text.bytes);
        (&self.text, self.deflaters())
    }

    /// The event's frame where no parts are kept, for these subscriptions of a class, as every member can read it.
    pub(super) fn frame(
        &mut self,
        class: &Class,
        event: &Event,
        subs: u64,
        sse_id: SseId<'_>,
        frames: &mut Frames,
    ) -> FrameId {
        let voice = class.key.voice;
        let body = self.body_index(class, event, subs, Form::Single);
        let text = &self.bodies[body].text.bytes;
        self.head.clear();
        let dialect = self.bodies[body].dialect;
        let view = view_of(self.codec.as_ref(), dialect);
        let subs = Audience::in_step(class).subs(subs);
        let heading = Heading {
            form: Form::Single,
            event,
            view,
            subs,
            body_bytes: text.len(),
            told: Told::default(),
        };
        dialect.speaker().put_head(&heading, &mut self.head);
        let deflated_alone = voice::is_deflated_alone(class, self.head.len() + text.len());
        let is_same = |known: &&Known| {
            known.voice == voice
                && known.deflated_alone == deflated_alone
                && known.body == body
                && known.head == self.head
        };
        if let Some(known) = self.known.iter().take(self.known_used).find(is_same) {
            return known.frame;
        }
        let parts = [&self.head[..], text];
        let alone = deflated_alone.then_some(&codec_of(self.codec.as_ref()).deflaters);
        let frame = frames.add(|out| voice::frame_event(voice, alone, &parts, Some(sse_id), out));
        self.remember(voice, deflated_alone, body, frame);
        frame
    }

    fn remember(&mut self, voice: Voice, deflated_alone: bool, body: usize, frame: FrameId) {
        if self.known_used >= HEADS_MAX {
            return;
        }
        if self.known.len() == self.known_used {
            self.known.push(Known { voice, deflated_alone, body, head: Vec::new(), frame });
        }
        let known = &mut self.known[self.known_used];
        (known.voice, known.deflated_alone, known.frame) = (voice, deflated_alone, frame);
        known.body = body;
        known.head.clone_from(&self.head);
        self.known_used += 1;
    }
}

/// An empty text for something of this event.
fn begin(text: &mut Text, event: &Event, keeps_parts: bool) {
    if keeps_parts {
        text.clear_for(&event.payload);
    } else {
        text.clear();
    }
}

fn codec_of(codec: Option<&Rc<Codec>>) -> &Codec {
    codec.expect("whoever encodes was made with one")
}

fn view_of(codec: Option<&Rc<Codec>>, dialect: DialectId) -> &View {
    codec_of(codec).views.of(dialect)
}

/// The dialect in which these subscriptions, which share a message, are told: theirs if it is the same for all of them, else their connection's.
/// A batch of theirs may have one of its own.
pub(super) fn dialect_of(class: &Class, subs: u64, form: Form) -> DialectId {
    let dialect = told_in(class, subs);
    let wants_columns =
        || voice::batch_of(class, subs).is_some_and(|batch| batch.form == BatchForm::Columns);
    match (form, dialect.speaker().columns) {
        (Form::InBatch, Some(columns)) if wants_columns() => columns,
        _ => dialect,
    }
}

fn told_in(class: &Class, subs: u64) -> DialectId {
    let of_connection = class.key.voice.dialect;
    let told_in = |subs: u64| class.key.subs.get(subs.trailing_zeros() as usize)?.told_in;
    let Some(dialect) = told_in(subs) else { return of_connection };
    let mut rest = subs & (subs - 1);
    while rest != 0 {
        if told_in(rest) != Some(dialect) {
            return of_connection;
        }
        rest &= rest - 1;
    }
    dialect
}

/// The fields that these subscriptions want together; `None`: all.
fn fields_of(class: &Class, subs: u64) -> Option<Arc<Projection>> {
    let mut wanted: Option<Arc<Projection>> = None;
    for (index, sub) in class.key.subs.iter().enumerate() {
        if subs & (1 << index) == 0 {
            continue;
        }
        let fields = sub.fields.as_ref()?;
        wanted = Some(match wanted {
            None => Arc::clone(fields),
            Some(wanted) if wanted == *fields => wanted,
            Some(wanted) => Arc::new(wanted.union(fields)),
        });
    }
    wanted
}
