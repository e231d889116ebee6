//! The ledger of a folder: small notes that outlast a restart, each a name and a number that only ever rises. Revocations are such notes.
//!
//! It lies there in two copies, `ledger` and `ledger.copy`, which are appended to one after the other: each is synced before the next is touched, and a note is kept once
//! both are. Invariants: a note that was kept is read back, whatever one of the copies has become; what only a power cut can have done to the end is cut; anything else that cannot
//! be read in either copy is an error, and never a note less. Notes of one name are merged, so that which one was written first does not matter.

use std::collections::HashMap;
use std::fmt;

use super::bytes::Taker;
use super::bytes::checksum;
use super::bytes::put_varint;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::read_small;
use super::disk::replace;
use crate::limits::LEDGER_BYTES_MAX;
use crate::limits::LEDGER_NAME_BYTES_MAX;
use crate::limits::LEDGER_NOTE_BYTES;

/// The ledger, and its copy.
pub const LEDGER_NAMES: [&str; 2] = ["ledger", "ledger.copy"];
/// The first bytes of a ledger.
const MAGIC: &[u8; 4] = b"FwL\x01";
/// Bytes before the first note: the magic, the generation, a checksum of both.
const HEAD_BYTES: usize = 16;
/// Bytes before what a note says: how many these are, and a checksum.
const FRAME_BYTES: usize = 8;
/// Bytes of a note that is written, besides its name: the frame and two varints.
const WRITTEN_BYTES_MAX: usize = FRAME_BYTES + 20;

/// Something that outlasts a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub name: Box<str>,
    /// Only ever rises.
    pub value: u64,
    /// Seconds since 1970 from which the time counts after which it is forgotten; `u64::MAX`: never. Only ever rises.
    pub until_s: u64,
}

/// Why a ledger is of no use: whoever started without it would let in whom it keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerFault {
    /// What stands here, in bytes, cannot be read in either copy.
    Rotten { at: usize },
    /// The ledger holds more than there is memory for.
    Large { bytes: usize, bytes_max: usize },
}

impl fmt::Display for LedgerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = LEDGER_NAMES;
        match self {
            Self::Rotten { at } => write!(
                f,
                "what was revoked cannot be read: `{one}` and `{other}` are rotten at byte {at}; change the keys that tokens are signed with, take both files away, and start again"
            ),
            Self::Large { bytes, bytes_max } => write!(
                f,
                "what was revoked takes {bytes} bytes, and there is memory for {bytes_max}: raise `memory.bytes_max`"
            ),
        }
    }
}

impl std::error::Error for LedgerFault {}

/// Why a ledger could not be read.
#[derive(Debug)]
pub enum LedgerError {
    Fault(LedgerFault),
    Disk(DiskError),
}

impl From<DiskError> for LedgerError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Why a note was not kept. What was kept before is.
#[derive(Debug)]
pub enum NotKept {
    /// As many notes are there as there may be, and none of them is to be forgotten yet.
    Crowded,
    /// `Full`, or what the disk says after which nobody knows what lies on it.
    Disk(DiskError),
}

impl From<DiskError> for NotKept {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Notes by name: the number, and from when they count.
type Notes = HashMap<Box<str>, (u64, u64)>;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct LedgerBounds {
    /// Bytes of notes, each with [`LEDGER_NOTE_BYTES`] beside its name.
    pub bytes_max: usize,
    /// Seconds after its own time after which a note is forgotten; `None`: never.
    pub kept_s: Option<u64>,
}

impl LedgerBounds {
    /// As many as any server may keep, and none is over.
    pub(super) const FOREVER: Self = Self { bytes_max: LEDGER_BYTES_MAX, kept_s: None };

    /// Bytes that a copy may have: as much again as the notes take, so that it is seldom written anew.
    const fn file_bytes_max(&self) -> usize {
        HEAD_BYTES + 2 * self.bytes_max
    }

    fn is_over(&self, until_s: u64, now_s: u64) -> bool {
        self.kept_s.is_some_and(|kept_s| until_s.saturating_add(kept_s) < now_s)
    }
}

/// A ledger that is open for writing.
#[derive(Debug)]
pub struct Ledger<F> {
    salt: u32,
    bounds: LedgerBounds,
    notes: Notes,
    /// Bytes of all notes.
    bytes: usize,
    generation: u64,
    /// The ledger's two copies, alike up to `len`; `None`: there are none, or they are to be written anew before anything is appended.
    files: Option<[F; 2]>,
    len: u64,
}

/// What was read of a ledger.
#[derive(Debug, Default)]
pub struct LedgerFound {
    notes: Notes,
    generation: u64,
    /// Bytes that both copies have alike; `None`: there is none, or they are not alike to the end.
    alike: Option<usize>,
    /// One of the copies could not be read to its end, or is not there.
    pub is_mended: bool,
}

impl LedgerFound {
    /// How many notes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.notes.len()
    }
}

/// Reads a ledger without changing anything.
///
/// # Errors
/// The ledger is rotten in both copies, or the disk fails.
pub fn read_ledger<D: Disk>(disk: &mut D, salt: u32) -> Result<LedgerFound, LedgerError> {
    let mut copies = Vec::new();
    let mut is_there = false;
    for name in LEDGER_NAMES {
        match read_small(disk, ("", name), usize::MAX)? {
            Some(bytes) => {
                is_there = true;
                // One that nobody can have written is not looked into.
                let is_ours = bytes.len() <= LedgerBounds::FOREVER.file_bytes_max();
                let generation = is_ours.then(|| generation_of(&bytes, salt)).flatten();
                copies.push(generation.map(|generation| (generation, bytes)));
            }
            None => copies.push(None),
        }
    }
    let found = match <[_; 2]>::try_from(copies).expect("there are two names") {
        [None, None] if is_there => return Err(LedgerError::Fault(LedgerFault::Rotten { at: 0 })),
        [None, None] => LedgerFound::default(),
        [Some((one, first)), Some((other, second))] if one == other => {
            LedgerFound { generation: one, ..both(&first, &second, salt)? }
        }
        copies => one_of(copies, salt)?,
    };
    Ok(found)
}

/// Of two copies that are not of one generation the newer one, if it is whole: nothing is appended to it before the older one is as new.
fn one_of(copies: [Option<(u64, Vec<u8>)>; 2], salt: u32) -> Result<LedgerFound, LedgerError> {
    let mut copies: Vec<(u64, Vec<u8>)> = copies.into_iter().flatten().collect();
    copies.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
    let generation = copies.iter().map(|(generation, _)| *generation).max().unwrap_or(0);
    let mut rotten = LedgerFault::Rotten { at: 0 };
    for (_, bytes) in copies {
        let mut notes = Notes::new();
        let mut at = HEAD_BYTES;
        while let Some((note, end)) = note_at(&bytes, at, salt) {
            merge(&mut notes, note);
            at = end;
        }
        if at == bytes.len() {
            return Ok(LedgerFound { notes, generation, alike: None, is_mended: true });
        }
        rotten = LedgerFault::Rotten { at };
    }
    Err(LedgerError::Fault(rotten))
}

/// Reads both copies of one generation: each stands in for what the other has lost.
fn both(first: &[u8], second: &[u8], salt: u32) -> Result<LedgerFound, LedgerError> {
    let mut found = LedgerFound::default();
    let mut at = HEAD_BYTES;
    loop {
        let (note, end) = match (note_at(first, at, salt), note_at(second, at, salt)) {
            (Some(one), Some(other)) if one == other => one,
            (Some(only), None) | (None, Some(only)) => {
                found.is_mended = true;
                only
            }
            (None, None) if first.len() <= at && second.len() <= at => {
                found.alike = (!found.is_mended).then_some(at);
                return Ok(found);
            }
            // The first copy is written and synced before the second one is touched: a power cut in between leaves this, and nobody was told.
            (None, None) if first.len() > at && second.len() <= at => {
                found.is_mended = true;
                return Ok(found);
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(LedgerError::Fault(LedgerFault::Rotten { at }));
            }
        };
        merge(&mut found.notes, note);
        at = end;
    }
}

/// A note joins those of its name.
fn merge(notes: &mut Notes, note: Note) {
    let known = notes.entry(note.name).or_default();
    *known = (known.0.max(note.value), known.1.max(note.until_s));
}

fn weight(name: &str) -> usize {
    LEDGER_NOTE_BYTES + name.len()
}

fn generation_of(bytes: &[u8], salt: u32) -> Option<u64> {
    let mut taker = Taker(bytes);
    let is_ours = taker.bytes(MAGIC.len())? == MAGIC;
    let generation = taker.u64()?;
    let said = checksum(salt, bytes.get(..HEAD_BYTES - 4)?);
    (is_ours && taker.u32()? == said).then_some(generation)
}

fn put_head(out: &mut Vec<u8>, salt: u32, generation: u64) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&generation.to_le_bytes());
    let sum = checksum(salt, out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The checksum of a note: it is good at its own place only.
fn sum_of(salt: u32, at: u64, said: &[u8]) -> u32 {
    let place = checksum(salt, &at.to_le_bytes());
    checksum(checksum(place, &(said.len() as u64).to_le_bytes()), said)
}

/// Puts a note that is to lie at a place of its copy.
fn put_note(out: &mut Vec<u8>, (salt, at): (u32, u64), (name, value, until_s): (&str, u64, u64)) {
    let mut said = Vec::with_capacity(name.len() + 20);
    put_varint(&mut said, value);
    put_varint(&mut said, until_s);
    said.extend_from_slice(name.as_bytes());
    let bytes = u32::try_from(said.len()).expect("names are bounded");
    out.extend_from_slice(&bytes.to_le_bytes());
    out.extend_from_slice(&sum_of(salt, at, &said).to_le_bytes());
    out.extend_from_slice(&said);
}

/// The note at a place, and where the next one is; `None`: none can be read there.
fn note_at(bytes: &[u8], at: usize, salt: u32) -> Option<(Note, usize)> {
    let mut taker = Taker(bytes.get(at..)?);
    let count = usize::try_from(taker.u32()?).ok()?;
    let sum = taker.u32()?;
    let said = taker.bytes(count)?;
    if sum_of(salt, at as u64, said) != sum {
        return None;
    }
    let mut taker = Taker(said);
    let (value, until_s) = (taker.varint()?, taker.varint()?);
    let name = std::str::from_utf8(taker.0).ok()?;
    Some((Note { name: name.into(), value, until_s }, at + FRAME_BYTES + count))
}

impl<F: fmt::Debug> Ledger<F> {
    /// Reads what is there, forgets what is over, and makes both copies whole.
    ///
    /// # Errors
    /// The ledger is rotten in both copies, holds more than it may, or the disk fails. That the disk is full is none: what is there is read, and written anew with the next note.
    pub fn open<D: Disk<File = F>>(
        disk: &mut D,
        salt: u32,
        bounds: LedgerBounds,
        now_s: u64,
    ) -> Result<Self, LedgerError> {
        let found = read_ledger(disk, salt)?;
        let mut ledger = Self {
            salt,
            bounds,
            bytes: found.notes.keys().map(|name| weight(name)).sum(),
            notes: found.notes,
            generation: found.generation,
            files: None,
            len: 0,
        };
        let forgets = ledger.forget(now_s);
        if ledger.bytes > bounds.bytes_max {
            let (bytes, bytes_max) = (ledger.bytes, bounds.bytes_max);
            return Err(LedgerError::Fault(LedgerFault::Large { bytes, bytes_max }));
        }
        match found.alike {
            Some(len) if !forgets => {
                let [one, other] = LEDGER_NAMES;
                ledger.files = Some([disk.open(one)?, disk.open(other)?]);
                ledger.len = len as u64;
            }
            _ if found.is_mended || forgets => match ledger.write_anew(disk) {
                Ok(()) | Err(DiskError::Full) => {}
                Err(error) => return Err(error.into()),
            },
            _ => {}
        }
        Ok(ledger)
    }

    /// Every note, in no order.
    pub fn notes(&self) -> impl Iterator<Item = Note> {
        self.notes.iter().map(|(name, (value, until_s))| Note {
            name: name.clone(),
            value: *value,
            until_s: *until_s,
        })
    }

    /// Keeps notes, all of them or none: when it answers they survive the loss of power.
    ///
    /// # Errors
    /// There is no room for them, here or on the disk; or the disk fails.
    pub fn keep<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        notes: &[Note],
        now_s: u64,
    ) -> Result<(), NotKept> {
        let is_news = |note: &&Note| match self.notes.get(&note.name) {
            Some((value, until_s)) => note.value > *value || note.until_s > *until_s,
            None => true,
        };
        let news: Vec<&Note> = notes.iter().filter(is_news).collect();
        if news.is_empty() {
            return Ok(());
        }
        let is_over_long = |note: &&Note| note.name.len() > LEDGER_NAME_BYTES_MAX;
        if self.bytes_with(&news) > self.bounds.bytes_max {
            self.forget(now_s);
        }
        // Of what was forgotten some may be told anew.
        if self.bytes_with(&news) > self.bounds.bytes_max || news.iter().any(is_over_long) {
            return Err(NotKept::Crowded);
        }
        let mut said = Vec::new();
        for note in &news {
            let at = self.len + said.len() as u64;
            put_note(&mut said, (self.salt, at), (&note.name, note.value, note.until_s));
        }
        let is_room = self.len + said.len() as u64 <= self.bounds.file_bytes_max() as u64;
        match &self.files {
            Some(files) if is_room => {
                append(disk, files, self.len, &said)?;
                self.len += said.len() as u64;
                self.take(&news);
            }
            _ => self.keep_anew(disk, &news)?,
        }
        Ok(())
    }

    /// Bytes of all notes with some more.
    fn bytes_with(&self, news: &[&Note]) -> usize {
        let new = news.iter().filter(|note| !self.notes.contains_key(&note.name));
        self.bytes + new.map(|note| weight(&note.name)).sum::<usize>()
    }

    /// Writes both copies anew with further notes in them; without room these are not remembered either.
    fn keep_anew<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        news: &[&Note],
    ) -> Result<(), DiskError> {
        let before = (self.notes.clone(), self.bytes);
        self.take(news);
        let written = self.write_anew(disk);
        if written.is_err() {
            (self.notes, self.bytes) = before;
        }
        written
    }

    fn take(&mut self, news: &[&Note]) {
        for note in news {
            if !self.notes.contains_key(&note.name) {
                self.bytes += weight(&note.name);
            }
            merge(&mut self.notes, (*note).clone());
        }
    }

    /// Forgets what is over; whether there was any.
    fn forget(&mut self, now_s: u64) -> bool {
        let (before, bounds) = (self.notes.len(), self.bounds);
        self.notes.retain(|_, (_, until_s)| !bounds.is_over(*until_s, now_s));
        self.bytes = self.notes.keys().map(|name| weight(name)).sum();
        self.notes.len() < before
    }

    /// Puts what is remembered in place of both copies.
    fn write_anew<D: Disk<File = F>>(&mut self, disk: &mut D) -> Result<(), DiskError> {
        // Nothing is appended to a copy as long as the other is not of its generation.
        self.files = None;
        self.generation += 1;
        let mut out = Vec::with_capacity(self.bytes);
        put_head(&mut out, self.salt, self.generation);
        for (name, (value, until_s)) in &self.notes {
            let at = out.len() as u64;
            put_note(&mut out, (self.salt, at), (name, *value, *until_s));
        }
        for name in LEDGER_NAMES {
            replace(disk, ("", name), &out)?;
        }
        let [one, other] = LEDGER_NAMES;
        self.files = Some([disk.open(one)?, disk.open(other)?]);
        self.len = out.len() as u64;
        Ok(())
    }
}

/// Appends to both copies, one after the other. Without room what was written is taken back, and synced so: the second copy first, so that the end of both is never in doubt.
fn append<D: Disk>(
    disk: &mut D,
    files: &[D::File; 2],
    at: u64,
    said: &[u8],
) -> Result<(), DiskError> {
    for file in files {
        let written = disk.write_at(file, at, said);
        if let Err(DiskError::Full) = written {
            for file in files.iter().rev() {
                disk.truncate(file, at)?;
                disk.sync(file)?;
            }
        }
        written?;
        disk.sync(file)?;
    }
    Ok(())
}

const _: () = assert!(WRITTEN_BYTES_MAX <= LEDGER_NOTE_BYTES);
