//! The sessions of a folder: what clients go on from after a restart, each under a name, replaced as a whole.
//!
//! They lie in one file, `sessions`, to which groups of them are appended: a group is there whole or not at all. Invariants: what was synced is read back; what only a kill can have done to the last
//! group, or a power cut to those behind the last sync, is cut; where anything else cannot be read, or the file is of another number of shards, of other durable topics or of another version, *no* session is read at all, since one that is
//! older than what its client knows would tell things twice. Who has none hears so. Never looks into what is kept.

use std::collections::HashMap;
use std::fmt;

use super::bytes::Taker;
use super::bytes::checksum;
use super::bytes::put_run;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::read_small;
use super::ledger::NotKept;
use crate::limits::SESSION_NAME_BYTES_MAX;
use crate::limits::SESSION_RECORD_BYTES_MAX;
use crate::limits::SESSION_SPOT_BYTES;
use crate::limits::SESSIONS_GROUP_BYTES_MAX;

/// The file's name.
pub const SESSIONS_NAME: &str = "sessions";
/// The file's first bytes; the last of them is its version.
const MAGIC: &[u8; 4] = b"FwS\x01";
/// Bytes before the first group: the magic, of which server it is, a checksum of both.
const HEAD_BYTES: usize = 16;
/// Bytes before what a group holds: how many these are, a checksum of that, and one of them.
const FRAME_BYTES: usize = 12;

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    pub name: Box<str>,
    /// What its client goes on from; `None`: it has ended.
    pub bytes: Option<Box<[u8]>>,
}

/// Where a session lies, and how many bytes it has there.
#[derive(Clone, Copy, Debug)]
struct LeftSpot {
    at: u64,
    bytes: u32,
}

/// How much is kept, and of what.
#[derive(Clone, Copy, Debug)]
pub struct SessionBounds {
    /// Bytes of all sessions, each with [`SESSION_SPOT_BYTES`] beside its name and what is kept of it; the file has at most twice as many.
    pub bytes_max: u64,
    /// Bytes of the table that finds them: of each its name and [`SESSION_SPOT_BYTES`].
    pub table_bytes_max: usize,
    /// A number that two servers share only if they have the same shards and the same durable topics: positions of another one's mean nothing.
    pub shape: u64,
    /// The machine lost power: any group that was not synced may be there in part.
    pub lost_power: bool,
}

/// Why sessions that were kept are not gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsFault {
    /// The sessions are of a server with other shards or other durable topics, or of another version.
    Foreign,
    /// What stands here, in bytes, cannot be read.
    Rotten { at: usize },
    /// There are more than there may be.
    Large,
}

impl fmt::Display for SessionsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str(
                "they are of a server with another number of shards or other durable topics, or of another version",
            ),
            Self::Rotten { at } => write!(f, "`{SESSIONS_NAME}` is rotten at byte {at}"),
            Self::Large => f.write_str("there are more of them than there is memory for"),
        }
    }
}

/// A session's name, and what its client goes on from.
pub type KeptSession = (Box<str>, Box<[u8]>);

/// What was found at the start.
#[derive(Debug, Default)]
pub struct SessionsFound {
    /// Name and what is kept of each, in no order.
    pub sessions: Vec<KeptSession>,
    /// There were some, and none of them is read.
    pub fault: Option<SessionsFault>,
}

/// Sessions of an open folder.
#[derive(Debug)]
pub struct Sessions<F> {
    salt: u32,
    bounds: SessionBounds,
    /// `None`: there is none, or it is to be written anew before anything is appended.
    file: Option<F>,
    len: u64,
    spots: HashMap<Box<str>, LeftSpot>,
    /// Bytes of all sessions, and of what finds them.
    bytes: u64,
    table_bytes: usize,
}

/// The file's name until it is whole.
fn new_name() -> String {
    format!("{SESSIONS_NAME}.new")
}

/// Takes away what was begun and is not whole.
fn remove_new<D: Disk>(disk: &mut D) -> Result<(), DiskError> {
    match disk.remove(&new_name()) {
        Ok(()) | Err(DiskError::Missing) => Ok(()),
        Err(error) => Err(error),
    }
}

fn weight(name: &str, bytes: usize) -> u64 {
    (SESSION_SPOT_BYTES + name.len() + bytes) as u64
}

fn put_head(out: &mut Vec<u8>, salt: u32, shape: u64) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&shape.to_le_bytes());
    let sum = checksum(salt, out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// A checksum that is good at its own place only.
fn sum_of(salt: u32, at: u64, said: &[u8]) -> u32 {
    checksum(checksum(salt, &at.to_le_bytes()), said)
}

/// Puts a group that is to lie at a place.
fn put_group(out: &mut Vec<u8>, (salt, at): (u32, u64), said: &[u8]) {
    let count = u32::try_from(said.len()).expect("groups are bounded").to_le_bytes();
    out.extend_from_slice(&count);
    out.extend_from_slice(&sum_of(salt, at, &count).to_le_bytes());
    out.extend_from_slice(&sum_of(salt, at, said).to_le_bytes());
    out.extend_from_slice(said);
}

/// Puts a session into a group; where in it what is kept begins.
fn put_record(out: &mut Vec<u8>, name: &str, bytes: Option<&[u8]>) -> usize {
    put_run(out, name.as_bytes());
    out.push(u8::from(bytes.is_some()));
    let Some(bytes) = bytes else { return out.len() };
    put_run(out, bytes);
    out.len() - bytes.len()
}

/// A session of a group, and where what is kept of it begins.
type Taken<'a> = (&'a str, Option<(usize, &'a [u8])>);

/// Takes the sessions of a group.
fn take_records(said: &[u8]) -> Option<Vec<Taken<'_>>> {
    let mut taker = Taker(said);
    let mut taken = Vec::new();
    while !taker.is_empty() {
        let name = taker.text(SESSION_NAME_BYTES_MAX)?;
        let kept = match taker.byte()? {
            0 => None,
            1 => {
                let bytes = taker.run(SESSION_RECORD_BYTES_MAX)?;
                Some((said.len() - taker.0.len() - bytes.len(), bytes))
            }
            _ => return None,
        };
        taken.push((name, kept));
    }
    Some(taken)
}

/// What lies at a place.
enum At<'a> {
    /// A group, and where the next one is.
    Group(&'a [u8], usize),
    /// A part of one, with nothing behind it: a process was killed while it wrote.
    Torn,
    /// Something else.
    Rotten,
}

fn group_at(bytes: &[u8], at: usize, salt: u32) -> At<'_> {
    let mut taker = Taker(bytes.get(at..).unwrap_or_default());
    let Some(count) = taker.bytes(4) else { return At::Torn };
    let (Some(head_sum), Some(sum)) = (taker.u32(), taker.u32()) else { return At::Torn };
    if sum_of(salt, at as u64, count) != head_sum {
        return At::Rotten;
    }
    let count = Taker(count).u32().map_or(0, |count| count as usize);
    let Some(said) = taker.bytes(count) else { return At::Torn };
    match sum_of(salt, at as u64, said) == sum {
        true => At::Group(said, at + FRAME_BYTES + count),
        false => At::Rotten,
    }
}

impl<F: fmt::Debug> Sessions<F> {
    /// Reads what is there. Nothing is written before something is to be kept.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open<D: Disk<File = F>>(
        disk: &mut D,
        salt: u32,
        bounds: SessionBounds,
    ) -> Result<(Self, SessionsFound), DiskError> {
        let spots = HashMap::new();
        let mut sessions =
            Self { salt, bounds, file: None, len: 0, spots, bytes: 0, table_bytes: 0 };
        let file_bytes_max = usize::try_from(sessions.file_bytes_max()).unwrap_or(usize::MAX);
        let mut found = SessionsFound::default();
        let Some(bytes) = read_small(disk, ("", SESSIONS_NAME), usize::MAX)? else {
            return Ok((sessions, found));
        };
        let read = match bytes.len() > file_bytes_max {
            true => Err(SessionsFault::Large),
            false => sessions.read(&bytes),
        };
        match read {
            Ok(()) => {
                let file = disk.open(SESSIONS_NAME)?;
                if sessions.len < bytes.len() as u64 {
                    disk.truncate(&file, sessions.len)?;
                }
                // Whoever was killed may have given it its name and not synced that: what is synced from now on is to be found.
                disk.sync(&file)?;
                disk.sync_folder("")?;
                sessions.file = Some(file);
                let lying = sessions.spots.iter().map(|(name, spot)| {
                    let (at, count) = (usize::try_from(spot.at).unwrap_or(0), spot.bytes as usize);
                    (name.clone(), bytes.get(at..at + count).unwrap_or_default().into())
                });
                found.sessions = lying.collect();
            }
            Err(fault) => {
                found.fault = Some(fault);
                (sessions.len, sessions.bytes, sessions.table_bytes) = (0, 0, 0);
                sessions.spots.clear();
            }
        }
        Ok((sessions, found))
    }

    /// Bytes that the file may have.
    const fn file_bytes_max(&self) -> u64 {
        HEAD_BYTES as u64 + 2 * self.bounds.bytes_max + SESSIONS_GROUP_BYTES_MAX as u64
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), SessionsFault> {
        let mut head = Vec::new();
        put_head(&mut head, self.salt, self.bounds.shape);
        if bytes.get(..HEAD_BYTES) != Some(&head[..]) {
            return Err(SessionsFault::Foreign);
        }
        let mut at = HEAD_BYTES;
        while at < bytes.len() {
            let (said, end) = match group_at(bytes, at, self.salt) {
                At::Group(said, end) => (said, end),
                At::Torn => break,
                At::Rotten if self.bounds.lost_power => break,
                At::Rotten => return Err(SessionsFault::Rotten { at }),
            };
            let taken = take_records(said).ok_or(SessionsFault::Rotten { at })?;
            for (name, kept) in taken {
                let spot = kept.map(|(place, bytes)| (at + FRAME_BYTES + place, bytes.len()));
                self.place(name, spot);
            }
            at = end;
        }
        self.len = at as u64;
        Ok(())
    }

    /// A session lies there from now on, in place of where it lay before, or nowhere.
    fn place(&mut self, name: &str, spot: Option<(usize, usize)>) {
        if let Some(before) = self.spots.remove(name) {
            self.bytes -= weight(name, before.bytes as usize);
            self.table_bytes -= SESSION_SPOT_BYTES + name.len();
        }
        if let Some((at, bytes)) = spot {
            self.bytes += weight(name, bytes);
            self.table_bytes += SESSION_SPOT_BYTES + name.len();
            let bytes = u32::try_from(bytes).expect("they are bounded");
            self.spots.insert(name.into(), LeftSpot { at: at as u64, bytes });
        }
    }

    /// How many there are, and their bytes.
    #[must_use]
    pub fn held(&self) -> (usize, u64) {
        (self.spots.len(), self.bytes)
    }

    /// Keeps sessions in their order, all of them or none: when it answers they survive the end of the process, and with `wants_sync` the loss of power. They take [`SESSIONS_GROUP_BYTES_MAX`]
    /// at most.
    ///
    /// # Errors
    /// There is no room for them, here or on the disk; or the disk fails.
    pub fn keep<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        records: &[SessionRecord],
        wants_sync: bool,
    ) -> Result<(), NotKept> {
        if !self.has_room_for(records) {
            return Err(NotKept::Crowded);
        }
        let mut said = Vec::new();
        let mut places = Vec::with_capacity(records.len());
        for SessionRecord { name, bytes } in records {
            let place = put_record(&mut said, name, bytes.as_deref());
            places.push(bytes.as_ref().map(|bytes| (place, bytes.len())));
        }
        if self.file.is_none() || self.is_long_with(said.len()) {
            let written = self.write_anew(disk);
            if matches!(written, Err(DiskError::Full)) {
                // What was begun takes room that others need.
                remove_new(disk)?;
            }
            written?;
        }
        let mut group = Vec::with_capacity(FRAME_BYTES + said.len());
        put_group(&mut group, (self.salt, self.len), &said);
        let file = self.file.as_ref().expect("it was made");
        if let Err(error) = disk.write_at(file, self.len, &group) {
            if matches!(error, DiskError::Full) {
                disk.truncate(file, self.len)?;
            }
            return Err(error.into());
        }
        if wants_sync {
            disk.sync(file)?;
        }
        let begins = usize::try_from(self.len).unwrap_or(usize::MAX) + FRAME_BYTES;
        self.len += group.len() as u64;
        for (record, place) in records.iter().zip(places) {
            self.place(&record.name, place.map(|(place, bytes)| (begins + place, bytes)));
        }
        Ok(())
    }

    fn has_room_for(&self, records: &[SessionRecord]) -> bool {
        let kept_bytes = |record: &SessionRecord| record.bytes.as_ref().map(|bytes| bytes.len());
        let fits = |record: &SessionRecord| {
            record.name.len() <= SESSION_NAME_BYTES_MAX
                && kept_bytes(record).unwrap_or(0) <= SESSION_RECORD_BYTES_MAX
        };
        // One that is named twice counts twice, which is too much and never too little; what ends makes room for what comes behind it only.
        let (mut bytes, mut table_bytes) = (0, 0);
        for record in records {
            let (Some(count), known) = (kept_bytes(record), self.spots.get(&record.name)) else {
                continue;
            };
            let before = known.map_or(0, |spot| weight(&record.name, spot.bytes as usize));
            bytes += weight(&record.name, count).saturating_sub(before);
            table_bytes += if known.is_some() { 0 } else { SESSION_SPOT_BYTES + record.name.len() };
        }
        records.iter().all(fits)
            && (bytes == 0 || self.bytes + bytes <= self.bounds.bytes_max)
            && (table_bytes == 0 || self.table_bytes + table_bytes <= self.bounds.table_bytes_max)
    }

    /// Whether the file is to be written anew before so many bytes are appended: more of it is old than not.
    fn is_long_with(&self, more: usize) -> bool {
        let lying = self.bytes.max(SESSIONS_GROUP_BYTES_MAX as u64);
        self.len + (more + FRAME_BYTES) as u64 > HEAD_BYTES as u64 + 2 * lying
    }

    /// Puts what there is in place of the file, group by group.
    fn write_anew<D: Disk<File = F>>(&mut self, disk: &mut D) -> Result<(), DiskError> {
        remove_new(disk)?;
        let new = new_name();
        let file = disk.create(&new)?;
        let mut out = Vec::new();
        put_head(&mut out, self.salt, self.bounds.shape);
        disk.write_at(&file, 0, &out)?;
        let (mut len, mut spots) = (out.len() as u64, HashMap::with_capacity(self.spots.len()));
        let (mut said, mut placed) = (Vec::new(), Vec::new());
        let mut lying = self.spots.iter().peekable();
        while let Some((name, spot)) = lying.next() {
            let before = self.file.as_ref().expect("what lies there lies in a file");
            let mut bytes = vec![0; spot.bytes as usize];
            if disk.read_at(before, spot.at, &mut bytes)? < bytes.len() {
                return Err(DiskError::Missing);
            }
            placed.push((name.clone(), put_record(&mut said, name, Some(&bytes)), spot.bytes));
            if said.len() >= SESSIONS_GROUP_BYTES_MAX / 2 || lying.peek().is_none() {
                out.clear();
                put_group(&mut out, (self.salt, len), &said);
                disk.write_at(&file, len, &out)?;
                for (name, place, bytes) in placed.drain(..) {
                    spots.insert(name, LeftSpot { at: len + (FRAME_BYTES + place) as u64, bytes });
                }
                len += out.len() as u64;
                said.clear();
            }
        }
        disk.sync(&file)?;
        disk.rename(&new, SESSIONS_NAME)?;
        disk.sync_folder("")?;
        (self.file, self.len, self.spots) = (Some(file), len, spots);
        Ok(())
    }
}

const _: () = assert!(
    SESSIONS_GROUP_BYTES_MAX >= 2 * (SESSION_RECORD_BYTES_MAX + SESSION_NAME_BYTES_MAX + 32)
);
