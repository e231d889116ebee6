//! Notes: what is to outlast a restart is written to the folder's ledger, ahead of everything else, and all that waits at a time together.
//!
//! Invariant: one answer for each request, and none that says *kept* before both copies are synced. Want of room is an answer, too, and no reason to stop.

use super::Keeper;
use super::Outcome;
use crate::history::asks::Answer;
use crate::history::asks::NotNoted;
use crate::history::asks::NoteAsk;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::history::log::NotKept;
use crate::history::log::Note;
use crate::limits::LEDGER_WAITING_MAX;

impl<D: Disk> Keeper<D> {
    /// Takes a note in; it is kept by the next step. Answers at once that there are too many.
    pub fn note(&mut self, ask: NoteAsk, out: &mut Vec<Outcome>) {
        if self.notes.len() >= LEDGER_WAITING_MAX {
            out.push(noted(&ask, Err(NotNoted::Busy)));
        } else {
            self.notes.push(ask);
        }
    }

    /// What the ledger remembers, in no order.
    pub fn remembered(&self) -> impl Iterator<Item = Note> {
        self.ledger.notes()
    }

    /// Keeps what waits.
    pub(super) fn keep_notes(
        &mut self,
        now_s: u64,
        out: &mut Vec<Outcome>,
    ) -> Result<(), DiskError> {
        let asked = std::mem::take(&mut self.notes);
        let notes: Vec<Note> = asked.iter().map(|ask| ask.note.clone()).collect();
        let result = match self.ledger.keep(&mut self.disk, &notes, now_s) {
            // Some of them may have room.
            Err(NotKept::Crowded) if asked.len() > 1 => {
                for ask in &asked {
                    let kept =
                        self.ledger.keep(&mut self.disk, std::slice::from_ref(&ask.note), now_s);
                    out.push(noted(ask, result_of(kept)?));
                }
                return Ok(());
            }
            kept => result_of(kept)?,
        };
        out.extend(asked.iter().map(|ask| noted(ask, result)));
        Ok(())
    }
}

/// Nothing is kept any more.
pub(super) fn refuse(asked: &[NoteAsk], out: &mut Vec<Outcome>) {
    out.extend(asked.iter().map(|ask| noted(ask, Err(NotNoted::Closing))));
}

pub(super) fn result_of(kept: Result<(), NotKept>) -> Result<Result<(), NotNoted>, DiskError> {
    match kept {
        Ok(()) => Ok(Ok(())),
        Err(NotKept::Crowded) => Ok(Err(NotNoted::Crowded)),
        Err(NotKept::Disk(DiskError::Full)) => Ok(Err(NotNoted::DiskFull)),
        Err(NotKept::Disk(error)) => Err(error),
    }
}

fn noted(ask: &NoteAsk, result: Result<(), NotNoted>) -> Outcome {
    (ask.shard, Answer::Noted { ticket: ask.ticket, result })
}
