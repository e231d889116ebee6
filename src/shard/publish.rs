//! Publishing: drafts go to the home shards of their topics, and what became of each comes back.
//!
//! Invariants: a connection has at most one run underway, so its events keep their order and what is under way is bounded by
//! `DRAFTS_BYTES_MAX` and one message; an event that was refused was not taken, and no later one of the same run and home was.

use std::sync::Arc;

use super::Shard;
use super::allowance::Allowed;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::input::PublishRun;
use super::input::PublishedRun;
use super::input::weight_of;
use super::lanes::Lane;
use super::tickets::Question;
use super::tickets::RunUnderway;
use crate::clock::Now;
use crate::dialect::Placed;
pub(super) use crate::dialect::PublishResult;
use crate::dialect::RefusalCode;
use crate::event::Draft;
use crate::event::Event;
use crate::event::HomeId;
use crate::limits::RUN_BYTES_MAX;
use crate::limits::RUN_EVENTS_MAX;

impl Shard {
    /// Sends a connection's drafts to their homes. The results, if they are all there at once; else they come to `published` later. What waited for its
    /// turn when its publisher's token was revoked, or ended, is refused: it is published by nobody.
    pub(super) fn publish(
        &mut self,
        id: ConnId,
        drafts: Vec<Draft>,
        now: Now,
    ) -> Option<Vec<PublishResult>> {
        let publisher = self.conns.conn_ref(id)?;
        if self.has_lost_its_token(id, now) {
            return Some(drafts.iter().map(|_| Err(RefusalCode::Forbidden)).collect());
        }
        match self.allow(publisher, drafts.len(), now) {
            Allowed::Events(allowed) => self.publish_allowed(publisher, drafts, allowed, now),
            Allowed::Asked => {
                self.intake.tickets.open(id, Question::Allowance(drafts));
                None
            }
            Allowed::Full => Some(drafts.iter().map(|_| Err(RefusalCode::Full)).collect()),
        }
    }

    /// As `publish`, once it is known how many of the run its publisher may publish.
    pub(super) fn publish_allowed(
        &mut self,
        publisher: ConnRef,
        mut drafts: Vec<Draft>,
        allowed: u32,
        now: Now,
    ) -> Option<Vec<PublishResult>> {
        let wanted = drafts.len();
        drafts.truncate(usize::try_from(allowed).unwrap_or(usize::MAX));
        let refused = wanted - drafts.len();
        self.stats.refused_rate += refused as u64;
        self.stats.tally.refuse(RefusalCode::RateLimited, refused);
        let here = HomeId::volatile(self.shards.here());
        if drafts.iter().all(|draft| self.shards.homes().of(&draft.topic) == here) {
            let mut results = self.place_volatile(drafts, now);
            results.extend((0..refused).map(|_| Err(RefusalCode::RateLimited)));
            return Some(results);
        }
        let homes: Vec<HomeId> =
            drafts.iter().map(|draft| self.shards.homes().of(&draft.topic)).collect();
        let mut by_home: Vec<(HomeId, Vec<Draft>)> = Vec::new();
        for (draft, home) in drafts.into_iter().zip(&homes) {
            match by_home.iter_mut().find(|(of, _)| of == home) {
                Some((_, drafts)) => drafts.push(draft),
                None => by_home.push((*home, vec![draft])),
            }
        }
        let mut underway = RunUnderway { homes, results: Vec::new(), awaited: 0, refused };
        for (home, drafts) in by_home {
            let shard = self.shards.homes().shard(home);
            if shard == self.shards.here() {
                let publisher = Some(Address { shard, conn: publisher });
                match self.place_run(home, drafts, publisher, now) {
                    Some(results) => underway.results.push((home, results.into())),
                    None => underway.awaited += 1,
                }
            } else if !self.outgoing.has_room(shard, Lane::Data) {
                underway
                    .results
                    .push((home, drafts.iter().map(|_| Err(RefusalCode::Full)).collect()));
            } else {
                let publisher = Address { shard: self.shards.here(), conn: publisher };
                let run = Mesh::Publish(Box::new(PublishRun { publisher, home, drafts }));
                self.outgoing.to(shard).push(run);
                underway.awaited += 1;
            }
        }
        if underway.awaited == 0 {
            return Some(underway.into_results());
        }
        self.intake.tickets.open(publisher.id, Question::Places(underway));
        None
    }

    /// Orders drafts of another shard's publisher.
    pub(super) fn publish_here(&mut self, run: PublishRun, now: Now) {
        let PublishRun { publisher, home, mut drafts } = run;
        if publisher.shard.0 >= self.shards.count() {
            // A party that is no shard does not know what filters read.
            self.intake.ingest.find_fields(&mut drafts);
        }
        if let Some(results) = self.place_run(home, drafts, Some(publisher), now) {
            let answer = PublishedRun { publisher: publisher.conn, home, results };
            self.outgoing.to(publisher.shard).push(Mesh::Published(Box::new(answer)));
        }
    }

    /// A home has answered; once all have, the connection is told.
    pub(super) fn home_answered(&mut self, answer: PublishedRun, now: Now) {
        let PublishedRun { publisher, home, results } = answer;
        if self.conns.find_ref(publisher).is_none() {
            return;
        }
        let Some(Question::Places(underway)) = self.intake.tickets.find_mut(publisher.id) else {
            return;
        };
        underway.results.push((home, results.into()));
        underway.awaited -= 1;
        if underway.awaited == 0
            && let Some(Question::Places(underway)) = self.intake.tickets.close(publisher.id)
        {
            self.published(publisher.id, &underway.into_results(), now);
        }
    }

    /// Gives drafts of topics at home here their places. `None`: they are durable, and whoever waits is answered later.
    pub(super) fn place_run(
        &mut self,
        home: HomeId,
        drafts: Vec<Draft>,
        publisher: Option<Address>,
        now: Now,
    ) -> Option<Vec<PublishResult>> {
        match home.is_durable(self.shards.count()) {
            true => self.place_durably(drafts, publisher, now),
            false => Some(self.place_volatile(drafts, now)),
        }
    }

    /// Why nothing can be ordered here just now.
    pub(super) fn refuses_run(&mut self, count: usize) -> Option<RefusalCode> {
        if self.life.is_stopping() {
            self.stats.tally.refuse(RefusalCode::ShuttingDown, count);
            return Some(RefusalCode::ShuttingDown);
        }
        let has_room = self.arrived.has_room() && self.outgoing.has_room_everywhere(Lane::Data);
        if has_room && self.settings.tables.can_be_fed(&self.outgoing) {
            return None;
        }
        self.stats.refused_full += count as u64;
        self.stats.tally.refuse(RefusalCode::Full, count);
        Some(RefusalCode::Full)
    }

    /// Gives drafts their places, and sends them on their way to every shard.
    fn place_volatile(&mut self, drafts: Vec<Draft>, now: Now) -> Vec<PublishResult> {
        if let Some(code) = self.refuses_run(drafts.len()) {
            return drafts.iter().map(|_| Err(code)).collect();
        }
        let mut results = Vec::with_capacity(drafts.len());
        let mut events = Vec::with_capacity(drafts.len());
        for draft in drafts {
            self.stats.published_bytes += draft.payload.len() as u64;
            let ack = draft.ack;
            if ack.needs_store() {
                self.stats.tally.refuse(RefusalCode::NotDurable, 1);
                results.push(Err(RefusalCode::NotDurable));
                continue;
            }
            let placed = self.home.place(draft, now);
            results.push(
                placed.as_ref().map_err(|code| *code).map(|event| {
                    Placed { offset: event.offset, time_us: event.time_us }.as_said(ack)
                }),
            );
            events.extend(placed);
        }
        self.stats.published += events.len() as u64;
        self.spread(events);
        results
    }

    /// To every core's inbox, this one's included.
    pub(super) fn spread(&mut self, events: Vec<Arc<Event>>) {
        self.settings.tables.feed(&mut self.outgoing, &events);
        // With one shard there is nobody to weigh them for.
        let mut rest = if self.shards.count() > 1 { &events[..] } else { &[] };
        while !rest.is_empty() {
            let (run, after) = rest.split_at(run_length(rest));
            let weight_bytes = weight_of(run);
            for shard in self.shards.others() {
                self.outgoing.to(shard).push_weighed(Mesh::Events(run.into()), weight_bytes);
            }
            rest = after;
        }
        self.arrived.push_events(events);
    }
}

/// How many of these events travel as one message; at least one.
fn run_length(events: &[Arc<Event>]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&Arc<Event>| {
        bytes += event.weight_bytes();
        bytes <= RUN_BYTES_MAX
    };
    events.iter().take(RUN_EVENTS_MAX).take_while(fits).count().max(1)
}
