//! The thread of hooks: calls come in by its lane, threads answer them, and answers go out; or it is too late for them.
//!
//! Invariants: it never waits for a shard nor for an answer; whoever asked is told in time, whatever becomes of the call. What it has no room to answer stays in its inbox, which is bounded.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::Sender;

use super::figures::Figures;
use super::line::CallOwner;
use super::line::Job;
use super::line::Line;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::conn::Heard;
use crate::conn::Party;
use crate::dialect::hook::Answered;
use crate::dialect::hook::Failure;
use crate::dialect::hook::Hooks;
use crate::limits::HOOK_CALLS_MAX;
use crate::limits::INBOX_MESSAGES_MAX;
use crate::limits::MESH_RETRY_MS;
use crate::shard::Lane;
use crate::shard::Mesh;
use crate::shard::PartyId;
use crate::shard::conn_of;

/// How long it sleeps at most while nothing happens.
const REST: Duration = Duration::from_secs(3600);

/// Whoever answers hooks, with everything that its thread needs.
#[derive(Debug)]
pub struct HooksParty {
    party: Party<Mesh>,
    line: Line,
    jobs: Sender<Job>,
    answers: Receiver<(u64, Answered)>,
    threads: Vec<JoinHandle<()>>,
    figures: Arc<Figures>,
    clock: Clock,
    shard_count: u16,
}

impl HooksParty {
    /// Hooks at their place in the mesh; calls are answered within so many milliseconds, by so many threads.
    ///
    /// # Errors
    /// If the threads cannot be begun.
    pub fn new(
        party: Party<Mesh>,
        hooks: &Arc<dyn Hooks>,
        (timeout_ms, at_once): (u64, usize),
        (clock, shard_count): (Clock, u16),
    ) -> std::io::Result<Self> {
        let (jobs, taken) = flume::bounded::<Job>(at_once);
        let (answer, answers) = flume::bounded(HOOK_CALLS_MAX);
        let threads = (0..at_once).map(|index| {
            let (hooks, taken, answer) = (Arc::clone(hooks), taken.clone(), answer.clone());
            let doorbell = party.doorbell();
            let thread = std::thread::Builder::new().name(format!("hook-{index}"));
            thread.spawn(move || serve(&*hooks, &taken, &answer, &doorbell))
        });
        let threads = threads.collect::<Result<_, _>>()?;
        let line = Line::new(timeout_ms.saturating_mul(1000), at_once);
        let figures = Arc::new(Figures::new(hooks.asked()));
        Ok(Self { party, line, jobs, answers, threads, figures, clock, shard_count })
    }

    /// What it counts, for others to look at.
    #[must_use]
    pub fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// What wakes it, and tells it to stop.
    #[must_use]
    pub fn doorbell(&self) -> Arc<Doorbell> {
        self.party.doorbell()
    }

    /// Runs until it is told to stop.
    pub fn run(mut self) {
        loop {
            self.take_in();
            if !self.has_room() {
                self.party.rest(Duration::from_millis(MESH_RETRY_MS));
                continue;
            }
            let now_us = self.clock.mono_us();
            let due = self.line.due_us().map(|due| due.saturating_sub(now_us));
            let wait = due.map_or(REST, Duration::from_micros).min(REST);
            let answers = &self.answers;
            match self.party.hear_unless(wait, || !answers.is_empty()) {
                Heard::Message(message) => self.take(message),
                Heard::Nothing => {}
                Heard::Stop => break,
            }
        }
        // Threads end once nothing more is to be answered; what they are at takes no longer than it may.
        let Self { jobs, answers, threads, .. } = self;
        drop((jobs, answers));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the hooks has panicked");
            }
        }
    }

    /// Takes in what was said, and what was answered, as far as there is room for what is told of it.
    fn take_in(&mut self) {
        for _ in 0..INBOX_MESSAGES_MAX {
            if !self.has_room() {
                break;
            }
            let Some(message) = self.party.take(Lane::Data) else { break };
            self.take(message);
        }
        while self.has_room()
            && let Ok((number, answered)) = self.answers.try_recv()
        {
            if let Some(owner) = self.line.done(number) {
                self.say(owner, answered);
            }
            self.begin_next();
        }
        for owner in self.line.late(self.clock.mono_us()) {
            self.say(owner, Err(Failure::TooSlow));
        }
        self.figures.note_waiting(self.line.waiting());
        self.party.hand_on();
    }

    /// Whether what is told next has room, whoever it is for.
    fn has_room(&self) -> bool {
        let mut shards = (0..self.shard_count).map(PartyId);
        shards.all(|shard| self.party.waiting(shard).has_room(Lane::Data))
    }

    fn take(&mut self, message: Mesh) {
        // Whoever says anything else takes it for somebody else.
        let Mesh::Hook(ask) = message else { return };
        match self.line.push(*ask, self.clock.mono_us()) {
            Ok(()) => self.begin_next(),
            Err(owner) => self.say(owner, Err(Failure::Busy)),
        }
    }

    fn begin_next(&mut self) {
        while let Some(job) = self.line.pop(self.clock.mono_us()) {
            // There is room for as many as are answered at once.
            if self.jobs.try_send(job).is_err() {
                break;
            }
        }
    }

    fn say(&mut self, owner: CallOwner, answered: Answered) {
        let took_us = self.clock.mono_us().saturating_sub(owner.since_us);
        self.figures.count(owner.hook, took_us, &answered);
        let Some(asker) = owner.asker else { return };
        let message = Mesh::HookSays { conn: conn_of(asker), answered: Box::new(answered) };
        self.party.pending(asker.shard.into()).push(message);
    }
}

/// Answers one call after the other.
fn serve(
    hooks: &dyn Hooks,
    jobs: &Receiver<Job>,
    answers: &Sender<(u64, Answered)>,
    doorbell: &Doorbell,
) {
    while let Ok(Job { number, call, within }) = jobs.recv() {
        let answered = catch_unwind(AssertUnwindSafe(|| hooks.answer(&call, within)));
        let answered = answered.unwrap_or_else(|_| {
            tracing::error!(hook = call.hook.name(), "a hook has panicked");
            Err(Failure::Unreachable)
        });
        if answers.send((number, answered)).is_err() {
            return;
        }
        doorbell.ring();
    }
}
