//! Standard output, and the file that remembers how far it has come.
//!
//! Invariants: the position is written after the lines that it covers, and never without them; the file is replaced whole, so a kill at
//! any moment leaves the old one or the new one. Where standard output is a file, what a killed run printed beyond its position is found
//! there and counted, and half a line is cut off: nothing is lost and nothing is printed twice. Into a pipe, the lines of one flush may
//! come twice if the kill falls between the two writes. Outlives a kill of the process, not of the machine: nothing is synced to disk.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::cli::limits::PRINTED_PENDING_BYTES_MAX;
use crate::client::message::Kind;
use crate::client::message::Message;
use crate::client::message::RawTold;
use crate::client::position::Progress;
use crate::client::position::Since;

/// Where lines go, and how far they have come.
#[derive(Debug)]
pub(crate) struct Journal {
    out: File,
    pending: Vec<u8>,
    pub(crate) progress: Progress,
    position: Option<PathBuf>,
    topics: Vec<String>,
    /// A topic could not be remembered: said once.
    pub(crate) forgetful: bool,
}

/// Why printing or remembering failed.
#[derive(Debug)]
pub(crate) enum JournalError {
    /// Nobody reads what we print any more: the end, and no mistake of anybody's.
    Unread,
    Print(io::Error),
    Save(PathBuf, io::Error),
    Load(PathBuf, io::Error),
    Unreadable(PathBuf, serde_json::Error),
    /// The position is one of other topics.
    OtherTopics(PathBuf, Vec<String>),
    Recover(PathBuf, io::Error),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread => write!(f, "nobody reads standard output any more"),
            Self::Print(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Save(path, error) => {
                write!(f, "cannot write the position to {}: {error}", path.display())
            }
            Self::Load(path, error) => {
                write!(f, "cannot read the position in {}: {error}", path.display())
            }
            Self::Unreadable(path, error) => {
                write!(f, "{} holds no position: {error}", path.display())
            }
            Self::OtherTopics(path, topics) => {
                write!(
                    f,
                    "{} is a position in other topics: {}; name another file",
                    path.display(),
                    topics.join(" ")
                )
            }
            Self::Recover(path, error) => {
                write!(
                    f,
                    "cannot find in {} what was printed beyond the position: {error}",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for JournalError {}

/// The file's contents.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    topics: Vec<String>,
    #[serde(flatten)]
    progress: Progress,
    /// Where the lines went that it covers, if that is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    printed: Option<Printed>,
}

/// A file of printed lines, and how long it was.
#[derive(Debug, Serialize, Deserialize)]
struct Printed {
    path: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
}

impl Journal {
    /// Prints to `out`, beginning at `since`, or at the position in the file if there is one.
    pub(crate) fn open(
        out: File,
        topics: Vec<String>,
        since: Since,
        position: Option<PathBuf>,
    ) -> Result<Self, JournalError> {
        let progress = Progress::new(since);
        let mut journal =
            Self { out, pending: Vec::new(), progress, position, topics, forgetful: false };
        if let Some(path) = journal.position.clone() {
            journal.load(&path)?;
        }
        Ok(journal)
    }

    /// Takes a line to be printed, unless it was printed before. Answers whether it was taken.
    pub(crate) fn print(&mut self, told: &RawTold<'_>) -> Result<bool, JournalError> {
        if told.kind != Kind::Skipped && self.progress.has_seen(&told.topic, told.offset) {
            return Ok(false);
        }
        told.print(&mut self.pending);
        self.count(told);
        if self.pending.len() >= PRINTED_PENDING_BYTES_MAX {
            self.flush()?;
        }
        Ok(true)
    }

    /// Lets out what waits, then remembers that.
    pub(crate) fn flush(&mut self) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.out.write_all(&self.pending).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => JournalError::Unread,
            _ => JournalError::Print(error),
        })?;
        self.pending.clear();
        self.save()
    }

    /// Remembers the position. Whatever was printed must have been let out.
    pub(crate) fn save(&self) -> Result<(), JournalError> {
        assert!(self.pending.is_empty(), "a position must not cover lines that wait");
        let Some(path) = &self.position else { return Ok(()) };
        let saved = Saved {
            topics: self.topics.clone(),
            progress: self.progress.clone(),
            printed: printed_to(&self.out),
        };
        replace(path, &saved).map_err(|error| JournalError::Save(path.clone(), error))
    }

    fn count(&mut self, told: &RawTold<'_>) {
        if told.kind != Kind::Skipped && !self.progress.printed(&told.topic, told.offset) {
            self.forgetful = true;
        }
    }

    fn load(&mut self, path: &Path) -> Result<(), JournalError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(JournalError::Load(path.to_owned(), error)),
        };
        let saved: Saved = serde_json::from_slice(&text)
            .map_err(|error| JournalError::Unreadable(path.to_owned(), error))?;
        if saved.topics != self.topics {
            return Err(JournalError::OtherTopics(path.to_owned(), saved.topics));
        }
        self.progress = saved.progress;
        if let Some(printed) = saved.printed {
            self.recover(&printed)
                .map_err(|error| JournalError::Recover(printed.path.clone(), error))?;
        }
        Ok(())
    }

    /// Counts what was printed after the position was written, and cuts off half a line.
    fn recover(&mut self, printed: &Printed) -> io::Result<()> {
        let mut file = match OpenOptions::new().read(true).write(true).open(&printed.path) {
            Ok(file) => file,
            // It was taken away: whoever did that has the lines.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        let is_same = (found.dev(), found.ino()) == (printed.device, printed.inode);
        if !is_same || found.len() <= printed.bytes {
            return Ok(());
        }
        file.seek(SeekFrom::Start(printed.bytes))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let whole = tail.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        for line in tail.get(..whole).unwrap_or_default().split(|b| *b == b'\n') {
            // Lines of somebody else's are none of ours.
            if let Ok(Message::Told(told)) = Message::parse(line) {
                told.iter().for_each(|told| self.count(told));
            }
        }
        if whole < tail.len() {
            file.set_len(printed.bytes + whole as u64)?;
        }
        Ok(())
    }
}

/// Which file this is, if it is one.
fn printed_to(out: &File) -> Option<Printed> {
    let found = out.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let path =
        std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(out)))
            .ok()?;
    Some(Printed { path, device: found.dev(), inode: found.ino(), bytes: found.len() })
}

fn replace(path: &Path, saved: &Saved) -> io::Result<()> {
    let mut beside = OsString::from(path);
    beside.push(".new");
    let mut text = serde_json::to_vec(saved)?;
    text.push(b'\n');
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use crate::client::position::Position;
    use crate::client::position::Word;

    use super::*;

    /// A directory of one test's own, removed when it ends well.
    struct TempFile(PathBuf);

    impl TempFile {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("fanwire-journal-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn open(&self, topics: &[&str]) -> Result<Journal, JournalError> {
            let out =
                OpenOptions::new().create(true).append(true).open(self.0.join("out")).unwrap();
            let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
            Journal::open(out, topics, Since::Word(Word::Earliest), Some(self.0.join("position")))
        }

        fn printed(&self) -> String {
            std::fs::read_to_string(self.0.join("out")).unwrap()
        }
    }

    impl Drop for TempFile {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                std::fs::remove_dir_all(&self.0).unwrap();
            }
        }
    }

    fn hear(journal: &mut Journal, offset: u64) {
        let text = format!(r#"{{"type":"event","topic":"t","offset":{offset},"payload":{{}}}}"#);
        let Message::Told(told) = Message::parse(text.as_bytes()).unwrap() else {
            panic!("an event")
        };
        assert!(journal.print(&told[0]).unwrap());
    }

    fn line(offset: u64) -> String {
        format!("{{\"type\":\"event\",\"topic\":\"t\",\"offset\":{offset},\"payload\":{{}}}}\n")
    }

    fn at(offset: u64) -> Since {
        let offsets = [("t".to_owned(), offset)].into();
        let position =
            Position { epoch: "e".to_owned(), offsets, time_us: Some(0), ..Position::default() };
        Since::Position(position)
    }

    #[test]
    fn a_second_run_goes_on_where_the_first_stopped() {
        let place = TempFile::new("second");
        let mut journal = place.open(&["t"]).unwrap();
        journal.progress.begin("e");
        hear(&mut journal, 1);
        assert_eq!(place.printed(), "");
        journal.flush().unwrap();
        hear(&mut journal, 2);
        // Killed here: the second event was never let out.
        drop(journal);
        let mut journal = place.open(&["t"]).unwrap();
        assert_eq!(journal.progress.begin("e"), at(1));
        assert_eq!(place.printed(), line(1));
    }

    #[test]
    fn what_was_printed_but_not_remembered_is_found_in_the_file() {
        let place = TempFile::new("found");
        let mut journal = place.open(&["t"]).unwrap();
        journal.progress.begin("e");
        hear(&mut journal, 1);
        journal.flush().unwrap();
        // Killed between the lines and the position, in the middle of the third line.
        let torn = format!("{}{}{}", line(1), line(2), "{\"type\":\"event\",\"topic\":\"t\",\"off");
        std::fs::write(place.0.join("out"), torn).unwrap();
        let mut journal = place.open(&["t"]).unwrap();
        assert_eq!(journal.progress.begin("e"), at(2));
        hear(&mut journal, 3);
        journal.flush().unwrap();
        assert_eq!(place.printed(), format!("{}{}{}", line(1), line(2), line(3)));
    }

    #[test]
    fn a_position_of_other_topics_is_not_mistaken_for_ours() {
        let place = TempFile::new("other");
        place.open(&["t"]).unwrap().save().unwrap();
        assert!(
            matches!(place.open(&["u"]), Err(JournalError::OtherTopics(_, topics)) if topics == ["t"])
        );
        std::fs::write(place.0.join("position"), "{}").unwrap();
        assert!(matches!(place.open(&["t"]), Err(JournalError::Unreadable(..))));
    }

    #[test]
    fn much_is_let_out_before_it_is_asked_for() {
        let place = TempFile::new("much");
        let mut journal = place.open(&["t"]).unwrap();
        journal.progress.begin("e");
        (1..)
            .map(|offset| hear(&mut journal, offset))
            .take_while(|()| place.printed().is_empty())
            .count();
        assert!(place.printed().len() >= PRINTED_PENDING_BYTES_MAX);
        assert!(journal.pending.is_empty());
    }
}
