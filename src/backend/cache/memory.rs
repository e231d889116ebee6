//! The cache in this process: answers by their keys, of which the longest unused go when there is no room.
//!
//! Invariants: it holds no more bytes than it may; what is too old is not handed out. Never asks what time it is.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::key::Key;
use crate::limits::CACHE_ENTRY_BYTES;

/// An answer that is kept.
#[derive(Debug)]
struct Entry {
    value: Box<[u8]>,
    /// When it was used last: a number that only rises.
    used: u64,
    until_ms: u64,
}

impl Entry {
    const fn bytes(&self) -> usize {
        self.value.len() + CACHE_ENTRY_BYTES
    }
}

/// Answers that are kept here.
#[derive(Debug)]
pub(super) struct Memory {
    by_key: HashMap<Key, Entry, foldhash::fast::RandomState>,
    /// The same, the longest unused first.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
    bytes_max: usize,
    ttl_ms: u64,
    evicted: u64,
}

impl Memory {
    /// Nothing, with room for so many bytes; what is put here is handed out for so long.
    pub(super) fn new(bytes_max: usize, ttl_ms: u64) -> Self {
        let (by_key, by_use) = (HashMap::default(), BTreeMap::new());
        Self { by_key, by_use, uses: 0, bytes: 0, bytes_max, ttl_ms, evicted: 0 }
    }

    /// What is kept under a key.
    pub(super) fn find(&mut self, key: &Key, now_ms: u64) -> Option<&[u8]> {
        if self.by_key.get(key)?.until_ms <= now_ms {
            self.remove(key);
            return None;
        }
        let entry = self.by_key.get_mut(key)?;
        self.by_use.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        self.by_use.insert(self.uses, *key);
        Some(&entry.value)
    }

    /// Keeps an answer, if it has room at all.
    pub(super) fn keep(&mut self, key: Key, value: Vec<u8>, now_ms: u64) {
        self.remove(&key);
        self.uses += 1;
        let entry = Entry { value: value.into(), used: self.uses, until_ms: now_ms + self.ttl_ms };
        if entry.bytes() > self.bytes_max {
            return;
        }
        self.bytes += entry.bytes();
        self.by_use.insert(entry.used, key);
        self.by_key.insert(key, entry);
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.by_use.first_key_value()
        {
            let oldest = *oldest;
            self.remove(&oldest);
            self.evicted += 1;
        }
    }

    /// Lets go of an answer.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.bytes();
            self.by_use.remove(&entry.used);
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn entries(&self) -> usize {
        self.by_key.len()
    }

    /// Answers that had to go for others.
    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        Key::of(&number.to_le_bytes())
    }

    fn room_for(count: usize, value_bytes: usize) -> usize {
        count * (CACHE_ENTRY_BYTES + value_bytes)
    }

    #[test]
    fn the_longest_unused_goes_when_there_is_no_room() {
        let mut memory = Memory::new(room_for(3, 100), 1000);
        for number in 1..=3 {
            memory.keep(key(number), vec![7; 100], 0);
        }
        assert_eq!((memory.bytes(), memory.entries()), (room_for(3, 100), 3));
        assert!(memory.find(&key(1), 0).is_some());
        memory.keep(key(4), vec![7; 100], 0);
        let is_there = [1, 2, 3, 4].map(|number| memory.find(&key(number), 0).is_some());
        assert_eq!(is_there, [true, false, true, true]);
        // A large one takes the place of several, and one that has no room at all of none.
        memory.keep(key(5), vec![7; 2 * 100 + CACHE_ENTRY_BYTES], 0);
        let is_there = [1, 3, 4, 5].map(|number| memory.find(&key(number), 0).is_some());
        assert_eq!(is_there, [false, false, true, true]);
        memory.keep(key(6), vec![7; room_for(3, 100)], 0);
        assert!(memory.find(&key(6), 0).is_none() && memory.find(&key(4), 0).is_some());
        assert_eq!((memory.bytes(), memory.evicted()), (room_for(3, 100), 3));
    }

    #[test]
    fn what_is_too_old_is_not_there() {
        let mut memory = Memory::new(1 << 20, 1000);
        memory.keep(key(1), vec![1], 500);
        assert_eq!(memory.find(&key(1), 1499), Some(&[1][..]));
        assert_eq!(memory.find(&key(1), 1500), None);
        assert_eq!((memory.bytes(), memory.entries()), (0, 0));
        memory.keep(key(1), vec![1], 1500);
        memory.keep(key(1), vec![2, 2], 2000);
        assert_eq!(memory.find(&key(1), 2999), Some(&[2, 2][..]));
        assert_eq!((memory.bytes(), memory.entries()), (CACHE_ENTRY_BYTES + 2, 1));
        memory.remove(&key(1));
        assert_eq!((memory.bytes(), memory.entries()), (0, 0));
    }
}
