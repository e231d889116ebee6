//! What the kernel knows about a process: CPU time, memory, and the machine's softirq threads and slab.
//!
//! CPU is the run time of the scheduler (`schedstat`, nanoseconds), not ticks; user and system are told apart by the shares
//! of the ticks. io_uring and epoll servers push part of the receivers' TCP work to ksoftirqd, so that is counted beside.
//! What a peer's own calls do to the server's sockets (a SYN, an ACK) runs in the peer's context, and is the peer's.
//! Invariant: a file that cannot be read is an error with its path, never a zero.

use crate::num;

use std::fmt;
use std::fs;
use std::io;

use rustix::param::page_size;
use serde::Deserialize;
use serde::Serialize;

/// CPU time so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cpu {
    /// Run time of all threads that live.
    pub(crate) run_ns: u64,
    /// Of the busiest threads, as many as were asked for: the shards.
    pub(crate) busiest_ns: u64,
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
    /// Of the machine's ksoftirqd threads.
    pub(crate) softirq_ns: u64,
}

/// Memory now, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
    /// Of the machine.
    pub(crate) slab: u64,
}

/// What could not be found out.
#[derive(Debug)]
pub(crate) enum ProcError {
    Unreadable { path: String, error: io::Error },
    Malformed { path: String },
}

impl fmt::Display for ProcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "{path}: {error}"),
            Self::Malformed { path } => {
                write!(f, "{path} is not what the kernel's documentation says")
            }
        }
    }
}

impl std::error::Error for ProcError {}

/// A thread and how long it has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) id: u32,
    pub(crate) run_ns: u64,
}

/// A process and those it started, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) threads: Vec<Thread>,
    user_ticks: u64,
    system_ticks: u64,
    softirq_ns: u64,
}

impl Snapshot {
    pub(crate) fn take(pids: &[u32]) -> Result<Self, ProcError> {
        let mut snapshot = Self { softirq_ns: softirq_ns()?, ..Self::default() };
        for &pid in pids {
            snapshot.threads.extend(threads(pid)?);
            let (user, system) = ticks(pid)?;
            snapshot.user_ticks += user;
            snapshot.system_ticks += system;
        }
        Ok(snapshot)
    }

    /// What was spent since `earlier`; the `shards` threads that ran longest are summed up apart.
    pub(crate) fn since(&self, earlier: &Self, shards: usize) -> Cpu {
        let mut spent: Vec<u64> = Vec::with_capacity(self.threads.len());
        for thread in &self.threads {
            let before =
                earlier.threads.iter().find(|it| it.id == thread.id).map_or(0, |it| it.run_ns);
            spent.push(thread.run_ns.saturating_sub(before));
        }
        spent.sort_unstable_by(|a, b| b.cmp(a));
        let run_ns: u64 = spent.iter().sum();
        let user = self.user_ticks.saturating_sub(earlier.user_ticks);
        let system = self.system_ticks.saturating_sub(earlier.system_ticks);
        let user_ns = num::whole(run_ns as f64 * num::per(user, user + system));
        Cpu {
            run_ns,
            busiest_ns: spent.iter().take(shards).sum(),
            user_ns,
            system_ns: run_ns - user_ns,
            softirq_ns: self.softirq_ns.saturating_sub(earlier.softirq_ns),
        }
    }
}

/// Memory of some processes, and the machine's slab.
pub(crate) fn memory(pids: &[u32]) -> Result<Memory, ProcError> {
    let mut memory = Memory { slab: kilobytes("/proc/meminfo", "Slab:")?, ..Memory::default() };
    for pid in pids {
        let path = format!("/proc/{pid}/smaps_rollup");
        memory.resident += kilobytes(&path, "Rss:")?;
        memory.anonymous += kilobytes(&path, "Anonymous:")?;
    }
    Ok(memory)
}

/// A process and all its descendants: nginx has workers, a launcher has a server.
pub(crate) fn family(pid: u32) -> Result<Vec<u32>, ProcError> {
    let mut parents = Vec::new();
    for pid in all()? {
        // A process may end between the listing and the reading; then it is of no family.
        if let Ok(parent) = parent(pid) {
            parents.push((pid, parent));
        }
    }
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(&elder) = family.get(at) {
        at += 1;
        family.extend(parents.iter().filter(|(_, parent)| *parent == elder).map(|(pid, _)| *pid));
    }
    Ok(family)
}

fn all() -> Result<Vec<u32>, ProcError> {
    let unreadable = |error| ProcError::Unreadable { path: "/proc".to_owned(), error };
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").map_err(unreadable)? {
        pids.extend(
            entry.map_err(unreadable)?.file_name().to_str().and_then(|it| it.parse::<u32>().ok()),
        );
    }
    Ok(pids)
}

fn parent(pid: u32) -> Result<u32, ProcError> {
    let path = format!("/proc/{pid}/stat");
    let text = read(&path)?;
    let fields = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let parent = fields.split_ascii_whitespace().nth(1).and_then(|it| it.parse().ok());
    parent.ok_or(ProcError::Malformed { path })
}

/// Resident bytes from statm, cheap enough to sample while a run goes on.
pub(crate) fn resident(pid: u32) -> Result<u64, ProcError> {
    let path = format!("/proc/{pid}/statm");
    let pages = read(&path)?.split_ascii_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok());
    Ok(pages.ok_or(ProcError::Malformed { path })? * num::count(page_size()))
}

/// The most bytes that were ever resident, or since [`forget_peak`].
pub(crate) fn peak(pid: u32) -> Result<u64, ProcError> {
    kilobytes(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// From now on [`peak`] counts anew (proc(5), `clear_refs`).
pub(crate) fn forget_peak(pid: u32) -> Result<(), ProcError> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").map_err(|error| ProcError::Unreadable { path, error })
}

fn threads(pid: u32) -> Result<Vec<Thread>, ProcError> {
    let path = format!("/proc/{pid}/task");
    let unreadable = |error| ProcError::Unreadable { path: path.clone(), error };
    let mut threads = Vec::new();
    for entry in fs::read_dir(&path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let Some(id) = name.to_str().and_then(|it| it.parse().ok()) else { continue };
        // A thread may end between the listing and the reading; then it is not of the living.
        if let Ok(run_ns) = run_ns(&format!("{path}/{id}/schedstat")) {
            threads.push(Thread { id, run_ns });
        }
    }
    Ok(threads)
}

fn run_ns(path: &str) -> Result<u64, ProcError> {
    let first = read(path)?.split_ascii_whitespace().next().and_then(|it| it.parse().ok());
    first.ok_or_else(|| ProcError::Malformed { path: path.to_owned() })
}

fn ticks(pid: u32) -> Result<(u64, u64), ProcError> {
    let path = format!("/proc/{pid}/stat");
    let text = read(&path)?;
    // The command's name may hold spaces and brackets; the fields count from the last bracket. utime is field 14.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let mut fields =
        fields.split_ascii_whitespace().skip(11).map_while(|it| it.parse::<u64>().ok());
    match (fields.next(), fields.next()) {
        (Some(user), Some(system)) => Ok((user, system)),
        _ => Err(ProcError::Malformed { path }),
    }
}

/// Run time of the threads that do the network's deferred work. Where they are not to be seen it is unknown, and 0.
fn softirq_ns() -> Result<u64, ProcError> {
    let mut total = 0;
    for pid in all()? {
        let named = fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|it| it.starts_with("ksoftirqd"));
        if named {
            total += run_ns(&format!("/proc/{pid}/schedstat"))?;
        }
    }
    Ok(total)
}

fn kilobytes(path: &str, key: &str) -> Result<u64, ProcError> {
    let text = read(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let value = line
        .and_then(|it| it.split_ascii_whitespace().next())
        .and_then(|it| it.parse::<u64>().ok());
    Ok(value.ok_or_else(|| ProcError::Malformed { path: path.to_owned() })? * 1024)
}

fn read(path: &str) -> Result<String, ProcError> {
    fs::read_to_string(path).map_err(|error| ProcError::Unreadable { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_can_be_read() {
        let pid = std::process::id();
        let snapshot = Snapshot::take(&[pid]).unwrap();
        assert!(!snapshot.threads.is_empty());
        assert!(memory(&[pid]).unwrap().resident > 0);
        assert!(resident(pid).unwrap() > 0);
        assert!(family(parent(pid).unwrap()).unwrap().contains(&pid));
    }

    #[test]
    fn a_difference_counts_new_threads_and_the_busiest() {
        let thread = |id, run_ns| Thread { id, run_ns };
        let before =
            Snapshot { threads: vec![thread(1, 10), thread(2, 50)], ..Snapshot::default() };
        let after = Snapshot {
            threads: vec![thread(1, 20), thread(2, 250), thread(3, 7)],
            user_ticks: 1,
            system_ticks: 3,
            ..Snapshot::default()
        };
        let cpu = after.since(&before, 1);
        assert_eq!((cpu.run_ns, cpu.busiest_ns), (217, 200));
        assert_eq!(cpu.user_ns + cpu.system_ns, 217);
    }

    #[test]
    fn a_peak_is_forgotten() {
        let pid = std::process::id();
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        let before = peak(pid).unwrap();
        forget_peak(pid).unwrap();
        assert!(peak(pid).unwrap() < before);
    }

    #[test]
    fn what_does_not_exist_names_its_path() {
        let error = memory(&[u32::MAX]).unwrap_err().to_string();
        assert!(error.contains("/proc/4294967295"), "{error}");
    }
}
