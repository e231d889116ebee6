//! Where the blocks of a segment lie and which stamps they hold, found by their heads alone.
//!
//! Invariants: entries stand in the order of the segment; nothing at an entry or behind it is stamped before its `least_us`. What is written while one reads is added behind;
//! nothing that stands here ever changes. Never unpacks anything, and never decides what of a stretch without a head is lost.

use super::block::FRONT;
use super::block::HEAD_BYTES;
use super::block::Head;
use super::disk::Disk;
use super::disk::DiskError;
use super::scan::Found;
use super::scan::Scan;

/// Bytes that are read at a time to find heads.
const WINDOW_BYTES: usize = 64 * 1024;

/// A block, as the directory of its segment lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryEntry {
    pub(super) at: u64,
    pub(super) bytes: u32,
    pub(super) first_us: u64,
    pub(super) last_us: u64,
    /// The earliest stamp of it and of all entries behind it.
    pub(super) least_us: u64,
}

/// The blocks of a segment.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) entries: Vec<DirectoryEntry>,
    /// Up to where the segment has been gone through.
    upto: u64,
    /// Stretches without a head: from where to where.
    pub(super) rotten: Vec<(u64, u64)>,
}

impl Directory {
    /// Bytes that it takes.
    pub(super) const fn weight_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<DirectoryEntry>() + size_of::<Self>()
    }

    /// Goes on to the end of what is written.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn extend<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
        (salt, number, bytes): (u32, u64, u64),
    ) -> Result<(), DiskError> {
        let mut window = Vec::new();
        let mut window_at = self.upto;
        while self.upto < bytes {
            let begin = usize::try_from(self.upto - window_at).unwrap_or(usize::MAX);
            let is_inside = begin.checked_add(HEAD_BYTES).is_some_and(|end| end <= window.len());
            if !is_inside && (window_at < self.upto || window.is_empty()) {
                let left = usize::try_from(bytes - self.upto).unwrap_or(WINDOW_BYTES);
                window.resize(left.min(WINDOW_BYTES), 0);
                window_at = self.upto;
                let read = disk.read_at(file, window_at, &mut window)?;
                window.truncate(read);
                if read >= HEAD_BYTES {
                    continue;
                }
            }
            let head = window
                .get(begin..)
                .and_then(|bytes| Head::parse(bytes, FRONT, salt, number))
                .filter(|head| head.at == self.upto && head.end() <= bytes);
            match head {
                Some(head) => self.push(&head),
                None => self.search(disk, file, (salt, number, bytes))?,
            }
        }
        Ok(())
    }

    /// Behind a head that cannot be read.
    fn search<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
        (salt, number, bytes): (u32, u64, u64),
    ) -> Result<(), DiskError> {
        let mut scan = Scan::new(salt, number, self.upto, bytes);
        loop {
            match scan.next(disk, file)? {
                Some(Found::Block(block)) => {
                    self.push(&block.head);
                    return Ok(());
                }
                Some(Found::Rotten(rotten)) => {
                    self.rotten.push((rotten.from, rotten.to));
                    self.upto = rotten.to;
                }
                None => {
                    self.upto = bytes;
                    return Ok(());
                }
            }
        }
    }

    fn push(&mut self, head: &Head) {
        self.upto = head.end();
        if head.event_count == 0 {
            return;
        }
        self.entries.push(DirectoryEntry {
            at: head.at,
            bytes: u32::try_from(head.block_bytes()).expect("a block is bounded"),
            first_us: head.first_us,
            last_us: head.last_us,
            least_us: head.first_us,
        });
        let later = self.entries.iter_mut().rev().skip(1);
        for entry in later.take_while(|entry| entry.least_us > head.first_us) {
            entry.least_us = head.first_us;
        }
    }
}
