//! What the log asks of a disk: a folder of files that are appended to, synced, replaced and unlinked.
//!
//! Invariants: what was written is read back at once, by whoever reads; it survives the loss of power only once `sync` of its file has
//! answered, and a file's name only once `sync_folder` has. A `sync` that failed is never tried again. The log itself does no I/O: real files, and the
//! disks of the tests that lose, tear and rot, stand behind this.

use std::fmt;
use std::io;

/// Why a disk did not do what it was asked to.
#[derive(Debug)]
pub enum DiskError {
    /// There is no room. What was asked may be done later; of a write a part may lie behind the end that the log knows of.
    Full,
    /// There is no file of that name.
    Missing,
    /// Anything else, in the system's words. What lies on the disk now is not known.
    Failed(io::Error),
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no space left on the device"),
            Self::Missing => f.write_str("there is no such file"),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for DiskError {}

/// A folder, and the files in it. Names are relative to it, with `/` between a folder and a file.
pub trait Disk {
    /// A file that is open for reading and writing.
    type File: fmt::Debug;

    /// Makes a folder, if it is not there already.
    ///
    /// # Errors
    /// What the disk says.
    fn make_folder(&mut self, name: &str) -> Result<(), DiskError>;

    /// Makes an empty file; one of that name must not be there.
    ///
    /// # Errors
    /// What the disk says.
    fn create(&mut self, name: &str) -> Result<Self::File, DiskError>;

    /// Opens a file that is there.
    ///
    /// # Errors
    /// `Missing`, or what the disk says.
    fn open(&mut self, name: &str) -> Result<Self::File, DiskError>;

    /// Bytes of a file.
    ///
    /// # Errors
    /// What the disk says.
    fn len(&mut self, file: &Self::File) -> Result<u64, DiskError>;

    /// Reads from a place on until `bytes` is full or the file ends; answers how many.
    ///
    /// # Errors
    /// What the disk says.
    fn read_at(&mut self, file: &Self::File, at: u64, bytes: &mut [u8])
    -> Result<usize, DiskError>;

    /// Writes all of `bytes` at a place.
    ///
    /// # Errors
    /// `Full`, and what the disk says; then any part of them may have been written.
    fn write_at(&mut self, file: &Self::File, at: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Cuts a file to a length.
    ///
    /// # Errors
    /// What the disk says.
    fn truncate(&mut self, file: &Self::File, bytes: u64) -> Result<(), DiskError>;

    /// Answers when what was written to a file survives the loss of power.
    ///
    /// # Errors
    /// What the disk says; nobody knows then what lies there.
    fn sync(&mut self, file: &Self::File) -> Result<(), DiskError>;

    /// Gives a file another name, in place of the file that has it.
    ///
    /// # Errors
    /// What the disk says.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Takes a file away.
    ///
    /// # Errors
    /// `Missing`, or what the disk says.
    fn remove(&mut self, name: &str) -> Result<(), DiskError>;

    /// Names in a folder (`""`: the outermost), in no order.
    ///
    /// # Errors
    /// `Missing`, or what the disk says.
    fn list(&mut self, folder: &str) -> Result<Vec<String>, DiskError>;

    /// Answers when names made, changed and taken away in a folder are so after the loss of power.
    ///
    /// # Errors
    /// What the disk says.
    fn sync_folder(&mut self, folder: &str) -> Result<(), DiskError>;
}

/// Puts a small file in place of another of its name, whole or not at all, whatever happens when.
///
/// # Errors
/// What the disk says; then the one before stays, or the new one is there.
pub(super) fn replace<D: Disk>(
    disk: &mut D,
    (folder, name): (&str, &str),
    bytes: &[u8],
) -> Result<(), DiskError> {
    let name = path(folder, name);
    let new = format!("{name}.new");
    match disk.remove(&new) {
        Ok(()) | Err(DiskError::Missing) => {}
        Err(error) => return Err(error),
    }
    let file = disk.create(&new)?;
    disk.write_at(&file, 0, bytes)?;
    disk.sync(&file)?;
    disk.rename(&new, &name)?;
    disk.sync_folder(folder)
}

/// All of a small file; `None`: it is not there, or larger than it may be.
pub(super) fn read_small<D: Disk>(
    disk: &mut D,
    (folder, name): (&str, &str),
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, DiskError> {
    let file = match disk.open(&path(folder, name)) {
        Ok(file) => file,
        Err(DiskError::Missing) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Ok(len) = usize::try_from(disk.len(&file)?) else { return Ok(None) };
    if len > bytes_max {
        return Ok(None);
    }
    let mut bytes = vec![0; len];
    let read = disk.read_at(&file, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// A file's name within its folder (`""`: the outermost).
pub(super) fn path(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
