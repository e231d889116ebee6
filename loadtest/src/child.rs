//! A child process's end of the line to the one that started it.
//!
//! Invariant: the first line is the plan. A broken pipe is an error, and ends the child: nothing outlives the run.

use crate::crew::CrewError;
use crate::limits::LINE_BYTES_MAX;
use crate::message::Order;
use crate::message::Plan;
use crate::message::Word;

use std::ffi::OsString;
use std::io;
use std::io::BufRead as _;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::process::Signal;
use rustix::process::set_parent_process_death_signal;
use rustix::time::Timespec;

/// Orders come in here.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pending: Vec<u8>,
}

/// Reads the plan, the first line of standard input.
pub(crate) fn plan() -> io::Result<Plan> {
    let mut line = String::new();
    // The standard reader would read past the line and keep orders from `Orders`: none is sent before `Ready`.
    io::stdin().lock().read_line(&mut line)?;
    serde_json::from_str(&line).map_err(io::Error::other)
}

/// Says one word.
pub(crate) fn say(word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word).map_err(io::Error::other)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Runs `command` in this process, so that the number of the process stays; comes back only if that cannot be.
///
/// It is told to end when its parent ends, however that happens: a subject that is left over would spoil whatever is measured next.
pub(crate) fn become_another(command: &[OsString]) -> CrewError {
    let mut words = command.iter();
    let Some(program) = words.next() else { return CrewError::Late { wanted: "a program's name" } };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return CrewError::Io(error.into());
    }
    let error = Command::new(program).args(words).exec();
    CrewError::Spawn { program: program.to_string_lossy().into_owned(), error }
}

impl Orders {
    /// The next order, if one has come within `timeout`; the end of the input is an error of kind `UnexpectedEof`.
    pub(crate) fn next(&mut self, timeout: &Timespec) -> io::Result<Option<Order>> {
        if let Some(order) = self.parse()? {
            return Ok(Some(order));
        }
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        if poll(&mut fds, Some(timeout))? == 0 {
            return Ok(None);
        }
        let mut chunk = [0; 16 * 1024];
        let read = rustix::io::read(&stdin, &mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.pending.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if self.pending.len() > LINE_BYTES_MAX {
            return Err(io::Error::other("an order is longer than its limit"));
        }
        self.parse()
    }

    fn parse(&mut self) -> io::Result<Option<Order>> {
        let Some(end) = memchr::memchr(b'\n', &self.pending) else { return Ok(None) };
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        serde_json::from_slice(&line).map(Some).map_err(io::Error::other)
    }
}
