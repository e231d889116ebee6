//! A folder of real files.
//!
//! Invariants: `sync` is `fdatasync` and `sync_folder` is `fsync` of the folder; neither is ever tried twice. Want of room (`ENOSPC`, `EDQUOT`) is
//! told from every other failure. Never follows a name out of its folder: names are the log's own.

use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;

use crate::history::log::Disk;
use crate::history::log::DiskError;

/// A folder.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// The folder of this name, which is there.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

/// The machine's boot, as the kernel names it; empty where it does not.
#[must_use]
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn told(error: io::Error) -> DiskError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskError::Full,
        io::ErrorKind::NotFound => DiskError::Missing,
        _ => DiskError::Failed(error),
    }
}

impl Disk for Files {
    type File = File;

    fn make_folder(&mut self, name: &str) -> Result<(), DiskError> {
        match fs::create_dir(self.root.join(name)) {
            Ok(()) => self.sync_folder(""),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(told(error)),
        }
    }

    fn create(&mut self, name: &str) -> Result<File, DiskError> {
        File::create_new(self.root.join(name)).map_err(told)
    }

    fn open(&mut self, name: &str) -> Result<File, DiskError> {
        let path = self.root.join(name);
        match File::options().read(true).write(true).open(&path) {
            // What is only looked at may lie where nothing can be written.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                File::open(&path).map_err(told)
            }
            opened => opened.map_err(told),
        }
    }

    fn len(&mut self, file: &File) -> Result<u64, DiskError> {
        file.metadata().map(|found| found.len()).map_err(told)
    }

    fn read_at(&mut self, file: &File, at: u64, bytes: &mut [u8]) -> Result<usize, DiskError> {
        let mut read = 0;
        while read < bytes.len() {
            match file.read_at(&mut bytes[read..], at + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(told(error)),
            }
        }
        Ok(read)
    }

    fn write_at(&mut self, file: &File, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        file.write_all_at(bytes, at).map_err(told)
    }

    fn truncate(&mut self, file: &File, bytes: u64) -> Result<(), DiskError> {
        file.set_len(bytes).map_err(told)
    }

    fn sync(&mut self, file: &File) -> Result<(), DiskError> {
        file.sync_data().map_err(told)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        fs::rename(self.root.join(from), self.root.join(to)).map_err(told)
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        fs::remove_file(self.root.join(name)).map_err(told)
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, DiskError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(folder)).map_err(told)? {
            // A name that is no text is none of ours.
            if let Ok(name) = entry.map_err(told)?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_folder(&mut self, folder: &str) -> Result<(), DiskError> {
        let folder = File::open(self.root.join(folder)).map_err(told)?;
        folder.sync_all().map_err(told)
    }
}
