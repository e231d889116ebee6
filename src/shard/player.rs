//! One playback: a clock that runs through the past at a multiple of its own time, and what is held of each home until the clock is there.
//!
//! The clock begins with the first event of all homes, and says of every stamp when it is due. A page is held only as far as it is due within `PLAYBACK_AHEAD_MS`; the
//! rest is read again when its time comes. Invariants: of each home events leave in the order in which they came, none before it is due; while it is paused nothing is held;
//! a home is asked for one page at a time. It ends where nothing of the past is left to be told at any home. Never asks anybody, never sends anything.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::batch::ITEM_BYTES;
use crate::clock::Now;
use crate::event::Event;
use crate::event::HomeId;
use crate::history::Page;
use crate::history::Read;
use crate::limits::PLAYBACK_AHEAD_MS;
use crate::limits::PLAYBACK_LATE_MS;
use crate::limits::PLAYBACK_LEAD_MS;
use crate::limits::PLAYBACK_NEAR_MS;
use crate::limits::PLAYBACK_STEP_MS;
use crate::limits::PLAYBACK_STEP_MS_MAX;
use crate::position::Gap;
use crate::position::Playback;
use crate::position::Speed;

/// A part of the past that is told in its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PastPart {
    Event(Arc<Event>),
    /// What is not coming, where the last of it would have stood.
    Gap(u64, Gap),
}

impl PastPart {
    fn time_us(&self) -> u64 {
        match self {
            Self::Event(event) => event.time_us,
            Self::Gap(time_us, _) => *time_us,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => ITEM_BYTES + event.weight_bytes(),
            Self::Gap(..) => ITEM_BYTES,
        }
    }
}

/// What lies behind what is held of a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    /// More of the past, and nothing before this stamp; 0: it is not known when.
    More(u64),
    /// Nothing did: its present began at this stamp, when it was asked at that time, in milliseconds since the start.
    Present(u64, u64),
}

/// The past of one home.
#[derive(Debug)]
struct Leg {
    home: HomeId,
    read: Arc<Read>,
    /// Where the page begins that is asked for next.
    after_us: u64,
    held: VecDeque<PastPart>,
    behind: Beyond,
    /// A page is to be asked for, or on its way.
    is_asked: bool,
}

/// What one home is to be asked for: everything after a moment.
pub(super) type Asking = (HomeId, Arc<Read>, u64);

/// A page as it came, for which `after_us` was asked.
#[derive(Debug)]
pub(super) struct Taking {
    pub(super) home: HomeId,
    pub(super) read: Arc<Read>,
    pub(super) after_us: u64,
    /// Without the gaps that stand before everything.
    pub(super) page: Page,
    /// The stamp at which the present begins, if this is the last page.
    pub(super) began_us: Option<u64>,
}

/// One playback.
#[derive(Debug)]
pub(super) struct Player {
    playback: Playback,
    /// Where the clock stood at `since_ms`; `None`: it is not known of all homes yet what it begins with.
    at_us: Option<u64>,
    since_ms: u64,
    /// How long what is due may wait for what is due soon after it.
    step_ms: u64,
    /// When something was last told.
    told_ms: u64,
    legs: Vec<Leg>,
    held_bytes: usize,
}

impl Player {
    /// One that has nothing yet. `batch_ms`: how long events may wait to be told together.
    pub(super) fn new(playback: Playback, batch_ms: Option<u32>, now: Now) -> Self {
        let step_ms = batch_ms.map_or(0, u64::from).clamp(PLAYBACK_STEP_MS, PLAYBACK_STEP_MS_MAX);
        Self {
            playback,
            at_us: (playback.from_us > 0).then_some(playback.from_us),
            since_ms: now.mono_ms,
            step_ms,
            told_ms: 0,
            legs: Vec::new(),
            held_bytes: 0,
        }
    }

    /// One more home is to be asked.
    pub(super) fn add(&mut self, home: HomeId, read: Arc<Read>) {
        let (held, behind) = (VecDeque::new(), Beyond::More(0));
        self.legs.push(Leg { home, read, after_us: 0, held, behind, is_asked: false });
    }

    pub(super) const fn playback(&self) -> Playback {
        self.playback
    }

    pub(super) fn is_paused(&self) -> bool {
        self.playback.speed == Speed::PAUSED
    }

    /// Bytes of what is held until it is due.
    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The moment at which the playback's clock is, in microseconds since 1970; `None`: it has not begun.
    fn clock_us(&self, now_ms: u64) -> Option<u64> {
        let passed_ms = now_ms.saturating_sub(self.since_ms);
        Some(self.at_us?.saturating_add(self.distance_us(passed_ms)))
    }

    /// How far the clock goes in so many milliseconds.
    fn distance_us(&self, ms: u64) -> u64 {
        ms.saturating_mul(u64::from(self.playback.speed.0))
    }

    /// When a stamp is due, in milliseconds since the start; of what lies before the clock's beginning, then.
    fn due_ms(&self, time_us: u64) -> u64 {
        let (Some(at_us), false) = (self.at_us, self.is_paused()) else { return u64::MAX };
        let ahead_us = time_us.saturating_sub(at_us);
        self.since_ms.saturating_add(ahead_us.div_ceil(u64::from(self.playback.speed.0)))
    }

    fn set_clock(&mut self, at_us: u64, now_ms: u64) {
        self.at_us = Some(at_us);
        self.since_ms = now_ms;
    }

    /// From now on it goes at another pace; what is to be asked for no longer, since it is paused. Returns events that are let go of.
    pub(super) fn set_speed(&mut self, speed: Speed, now: Now) -> Vec<Arc<Event>> {
        if let Some(at_us) = self.clock_us(now.mono_ms) {
            self.set_clock(at_us, now.mono_ms);
        }
        self.playback.speed = speed;
        if self.is_paused() { self.let_go() } else { Vec::new() }
    }

    pub(super) const fn set_gap_ms_max(&mut self, gap_ms_max: Option<u32>) {
        self.playback.gap_ms_max = gap_ms_max;
    }

    /// What is held is to be read again when its time comes; the events of it.
    pub(super) fn let_go(&mut self) -> Vec<Arc<Event>> {
        let mut events = Vec::new();
        for leg in &mut self.legs {
            let Some(first) = leg.held.front() else { continue };
            leg.after_us = first.time_us() - 1;
            leg.behind = Beyond::More(first.time_us());
            events.extend(leg.held.drain(..).filter_map(event_of));
        }
        self.held_bytes = 0;
        events
    }

    /// A home is not asked after all.
    pub(super) fn not_asked(&mut self, home: HomeId) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.home == home) {
            leg.is_asked = false;
        }
    }

    /// Takes a page in, as far as it is due soon; events of it that are not held.
    pub(super) fn take(&mut self, taking: Taking, now: Now) -> Vec<Arc<Event>> {
        let Taking { home, read, after_us, page, began_us } = taking;
        let more_after_us = page.more_after_us;
        let mut parts = in_order(page);
        let times = (parts.front().map(PastPart::time_us), parts.back().map(PastPart::time_us));
        if let (None, Some(first_us), [_], false) =
            (self.at_us, times.0, &self.legs[..], self.is_paused())
        {
            self.set_clock(first_us, now.mono_ms);
        }
        let ahead_us = self.distance_us(PLAYBACK_AHEAD_MS);
        let horizon_us = match (self.is_paused(), self.clock_us(now.mono_ms)) {
            (false, Some(clock_us)) => clock_us.saturating_add(ahead_us),
            _ => 0,
        };
        let rest = parts.split_off(parts.partition_point(|part| part.time_us() <= horizon_us));
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.home == home) else {
            return Vec::new();
        };
        leg.is_asked = false;
        leg.read = read;
        // What lies before the first part is nothing, so it is not said twice that some of it is gone.
        let before_us = times.0.map_or(after_us, |first_us| after_us.max(first_us - 1));
        (leg.after_us, leg.behind) = match (rest.front(), more_after_us, began_us) {
            (Some(next), ..) => {
                (parts.back().map_or(before_us, PastPart::time_us), Beyond::More(next.time_us()))
            }
            (None, None, Some(began_us)) => {
                let told_us = times.1.unwrap_or(after_us).max(began_us.saturating_sub(1));
                (told_us.max(after_us), Beyond::Present(began_us, now.mono_ms))
            }
            (None, more_us, _) => (more_us.unwrap_or(before_us).max(before_us), Beyond::More(0)),
        };
        self.held_bytes += parts.iter().map(PastPart::bytes).sum::<usize>();
        leg.held.extend(parts);
        rest.into_iter().filter_map(event_of).collect()
    }

    /// Takes what is due, home by home.
    pub(super) fn pop_due(&mut self, now: Now) -> Vec<PastPart> {
        let mut due = Vec::new();
        if self.is_paused() {
            return due;
        }
        self.wait_for_late(now);
        let Some(clock_us) = self.clock_us(now.mono_ms) else { return due };
        let near_us = clock_us.saturating_add(self.distance_us(PLAYBACK_NEAR_MS));
        for leg in &mut self.legs {
            let limit_us = if leg.last_us().is_some_and(|last_us| last_us <= near_us) {
                near_us
            } else {
                clock_us
            };
            while let Some(part) = leg.held.pop_front_if(|part| part.time_us() <= limit_us) {
                self.held_bytes -= part.bytes();
                due.push(part);
            }
        }
        if !due.is_empty() {
            self.told_ms = now.mono_ms;
        }
        due
    }

    /// Sets the clock back to the first that is late.
    fn wait_for_late(&mut self, now: Now) {
        let fronts = self.legs.iter().filter_map(|leg| leg.held.front());
        let Some(first_us) = fronts.map(PastPart::time_us).min() else { return };
        let late_ms = now.mono_ms.saturating_sub(self.due_ms(first_us));
        if late_ms > PLAYBACK_LATE_MS + self.step_ms {
            self.set_clock(first_us.max(self.playback.from_us), now.mono_ms);
        }
    }

    /// Goes on to the next event where a silence would last longer than it may. Only what is known of all homes is a silence.
    fn shorten_silence(&mut self, now: Now) {
        let Some(gap_ms_max) = self.playback.gap_ms_max else { return };
        if self.legs.iter().any(|leg| leg.is_asked) {
            return;
        }
        let next_us = |leg: &Leg| match (leg.held.front(), leg.behind) {
            (Some(part), _) => part.time_us(),
            (None, Beyond::More(time_us) | Beyond::Present(time_us, _)) => time_us,
        };
        let Some(next_us) = self.legs.iter().map(next_us).min() else { return };
        let gap_ms = u64::from(gap_ms_max);
        if next_us > 0 && !self.is_paused() && self.at_us.is_some() {
            let silent_ms = self.due_ms(next_us).saturating_sub(now.mono_ms);
            if silent_ms > gap_ms {
                self.set_clock(next_us - self.distance_us(gap_ms).min(next_us), now.mono_ms);
            }
        }
    }

    /// Begins the clock with the first event of all homes once each has said when its own is.
    fn begin_clock(&mut self, now: Now) {
        let is_known = |leg: &Leg| !leg.is_asked && leg.behind != Beyond::More(0);
        if self.at_us.is_some() || !self.legs.iter().all(is_known) {
            return;
        }
        let firsts = self.legs.iter().filter_map(|leg| match leg.behind {
            Beyond::More(time_us) => Some(time_us),
            Beyond::Present(..) => None,
        });
        if let Some(first_us) = firsts.min() {
            self.set_clock(first_us, now.mono_ms);
        }
    }

    /// Which homes are to be asked for more now, each of which counts as asked then.
    pub(super) fn asking(&mut self, now: Now) -> Vec<Asking> {
        if self.is_paused() {
            return Vec::new();
        }
        self.begin_clock(now);
        self.shorten_silence(now);
        let is_idle = self.legs.iter().all(Leg::is_idle);
        let due_ms: Vec<u64> = self.legs.iter().map(|leg| self.ask_ms(leg, is_idle)).collect();
        let due = self.legs.iter_mut().zip(due_ms).filter(|(_, due_ms)| *due_ms <= now.mono_ms);
        due.map(|(leg, _)| {
            leg.is_asked = true;
            (leg.home, Arc::clone(&leg.read), leg.after_us)
        })
        .collect()
    }

    /// When a home is to be asked for more, in milliseconds since the start. `is_idle`: no home has anything to tell, so all are asked until they say so together.
    fn ask_ms(&self, leg: &Leg, is_idle: bool) -> u64 {
        if leg.is_asked || !leg.held.is_empty() {
            return u64::MAX;
        }
        match leg.behind {
            Beyond::More(0) => 0,
            Beyond::More(time_us) => self.due_ms(time_us).saturating_sub(PLAYBACK_LEAD_MS),
            Beyond::Present(_, asked_ms) if is_idle => asked_ms + PLAYBACK_NEAR_MS,
            Beyond::Present(time_us, asked_ms) => {
                self.due_ms(time_us).max(asked_ms + PLAYBACK_NEAR_MS)
            }
        }
    }

    /// Whether nothing of the past is left at any home, as all of them have just said.
    pub(super) fn is_over(&self, now: Now) -> bool {
        let is_just = |leg: &Leg| matches!(leg.behind, Beyond::Present(_, asked_ms) if asked_ms + PLAYBACK_NEAR_MS > now.mono_ms);
        !self.is_paused() && self.legs.iter().all(|leg| leg.is_idle() && is_just(leg))
    }

    /// What is to be asked of each home, so that everything that follows is told at once.
    pub(super) fn into_asking(mut self) -> (Vec<Arc<Event>>, Vec<Asking>) {
        let events = self.let_go();
        let legs = self.legs.into_iter().filter(|leg| !leg.is_asked);
        (events, legs.map(|leg| (leg.home, leg.read, leg.after_us)).collect())
    }

    /// When the playback is to be looked at again, in milliseconds since the start; `None`: when a page has come, or its client is heard.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        if self.is_paused() {
            return None;
        }
        let is_idle = self.legs.iter().all(Leg::is_idle);
        let asks_ms = self.legs.iter().map(|leg| self.ask_ms(leg, is_idle)).min();
        let tells_ms = self.legs.iter().filter_map(|leg| {
            let due_ms = self.due_ms(leg.held.front()?.time_us());
            let last_ms = leg.last_us().map_or(u64::MAX, |last_us| self.due_ms(last_us));
            Some(due_ms.min(last_ms.saturating_sub(PLAYBACK_NEAR_MS)))
        });
        let tells_ms = tells_ms.min().map(|due_ms| due_ms.max(self.told_ms + self.step_ms));
        [asks_ms, tells_ms].into_iter().flatten().min().filter(|ms| *ms < u64::MAX)
    }
}

impl Leg {
    /// The last of what is held, if nothing lies behind it.
    fn last_us(&self) -> Option<u64> {
        let is_last = matches!(self.behind, Beyond::Present(..));
        self.held.back().filter(|_| is_last).map(PastPart::time_us)
    }

    /// Whether all of the past that is played has been told, as far as is known.
    fn is_idle(&self) -> bool {
        !self.is_asked && self.held.is_empty() && matches!(self.behind, Beyond::Present(..))
    }
}

fn event_of(part: PastPart) -> Option<Arc<Event>> {
    match part {
        PastPart::Event(event) => Some(event),
        PastPart::Gap(..) => None,
    }
}

/// What a page tells, each thing at its time.
fn in_order(page: Page) -> VecDeque<PastPart> {
    let mut parts = VecDeque::with_capacity(page.events.len() + page.late_gaps.len());
    let mut gaps = page.late_gaps.into_iter().peekable();
    for event in page.events {
        while let Some((time_us, gap)) = gaps.next_if(|(time_us, _)| *time_us < event.time_us) {
            parts.push_back(PastPart::Gap(time_us, gap));
        }
        parts.push_back(PastPart::Event(event));
    }
    parts.extend(gaps.map(|(time_us, gap)| PastPart::Gap(time_us, gap)));
    parts
}
