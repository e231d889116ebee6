//! How much room a data folder has, how fast what is written there is on the disk, whose it is, and whether a server would open what is in it.
//!
//! Invariant: what is written for it is taken away again. Never touches what else is there.

use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::path::Path;

use crate::clock::Clock;
use crate::history::log;
use crate::history::log::FolderError;
use crate::history::log::Manifest;
use crate::store::Files;
use crate::store::Lock;

/// What was found.
#[derive(Debug)]
pub(super) struct Storage {
    /// Bytes that may still be written.
    pub(super) free: u64,
    /// Microseconds that a small write takes to be on the disk, of several the middle one.
    pub(super) sync_us: u64,
    /// Who has it.
    pub(super) holder: Option<String>,
    /// How it was left; `None`: there is no history in it yet.
    pub(super) left: Result<Option<Manifest>, FolderError>,
}

/// The folder itself, or what there is of the way to it: whoever needs it makes the rest.
pub(super) fn nearest(folder: &Path) -> &Path {
    let there = folder.ancestors().find(|path| path.is_dir());
    there.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Writes that are timed.
const WRITES: usize = 9;
/// Bytes of each.
const WRITE_BYTES: usize = 4096;

pub(super) fn measure(folder: &Path, clock: Clock) -> io::Result<Storage> {
    let room = rustix::fs::statvfs(folder)?;
    let path = folder.join(format!(".fanwire-doctor-{}", std::process::id()));
    let timed = timed(&path, clock);
    let removed = std::fs::remove_file(&path);
    let sync_us = timed?;
    removed?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let (holder, left) = (Lock::holder(folder)?, log::glance(&mut Files::at(folder)));
    Ok(Storage { free, sync_us, holder, left })
}

fn timed(path: &Path, clock: Clock) -> io::Result<u64> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let mut taken_us = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let began_us = clock.mono_us();
        file.write_all(&[0; WRITE_BYTES])?;
        file.sync_data()?;
        taken_us.push(clock.mono_us() - began_us);
    }
    taken_us.sort_unstable();
    Ok(taken_us[WRITES / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_measured_and_left_as_it_was() {
        let folder = std::env::temp_dir().join(format!("fanwire-measured-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let found = measure(&folder, Clock::start()).unwrap();
        let left = std::fs::read_dir(&folder).unwrap().count();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(found.free > 0 && found.holder.is_none());
        assert!(matches!(found.left, Ok(None)), "{:?}", found.left);
        assert_eq!(left, 0);
        assert!(measure(&folder, Clock::start()).is_err(), "it is gone");
        assert_eq!(Some(nearest(&folder.join("a/b"))), folder.parent());
        assert_eq!(nearest(Path::new("not/there")), Path::new("."));
    }
}
