//! Pages: what was asked is read, and what turns out to be rotten on the way is looked into before anything is told.
//!
//! Invariant: one answer for each request; a page that cannot be read is an answer, too, and no reason to stop.

use super::Keeper;
use super::Outcome;
use super::failed;
use crate::event::HomeId;
use crate::event::ShardId;
use crate::history::asks::Answer;
use crate::history::asks::Fault;
use crate::history::asks::PageAnswer;
use crate::history::asks::PageAsk;
use crate::history::asks::Stretch;
use crate::history::log;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::history::log::PageRequest;

impl<D: Disk> Keeper<D> {
    /// Reads a page for the first of those who wait whose shard has room for it; false: there is none.
    pub(super) fn read_next(
        &mut self,
        has_room: &impl Fn(ShardId) -> bool,
        out: &mut Vec<Outcome>,
    ) -> Result<bool, DiskError> {
        let place = self.pages.iter().position(|ask| has_room(ask.shard));
        let Some(ask) = place.and_then(|place| self.pages.remove(place)) else { return Ok(false) };
        out.push(self.read_page(&ask)?);
        Ok(true)
    }

    /// Reads what was asked.
    fn read_page(&mut self, ask: &PageAsk) -> Result<Outcome, DiskError> {
        self.figures.pages += 1;
        let Ok(mut stretch) = self.stretch(ask) else {
            self.figures.pages_failed += 1;
            return Ok(failed(ask, Fault::Failed));
        };
        self.figures.pages_events += stretch.events.len() as u64;
        stretch.as_of_us = self.homes[ask.shard.index()].stamped_us;
        let answer = PageAnswer { ticket: ask.ticket, result: Ok(stretch) };
        Ok((ask.shard, Answer::Page(Box::new(answer))))
    }

    fn stretch(&mut self, ask: &PageAsk) -> Result<Stretch, DiskError> {
        let request = PageRequest {
            home: ask.home,
            read: &ask.read,
            after_us: ask.after_us,
            until_us: ask.until_us,
            page_bytes: ask.page_bytes,
        };
        debug_assert!(
            ask.home == HomeId::durable(ask.shard, ask.shard_count),
            "it asks for itself"
        );
        loop {
            let unexamined = match log::read(&mut self.disk, &mut self.kept, request)? {
                Ok(stretch) => return Ok(stretch),
                Err(unexamined) => unexamined,
            };
            let log = &mut self.kept[unexamined.class].log;
            log.examine(&mut self.disk, unexamined.segment)?;
            if !log.knows_rotten(unexamined.segment, unexamined.at) {
                // It was read wrong once and right once: nobody knows what is true of it.
                return Err(DiskError::Failed(std::io::Error::other("a block cannot be read")));
            }
        }
    }
}
