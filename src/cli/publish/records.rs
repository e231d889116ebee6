//! A recording, read on a thread of its own: lines of NDJSON, plain or gzipped, from a file or standard input.
//!
//! Invariants: lines come in the order of the file, with the number that an editor would show; empty lines are passed over; what is
//! handed on is at most a chunk and a line. A live pipe's line is handed on as soon as it is whole. Never looks into a record but for
//! its time.

use std::fmt;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use flate2::bufread::MultiGzDecoder;
use flume::Receiver;
use flume::Sender;

use crate::cli::limits::CHUNK_BYTES;
use crate::cli::limits::CHUNKS_PENDING_MAX;
use crate::cli::limits::LINE_BYTES_MAX;
use crate::event::moment;

/// Where the records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recording {
    Stdin,
    File(PathBuf),
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => write!(f, "standard input"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why reading ended before the end.
#[derive(Debug)]
pub(crate) struct RecordingError {
    pub(crate) recording: Recording,
    /// The line after the last whole one.
    pub(crate) line: u64,
    pub(crate) error: io::Error,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "cannot open {}: {}", self.recording, self.error),
            line => write!(f, "cannot read {} beyond line {line}: {}", self.recording, self.error),
        }
    }
}

impl std::error::Error for RecordingError {}

/// Some whole lines.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) text: Vec<u8>,
    pub(crate) lines: Vec<Line>,
    /// Numbers of lines that are longer than `LINE_BYTES_MAX`; they are not in `lines`.
    pub(crate) too_long: Vec<u64>,
    /// How often the recording had been read to its end before.
    pub(crate) pass: u32,
}

/// One line of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where in the chunk's text it begins and ends, without its line feed.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Counts the file's lines from 1.
    pub(crate) number: u64,
    /// The moment that the record names, if the field is known and holds one.
    pub(crate) time_us: Option<i64>,
}

/// What to read, and what to look for in it.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) recording: Recording,
    /// The member that holds a record's time, dotted; absent: nobody asks for it.
    pub(crate) time_field: Option<String>,
    /// Begin again at the end.
    pub(crate) endless: bool,
}

/// How far the reading is, for a progress bar.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadBytes {
    read: Arc<AtomicU64>,
    /// The file's size; 0 where there is none.
    pub(crate) total: u64,
}

impl ReadBytes {
    /// Bytes read of the current pass, compressed if the file is.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// The chunks, as they are read; the last may be an error.
pub(crate) type Chunks = Receiver<Result<Chunk, RecordingError>>;

impl Reading {
    /// Begins to read. The thread ends when the receiver is dropped or the recording ends.
    pub(crate) fn start(self) -> io::Result<(Chunks, ReadBytes)> {
        let mut progress = ReadBytes::default();
        if let Recording::File(path) = &self.recording {
            progress.total = std::fs::metadata(path)
                .map_or(0, |found| if found.is_file() { found.len() } else { 0 });
        }
        let read = Arc::clone(&progress.read);
        let (sender, receiver) = flume::bounded(CHUNKS_PENDING_MAX);
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || self.passes(&sender, &read))?;
        Ok((receiver, progress))
    }

    fn passes(&self, sender: &Sender<Result<Chunk, RecordingError>>, read: &Arc<AtomicU64>) {
        for pass in 0.. {
            read.store(0, Ordering::Relaxed);
            let ended = match self.pass(pass, sender, read) {
                Ok(Pass::Whole { lines }) => !self.endless || lines == 0,
                Ok(Pass::Unwanted) => true,
                Err(failure) => {
                    let failure = RecordingError { recording: self.recording.clone(), ..failure };
                    // If nobody listens any more, nobody is to be told.
                    drop(sender.send(Err(failure)));
                    true
                }
            };
            if ended {
                return;
            }
        }
    }

    fn pass(
        &self,
        pass: u32,
        sender: &Sender<Result<Chunk, RecordingError>>,
        read: &Arc<AtomicU64>,
    ) -> Result<Pass, RecordingError> {
        let failed = |line: u64, error: io::Error| RecordingError {
            recording: Recording::Stdin,
            line,
            error,
        };
        let input = self.open(read).map_err(|error| failed(0, error))?;
        let mut lines = Lines { input, number: 0 };
        loop {
            let mut chunk = Chunk { pass, ..Chunk::default() };
            let more = lines.gather(&mut chunk, self.time_field.as_deref());
            let number = lines.number;
            let worth_sending = !chunk.lines.is_empty() || !chunk.too_long.is_empty();
            if worth_sending && sender.send(Ok(chunk)).is_err() {
                return Ok(Pass::Unwanted);
            }
            if !more.map_err(|error| failed(number.max(1), error))? {
                return Ok(Pass::Whole { lines: number });
            }
        }
    }

    fn open(&self, read: &Arc<AtomicU64>) -> io::Result<Box<dyn Buffered>> {
        let raw: Box<dyn Read> = match &self.recording {
            Recording::Stdin => Box::new(io::stdin()),
            Recording::File(path) => Box::new(File::open(path)?),
        };
        let counted = Counted { inner: raw, read: Arc::clone(read) };
        let mut input = BufReader::with_capacity(CHUNK_BYTES, counted);
        // By its first bytes, not by its name: standard input has none. A pipe may hand over one byte alone, hence only that one:
        //= rfc1952#2.3.1
        //# ID1 (IDentification 1)
        //# ID2 (IDentification 2)
        //# These have the fixed values ID1 = 31 (0x1f, \037), ID2 = 139
        // and no JSON begins with 31.
        let gzipped = input.fill_buf()?.first() == Some(&31);
        Ok(if gzipped {
            Box::new(BufReader::with_capacity(CHUNK_BYTES, MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        })
    }
}

enum Pass {
    /// The recording was read to its end.
    Whole { lines: u64 },
    /// Nobody takes the chunks any more.
    Unwanted,
}

struct Counted {
    inner: Box<dyn Read>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A buffered reader that says what it has at hand: `BufRead` alone can only wait for more.
trait Buffered: BufRead {
    fn buffered(&self) -> &[u8];
}

impl<R: Read> Buffered for BufReader<R> {
    fn buffered(&self) -> &[u8] {
        self.buffer()
    }
}

struct Lines {
    input: Box<dyn Buffered>,
    /// Lines read so far.
    number: u64,
}

impl Lines {
    /// Fills a chunk; false at the end of the recording. Lines read before an error are in the chunk.
    fn gather(&mut self, chunk: &mut Chunk, time_field: Option<&str>) -> io::Result<bool> {
        while chunk.text.len() < CHUNK_BYTES {
            let start = chunk.text.len();
            let Some(whole) = self.line(&mut chunk.text)? else { return Ok(false) };
            if !whole {
                chunk.text.truncate(start);
                chunk.too_long.push(self.number);
                continue;
            }
            let text = chunk.text.get(start..).unwrap_or_default();
            if text.trim_ascii().is_empty() {
                chunk.text.truncate(start);
            } else {
                let time_us = time_field.and_then(|field| time_of(text, field));
                chunk.lines.push(Line {
                    start,
                    end: chunk.text.len(),
                    number: self.number,
                    time_us,
                });
            }
            // The next line of a live source may be a minute away; those that we have are not to wait for it.
            if !chunk.lines.is_empty() && !self.input.buffered().contains(&b'\n') {
                break;
            }
        }
        Ok(true)
    }

    /// Appends the next line without its end; `Some(false)`: it is too long. None: there is none.
    fn line(&mut self, text: &mut Vec<u8>) -> io::Result<Option<bool>> {
        let start = text.len();
        let mut whole = true;
        let mut any = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            any = true;
            let end = available.iter().position(|b| *b == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            whole = whole && text.len() - start + part.len() <= LINE_BYTES_MAX;
            if whole {
                text.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if text.len() > start && text.last() == Some(&b'\r') {
            text.pop();
        }
        Ok(Some(whole))
    }
}

/// The moment in a record's member: ISO 8601 text, or whole milliseconds.
fn time_of(record: &[u8], field: &str) -> Option<i64> {
    let value: serde_json::Value = serde_json::from_slice(record).ok()?;
    let found = field.split('.').try_fold(&value, |value, name| value.get(name))?;
    match found {
        serde_json::Value::String(text) => moment::parse_us(text),
        serde_json::Value::Number(number) => number.as_i64()?.checked_mul(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Hands over what it is given a piece at a time, as a pipe does.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn texts(chunk: &Chunk) -> Vec<(u64, String)> {
        let text =
            |line: &Line| String::from_utf8(chunk.text[line.start..line.end].to_vec()).unwrap();
        chunk.lines.iter().map(|line| (line.number, text(line))).collect()
    }

    fn read_all(bytes: &[u8], name: &str) -> Vec<(u64, String)> {
        let path =
            std::env::temp_dir().join(format!("fanwire-records-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let reading =
            Reading { recording: Recording::File(path.clone()), time_field: None, endless: false };
        let (chunks, read) = reading.start().unwrap();
        let lines = chunks.iter().flat_map(|chunk| texts(&chunk.unwrap())).collect();
        assert_eq!(read.read(), bytes.len() as u64);
        std::fs::remove_file(path).unwrap();
        lines
    }

    #[test]
    fn lines_have_the_numbers_that_an_editor_shows() {
        let expected = vec![(1, "{}".to_owned()), (4, "{\"a\":1}".to_owned()), (5, "x".to_owned())];
        let text = b"{}\n\n  \r\n{\"a\":1}\r\nx";
        assert_eq!(read_all(text, "plain"), expected);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        assert_eq!(read_all(&gzip.finish().unwrap(), "gzip"), expected);
        assert_eq!(read_all(b"", "empty"), vec![]);
    }

    #[test]
    fn a_whole_line_does_not_wait_for_the_next() {
        let input = BufReader::new(Pieces(vec![b"one\ntw", b"o\nthree\n", b"four"]));
        let mut lines = Lines { input: Box::new(input), number: 0 };
        let mut gathered = Vec::new();
        loop {
            let mut chunk = Chunk::default();
            let more = lines.gather(&mut chunk, None).unwrap();
            gathered.push(
                texts(&chunk).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("+"),
            );
            if !more {
                break;
            }
        }
        assert_eq!(gathered, ["one", "two+three", "four", ""]);
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_the_next_is_read() {
        let mut text = vec![b'x'; LINE_BYTES_MAX + 1];
        text.extend_from_slice(b"\nnext\n");
        let input = BufReader::new(io::Cursor::new(text));
        let mut lines = Lines { input: Box::new(input), number: 0 };
        let mut chunk = Chunk::default();
        lines.gather(&mut chunk, None).unwrap();
        assert_eq!(
            (chunk.too_long.as_slice(), texts(&chunk)),
            ([1].as_slice(), vec![(2, "next".to_owned())])
        );
    }

    #[test]
    fn a_record_names_its_time_in_either_notation() {
        let us = Some(1_533_099_600_000_000);
        assert_eq!(time_of(br#"{"timestamp":1533099600000}"#, "timestamp"), us);
        assert_eq!(time_of(br#"{"at":{"time":"2018-08-01T05:00:00Z"}}"#, "at.time"), us);
        for record in [&br#"{"timestamp":null}"#[..], b"{}", b"not json", br#"{"timestamp":1.5}"#] {
            assert_eq!(time_of(record, "timestamp"), None);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let recording = Recording::File(PathBuf::from("/nowhere/at/all"));
        let (chunks, _) = Reading { recording, time_field: None, endless: false }.start().unwrap();
        let told = chunks.recv().unwrap().unwrap_err().to_string();
        assert!(told.starts_with("cannot open /nowhere/at/all: "), "{told}");
    }
}
