//! The home of durable topics: what it orders lies with a store before anybody hears of it, and what memory has let go of is read there.
//!
//! The store is a party that answers when it likes, or never. Invariants: an event is answered and spread only once it is stored, so no offset that anybody has seen is
//! given again; runs are spread in the order in which they were ordered; where the present begins is answered by memory, at once and in the order of what is
//! spread. A store that is late, fails or is gone costs those who publish here and those who read what only it has, and nobody else.

mod line;
mod noting;
mod pages;

use std::collections::VecDeque;
use std::sync::Arc;

pub(super) use self::line::Asker;
use self::line::Line;
use self::line::StoreRun;
use self::noting::Noting;
use self::pages::PageAwaited;
use self::pages::Pages;
use super::Shard;
use super::home::Ahead;
use super::home::Home;
use super::input::Address;
use super::input::ConnRef;
use super::input::Mesh;
use super::input::PublishedRun;
use super::input::ReadRequest;
use super::lanes::Lane;
use super::lanes::Outgoing;
use super::lanes::PartyId;
use super::outlasting::Outlasting;
use super::publish::PublishResult;
use super::session::noted;
use super::settings::Settings;
use crate::clock::Now;
use crate::dialect::Placed;
use crate::dialect::RefusalCode;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::Homes;
use crate::event::ShardId;
use crate::history::Page;
use crate::history::Read;
use crate::history::Start;
use crate::history::asks;
use crate::history::log::Note;
use crate::limits::PAGES_PER_TURN_MAX;
use crate::limits::STORE_PAGE_MS_MAX;
use crate::limits::STORE_PAGE_RETRIES_MAX;
use crate::limits::STORE_RUN_MS_MAX;

/// One shard's home of durable topics.
#[derive(Debug)]
pub(super) struct DurableHome {
    pub(super) home: Home,
    store: PartyId,
    line: Line,
    /// Askers of runs that are stored and not synced: by the number of the run, ascending.
    unsynced: VecDeque<(u64, Asker)>,
    pages: Pages,
    noting: Noting,
    /// The newest run's number.
    run: u64,
    attempt: u32,
    /// The store has said that it has ended.
    is_closed: bool,
}

impl DurableHome {
    /// The durable home of a shard, if there are durable topics.
    pub(super) fn of(shard: ShardId, homes: &Homes, settings: &Settings) -> Option<Box<Self>> {
        let durable = settings.durable.as_ref()?;
        Some(Box::new(Self {
            home: Home::durable(shard, homes, settings),
            store: durable.store,
            line: Line::default(),
            unsynced: VecDeque::new(),
            pages: Pages::default(),
            noting: Noting::default(),
            run: 0,
            attempt: 0,
            is_closed: false,
        }))
    }

    /// Whether nothing is awaited of the store, or it has let everybody wait too long.
    pub(super) fn is_settled(&self, now: Now) -> bool {
        let is_done = self.line.is_empty() && self.unsynced.is_empty() && self.pages.is_empty();
        let is_done = is_done && self.noting.is_empty();
        is_done || self.is_closed || self.is_late(now)
    }

    /// Whether the store has not answered for too long.
    fn is_late(&self, now: Now) -> bool {
        let oldest_ms = self.line.oldest_ms();
        oldest_ms.is_some_and(|oldest_ms| now.mono_ms.saturating_sub(oldest_ms) >= STORE_RUN_MS_MAX)
    }

    /// Everything stamped up to here has been spread, and everything later has not.
    fn settled_us(&self) -> u64 {
        self.line.first_us().map_or_else(|| self.home.stamped_us(), |first_us| first_us - 1)
    }

    /// Why nothing can be published here just now.
    fn refuses(&self, now: Now) -> Option<RefusalCode> {
        if self.is_closed || self.is_late(now) {
            return Some(RefusalCode::Unavailable);
        }
        (!self.line.has_room()).then_some(RefusalCode::Full)
    }

    /// Gives a run's drafts their places; nobody hears of them yet.
    fn order(&mut self, drafts: Vec<Draft>, now: Now) -> (Vec<PublishResult>, Vec<Arc<Event>>) {
        let mut results = Vec::with_capacity(drafts.len());
        let mut events = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let ack = draft.ack;
            let ahead = Ahead {
                newest: self.line.newest_of(&draft.topic),
                of_key: self.line.newest_of_key(&draft.topic, &draft.key).cloned(),
                topic_count: self.line.topic_count(),
            };
            match self.home.order(draft, ahead, now) {
                Ok(event) => {
                    let event = Arc::new(event);
                    self.line.note(&event, self.run + 1);
                    let placed = Placed { offset: event.offset, time_us: event.time_us };
                    results.push(Ok(placed.as_said(ack)));
                    events.push(event);
                }
                Err(code) => results.push(Err(code)),
            }
        }
        (results, events)
    }

    /// Has something noted for a connection, which waits for the answer; at once, why that cannot be.
    pub(super) fn note(
        &mut self,
        (conn, shard): (ConnRef, ShardId),
        note: Note,
        outgoing: &mut Outgoing<Mesh>,
        now: Now,
    ) -> Result<(), asks::NotNoted> {
        if self.is_closed {
            return Err(asks::NotNoted::Closing);
        }
        if !outgoing.has_room(self.store, Lane::Control) {
            return Err(asks::NotNoted::Busy);
        }
        let ticket = self.noting.ask(conn, now.mono_ms);
        let ask = asks::NoteAsk { shard, ticket, note };
        outgoing.to(self.store).push(Mesh::Store(asks::Ask::Note(Box::new(ask))));
        Ok(())
    }

    /// What the store is asked for a page.
    fn page_ask(
        &self,
        ticket: u64,
        request: &ReadRequest,
        shard_count: u16,
        asked: (&Read, u64),
    ) -> Mesh {
        let (read, until_us) = asked;
        Mesh::Store(asks::Ask::Page(Box::new(asks::PageAsk {
            shard: request.home.shard(shard_count),
            ticket,
            home: request.home,
            shard_count,
            read: self.home.read_of_store(&request.read),
            after_us: read.after_us,
            until_us,
            page_bytes: read.page_bytes,
        })))
    }
}

impl Shard {
    /// Goes on from what the store holds. To be called before anything else, on every shard; `restored` is what concerns its own home.
    pub fn restore(&mut self, restored: &asks::Restored, now: Now) {
        self.rights.tokens.restore(&restored.notes);
        let Some(durable) = &mut self.durable else { return };
        durable.home.restore(restored);
        let shard_count = self.shards.count();
        for home in self.shards.homes().all().filter(|home| home.is_durable(shard_count)) {
            self.telling.gathered.restore(home, restored.stamped_us);
        }
        Outlasting::at(self).restore(restored, now);
    }

    /// Orders drafts of durable topics at home here, and hands them to the store. The results, if they are known at once.
    pub(super) fn place_durably(
        &mut self,
        drafts: Vec<Draft>,
        publisher: Option<Address>,
        now: Now,
    ) -> Option<Vec<PublishResult>> {
        if let Some(code) = self.refuses_run(drafts.len()) {
            return Some(drafts.iter().map(|_| Err(code)).collect());
        }
        let Some(durable) = &mut self.durable else {
            unreachable!("a topic is durable where there is a store")
        };
        let is_full = !self.outgoing.has_room(durable.store, Lane::Data);
        let refused = durable.refuses(now).or_else(|| is_full.then_some(RefusalCode::Full));
        if let Some(code) = refused {
            self.stats.refused_full += drafts.len() as u64;
            return Some(drafts.iter().map(|_| Err(code)).collect());
        }
        // Whoever wants to know more waits for all of the run.
        let ack = drafts.iter().map(|draft| draft.ack).max().unwrap_or_default();
        self.stats.published_bytes +=
            drafts.iter().map(|draft| draft.payload.len() as u64).sum::<u64>();
        let (results, events) = durable.order(drafts, now);
        if events.is_empty() {
            return Some(results);
        }
        durable.run += 1;
        let append = asks::Append {
            shard: self.shards.here(),
            run: durable.run,
            attempt: durable.attempt,
            events: events.clone().into(),
            wants_sync: ack == Ack::Durable,
        };
        self.outgoing.to(durable.store).push(Mesh::Store(asks::Ask::Append(Box::new(append))));
        let answered = (ack == Ack::None).then(|| results.clone());
        let publisher = publisher.filter(|_| answered.is_none());
        let asker = publisher.map(|publisher| Asker { publisher, results, ack });
        let (number, since_ms) = (durable.run, now.mono_ms);
        durable.line.push(StoreRun { number, events, asker, since_ms });
        answered
    }

    /// The store answers.
    pub(super) fn store_said(&mut self, answer: asks::Answer, now: Now) {
        match answer {
            asks::Answer::Stored { run, befores } => self.stored(run, befores, now),
            asks::Answer::Synced { run } => self.synced(run, now),
            asks::Answer::Refused { attempt, run: _, why } => {
                let Some(durable) = &mut self.durable else { return };
                if attempt == durable.attempt {
                    durable.attempt += 1;
                    let code = match why {
                        asks::Refusal::Full => RefusalCode::DiskFull,
                        asks::Refusal::Busy => RefusalCode::Full,
                        asks::Refusal::Closing => RefusalCode::ShuttingDown,
                    };
                    self.refuse_line(code, now);
                }
            }
            asks::Answer::Page(page) => self.store_read(*page, now),
            asks::Answer::Noted { ticket, result } => {
                let durable = self.durable.as_mut();
                let asked = durable.and_then(|durable| durable.noting.answered(ticket));
                if let Some(conn) = asked {
                    self.answer(conn, &noted(result), now);
                }
            }
            asks::Answer::SessionKept { ticket, result } => {
                Outlasting::at(self).session_kept(ticket, result);
            }
            asks::Answer::Closed => {
                Outlasting::at(self).keep_no_more();
                let Some(durable) = &mut self.durable else { return };
                durable.is_closed = true;
                let unnoted = durable.noting.take_late(u64::MAX);
                for (_, asker) in std::mem::take(&mut durable.unsynced) {
                    self.answer_asker(asker, Some(RefusalCode::Unavailable), now);
                }
                self.refuse_line(RefusalCode::Unavailable, now);
                for conn in unnoted {
                    self.answer(conn, &noted(Err(asks::NotNoted::Closing)), now);
                }
                self.give_up_pages(u64::MAX, now);
            }
        }
    }

    fn stored(&mut self, upto: u64, befores: Box<[(u64, Arc<Event>)]>, now: Now) {
        let mut befores = VecDeque::from(befores.into_vec());
        let mut events = Vec::new();
        while let Some(durable) = &mut self.durable
            && let Some(run) = durable.line.pop_stored(upto, &mut befores)
        {
            for event in &run.events {
                durable.home.keep(event);
            }
            self.stats.published += run.events.len() as u64;
            events.extend(run.events);
            match run.asker {
                Some(asker) if asker.ack == Ack::Durable => {
                    durable.unsynced.push_back((run.number, asker));
                }
                // Whoever is answered hears it before the event.
                Some(asker) => self.answer_asker(asker, None, now),
                None => {}
            }
        }
        self.spread(events);
    }

    fn synced(&mut self, upto: u64, now: Now) {
        while let Some(durable) = &mut self.durable
            && let Some((_, asker)) = durable.unsynced.pop_front_if(|(run, _)| *run <= upto)
        {
            self.answer_asker(asker, None, now);
        }
    }

    /// None of the runs that wait will be stored, and none of their offsets was seen.
    fn refuse_line(&mut self, code: RefusalCode, now: Now) {
        let Some(durable) = &mut self.durable else { return };
        for run in durable.line.refuse() {
            self.stats.refused_full += run.events.len() as u64;
            if let Some(asker) = run.asker {
                self.answer_asker(asker, Some(code), now);
            }
        }
    }

    /// Tells a publisher what became of a run: its places, or why they are none.
    fn answer_asker(&mut self, asker: Asker, refused: Option<RefusalCode>, now: Now) {
        let Asker { publisher, mut results, ack: _ } = asker;
        if let Some(code) = refused {
            results
                .iter_mut()
                .filter(|result| result.is_ok())
                .for_each(|result| *result = Err(code));
        }
        let Address { shard, conn } = publisher;
        let home = HomeId::durable(self.shards.here(), self.shards.count());
        let answer = PublishedRun { publisher: conn, home, results };
        if shard == self.shards.here() {
            self.home_answered(answer, now);
        } else {
            self.outgoing.to(shard).push(Mesh::Published(Box::new(answer)));
        }
    }

    /// Reads durable topics: from memory at once, or from the store, and then the page comes later.
    pub(super) fn read_durable(&mut self, mut request: Box<ReadRequest>, now: Now) {
        let Some(durable) = &mut self.durable else { return };
        let read = Read {
            after_us: request.after_us,
            page_bytes: request.page_bytes,
            ..Read::clone(&request.read)
        };
        let Some(until_us) = durable.home.lacks(&read) else {
            let settled_us = durable.settled_us();
            let (page, began) = durable.home.read(&read, settled_us, now);
            return self.answer_read(&request, page, began, settled_us);
        };
        if let Start::Snapshot { up_to_us: u64::MAX } = read.start {
            // What comes live begins before the store is asked: its answer is of a moment that nobody here knows.
            let settled_us = durable.settled_us();
            let (page, began) = durable.home.begin(&read, settled_us, now);
            return self.answer_read(&request, page, Some(began), settled_us);
        }
        if durable.is_closed {
            let page = durable.home.unavailable(&read, until_us);
            let settled_us = durable.settled_us();
            return self.answer_read(&request, page, None, settled_us);
        }
        if !durable.pages.has_room() {
            return durable.pages.wait(request);
        }
        let settled_us = durable.settled_us();
        let mut read = read;
        if let Start::Tail { count, counted_us: 0 } = read.start {
            read.start = Start::Tail { count, counted_us: settled_us };
            request.read = Arc::new(Read { after_us: 0, ..read.clone() });
        }
        self.ask_store(PageAwaited {
            request,
            read,
            until_us,
            settled_us,
            asked_ms: now.mono_ms,
            retries: 0,
        });
    }

    fn ask_store(&mut self, asked: PageAwaited) {
        let Some(durable) = &mut self.durable else { return };
        let (read, until_us) = (asked.read.clone(), asked.until_us);
        let request = ReadRequest { read: Arc::clone(&asked.request.read), ..*asked.request };
        let ticket = durable.pages.ask(asked);
        let ask = durable.page_ask(ticket, &request, self.shards.count(), (&read, until_us));
        self.outgoing.to(durable.store).push(ask);
    }

    /// The store has read a page, or could not.
    fn store_read(&mut self, answer: asks::PageAnswer, now: Now) {
        let Some(durable) = &mut self.durable else { return };
        // Whoever waited too long was told so.
        let Some(mut asked) = durable.pages.answered(answer.ticket) else { return };
        let page = match answer.result {
            Ok(stretch) if !is_progress(&stretch, &asked) => Err(asks::Fault::Failed),
            Ok(mut stretch) => {
                let of_keys =
                    matches!(asked.read.start, Start::Last { .. } | Start::Snapshot { .. });
                if of_keys && !durable.home.leave_last(&mut stretch) {
                    asked.retries += 1;
                    if asked.retries <= STORE_PAGE_RETRIES_MAX {
                        return self.ask_store(asked);
                    }
                    Err(asks::Fault::Busy)
                } else {
                    Ok(durable.home.page_of(stretch, &asked.read, asked.until_us))
                }
            }
            Err(fault) => Err(fault),
        };
        let page = page.unwrap_or_else(|fault| {
            tracing::warn!(shard = self.shards.here().0, ?fault, "the store could not read a page");
            durable.home.unavailable(&asked.read, asked.until_us)
        });
        self.page_came(&asked, page);
        self.read_on_durably(now);
    }

    fn page_came(&mut self, asked: &PageAwaited, page: Page) {
        let answer = asked.request.answered(page, None, asked.settled_us);
        let reader = asked.request.reader;
        if self.has_room_for_page(reader.shard) {
            return self.send_page(reader.shard, answer);
        }
        if let Some(durable) = &mut self.durable {
            durable.pages.keep(&reader, answer);
        }
    }

    /// Hands on pages for which there is room now, and asks for those that waited.
    pub(super) fn read_on_durably(&mut self, now: Now) {
        let Some(mut pages) =
            self.durable.as_mut().map(|durable| std::mem::take(&mut durable.pages))
        else {
            return;
        };
        while let Some((reader, answer)) = pages.next_ready(|reader| self.has_room_for_page(reader))
        {
            self.send_page(reader, answer);
        }
        if let Some(durable) = &mut self.durable {
            durable.pages = pages;
        }
        // One at a time, as each takes the room that the next one is asked for in; the others are not looked at.
        for _ in 0..PAGES_PER_TURN_MAX {
            let waiting = self.durable.as_mut().and_then(|durable| durable.pages.next_waiting());
            let Some(request) = waiting else { break };
            self.read_durable(request, now);
        }
    }

    /// Whether a page that has come, or one that waits, could go on.
    pub(super) fn can_read_on_durably(&self) -> bool {
        let has_room = |reader| self.has_room_for_page(reader);
        self.durable.as_ref().is_some_and(|durable| durable.pages.can_go_on(has_room))
    }

    /// Tells everybody who has waited too long for the store. To be called with every tick.
    pub(super) fn give_up_on_store(&mut self, now: Now) {
        let Some(durable) = &mut self.durable else { return };
        let before_ms = (now.mono_ms + 1).saturating_sub(STORE_RUN_MS_MAX);
        let late = durable.line.take_late(before_ms);
        let unnoted = durable.noting.take_late(before_ms);
        for conn in unnoted {
            self.answer(conn, &noted(Err(asks::NotNoted::Silent)), now);
        }
        for asker in late {
            tracing::warn!(shard = self.shards.here().0, "the store does not answer");
            self.answer_asker(asker, Some(RefusalCode::Unavailable), now);
        }
        self.give_up_pages((now.mono_ms + 1).saturating_sub(STORE_PAGE_MS_MAX), now);
    }

    /// Readers of pages that were asked for before a moment go on without them.
    fn give_up_pages(&mut self, before_ms: u64, now: Now) {
        let Some(durable) = &mut self.durable else { return };
        let late = durable.pages.take_late(before_ms);
        if late.is_empty() {
            return;
        }
        for asked in &late {
            let Some(durable) = &self.durable else { return };
            let page = durable.home.unavailable(&asked.read, asked.until_us);
            self.page_came(asked, page);
        }
        self.read_on_durably(now);
    }
}

/// Whether a reader comes further by a stretch.
fn is_progress(stretch: &asks::Stretch, asked: &PageAwaited) -> bool {
    stretch.more_after_us.is_none_or(|after_us| after_us > asked.read.after_us)
}
