//! The thread of one source: fetches, maps, hands on, waits until all of it is stored, keeps the position, has the far end forget what is stored.
//!
//! Invariants: one batch is underway at a time, and nothing is fetched before it is stored, so whoever is full stops the fetching; a far end is told that something is stored only once it is; it stops within the time
//! that its connector's calls take, and what was not stored by then is not acknowledged.

use std::sync::Arc;
use std::time::Duration;

use flume::Receiver;

use super::connector::Batch;
use super::connector::Fault;
use super::connector::FaultKind;
use super::connector::Message;
use super::figures::Count;
use super::figures::Figures;
use super::keeping::Keeping;
use super::mapping::Mapped;
use super::position::Recognised;
use super::position::number_of;
use super::position::origin_of;
use super::spec::Past;
use super::spec::Seat;
use super::spec::Spec;
use super::supervision::Change;
use super::supervision::Next;
use super::supervision::Supervision;
use super::underway::Underway;
use crate::clock::Now;
use crate::conn::Doorbell;
use crate::conn::Heard;
use crate::dialect::PublishResult;
use crate::event::Draft;
use crate::event::HomeId;
use crate::event::Meta;
use crate::event::ShardId;
use crate::history::asks;
use crate::limits::RUN_BYTES_MAX;
use crate::limits::SOURCE_CONNECT_MS_MAX;
use crate::limits::SOURCE_FAULTS_TOLD_MAX;
use crate::limits::SOURCE_FETCH_MS;
use crate::limits::SOURCE_NOTED_MS;
use crate::limits::SOURCE_STOP_MS_MAX;
use crate::limits::SOURCE_STORED_MS_MAX;
use crate::outbound::chance;
use crate::shard::Address;
use crate::shard::ConnId;
use crate::shard::ConnRef;
use crate::shard::Lane;
use crate::shard::Mesh;
use crate::shard::PublishRun;
use crate::shard::PublishedRun;

/// How long it sleeps at most while nothing happens.
const REST: Duration = Duration::from_secs(3600);
/// How long it sleeps at a time while it is to stop: nobody rings then.
const STOPPING: Duration = Duration::from_millis(5);
/// Milliseconds for which faults of messages are counted together.
const FAULTS_MS: u64 = 60_000;

/// A source, with everything that its thread needs.
#[derive(Debug)]
pub struct SourceParty {
    seat: Seat,
    spec: Spec,
    /// Settings that are read anew; `None`: the source is not there any more.
    renewed: Receiver<Option<Box<Spec>>>,
    figures: Arc<Figures>,
    supervision: Supervision,
    number: u64,
    kept: Keeping,
    recognised: Recognised,
    /// Which batch is underway: answers to one before are nobody's.
    run: u32,
    is_stopping: bool,
    told: Told,
}

/// Faults of messages that were told of late.
#[derive(Debug, Default)]
struct Told {
    since_ms: u64,
    count: u32,
}

impl SourceParty {
    /// A source at its place.
    #[must_use]
    pub fn new(
        seat: Seat,
        spec: Spec,
        past: Past,
        (renewed, figures): (Receiver<Option<Box<Spec>>>, Arc<Figures>),
    ) -> Self {
        let number = number_of(&spec.name);
        Self {
            seat,
            spec,
            renewed,
            figures,
            supervision: Supervision::new(),
            number,
            kept: Keeping::from(past.position),
            recognised: past.recognised,
            run: 0,
            is_stopping: false,
            told: Told::default(),
        }
    }

    /// What wakes it, and tells it to stop.
    #[must_use]
    pub fn doorbell(&self) -> Arc<Doorbell> {
        self.seat.party.doorbell()
    }

    /// Runs until it is told to stop.
    pub fn run(mut self) {
        let mut batch = Batch::default();
        while !self.is_stopping {
            self.renew();
            let now = self.now();
            match self.supervision.next(now.mono_ms) {
                Next::Connect => self.connect(),
                Next::Fetch => self.fetch(&mut batch),
                Next::Wait(wait) => self.listen(wait),
                Next::Rest => self.listen(REST),
            }
        }
        self.spec.connector.close(Duration::from_millis(SOURCE_STORED_MS_MAX));
        self.figures.note_up(false);
    }

    fn now(&self) -> Now {
        self.seat.clock.now()
    }

    /// Takes settings that were read anew.
    fn renew(&mut self) {
        while let Ok(spec) = self.renewed.try_recv() {
            self.figures.note_up(false);
            self.spec.connector.close(Duration::from_millis(SOURCE_STORED_MS_MAX));
            let source = &*self.spec.name;
            match spec {
                Some(spec) => {
                    tracing::info!(source, "a source goes on with other settings");
                    self.figures.note_required(spec.is_required);
                    self.spec = *spec;
                    self.supervision.renew();
                }
                None => {
                    tracing::info!(source, "a source is not there any more");
                    self.figures.note_required(false);
                    let now_ms = self.now().mono_ms;
                    self.supervision.failed(FaultKind::Ended, now_ms, 0);
                }
            }
        }
    }

    /// Waits for settings, or to be told to stop; keeps the position meanwhile.
    fn listen(&mut self, wait: Duration) {
        self.note_again();
        let noted = Duration::from_millis(SOURCE_NOTED_MS);
        let wait = if self.seat.store.is_some() { wait.min(noted) } else { wait };
        let renewed = &self.renewed;
        match self.seat.party.hear_unless(wait, || !renewed.is_empty()) {
            Heard::Stop => self.is_stopping = true,
            Heard::Message(message) => self.take(message, &mut Underway::default()),
            Heard::Nothing => {}
        }
    }

    fn connect(&mut self) {
        let within = Duration::from_millis(SOURCE_CONNECT_MS_MAX);
        match self.spec.connector.connect(self.kept.resume.as_ref(), within) {
            Ok(connected) => {
                let Change::Up { after_ms } = self.supervision.connected(self.now().mono_ms) else {
                    return;
                };
                self.figures.note_up(true);
                let source = &*self.spec.name;
                tracing::info!(source, after_ms, "a source is connected");
                connected.gap.into_iter().for_each(|gap| self.note_gap(gap.messages, &gap.why));
            }
            Err(fault) => self.failed(&fault),
        }
    }

    fn failed(&mut self, fault: &Fault) {
        self.figures.count_fault(fault.kind);
        self.figures.note_up(false);
        let (source, kind) = (&*self.spec.name, fault.kind.name());
        let now_ms = self.now().mono_ms;
        match self.supervision.failed(fault.kind, now_ms, chance()) {
            Some(Change::Down | Change::Otherwise) => {
                tracing::warn!(source, kind, why = fault.why, "a source is not connected");
            }
            Some(Change::Ended) => {
                tracing::info!(source, why = fault.why, "a source has ended");
            }
            Some(Change::Up { .. }) | None => {
                tracing::debug!(source, kind, why = fault.why, "a source is still not connected");
            }
        }
    }

    fn note_gap(&self, messages: u64, why: &str) {
        self.figures.add(Count::Gaps, 1);
        self.figures.add(Count::Lost, messages);
        tracing::warn!(source = self.spec.name, messages, why, "a source has a gap");
    }

    /// Fetches a batch, and goes on when all of it is stored.
    fn fetch(&mut self, batch: &mut Batch) {
        batch.clear();
        let within = Duration::from_millis(SOURCE_FETCH_MS);
        let fetched = self.spec.connector.fetch(batch, within);
        self.figures.note_lag(self.spec.connector.lag());
        let went = if batch.is_empty() { self.idle() } else { self.carry(batch) };
        if let Err(fault) = went.and(fetched)
            && !self.is_stopping
        {
            self.spec.connector.close(Duration::from_millis(SOURCE_STORED_MS_MAX));
            self.failed(&fault);
        }
    }

    /// Nothing has come.
    fn idle(&mut self) -> Result<(), Fault> {
        self.note_again();
        self.hear(Duration::ZERO, &mut Underway::default());
        Ok(())
    }

    /// Brings a batch home.
    fn carry(&mut self, batch: &Batch) -> Result<(), Fault> {
        for gap in batch.gaps() {
            self.note_gap(gap.messages, &gap.why);
        }
        self.figures.add(Count::Messages, batch.messages().len() as u64);
        if self.spec.stops_at_faults {
            self.look_for_faults(batch)?;
        }
        self.kept.has_ids |= batch.messages().iter().any(|message| message.id.is_some());
        if self.kept.has_ids && !self.kept.is_begun {
            // Of what is stored before the first position nothing would be recognised after a crash.
            self.keep();
        }
        if !self.bring_all(batch) {
            return Ok(());
        }
        if let Some(resume) = batch.resume() {
            self.kept.resume = Some(resume.clone());
        }
        self.keep();
        let stored = self.spec.connector.stored(Duration::from_millis(SOURCE_STORED_MS_MAX));
        if stored.is_err() {
            // It does not know, and may say all of it again.
            let ids = batch.messages().iter().filter_map(|message| message.id.as_ref());
            ids.for_each(|id| self.recognised.note_whole(id));
        }
        stored
    }

    /// Whether no event can be made of something in a batch: then nothing of it is handed on, and it is asked for again.
    fn look_for_faults(&mut self, batch: &Batch) -> Result<(), Fault> {
        let now_us = self.now().wall_us;
        let mapping = &mut self.spec.mapping;
        let faults =
            batch.unusable().iter().map(|unusable| (unusable.at.clone(), unusable.why.clone()));
        let mut faults = faults.chain(batch.messages().iter().filter_map(|message| {
            let mut mapped = Mapped::default();
            mapping.map(message, now_us, &mut mapped);
            mapped.faults.first().map(|fault| (place_of(message), fault.to_string()))
        }));
        let Some((at, why)) = faults.next() else { return Ok(()) };
        self.figures.add(Count::Unusable, 1);
        let why = format!("no event can be made of a message ({at}): {why}");
        Err(Fault { kind: FaultKind::Wrong, why })
    }

    /// Makes events of a batch's messages, and hands them on as many at a time as may be held; false: the source is to stop, and some are not taken.
    fn bring_all(&mut self, batch: &Batch) -> bool {
        let now_us = self.now().wall_us;
        for unusable in batch.unusable() {
            self.pass_over(&unusable.at, &unusable.why);
        }
        let (mut mapped, mut underway) = (Mapped::default(), Underway::default());
        for message in batch.messages() {
            if message.id.as_ref().is_some_and(|id| self.recognised.has_whole(id)) {
                self.figures.add(Count::Duplicates, 1);
                continue;
            }
            self.spec.mapping.map(message, now_us, &mut mapped);
            for fault in std::mem::take(&mut mapped.faults) {
                self.pass_over(&place_of(message), &fault.to_string());
            }
            for (part, draft) in mapped.drafts.drain(..) {
                self.push(message, part, draft, &mut underway);
            }
            if mapped.bytes >= RUN_BYTES_MAX {
                mapped.bytes = 0;
                if !self.bring(&mut underway) {
                    return false;
                }
            }
        }
        self.figures.add(Count::Dropped, mapped.dropped);
        self.bring(&mut underway)
    }

    /// Puts an event on its way, unless it was stored before.
    fn push(&mut self, message: &Message, part: u32, mut draft: Draft, underway: &mut Underway) {
        let home = self.seat.homes.of(&draft.topic);
        if home.is_durable(self.seat.homes.shard_count()) {
            draft.ack = self.spec.ack;
            if let Some(id) = &message.id {
                let part = self.spec.mapping.is_split().then_some(part);
                let origin = origin_of(self.number, id, part);
                if self.recognised.has(&origin) {
                    self.figures.add(Count::Duplicates, 1);
                    return;
                }
                let origin = Some(Box::new(origin));
                draft.meta = Some(Arc::new(Meta { origin, ..Meta::default() }));
            }
        }
        underway.push(home, draft);
    }

    /// A message of which no event can be made is counted, and told of if there were not many of late.
    fn pass_over(&mut self, at: &str, why: &str) {
        self.figures.add(Count::Unusable, 1);
        let now_ms = self.now().mono_ms;
        if now_ms.saturating_sub(self.told.since_ms) >= FAULTS_MS {
            self.told = Told { since_ms: now_ms, count: 0 };
        }
        self.told.count += 1;
        let source = &*self.spec.name;
        if self.told.count <= SOURCE_FAULTS_TOLD_MAX {
            tracing::warn!(source, at, why, "no event can be made of a message: it is passed over");
        } else {
            tracing::debug!(source, at, why, "no event can be made of a message");
        }
    }

    /// Hands events to their homes until all are taken; false: the source is to stop, and some are not.
    fn bring(&mut self, underway: &mut Underway) -> bool {
        self.run = self.run.wrapping_add(1);
        let mut stop_ms = None;
        while !underway.is_done() {
            let now_ms = self.now().mono_ms;
            if self.is_stopping {
                let until_ms = *stop_ms.get_or_insert(now_ms + SOURCE_STOP_MS_MAX);
                if now_ms >= until_ms || underway.due_ms().is_some() {
                    return false;
                }
            } else {
                self.hand_on(underway, now_ms);
            }
            let due = underway.due_ms().map(|due_ms| due_ms.saturating_sub(now_ms).max(1));
            self.hear(due.map_or(REST, Duration::from_millis), underway);
        }
        true
    }

    fn hand_on(&mut self, underway: &mut Underway, now_ms: u64) {
        let publisher = Address { shard: ShardId(self.seat.id.0), conn: self.conn() };
        while let Some((home, drafts)) = underway.next_run(now_ms) {
            let shard = self.seat.homes.shard(home);
            let run = Mesh::Publish(Box::new(PublishRun { publisher, home, drafts }));
            self.seat.party.pending(shard.into()).push(run);
        }
        self.seat.party.hand_on();
    }

    /// How homes know which batch they answer for.
    const fn conn(&self) -> ConnRef {
        ConnRef { id: ConnId(0), generation: self.run }
    }

    /// Takes what is said within so long.
    fn hear(&mut self, wait: Duration, underway: &mut Underway) {
        if self.is_stopping {
            // Whoever is to stop is told nothing else by its bell.
            let party = &self.seat.party;
            match party.take(Lane::Control).or_else(|| party.take(Lane::Data)) {
                Some(message) => self.take(message, underway),
                None => self.seat.party.rest(wait.min(STOPPING)),
            }
            return;
        }
        match self.seat.party.hear(wait) {
            Heard::Stop => self.is_stopping = true,
            Heard::Message(message) => self.take(message, underway),
            Heard::Nothing => {}
        }
    }

    fn take(&mut self, message: Mesh, underway: &mut Underway) {
        match message {
            Mesh::Published(answer) if answer.publisher == self.conn() => {
                let PublishedRun { home, results, .. } = *answer;
                self.published(home, &results, underway);
            }
            Mesh::StoreSays(asks::Answer::SessionKept { ticket, result })
                if ticket == self.kept.ticket =>
            {
                self.kept.is_awaited = false;
                if let Err(why) = result {
                    self.figures.add(Count::Unkept, 1);
                    tracing::debug!(source = self.spec.name, ?why, "a position is not kept");
                }
            }
            // Whoever says anything else takes it for somebody else, or is late.
            _ => {}
        }
    }

    fn published(&mut self, home: HomeId, results: &[PublishResult], underway: &mut Underway) {
        let answered = underway.answered(home, results, self.now().mono_ms);
        self.figures.add(Count::Events, answered.taken);
        if answered.again.is_some() {
            self.figures.add(Count::Full, 1);
        }
        for (draft, code) in answered.refused {
            let why = format!("`{}` is refused: {}", draft.topic.as_str(), code.reason());
            // It was mapped, and cannot be taken back: the source goes on whatever is set.
            self.figures.add(Count::Unusable, 1);
            tracing::debug!(source = self.spec.name, why, "an event of a source is refused");
        }
    }

    /// Has the position kept, and waits until it is or cannot be.
    fn keep(&mut self) {
        if !self.kept.ask(&mut self.seat, &self.spec.name) {
            self.figures.add(Count::Unkept, 1);
        }
        let until_ms = self.now().mono_ms + SOURCE_STORED_MS_MAX;
        while self.kept.is_awaited && self.now().mono_ms < until_ms {
            let wait = Duration::from_millis(until_ms.saturating_sub(self.now().mono_ms));
            self.hear(wait, &mut Underway::default());
        }
        self.kept.is_awaited = false;
    }

    /// Has the position kept again if it was a while ago, so that little is gone through at the next start. Nothing is underway.
    fn note_again(&mut self) {
        let now_ms = self.now().mono_ms;
        if self.kept.is_old(now_ms) && !self.kept.ask(&mut self.seat, &self.spec.name) {
            self.figures.add(Count::Unkept, 1);
        }
    }
}

/// Where a message stands at its far end, for the log.
fn place_of(message: &Message) -> String {
    match (&message.id, &message.subject) {
        (Some(id), _) => format!("{id:?}"),
        (None, Some(subject)) => subject.to_string(),
        (None, None) => String::new(),
    }
}
