//! `kind = "stdin"`: lines of standard input, each a message.
//!
//! Invariant: nothing is read that there is no room for, so whoever writes into the pipe waits. What was read and not stored is lost with the process: a pipe cannot be asked again.

use std::io;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::time::Duration;

use bytes::Bytes;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::time::Timespec;

use super::connector::Batch;
use super::connector::Connected;
use super::connector::Connector;
use super::connector::Fault;
use super::connector::FaultKind;
use super::connector::Message;
use super::connector::Resume;
use super::kind::Kind;
use super::lines::Line;
use super::lines::Lines;
use crate::limits::SOURCE_READ_BYTES;

pub(super) static KIND: Kind = Kind {
    name: "stdin",
    doc: "Lines of standard input, each a message. There may be one such source. When the input ends so does the source; the server goes on. A line that was read is lost if the process is killed before its event is stored.",
    settings: &[],
    open: |_| Ok(Box::new(Stdin { lines: Lines::from(0), buffer: Vec::new() })),
};

/// Lines of standard input.
struct Stdin {
    lines: Lines,
    buffer: Vec<u8>,
}

impl Stdin {
    /// Puts the lines that are there into the batch, as far as it has room.
    fn hand_out(&mut self, batch: &mut Batch) {
        while batch.has_room()
            && let Some(line) = self.lines.next()
        {
            put(line, batch);
        }
    }
}

fn put(line: Line<'_>, batch: &mut Batch) {
    match line {
        Line::Whole { bytes, .. } if bytes.trim_ascii().is_empty() => {}
        Line::Whole { bytes, .. } => {
            batch.push(Message { payload: Bytes::copy_from_slice(bytes), ..Message::default() });
        }
        Line::TooLong { at } => {
            batch.push_unusable(format!("byte {at}"), "the line is too long".to_owned());
        }
    }
}

impl Connector for Stdin {
    fn connect(&mut self, _: Option<&Resume>, _: Duration) -> Result<Connected, Fault> {
        Ok(Connected::default())
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        self.hand_out(batch);
        let lost = |error: io::Error| Fault::new(FaultKind::Lost, error);
        let mut wait = within;
        while batch.has_room() {
            // What is there already is handed out without waiting for more.
            if !batch.messages().is_empty() {
                wait = Duration::ZERO;
            }
            let stdin = io::stdin();
            let mut ready = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
            let timeout = Timespec::try_from(wait).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
            match poll(&mut ready, Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => break,
                Ok(_) => {}
                Err(error) => return Err(lost(error.into())),
            }
            self.buffer.resize(SOURCE_READ_BYTES, 0);
            let count = match stdin.lock().read(&mut self.buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(lost(error)),
            };
            if count == 0 {
                self.lines.end().into_iter().for_each(|line| put(line, batch));
                return Err(Fault::new(FaultKind::Ended, "standard input has ended"));
            }
            self.lines.feed(self.buffer.get(..count).unwrap_or_default());
            self.hand_out(batch);
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn stored(&mut self, _: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }

    fn close(&mut self, _: Duration) {
        self.buffer = Vec::new();
    }
}
