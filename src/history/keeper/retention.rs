//! What need not be kept any more is let go of, a segment at a time, and a full disk is tried again.
//!
//! Invariant: a step takes no longer than one segment's last events take to be written anew. Want of room is no error here: the segment stays for now.

use super::Keeper;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::limits::STORE_PROBE_BYTES;
use crate::limits::STORE_TIDY_US;

/// The file that is written to see whether there is room again.
const PROBE_NAME: &str = "probe.new";

impl<D: Disk> Keeper<D> {
    /// Lets go of a segment, if one may go; false: there was nothing to do.
    pub(super) fn tidy(&mut self, (now_us, wall_us): (u64, u64)) -> Result<bool, DiskError> {
        for kept in &mut self.kept {
            match kept.log.let_go(&mut self.disk, wall_us) {
                Ok(true) => {
                    kept.shelf.forget(kept.log.carried().upto);
                    self.figures.segments_let_go += 1;
                    return Ok(true);
                }
                Ok(false) | Err(DiskError::Full) => {}
                Err(error) => return Err(error),
            }
        }
        if self.figures.is_full == 1 && self.probe()? {
            self.figures.is_full = 0;
        }
        self.tidy_us = now_us.saturating_add(STORE_TIDY_US);
        Ok(false)
    }

    /// Whether there is room again: nobody publishes to a server that says that it is not ready.
    fn probe(&mut self) -> Result<bool, DiskError> {
        let disk = &mut self.disk;
        // Left by a process that was killed.
        match disk.remove(PROBE_NAME) {
            Ok(()) | Err(DiskError::Missing) => {}
            Err(error) => return Err(error),
        }
        let written = match disk.create(PROBE_NAME) {
            Ok(file) => disk.write_at(&file, 0, &vec![0; STORE_PROBE_BYTES]),
            Err(error) => Err(error),
        };
        match disk.remove(PROBE_NAME) {
            Ok(()) | Err(DiskError::Missing) => {}
            Err(error) => return Err(error),
        }
        match written {
            Ok(()) => Ok(true),
            Err(DiskError::Full) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
