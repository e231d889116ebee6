//! A disk that keeps what was synced and nothing else, if it is told that the power went.
//!
//! Of what was written and not synced each sector may have arrived or not, in any order, and so may the newest length of a file; a name that was not synced with its folder may be
//! missing, or be the one before. What was synced is there, byte for byte, until a bit is flipped on purpose.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;

use fanwire::history::log::Disk;
use fanwire::history::log::DiskError;

use super::support::random::Random;

const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
}

/// The disk.
#[derive(Clone, Debug)]
pub(super) struct Sim {
    random: Random,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// Bytes that may still be written; beyond them it is full.
    pub(super) room: usize,
    /// Calls that change something until one fails for good.
    pub(super) fails_in: Option<u64>,
    /// Calls that change something until the process is killed: whatever is asked then fails, and a write may have been done in part.
    pub(super) killed_in: Option<u64>,
    pub(super) is_killed: bool,
    pub(super) writes: u64,
    pub(super) synced_bytes: u64,
    /// Bytes that were read.
    pub(super) reads: Cell<u64>,
}

impl Sim {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            room: usize::MAX,
            fails_in: None,
            killed_in: None,
            is_killed: false,
            writes: 0,
            synced_bytes: 0,
            reads: Cell::new(0),
        }
    }

    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) {
        self.inodes.push(Inode { now: bytes.to_vec(), synced: bytes.to_vec() });
        let inode = self.inodes.len() - 1;
        self.names.insert(name.to_owned(), inode);
        self.synced_names.insert(name.to_owned(), inode);
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        &self.inodes[self.names[name]].now
    }

    pub(super) fn synced_len(&self, name: &str) -> usize {
        let inode = &self.inodes[self.names[name]];
        inode.synced.len().min(inode.now.len())
    }

    /// Changes a bit for good.
    pub(super) fn flip(&mut self, name: &str, bit: usize) {
        let inode = &mut self.inodes[self.names[name]];
        for bytes in [&mut inode.now, &mut inode.synced] {
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    pub(super) fn bytes_mut(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.inodes[self.names[name]].now
    }

    /// The process is gone, the machine is not.
    pub(super) fn revive(&mut self) {
        (self.is_killed, self.killed_in, self.fails_in) = (false, None, None);
    }

    /// The power went: what was not synced is there in part.
    pub(super) fn lose_power(&mut self) {
        self.revive();
        let random = &mut self.random;
        // Names reach the disk in their order; how far is open.
        if random.one_in(2) {
            self.names.clone_from(&self.synced_names);
        } else {
            self.synced_names.clone_from(&self.names);
        }
        for inode in &mut self.inodes {
            let (old, new) = (&inode.synced, &inode.now);
            let lens = old.len().min(new.len())..=old.len().max(new.len());
            let len = match random.below(4) {
                0 => old.len(),
                1 => *lens.start() + random.below(lens.end() - lens.start() + 1),
                _ => new.len(),
            };
            // Sectors that were added and did not arrive hold zeros, or what stood there before.
            let kind = random.below(3);
            let mut bytes = vec![0; len];
            for (index, sector) in bytes.chunks_mut(SECTOR).enumerate() {
                let at = index * SECTOR;
                let end = at + sector.len();
                let is_same = old.get(at..end).is_some_and(|old| new.get(at..end) == Some(old));
                let from = if is_same || (kind > 0 && !random.one_in(3)) { new } else { old };
                let there = from.get(at..end.min(from.len())).unwrap_or_default();
                sector[..there.len()].copy_from_slice(there);
                // What is synced stays, whatever became of the rest of its sector.
                let kept = old.get(at..end.min(old.len())).unwrap_or_default();
                if new.get(at..at + kept.len()) == Some(kept) {
                    sector[..kept.len()].copy_from_slice(kept);
                }
            }
            inode.synced.clone_from(&bytes);
            inode.now = bytes;
        }
    }

    fn changes(&mut self) -> Result<(), DiskError> {
        self.writes += 1;
        if self.is_killed {
            return Err(DiskError::Failed(io::Error::other("killed")));
        }
        if let Some(left) = &mut self.killed_in {
            if *left == 0 {
                self.is_killed = true;
                return Err(DiskError::Failed(io::Error::other("killed")));
            }
            *left -= 1;
        }
        if let Some(left) = &mut self.fails_in {
            if *left == 0 {
                return Err(DiskError::Failed(io::Error::other("input/output error")));
            }
            *left -= 1;
        }
        Ok(())
    }
}

impl Disk for Sim {
    type File = usize;

    fn make_folder(&mut self, _name: &str) -> Result<(), DiskError> {
        self.changes()
    }

    fn create(&mut self, name: &str) -> Result<usize, DiskError> {
        self.changes()?;
        assert!(!self.names.contains_key(name), "{name} is there");
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(name.to_owned(), inode);
        Ok(inode)
    }

    fn open(&mut self, name: &str) -> Result<usize, DiskError> {
        self.names.get(name).copied().ok_or(DiskError::Missing)
    }

    fn len(&mut self, file: &usize) -> Result<u64, DiskError> {
        Ok(self.inodes[*file].now.len() as u64)
    }

    fn read_at(&mut self, file: &usize, at: u64, bytes: &mut [u8]) -> Result<usize, DiskError> {
        let there = self.inodes[*file].now.get(at as usize..).unwrap_or_default();
        let count = there.len().min(bytes.len());
        bytes[..count].copy_from_slice(&there[..count]);
        self.reads.set(self.reads.get() + count as u64);
        Ok(count)
    }

    fn write_at(&mut self, file: &usize, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let was_killed = self.is_killed;
        let answer = self.changes();
        // What is written over needs no room.
        let over = self.inodes[*file].now.len().saturating_sub(at as usize).min(bytes.len());
        let room = self.room.saturating_add(over);
        let part = match &answer {
            Ok(()) => bytes.len().min(room),
            Err(_) if was_killed => 0,
            Err(_) => self.random.below(bytes.len() + 1).min(room),
        };
        let now = &mut self.inodes[*file].now;
        let end = at as usize + part;
        if now.len() < end {
            now.resize(end, 0);
        }
        now[at as usize..end].copy_from_slice(&bytes[..part]);
        self.room -= part.saturating_sub(over);
        answer?;
        if part < bytes.len() { Err(DiskError::Full) } else { Ok(()) }
    }

    fn truncate(&mut self, file: &usize, bytes: u64) -> Result<(), DiskError> {
        self.changes()?;
        self.inodes[*file].now.truncate(bytes as usize);
        Ok(())
    }

    fn sync(&mut self, file: &usize) -> Result<(), DiskError> {
        self.changes()?;
        let inode = &mut self.inodes[*file];
        self.synced_bytes += inode.now.len() as u64;
        inode.synced.clone_from(&inode.now);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.changes()?;
        let inode = self.names.remove(from).ok_or(DiskError::Missing)?;
        self.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        if !self.names.contains_key(name) {
            return Err(DiskError::Missing);
        }
        self.changes()?;
        self.names.remove(name);
        Ok(())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, DiskError> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inside = self.names.keys().filter_map(|name| name.strip_prefix(&*prefix));
        Ok(inside.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn sync_folder(&mut self, folder: &str) -> Result<(), DiskError> {
        self.changes()?;
        let is_inside = |name: &str| match name.rsplit_once('/') {
            Some((parent, _)) => parent == folder,
            None => folder.is_empty(),
        };
        self.synced_names.retain(|name, _| !is_inside(name));
        let inside = self.names.iter().filter(|(name, _)| is_inside(name));
        self.synced_names.extend(inside.map(|(name, inode)| (name.clone(), *inode)));
        Ok(())
    }
}
