//! Sessions: what clients go on from after a restart is written to the folder, in groups of what waits at a time.
//!
//! Invariant: one answer for each wish, and none that says *kept* before its group is written, and synced if anybody in it wants that. Want of room is an answer, too, and no reason to stop.

use super::Keeper;
use super::Outcome;
use super::notes::result_of;
use crate::history::asks::Answer;
use crate::history::asks::NotNoted;
use crate::history::asks::SessionAsk;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::history::log::NotKept;
use crate::history::log::SessionRecord;
use crate::history::log::Sessions;
use crate::limits::SESSIONS_GROUP_BYTES_MAX;
use crate::limits::SESSIONS_WAITING_MAX;

/// Sessions of a folder, and those that wait to be written.
#[derive(Debug)]
pub(super) struct SessionsKept<F> {
    pub(super) file: Sessions<F>,
    waiting: Vec<SessionAsk>,
    waiting_bytes: usize,
}

impl<F: std::fmt::Debug> SessionsKept<F> {
    pub(super) const fn new(file: Sessions<F>) -> Self {
        Self { file, waiting: Vec::new(), waiting_bytes: 0 }
    }

    pub(super) const fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn take(&mut self) -> Vec<SessionAsk> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Takes a session in; it is written by one of the next steps. Answers at once that there are too many.
    fn push(&mut self, ask: SessionAsk, out: &mut Vec<Outcome>) {
        let bytes = written_bytes(&ask);
        if self.waiting.len() >= SESSIONS_WAITING_MAX
            || self.waiting_bytes + bytes > SESSIONS_GROUP_BYTES_MAX
        {
            return out.push(kept(&ask, Err(NotNoted::Busy)));
        }
        self.waiting_bytes += bytes;
        self.waiting.push(ask);
    }

    /// Writes what waits.
    pub(super) fn keep<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        out: &mut Vec<Outcome>,
    ) -> Result<(), DiskError> {
        let asked = self.take();
        let records: Vec<SessionRecord> = asked.iter().map(|ask| ask.record.clone()).collect();
        let wants_sync = asked.iter().any(|ask| ask.wants_sync);
        let result = match self.file.keep(disk, &records, wants_sync) {
            // Some of them may have room.
            Err(NotKept::Crowded) if asked.len() > 1 => {
                for (ask, record) in asked.iter().zip(&records) {
                    let one = std::slice::from_ref(record);
                    let result = result_of(self.file.keep(disk, one, ask.wants_sync))?;
                    out.push(kept(ask, result));
                }
                return Ok(());
            }
            result => result_of(result)?,
        };
        out.extend(asked.iter().map(|ask| kept(ask, result)));
        Ok(())
    }

    /// Nothing is kept any more.
    pub(super) fn refuse(&mut self, out: &mut Vec<Outcome>) {
        let asked = self.take();
        out.extend(asked.iter().map(|ask| kept(ask, Err(NotNoted::Closing))));
    }
}

/// Bytes that a session takes in its group.
fn written_bytes(ask: &SessionAsk) -> usize {
    32 + ask.record.name.len() + ask.record.bytes.as_ref().map_or(0, |bytes| bytes.len())
}

impl<D: Disk> Keeper<D> {
    /// Takes a session in; it is written by one of the next steps. Answers at once that there are too many.
    pub fn session(&mut self, ask: SessionAsk, out: &mut Vec<Outcome>) {
        self.sessions.push(ask, out);
    }
}

fn kept(ask: &SessionAsk, result: Result<(), NotNoted>) -> Outcome {
    (ask.shard, Answer::SessionKept { ticket: ask.ticket, result })
}
