//! What the kernel knows about a process: CPU time, memory, and the machine's softirq threads and slab.
//!
//! CPU is the run time of the scheduler (`schedstat`, nanoseconds), not ticks; user and system are told apart by the shares
//! of the ticks. io_uring and epoll servers push part of the receivers' TCP work to ksoftirqd, so that is counted beside.
//! What a peer's own calls do to the server's sockets (a SYN, an ACK) runs in the peer's context, and is the peer's.
//! Invariant: a file that cannot be read is an error with its path, never a zero.

use crate::num;

pub(crate) use procfs::ProcError;

use procfs::Current as _;
use procfs::Meminfo;
use procfs::process::ClearRefs;
use procfs::process::Process;
use procfs::process::all_processes;
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
            let process = process(pid)?;
            snapshot.threads.extend(threads(&process)?);
            let stat = process.stat()?;
            snapshot.user_ticks += stat.utime;
            snapshot.system_ticks += stat.stime;
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

/// One process.
fn process(pid: u32) -> Result<Process, ProcError> {
    Process::new(i32::try_from(pid).unwrap_or(i32::MAX))
}

/// Memory of some processes, and the machine's slab.
pub(crate) fn memory(pids: &[u32]) -> Result<Memory, ProcError> {
    let mut memory = Memory { slab: Meminfo::current()?.slab, ..Memory::default() };
    for &pid in pids {
        let rollup = process(pid)?.smaps_rollup()?.memory_map_rollup;
        for map in &rollup {
            let of = |name: &str| map.extension.map.get(name).copied().unwrap_or(0);
            memory.resident += of("Rss");
            memory.anonymous += of("Anonymous");
        }
    }
    Ok(memory)
}

/// A process and all its descendants: nginx has workers, a launcher has a server.
pub(crate) fn family(pid: u32) -> Result<Vec<u32>, ProcError> {
    // A process may end between the listing and the reading; then it is of no family.
    let stats = all_processes()?.filter_map(|process| process.ok()?.stat().ok());
    let id = |pid: i32| u32::try_from(pid).unwrap_or(0);
    let parents: Vec<(u32, u32)> = stats.map(|stat| (id(stat.pid), id(stat.ppid))).collect();
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(&elder) = family.get(at) {
        at += 1;
        family.extend(parents.iter().filter(|(_, parent)| *parent == elder).map(|(pid, _)| *pid));
    }
    Ok(family)
}

/// Resident bytes, cheap enough to sample while a run goes on.
pub(crate) fn resident(pid: u32) -> Result<u64, ProcError> {
    Ok(process(pid)?.statm()?.resident * num::count(page_size()))
}

/// The most bytes that were ever resident, or since [`forget_peak`].
pub(crate) fn peak(pid: u32) -> Result<u64, ProcError> {
    let kib = process(pid)?.status()?.vmhwm;
    Ok(kib.ok_or_else(|| ProcError::Other("a process without a peak".to_owned()))? * 1024)
}

/// From now on [`peak`] counts anew.
pub(crate) fn forget_peak(pid: u32) -> Result<(), ProcError> {
    process(pid)?.clear_refs(ClearRefs::PeakRSS)
}

fn threads(process: &Process) -> Result<Vec<Thread>, ProcError> {
    // A thread may end between the listing and the reading; then it is not of the living.
    let threads = process.tasks()?.filter_map(|task| {
        let task = task.ok()?;
        let run_ns = task.schedstat().ok()?.sum_exec_runtime;
        Some(Thread { id: u32::try_from(task.tid).ok()?, run_ns })
    });
    Ok(threads.collect())
}

/// Run time of the threads that do the network's deferred work. Where they are not to be seen it is unknown, and 0.
fn softirq_ns() -> Result<u64, ProcError> {
    let mut total = 0;
    for process in all_processes()?.flatten() {
        if process.stat().is_ok_and(|stat| stat.comm.starts_with("ksoftirqd")) {
            total += process.schedstat()?.sum_exec_runtime;
        }
    }
    Ok(total)
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
        let parent = u32::try_from(process(pid).unwrap().stat().unwrap().ppid).unwrap();
        assert!(family(parent).unwrap().contains(&pid));
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
        let error = memory(&[i32::MAX.unsigned_abs()]).unwrap_err().to_string();
        assert!(error.contains("/proc/2147483647"), "{error}");
    }
}
