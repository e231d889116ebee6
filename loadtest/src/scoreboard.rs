//! How many events each worker has heard, in a small file that the publisher reads: what a closed loop closes on.
//!
//! A file in the page cache is shared memory that needs no unsafe code: a write or read of eight bytes costs some 200 ns,
//! and a worker writes once per round of its loop, not per event. Invariant: each worker writes its own line only.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Workers stand a cache line apart.
const STRIDE: u64 = 64;

/// A worker's or the publisher's view.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    file: File,
}

impl Scoreboard {
    /// Makes the file, all zero.
    pub(crate) fn create(path: &Path, workers: u32) -> io::Result<()> {
        File::create(path)?.set_len(STRIDE * u64::from(workers.max(1)))
    }

    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        Ok(Self { file })
    }

    /// One worker's total.
    pub(crate) fn post(&self, worker: u32, events: u64) -> io::Result<()> {
        self.file.write_all_at(&events.to_le_bytes(), STRIDE * u64::from(worker))
    }

    /// The sum over all.
    pub(crate) fn total(&self, workers: u32) -> io::Result<u64> {
        let mut total = 0;
        for worker in 0..workers {
            let mut events = [0; 8];
            self.file.read_exact_at(&mut events, STRIDE * u64::from(worker))?;
            total += u64::from_le_bytes(events);
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up() {
        let path = std::env::temp_dir().join(format!("fanwire-load-test-{}", std::process::id()));
        Scoreboard::create(&path, 3).unwrap();
        let board = Scoreboard::open(&path).unwrap();
        board.post(0, 5).unwrap();
        board.post(2, 7).unwrap();
        board.post(2, 9).unwrap();
        assert_eq!(board.total(3).unwrap(), 14);
        std::fs::remove_file(&path).unwrap();
    }
}
