//! `kind = "file"`: lines of a file that grows, each a message.
//!
//! A file is known by its device, its inode and a hash of its first line; a message by these and the byte at which its line begins. Invariants: a line is a message only once its end has been written, or
//! its file was put aside; a file that was put aside (rotated) is read to its end before the one in its place, also if that happened while we were not there; one that was cut is read from its beginning, and that is a
//! gap. Never reads what is no regular file.

use std::fs;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::fs::inotify;
use rustix::time::Timespec;

use super::connector::Batch;
use super::connector::Connected;
use super::connector::Connector;
use super::connector::Fault;
use super::connector::FaultKind;
use super::connector::Gap;
use super::connector::Message;
use super::connector::MessageId;
use super::connector::Resume;
use super::kind::Kind;
use super::kind::Setting;
use super::kind::Takes;
use super::kind::Values;
use super::lines::Line;
use super::lines::Lines;
use crate::clock::Clock;
use crate::limits::SOURCE_FILE_HEAD_BYTES;
use crate::limits::SOURCE_FILE_POLL_MS;
use crate::limits::SOURCE_FILE_SETTLED_MS;
use crate::limits::SOURCE_FILES_LOOKED_AT_MAX;
use crate::limits::SOURCE_READ_BYTES;

pub(super) static KIND: Kind = Kind {
    name: "file",
    doc: "Lines of a file that grows, each a message whose subject is the file's path. A file that is put aside and begun anew (rotated) is read to its end first, one that is cut is read from its beginning, and one that is not there yet is waited for. Its position is kept: each line is told once, also after `kill -9`, where its topic is durable.",
    settings: &[
        Setting { name: "path", takes: Takes::Required, doc: "The file." },
        Setting {
            name: "start",
            takes: Takes::Word { of: &["beginning", "end"] },
            doc: "Where in the file to begin when nothing was ever kept of this source.",
        },
    ],
    open: |values| Ok(Box::new(Tail::new(values))),
};

/// The first byte of a position: the form that it is written in.
const FORM: u8 = 1;

/// Which file, and where in it the next line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
    /// A hash of the first line; 0: it has none yet.
    head: u32,
    at: u64,
}

impl Place {
    fn to_resume(self) -> Resume {
        let mut out = vec![FORM];
        for number in [self.device, self.inode, u64::from(self.head), self.at] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        Resume(out.into())
    }

    fn from_resume(resume: &Resume) -> Option<Self> {
        let (form, rest) = resume.0.split_first()?;
        let (numbers, []) = rest.as_chunks::<8>() else { return None };
        let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let &[device, inode, head, at] = &numbers[..] else { return None };
        let head = u32::try_from(head).ok()?;
        (*form == FORM).then_some(Self { device, inode, head, at })
    }

    fn id(&self, at: u64) -> MessageId {
        let mut said = [0; 20];
        let (inode, rest) = said.split_at_mut(8);
        let (head, offset) = rest.split_at_mut(4);
        inode.copy_from_slice(&self.inode.to_le_bytes());
        head.copy_from_slice(&self.head.to_le_bytes());
        offset.copy_from_slice(&at.to_le_bytes());
        MessageId::new(&said)
    }
}

/// A file that is being read.
struct Reading {
    file: File,
    place: Place,
    lines: Lines,
    /// Bytes that were read.
    read: u64,
    /// Since when another file stands in its place, and nothing more has come.
    aside_ms: Option<u64>,
}

/// Reads a file that grows.
struct Tail {
    path: PathBuf,
    subject: Arc<str>,
    starts_at_end: bool,
    /// Nothing was ever read: `start` holds.
    is_first: bool,
    reading: Option<Reading>,
    /// The place at which the file was opened is not yet said.
    is_unsaid: bool,
    /// Tells that something was written.
    watch: Option<OwnedFd>,
    buffer: Vec<u8>,
    lag: u64,
    clock: Clock,
}

impl Tail {
    fn new(values: &Values) -> Self {
        let path = values.text("path");
        Self {
            path: path.into(),
            subject: path.into(),
            starts_at_end: values.text("start") == "end",
            is_first: true,
            reading: None,
            is_unsaid: false,
            watch: None,
            buffer: Vec::new(),
            lag: 0,
            clock: Clock::start(),
        }
    }

    /// Opens the file that stands at the path now; `None`: there is none.
    fn open(&mut self, at: Option<u64>) -> Result<Option<Reading>, Fault> {
        let found = open(&self.path).map_err(|error| self.fault(&error))?;
        let Some((file, metadata)) = found else { return Ok(None) };
        let at = at.unwrap_or(if self.is_first && self.starts_at_end { metadata.len() } else { 0 });
        (self.is_first, self.is_unsaid) = (false, true);
        self.watch = watch(&self.path);
        reading_at(file, &metadata, at).map(Some).map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &io::Error) -> Fault {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => FaultKind::Denied,
            io::ErrorKind::InvalidInput => FaultKind::Wrong,
            _ => FaultKind::Unreachable,
        };
        Fault::new(kind, format_args!("{}: {error}", self.path.display()))
    }

    /// Finds the file of a position, at its path or beside it, and goes on there; what is lost if it is not there any more.
    fn go_on(&mut self, place: Place) -> Result<Option<Gap>, Fault> {
        self.is_first = false;
        let gap = |why: &str| Some(Gap { messages: 0, why: why.into() });
        let here = open(&self.path).map_err(|error| self.fault(&error))?;
        let found = match here {
            Some((file, metadata)) if is_same(&file, &metadata, place) => Some((file, metadata)),
            _ => beside(&self.path, place),
        };
        match found {
            Some((file, metadata)) if metadata.len() < place.at => {
                self.reading =
                    Some(reading_at(file, &metadata, 0).map_err(|error| self.fault(&error))?);
                self.watch = watch(&self.path);
                Ok(gap("the file was cut"))
            }
            Some((file, metadata)) => {
                let going_on = reading_at(file, &metadata, place.at);
                self.reading = Some(going_on.map_err(|error| self.fault(&error))?);
                self.watch = watch(&self.path);
                Ok(None)
            }
            None => {
                self.reading = self.open(Some(0))?;
                Ok(gap("the file that was read is not there any more"))
            }
        }
    }

    /// Reads a piece, and puts the lines that are whole into the batch; whether there was anything.
    fn read(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        let Some(reading) = &mut self.reading else { return Ok(false) };
        hand_out(reading, &self.subject, batch);
        if !batch.has_room() {
            return Ok(true);
        }
        self.buffer.resize(SOURCE_READ_BYTES, 0);
        let count = match reading.file.read_at(&mut self.buffer, reading.read) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(self.fault(&error)),
        };
        reading.read += count as u64;
        reading.lines.feed(self.buffer.get(..count).unwrap_or_default());
        if count > 0 {
            reading.aside_ms = None;
        }
        hand_out(reading, &self.subject, batch);
        Ok(count > 0)
    }

    /// Nothing more stands in the file: whether another has taken its place, or it was cut.
    fn look_around(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let Some(reading) = &mut self.reading else {
            self.reading = self.open(None)?;
            return Ok(());
        };
        let own = reading.file.metadata().map_err(|error| Fault::new(FaultKind::Lost, error))?;
        if own.len() < reading.read {
            batch.note_gap(Gap { messages: 0, why: "the file was cut".into() });
            let at_beginning = Place { at: 0, head: 0, ..reading.place };
            *reading = Reading {
                file: reading
                    .file
                    .try_clone()
                    .map_err(|error| Fault::new(FaultKind::Lost, error))?,
                place: at_beginning,
                lines: Lines::from(0),
                read: 0,
                aside_ms: None,
            };
            return Ok(());
        }
        let is_other = fs::metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) != (own.dev(), own.ino()));
        if !is_other {
            return Ok(());
        }
        // Whoever writes may still have the old one open, for a moment.
        let now_ms = self.clock.now().mono_ms;
        let since_ms = *reading.aside_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) < SOURCE_FILE_SETTLED_MS {
            return Ok(());
        }
        if let Some(line) = reading.lines.end() {
            put(line, reading.place, &self.subject, batch);
        }
        self.reading = match put_aside_after(&self.path, &own) {
            Some((file, metadata)) => {
                self.is_unsaid = true;
                Some(reading_at(file, &metadata, 0).map_err(|error| self.fault(&error))?)
            }
            None => self.open(Some(0))?,
        };
        self.say_place(batch);
        Ok(())
    }

    /// Says where a file was opened: it is gone on from there, whatever comes.
    fn say_place(&mut self, batch: &mut Batch) {
        if std::mem::take(&mut self.is_unsaid)
            && let Some(reading) = &self.reading
        {
            batch.goes_on_from(reading.place.to_resume());
        }
    }

    /// Waits until something was written, or for so long.
    fn wait(&self, wait: Duration) -> Result<(), Fault> {
        let wait = wait.min(Duration::from_millis(SOURCE_FILE_POLL_MS));
        let timeout = Timespec::try_from(wait).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
        let waited = match &self.watch {
            Some(watch) => {
                let mut ready = [PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN)];
                poll(&mut ready, Some(&timeout)).map(|count| (count > 0).then(|| empty(watch)))
            }
            None => poll(&mut [], Some(&timeout)).map(|_| None),
        };
        match waited {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Fault::new(FaultKind::Lost, error)),
        }
    }
}

/// Begins to read a file at a place of it.
fn reading_at(file: File, metadata: &fs::Metadata, at: u64) -> io::Result<Reading> {
    let head = head_of(&file)?;
    let place = Place { device: metadata.dev(), inode: metadata.ino(), head, at };
    Ok(Reading { file, place, lines: Lines::from(at), read: at, aside_ms: None })
}

/// Opens what stands at a path, if it is a regular file; `None`: nothing is there.
fn open(path: &Path) -> io::Result<Option<(File, fs::Metadata)>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    match File::open(path) {
        Ok(file) => {
            let metadata = file.metadata()?;
            Ok(Some((file, metadata)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A hash of a file's first line, or of the beginning of a long one; 0: it has no whole line yet.
fn head_of(file: &File) -> io::Result<u32> {
    let mut head = vec![0; SOURCE_FILE_HEAD_BYTES];
    let mut count = 0;
    while count < head.len() {
        match file.read_at(head.get_mut(count..).unwrap_or_default(), count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let read = head.get(..count).unwrap_or_default();
    let end = memchr::memchr(b'\n', read);
    let end = if count == SOURCE_FILE_HEAD_BYTES { end.or(Some(count)) } else { end };
    Ok(end.map_or(0, |end| crc32c::crc32c(read.get(..end).unwrap_or_default()).max(1)))
}

/// Whether a file is the one of a position.
fn is_same(file: &File, metadata: &fs::Metadata, place: Place) -> bool {
    (metadata.dev(), metadata.ino()) == (place.device, place.inode)
        && (place.head == 0 || head_of(file).is_ok_and(|head| head == place.head))
}

/// Files in the folder of a path.
fn siblings(path: &Path) -> impl Iterator<Item = fs::DirEntry> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.take(SOURCE_FILES_LOOKED_AT_MAX).filter_map(Result::ok)
}

/// The file of a position among those in the folder of a path: it was put aside.
fn beside(path: &Path, place: Place) -> Option<(File, fs::Metadata)> {
    let mut found = siblings(path).filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        let is_meant = (metadata.dev(), metadata.ino()) == (place.device, place.inode);
        if is_meant { open(&entry.path()).ok()? } else { None }
    });
    found.find(|(file, metadata)| is_same(file, metadata, place))
}

/// The file that stood at a path after another one and was put aside, too: of those that are called like it the one that was written to first, after that.
fn put_aside_after(path: &Path, before: &fs::Metadata) -> Option<(File, fs::Metadata)> {
    let written = |metadata: &fs::Metadata| (metadata.mtime(), metadata.mtime_nsec());
    let name = path.file_name()?.to_str()?;
    let there = fs::metadata(path).ok().map(|there| (there.dev(), there.ino()));
    let aside = siblings(path).filter_map(|entry| {
        let called = entry.file_name();
        let called = called.to_str()?;
        let is_packed = [".gz", ".xz", ".zst", ".bz2"].iter().any(|end| called.ends_with(end));
        let metadata = entry.metadata().ok()?;
        let is_there = Some((metadata.dev(), metadata.ino())) == there;
        let is_one = called.starts_with(name) && !is_packed && !is_there && metadata.is_file();
        (is_one && written(&metadata) > written(before))
            .then_some((written(&metadata), entry.path()))
    });
    let (_, next) = aside.min()?;
    open(&next).ok()?
}

/// Has the system tell of what is written; `None`: it cannot, and the file is looked at again and again.
fn watch(path: &Path) -> Option<OwnedFd> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let watch = inotify::init(flags).ok()?;
    let what = inotify::WatchFlags::MODIFY
        | inotify::WatchFlags::MOVE_SELF
        | inotify::WatchFlags::DELETE_SELF;
    inotify::add_watch(&watch, path, what).ok()?;
    Some(watch)
}

/// Takes what the system has told: that it did is all there is to know.
fn empty(watch: &OwnedFd) {
    let mut told = [0; 4096];
    while rustix::io::read(watch, &mut told).is_ok_and(|count| count > 0) {}
}

/// Puts whole lines into the batch, as far as it has room, and says where to go on behind them.
fn hand_out(reading: &mut Reading, subject: &Arc<str>, batch: &mut Batch) {
    let begun = reading.lines.at();
    while batch.has_room() {
        // The first line has come: from now on the file is known by it.
        if reading.place.head == 0 {
            reading.place.head = head_of(&reading.file).unwrap_or(0);
        }
        let Some(line) = reading.lines.next() else { break };
        put(line, reading.place, subject, batch);
    }
    let at = reading.lines.at();
    if at != begun {
        reading.place.at = at;
        batch.goes_on_from(reading.place.to_resume());
    }
}

fn put(line: Line<'_>, place: Place, subject: &Arc<str>, batch: &mut Batch) {
    match line {
        Line::Whole { bytes, .. } if bytes.trim_ascii().is_empty() => {}
        Line::Whole { at, bytes } => batch.push(Message {
            subject: Some(Arc::clone(subject)),
            payload: Bytes::copy_from_slice(bytes),
            id: Some(place.id(at)),
            ..Message::default()
        }),
        Line::TooLong { at } => {
            batch.push_unusable(format!("{subject}, byte {at}"), "the line is too long".to_owned());
        }
    }
}

impl Connector for Tail {
    fn connect(&mut self, from: Option<&Resume>, _: Duration) -> Result<Connected, Fault> {
        self.reading = None;
        let gap = match from.map(Place::from_resume) {
            Some(Some(place)) => self.go_on(place)?,
            Some(None) => {
                self.reading = self.open(Some(0))?;
                let why = "where it was is not understood".into();
                Some(Gap { messages: 0, why })
            }
            None => {
                self.reading = self.open(None)?;
                None
            }
        };
        Ok(Connected { gap })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        let until_ms =
            self.clock.now().mono_ms + u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        loop {
            self.say_place(batch);
            while batch.has_room() && self.read(batch)? {}
            let Some(reading) = &self.reading else {
                self.look_around(batch)?;
                if self.reading.is_some() {
                    continue;
                }
                self.wait(within)?;
                return Ok(());
            };
            let length = reading.file.metadata().map_or(0, |metadata| metadata.len());
            // What stands in the place of one that was put aside comes next.
            let next = match reading.aside_ms {
                Some(_) => fs::metadata(&self.path).map_or(0, |metadata| metadata.len()),
                None => 0,
            };
            self.lag = length.saturating_sub(reading.lines.at()) + next;
            if batch.has_room() {
                self.look_around(batch)?;
            }
            let left_ms = until_ms.saturating_sub(self.clock.now().mono_ms);
            if !batch.is_empty() || left_ms == 0 {
                return Ok(());
            }
            self.wait(Duration::from_millis(left_ms))?;
        }
    }

    fn stored(&mut self, _: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        Some(self.lag)
    }

    fn close(&mut self, _: Duration) {
        self.reading = None;
        self.watch = None;
        self.buffer = Vec::new();
    }
}
