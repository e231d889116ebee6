//! Goes through a segment block by block, whatever lies between them.
//!
//! Invariants: every byte of the segment belongs to a good block or to a stretch that is said to be rotten; a good block is found however much before it is
//! rotten. Holds one block at a time. Never changes anything, and never decides whether a bad end is torn or rotten: that depends on what was synced.

use super::block::BACK;
use super::block::Body;
use super::block::FRONT;
use super::block::HEAD_BYTES;
use super::block::Head;
use super::disk::Disk;
use super::disk::DiskError;
use super::record::Part;

/// Bytes that are looked through at a time for the next head.
const WINDOW_BYTES: usize = 64 * 1024;

/// What was come upon.
#[derive(Debug)]
pub enum Found {
    Block(Block),
    Rotten(Rotten),
}

/// A good block.
#[derive(Debug)]
pub struct Block {
    pub head: Head,
    pub parts: Vec<Part>,
    pub body: Body,
    /// One of its heads or its summary is rotten; nothing is lost.
    pub is_mended: bool,
}

/// A stretch of a segment that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotten {
    pub from: u64,
    pub to: u64,
    /// What the block held of each topic, as far as that can be said; `count` is 0 where it cannot.
    pub lost: Vec<Part>,
    /// Whether that is all.
    pub is_known: bool,
}

impl Rotten {
    /// A stretch of which nothing is known.
    #[must_use]
    pub const fn unknown(from: u64, to: u64) -> Self {
        Self { from, to, lost: Vec::new(), is_known: false }
    }
}

/// A walk through one segment.
#[derive(Debug)]
pub struct Scan {
    salt: u32,
    segment: u64,
    at: u64,
    len: u64,
    /// The head of the block at `at`, where its front head is rotten.
    back: Option<Head>,
    block: Vec<u8>,
}

impl Scan {
    /// Of so many bytes of a segment, from a place at which a block begins.
    #[must_use]
    pub const fn new(salt: u32, segment: u64, at: u64, len: u64) -> Self {
        Self { salt, segment, at, len, back: None, block: Vec::new() }
    }

    /// Where the next block is expected.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// The next block or rotten stretch.
    ///
    /// # Errors
    /// What the disk says.
    pub fn next<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
    ) -> Result<Option<Found>, DiskError> {
        if self.at >= self.len {
            return Ok(None);
        }
        let from = self.at;
        let (head, is_mended) = match self.back.take() {
            Some(head) => (head, true),
            None => match self.front(disk, file)? {
                Some(head) => (head, false),
                None => return self.search(disk, file).map(Some),
            },
        };
        let to = head.end().min(self.len);
        read(disk, file, from, to, &mut self.block)?;
        self.at = to;
        Ok(Some(self.judge(head, (from, to), is_mended)))
    }

    fn front<D: Disk>(&mut self, disk: &mut D, file: &D::File) -> Result<Option<Head>, DiskError> {
        read(disk, file, self.at, self.len.min(self.at + HEAD_BYTES as u64), &mut self.block)?;
        let head = Head::parse(&self.block, FRONT, self.salt, self.segment);
        Ok(head.filter(|head| head.at == self.at))
    }

    /// What lies in `block`, which this is the head of.
    fn judge(&self, head: Head, (from, to): (u64, u64), is_mended: bool) -> Found {
        let parts = head.summary(&self.block, self.salt);
        let body = head.body(&self.block, self.salt);
        let held = body.as_ref().and_then(Body::parts);
        let (Some(body), Some(held), true) = (body, held, to == head.end()) else {
            let is_known = parts.is_some();
            return Found::Rotten(Rotten { from, to, lost: parts.unwrap_or_default(), is_known });
        };
        let back = &self.block[self.block.len() - HEAD_BYTES..];
        let back = Head::parse(back, BACK, self.salt, self.segment);
        let is_mended = is_mended || parts.is_none() || back != Some(head);
        let parts = parts.unwrap_or(held);
        Found::Block(Block { head, parts, body, is_mended })
    }

    /// Looks for the next head of either kind behind a place where there is none.
    fn search<D: Disk>(&mut self, disk: &mut D, file: &D::File) -> Result<Found, DiskError> {
        let mut at = self.at;
        while at < self.len {
            // A head that begins in this window may end in the next one.
            let to = self.len.min(at + (WINDOW_BYTES + HEAD_BYTES) as u64);
            let mut window = std::mem::take(&mut self.block);
            let answer = read(disk, file, at, to, &mut window);
            let hit = answer.map(|()| self.search_window(&window, at));
            self.block = window;
            if let Some((head, is_back)) = hit? {
                if is_back && head.at == self.at {
                    self.back = Some(head);
                    return Ok(self.next(disk, file)?.expect("a block begins here"));
                }
                let rotten = Rotten::unknown(self.at, head.at);
                self.at = head.at;
                self.back = is_back.then_some(head);
                return Ok(Found::Rotten(rotten));
            }
            at += WINDOW_BYTES as u64;
        }
        let rotten = Rotten::unknown(self.at, self.len);
        self.at = self.len;
        Ok(Found::Rotten(rotten))
    }

    fn search_window(&self, window: &[u8], window_at: u64) -> Option<(Head, bool)> {
        let starts =
            memchr::memchr_iter(FRONT[0], window).take_while(|start| *start < WINDOW_BYTES);
        for start in starts {
            let (bytes, at) = (&window[start..], window_at + start as u64);
            if let Some(head) = Head::parse(bytes, FRONT, self.salt, self.segment)
                && head.at == at
            {
                return Some((head, false));
            }
            if let Some(head) = Head::parse(bytes, BACK, self.salt, self.segment)
                && head.at >= self.at
                && head.end() == at + HEAD_BYTES as u64
            {
                return Some((head, true));
            }
        }
        None
    }
}

const _: () = assert!(FRONT[0] == BACK[0], "both are looked for at once");

/// Reads a stretch of a file into `bytes`, which then hold what there is of it.
fn read<D: Disk>(
    disk: &mut D,
    file: &D::File,
    from: u64,
    to: u64,
    bytes: &mut Vec<u8>,
) -> Result<(), DiskError> {
    bytes.clear();
    bytes.resize(usize::try_from(to - from).expect("a block is bounded"), 0);
    let read = disk.read_at(file, from, bytes)?;
    bytes.truncate(read);
    Ok(())
}
