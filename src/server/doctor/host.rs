//! What the kernel says of the host, in its files. Never judges.

use std::fs;

use rustix::process::Resource;
use rustix::process::getrlimit;

/// Numbers of the host; `None`: it does not say.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    /// Open files that the process may have, as far as it may raise that itself.
    pub(super) open_files: u64,
    /// What the limit could be raised to by whoever starts the process.
    pub(super) open_files_max: Option<u64>,
    pub(super) somaxconn: Option<u64>,
    pub(super) syn_backlog: Option<u64>,
    /// Ports that a client on this host has for one address of a server.
    pub(super) local_ports: Option<u64>,
    /// Bytes of memory that all sockets may take.
    pub(super) tcp_bytes: Option<u64>,
    /// Connections that the firewall remembers, where it does.
    pub(super) conntrack_max: Option<u64>,
    pub(super) io_uring_disabled: Option<u64>,
    /// Whether system calls are filtered, as in most containers.
    pub(super) has_seccomp: bool,
    pub(super) clock_source: Option<String>,
}

impl Host {
    pub(super) fn read() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let page_bytes = rustix::param::page_size() as u64;
        Self {
            open_files: limit.maximum.unwrap_or(u64::MAX),
            open_files_max: number("/proc/sys/fs/nr_open"),
            somaxconn: number("/proc/sys/net/core/somaxconn"),
            syn_backlog: number("/proc/sys/net/ipv4/tcp_max_syn_backlog"),
            local_ports: numbers("/proc/sys/net/ipv4/ip_local_port_range")
                .and_then(|range| Some(range.get(1)?.saturating_sub(*range.first()?) + 1)),
            tcp_bytes: numbers("/proc/sys/net/ipv4/tcp_mem")
                .and_then(|pages| Some(pages.get(2)?.saturating_mul(page_bytes))),
            conntrack_max: number("/proc/sys/net/netfilter/nf_conntrack_max"),
            io_uring_disabled: number("/proc/sys/kernel/io_uring_disabled"),
            has_seccomp: text("/proc/self/status").is_some_and(|status| {
                status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"]))
            }),
            clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        }
    }
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn numbers(path: &str) -> Option<Vec<u64>> {
    text(path)?.split_whitespace().map(|number| number.parse().ok()).collect()
}

fn number(path: &str) -> Option<u64> {
    numbers(path)?.first().copied()
}
