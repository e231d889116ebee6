//! What an event says, as far as live filters ask: the values of each slot.
//!
//! A *slot* is one distinct source that live filters read, counted by how many read it. Values come from the event's own fields
//! where those cover every slot, else from a parse of the payload here. Invariant: a slot without a value has an empty span.
//! Never compares.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::Event;
use crate::event::Fields;
use crate::event::Interest;
use crate::event::Sought;
use crate::event::TopicName;
use crate::event::fields;
use crate::event::fields::Scratch;
use crate::event::fields::Value;
use crate::matcher::filter::Source;
use crate::matcher::filter::Values;
use crate::matcher::filter::Work;
use crate::matcher::filter::is_place;
use crate::matcher::filter::on_unit_sphere;

/// One distinct source, numbered densely; numbers of forgotten ones are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SlotId(pub(super) u32);

impl SlotId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A latitude and a longitude that some filter asks for as a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PositionId(u32);

/// The slots that live filters read, and how to fill them.
#[derive(Debug, Default)]
pub(super) struct Slots {
    by_source: HashMap<Source, SlotId, RandomState>,
    /// By slot: its source and how many filters read it; `None` where a number is free.
    used: Vec<Option<(Source, u32)>>,
    free: Vec<SlotId>,
    /// Slots that read what somebody calls the topic: few, one for each view.
    named: Vec<SlotId>,
    /// By position: its latitudes and longitudes, and how many filters ask for it. Numbers of forgotten ones (0) are used again.
    positions: Vec<(SlotId, SlotId, u32)>,
    /// Changes whenever the set of paths does.
    version: u64,
    /// The paths of all slots, made when first asked for after a change.
    interest: Option<Interest>,
    /// How interests that events come with fill the slots. Few: one for each shard that takes events in.
    readings: Vec<Reading>,
}

/// More are forgotten: each is made again when an event comes with its interest.
const READINGS_MAX: usize = 16;

/// How one interest fills the slots.
#[derive(Debug)]
struct Reading {
    interest: Interest,
    /// By place in the interest: the slots that read it, and as which of their alternatives.
    uses: Vec<Vec<(SlotId, u32)>>,
    /// Whether the event has every path that a slot reads.
    is_complete: bool,
}

impl Slots {
    /// Counts one more use of a source.
    pub(super) fn insert(&mut self, source: &Source) -> SlotId {
        if let Some(slot) = self.by_source.get(source) {
            if let Some(Some((_, uses))) = self.used.get_mut(slot.index()) {
                *uses += 1;
            }
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.used.push(None);
            SlotId(u32::try_from(self.used.len() - 1).expect("slots are counted in 32 bits"))
        });
        self.used[slot.index()] = Some((source.clone(), 1));
        self.by_source.insert(source.clone(), slot);
        if let Source::Name(_) = source {
            self.named.push(slot);
        }
        self.changed();
        slot
    }

    /// Counts one use less.
    pub(super) fn remove(&mut self, slot: SlotId) {
        let (_, uses) = self.used[slot.index()].as_mut().expect("only slots in use are removed");
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        if let Some((source, _)) = self.used[slot.index()].take() {
            self.by_source.remove(&source);
        }
        self.named.retain(|named| *named != slot);
        self.free.push(slot);
        self.changed();
    }

    /// Counts one more use of the position that two slots make.
    pub(super) fn insert_position(&mut self, latitude: SlotId, longitude: SlotId) -> PositionId {
        let is_it = |known: &(SlotId, SlotId, u32)| {
            known.2 > 0 && (known.0, known.1) == (latitude, longitude)
        };
        let found = self.positions.iter().position(is_it);
        let place = found
            .or_else(|| self.positions.iter().position(|(_, _, uses)| *uses == 0))
            .unwrap_or_else(|| {
                self.positions.push((latitude, longitude, 0));
                self.positions.len() - 1
            });
        let (known_latitude, known_longitude, uses) = &mut self.positions[place];
        (*known_latitude, *known_longitude) = (latitude, longitude);
        *uses += 1;
        PositionId(u32::try_from(place).expect("positions are counted in 32 bits"))
    }

    /// Counts one use less.
    pub(super) fn remove_position(&mut self, position: PositionId) {
        self.positions[position.0 as usize].2 -= 1;
    }

    fn changed(&mut self) {
        self.version += 1;
        self.interest = None;
        self.readings.clear();
    }

    /// Whether no slot is in use.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        let is_free = |position: &(SlotId, SlotId, u32)| position.2 == 0;
        self.by_source.is_empty()
            && self.used.iter().all(Option::is_none)
            && self.positions.iter().all(is_free)
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// The fields that live filters read.
    pub(super) fn interest(&mut self) -> &Interest {
        self.interest.get_or_insert_with(|| {
            Interest::of(self.used.iter().flatten().flat_map(|(source, _)| source.paths()))
        })
    }

    /// What the slots that ask for it call the topic, in their order.
    fn names_of<'t>(&'t self, topic: &'t TopicName) -> impl Iterator<Item = Cow<'t, str>> {
        let sources = self.named.iter().filter_map(|slot| self.used[slot.index()].as_ref());
        sources.filter_map(|(source, _)| source.name_of(topic))
    }

    /// The slots of the event itself, with their values.
    fn of_event<'a>(&self, event: &'a Event) -> impl Iterator<Item = (SlotId, Value<'a>)> {
        let key = (!event.key.is_empty()).then(|| (Source::Key, Value::Text(&event.key)));
        let topic = Some((Source::Topic, Value::Text(event.topic.as_str())));
        let op = Some((Source::Op, Value::Text(event.op.name())));
        [topic, key, op]
            .into_iter()
            .flatten()
            .filter_map(|(source, value)| Some((*self.by_source.get(&source)?, value)))
    }

    /// Where what was sought stands in the list of readings, made if need be. `None`: nobody knows any more what that was.
    fn reading(&mut self, sought: &Sought) -> Option<usize> {
        match self.readings.iter().position(|reading| sought.is(&reading.interest)) {
            Some(known) => Some(known),
            None => sought.interest().map(|interest| self.reading_of(&interest)),
        }
    }

    /// A new reading.
    fn reading_of(&mut self, interest: &Interest) -> usize {
        if self.readings.len() == READINGS_MAX {
            self.readings.remove(0);
        }
        let mut reading = Reading {
            interest: interest.clone(),
            uses: vec![Vec::new(); interest.paths().len()],
            is_complete: true,
        };
        for (slot, used) in (0_u32..).map(SlotId).zip(&self.used) {
            let Some((source, _)) = used else { continue };
            for (alternative, path) in (0_u32..).zip(source.paths()) {
                match interest.paths().binary_search(path) {
                    Ok(place) => reading.uses[place].push((slot, alternative)),
                    Err(_) => reading.is_complete = false,
                }
            }
        }
        self.readings.push(reading);
        self.readings.len() - 1
    }
}

/// The values of one event, by slot. Its lists are kept for their memory.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    values: Vec<Value<'a>>,
    spans: Vec<ValueSpan>,
    /// The slots that have values.
    filled: Vec<SlotId>,
    /// Where the event is, by position: from here to there in the list of places.
    positions: Vec<(u32, u32)>,
    /// On the unit sphere.
    places: Vec<[f64; 3]>,
    /// Apart, for facts move twice for each event.
    work: Box<Work>,
    /// The event is large enough for it to have many values, or long ones.
    is_large: bool,
}

/// What an event did not come with, and filters ask for.
#[derive(Debug, Default)]
pub(super) struct Own {
    fields: Fields,
    /// By slot that asks for one: what somebody calls the topic.
    names: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug)]
struct ValueSpan {
    start: u32,
    end: u32,
    /// Which alternative of its source the value comes from.
    alternative: u32,
}

/// Bytes of an event that may have many values, or long ones.
const LARGE_BYTES_MIN: usize = 512;

const NO_SPAN: ValueSpan = ValueSpan { start: 0, end: 0, alternative: u32::MAX };

impl<'a> Facts<'a> {
    /// Empty, with the memory of another that has served.
    pub(super) fn recycled(mut other: Facts<'_>) -> Self {
        for slot in other.filled.drain(..) {
            other.spans[slot.index()] = NO_SPAN;
        }
        other.values.clear();
        other.places.clear();
        // The list is empty, so nothing is converted: this only lets go of the old lifetime, in place.
        let values =
            other.values.into_iter().map(|_| unreachable!("it was just cleared")).collect();
        let Facts { spans, filled, positions, places, mut work, .. } = other;
        work.begin_event();
        Self { values, spans, filled, positions, places, work, is_large: false }
    }

    /// The slots that have values.
    pub(super) fn filled(&self) -> &[SlotId] {
        &self.filled
    }

    /// The values of a slot; none: what it reads is missing.
    #[inline]
    pub(super) fn of(&self, slot: SlotId) -> &[Value<'a>] {
        let Some(span) = self.spans.get(slot.index()) else { return &[] };
        self.values.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The same, for whoever tells them apart.
    #[inline]
    pub(super) fn numbered(&self, slot: SlotId) -> Values<'_> {
        let first = self.spans.get(slot.index()).map_or(0, |span| span.start as usize);
        Values { list: self.of(slot), first }
    }

    /// Whether the event is large enough for it to have many values, or long ones.
    pub(super) const fn is_large(&self) -> bool {
        self.is_large
    }

    /// What asking filters about the event takes.
    #[inline]
    pub(super) const fn work(&self) -> &Work {
        &self.work
    }

    /// Reads `event`; `own` is where goes what had to be looked for here.
    pub(super) fn read(
        &mut self,
        event: &'a Event,
        slots: &mut Slots,
        scratch: &mut Scratch,
        own: &'a mut Own,
    ) {
        let Own { fields: own, names } = own;
        self.spans.resize(slots.used.len(), NO_SPAN);
        self.is_large = event.payload.len() >= LARGE_BYTES_MIN;
        for (slot, value) in slots.of_event(event) {
            self.values.push(value);
            self.fill(slot, self.values.len() - 1, 0);
        }
        names.extend(slots.names_of(&event.topic).map(|name| Box::from(&*name)));
        let names: &'a [Box<str>] = names;
        for (slot, name) in slots.named.iter().zip(names) {
            self.work.take(name.len());
            self.values.push(Value::Text(name));
            self.fill(*slot, self.values.len() - 1, 0);
        }
        let found = if slots.by_source.is_empty() {
            return;
        } else {
            let at = slots.reading(event.fields.sought());
            if at.is_some_and(|at| slots.readings[at].is_complete) {
                &event.fields
            } else {
                let interest = slots.interest().clone();
                // A payload was checked before it became an event; one that was not passes for an empty one.
                *own = fields::extract(&event.payload, scratch, &interest).unwrap_or_default();
                &*own
            }
        };
        let Some(at) = slots.reading(found.sought()) else { return };
        let mut values = found.iter().peekable();
        while let Some((place, value)) = values.next() {
            let start = self.values.len();
            self.values.push(value);
            while let Some((_, value)) = values.next_if(|(next, _)| *next == place) {
                self.values.push(value);
            }
            for (slot, alternative) in &slots.readings[at].uses[place] {
                self.fill(*slot, start, *alternative);
            }
        }
        self.locate(slots);
    }

    /// Where the event is: nowhere, or, if the fields are arrays, at several places.
    #[inline]
    pub(super) fn places(&self, position: PositionId) -> &[[f64; 3]] {
        let span = self.positions.get(position.0 as usize);
        span.and_then(|(start, end)| self.places.get(*start as usize..*end as usize))
            .unwrap_or_default()
    }

    /// Finds the places of all positions.
    fn locate(&mut self, slots: &Slots) {
        self.positions.clear();
        let mut start = 0;
        for (latitude, longitude, _) in &slots.positions {
            let mut places = std::mem::take(&mut self.places);
            let (latitudes, longitudes) = (self.of(*latitude), self.of(*longitude));
            if latitudes.len() == longitudes.len() {
                places.extend(latitudes.iter().zip(longitudes).filter_map(place_of));
            }
            self.places = places;
            let end =
                u32::try_from(self.places.len()).expect("a payload has fewer values than 2^32");
            self.positions.push((start, end));
            start = end;
        }
    }

    /// Gives a slot the values from `start` on, unless it has some of an earlier alternative.
    fn fill(&mut self, slot: SlotId, start: usize, alternative: u32) {
        let bound = |at: usize| u32::try_from(at).expect("a payload has fewer values than 2^32");
        let span = &mut self.spans[slot.index()];
        if span.alternative == u32::MAX {
            self.filled.push(slot);
        }
        if alternative < span.alternative {
            *span = ValueSpan { start: bound(start), end: bound(self.values.len()), alternative };
        }
    }
}

fn place_of((latitude, longitude): (&Value<'_>, &Value<'_>)) -> Option<[f64; 3]> {
    let (Value::Number(latitude), Value::Number(longitude)) = (latitude, longitude) else {
        return None;
    };
    let (latitude, longitude) = (latitude.to_f64(), longitude.to_f64());
    is_place(latitude, longitude).then(|| on_unit_sphere(latitude, longitude))
}
