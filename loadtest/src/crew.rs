//! The child processes of a run, from the side of the one that started them.
//!
//! Invariant: a child that was started is waited for, also when the run fails; nothing outlives the crew. One thread: the
//! pipes are polled.

use crate::clock;
use crate::limits::LINE_BYTES_MAX;
use crate::message::Order;
use crate::message::Plan;
use crate::message::Word;

use std::fmt;
use std::io;
use std::io::Write as _;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::thread::CpuSet;
use rustix::thread::sched_getaffinity;
use rustix::thread::sched_setaffinity;

/// The argument that makes this program a child.
pub(crate) const CHILD: &str = "child";

/// The argument that makes it another program.
pub(crate) const BECOME: &str = "become";

/// What went wrong with a child.
#[derive(Debug)]
pub(crate) enum CrewError {
    Io(io::Error),
    Spawn { program: String, error: io::Error },
    Failed { child: String, what: String },
    Ended { child: String },
    Late { wanted: &'static str },
}

impl fmt::Display for CrewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "a pipe to a child: {error}"),
            Self::Spawn { program, error } => write!(f, "cannot start {program}: {error}"),
            Self::Failed { child, what } => write!(f, "{child}: {what}"),
            Self::Ended { child } => write!(f, "{child} ended before it was told to"),
            Self::Late { wanted } => write!(f, "waited in vain for {wanted}"),
        }
    }
}

impl std::error::Error for CrewError {}

impl From<io::Error> for CrewError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One of them.
#[derive(Debug)]
struct Hand {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    pending: Vec<u8>,
    ended: bool,
    /// It has said its last word.
    done: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    hands: Vec<Hand>,
}

/// The same command, by a process that ends when this one does (`child::become_another`).
pub(crate) fn guarded(command: &Command) -> Result<Command, CrewError> {
    let mut guarded = Command::new(std::env::current_exe()?);
    guarded.arg(BECOME).arg("--").arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    Ok(guarded)
}

/// Starts `command` on the given cores; none: wherever the kernel likes.
pub(crate) fn spawn_on(command: &mut Command, cores: &[usize]) -> Result<Child, CrewError> {
    let spawned = |command: &mut Command| {
        let program = command.get_program().to_string_lossy().into_owned();
        command.spawn().map_err(|error| CrewError::Spawn { program, error })
    };
    if cores.is_empty() {
        return spawned(command);
    }
    // A child inherits where its parent may run, so the parent goes there for a moment.
    let ours = sched_getaffinity(None).map_err(io::Error::from)?;
    let mut theirs = CpuSet::new();
    cores.iter().for_each(|&core| theirs.set(core));
    sched_setaffinity(None, &theirs).map_err(io::Error::from)?;
    let child = spawned(command);
    sched_setaffinity(None, &ours).map_err(io::Error::from)?;
    child
}

impl Crew {
    /// Starts this program again as a child with a plan; the answer is its number.
    pub(crate) fn start(
        &mut self,
        name: &str,
        plan: &Plan,
        cores: &[usize],
    ) -> Result<usize, CrewError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(CHILD).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn_on(&mut command, cores)?;
        let missing = || io::Error::other("a child was started without its pipes");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let (name, pending) = (name.to_owned(), Vec::new());
        self.hands.push(Hand {
            name,
            child,
            stdin: Some(stdin),
            stdout,
            pending,
            ended: false,
            done: false,
        });
        let hand = self.hands.len() - 1;
        self.line(hand, &serde_json::to_vec(plan).map_err(io::Error::other)?)?;
        Ok(hand)
    }

    pub(crate) fn pid(&self, hand: usize) -> u32 {
        self.hands.get(hand).map_or(0, |it| it.child.id())
    }

    pub(crate) fn order(&mut self, hand: usize, order: &Order) -> Result<(), CrewError> {
        self.line(hand, &serde_json::to_vec(order).map_err(io::Error::other)?)
    }

    fn line(&mut self, hand: usize, json: &[u8]) -> Result<(), CrewError> {
        let Some(hand) = self.hands.get_mut(hand) else { return Ok(()) };
        let ended = || CrewError::Ended { child: hand.name.clone() };
        let stdin = hand.stdin.as_mut().ok_or_else(ended)?;
        stdin.write_all(json).and_then(|()| stdin.write_all(b"\n")).map_err(|_| ended())
    }

    /// The next words, with the number of who said each; none if nothing was said for `ns`.
    pub(crate) fn listen(&mut self, ns: u64) -> Result<Vec<(usize, Word)>, CrewError> {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(self.hands.len());
        let alive: Vec<usize> = (0..self.hands.len())
            .filter(|&it| self.hands.get(it).is_some_and(|h| !h.ended))
            .collect();
        for hand in alive.iter().filter_map(|&it| self.hands.get(it)) {
            fds.push(PollFd::new(&hand.stdout, PollFlags::IN));
        }
        match poll(&mut fds, Some(&clock::timespec(ns))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut words = Vec::new();
        for (&at, ready) in alive.iter().zip(ready) {
            if ready && let Some(hand) = self.hands.get_mut(at) {
                hand.read()?;
                for word in hand.words()? {
                    words.push((at, word));
                }
            }
        }
        Ok(words)
    }

    /// Closes every input, which ends a child, and waits; one that does not go is killed.
    pub(crate) fn dismiss(&mut self) {
        for hand in &mut self.hands {
            hand.stdin = None;
        }
        for hand in &mut self.hands {
            end(&mut hand.child);
        }
        self.hands.clear();
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.dismiss();
    }
}

/// Waits a second for a process, then kills it, and reaps it in any case.
pub(crate) fn end(child: &mut Child) {
    let began = clock::now_ns();
    while matches!(child.try_wait(), Ok(None)) {
        if clock::now_ns() - began > clock::SECOND {
            // Either fails only for a process that is gone already, which is what is wanted.
            drop(child.kill());
            drop(child.wait());
            return;
        }
        clock::pause(2 * clock::MILLI);
    }
}

impl Hand {
    fn read(&mut self) -> Result<(), CrewError> {
        let mut chunk = [0; 16 * 1024];
        let read = rustix::io::read(&self.stdout, &mut chunk).map_err(io::Error::from)?;
        self.pending.extend_from_slice(chunk.get(..read).unwrap_or_default());
        self.ended = read == 0;
        if self.pending.len() > LINE_BYTES_MAX {
            return Err(CrewError::Failed {
                child: self.name.clone(),
                what: "a line is too long".to_owned(),
            });
        }
        Ok(())
    }

    fn words(&mut self) -> Result<Vec<Word>, CrewError> {
        let mut words = Vec::new();
        let whole = memchr::memrchr(b'\n', &self.pending).map_or(0, |at| at + 1);
        for line in self.pending.get(..whole).unwrap_or_default().split(|&byte| byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice(line).map_err(io::Error::other)? {
                Word::Failed { what } => {
                    return Err(CrewError::Failed { child: self.name.clone(), what });
                }
                word => {
                    self.done |= matches!(word, Word::Settled(_) | Word::Felt(_));
                    words.push(word);
                }
            }
        }
        self.pending.drain(..whole);
        if self.ended && !self.done {
            return Err(CrewError::Ended { child: self.name.clone() });
        }
        Ok(words)
    }
}

/// How many cores there are; the last is where the load is made if the server is pinned.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
