//! The log's way out: lines wait for a thread of their own, which writes them to standard error.
//!
//! Invariants: whoever logs never waits, whatever is at the other end (a pipe that nobody reads, a full disk, a closed terminal); a line that
//! cannot be written is lost and counted, and costs nothing else. At most `LOG_LINES_MAX` lines wait.

use std::io;
use std::io::Write;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flume::Receiver;
use flume::Sender;
use tracing_subscriber::fmt::MakeWriter;

use crate::limits::LOG_LINE_BYTES_MAX;
use crate::limits::LOG_LINES_MAX;

/// Lines that were lost since the process began. Standard error is the process's, and so is this count.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Lines that could not be written.
#[must_use]
pub fn lines_lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Where log lines are handed in.
#[derive(Clone, Debug)]
pub struct Log {
    lines: Sender<Waiting>,
}

/// What the thread is told.
#[derive(Debug)]
enum Waiting {
    Line(Box<[u8]>),
    /// Say when everything before this was written.
    Flush(Sender<()>),
}

impl Log {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// If the process cannot have another thread.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = flume::bounded(LOG_LINES_MAX);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&waiting, out))?;
        Ok(Self { lines })
    }

    /// Waits until what was logged so far is written, but not for ever: who reads it may have stopped.
    pub fn flush(&self, patience: Duration) {
        let (done, written) = flume::bounded(1);
        let is_asked = self.lines.send_timeout(Waiting::Flush(done), patience).is_ok();
        if !is_asked || written.recv_timeout(patience).is_err() {
            // Nothing more can be done about what is not written by now.
            lose();
        }
    }
}

fn write_all(waiting: &Receiver<Waiting>, mut out: impl Write) {
    for what in waiting {
        match what {
            Waiting::Line(line) => {
                if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                    lose();
                }
            }
            // Whoever waited may have had enough of it.
            Waiting::Flush(done) => drop(done.try_send(())),
        }
    }
}

fn lose() {
    LOST.fetch_add(1, Ordering::Relaxed);
}

/// One line on its way in: `tracing` writes it in one piece.
#[derive(Debug)]
pub struct Line<'a> {
    log: &'a Log,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = bytes;
        let cut: Vec<u8>;
        if let Some(start) = bytes.get(..LOG_LINE_BYTES_MAX - 1) {
            cut = [start, b"\n"].concat();
            line = &cut;
        }
        if self.log.lines.try_send(Waiting::Line(line.into())).is_err() {
            lose();
        }
        // An error would be told to standard error, of all places, and end the process if that fails.
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { log: self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes on what is written, as soon as it is let.
    struct Gate {
        open: Receiver<io::Result<()>>,
        through: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.open.recv().unwrap_or(Ok(()))?;
            self.through.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The count of lost lines is the process's: one test looks at all of it.
    #[test]
    fn a_line_that_cannot_be_written_is_lost_and_counted_and_nobody_waits() {
        let (opener, open) = flume::bounded(LOG_LINES_MAX);
        let (through, passed) = flume::bounded(2 * LOG_LINES_MAX);
        let log = Log::start(Gate { open, through }).unwrap();
        let say = |text: &str| log.make_writer().write_all(text.as_bytes()).unwrap();
        let before = lines_lost();

        opener.send(Ok(())).unwrap();
        say("first\n");
        assert_eq!(passed.recv().unwrap(), b"first\n");
        assert_eq!(lines_lost(), before);

        opener.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        opener.send(Ok(())).unwrap();
        say("lost\n");
        say("after\n");
        assert_eq!(passed.recv().unwrap(), b"after\n");
        assert_eq!(lines_lost(), before + 1);

        // Nobody lets anything through: the queue fills, one line being written, and the rest is lost at once.
        for _ in 0..LOG_LINES_MAX + 11 {
            say("waits\n");
        }
        let lost = lines_lost() - before - 1;
        assert!((10..=11).contains(&lost), "{lost}");
        drop(opener);
        for _ in 0..LOG_LINES_MAX {
            assert_eq!(passed.recv().unwrap(), b"waits\n");
        }
        log.flush(Duration::from_secs(20));

        say(&"x".repeat(LOG_LINE_BYTES_MAX + 5));
        let mut rest: Vec<u8> = Vec::new();
        while !rest.ends_with(b"x\n") {
            rest = passed.recv().unwrap();
        }
        assert_eq!(rest.len(), LOG_LINE_BYTES_MAX);
    }
}
