//! What the numbers of a host mean for a server, and what to do about them. Pure: every number is handed in.

use std::io;
use std::path::Path;

use super::Finding;
use super::host::Host;
use super::storage::Storage;
use crate::config::Config;
use crate::config::FdTables;
use crate::history::log::FORMAT;
use crate::history::log::FolderError;
use crate::history::log::Manifest;
use crate::limits::BACKLOG;
use crate::server::descriptors::fit;
use crate::server::memory;
use crate::server::plan::Plan;
use crate::server::tls::LookedAt;

const MIB: u64 = 1 << 20;
const DAY_S: u64 = 24 * 60 * 60;
/// Bytes of the kernel's own for a connection whose buffers are empty.
const SOCKET_BYTES: u64 = 4096;
/// Ports that clients on one host need before this is worth a word.
const LOCAL_PORTS_MIN: u64 = 28_000;
/// Days before its end at which a certificate should have been renewed.
const EXPIRY_WARNED_DAYS: u64 = 14;
/// Microseconds that a write may take to be on the disk before each acknowledgement of a publish is felt.
const SYNC_US_MAX: u64 = 10_000;
/// Bytes that a data folder should have left.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// A second before which no server of this version ran.
const BUILT_S: u64 = 1_760_000_000;

/// Subscribers, and the host's numbers that bound them.
pub(super) fn host(config: &Config, plan: &Plan, host: &Host) -> Vec<Finding> {
    let shards = u64::from(plan.shard_count);
    let connections = plan.settings.connections_max as u64 * shards;
    let mut findings = vec![subscribers(config, plan, connections, host)];
    findings.push(backlog(host));
    findings.extend(host.local_ports.map(local_ports));
    findings.extend(host.tcp_bytes.map(|bytes| tcp_memory(bytes, connections)));
    findings.extend(host.conntrack_max.filter(|max| *max < connections).map(|max| {
        Finding::warning(
            "firewall",
            format_args!("it remembers {max} connections, and {connections} are possible: further ones are dropped"),
            format_args!("sysctl net.netfilter.nf_conntrack_max={}", 2 * connections),
        )
    }));
    findings.push(io_uring(&plan.driver.to_string(), host));
    findings.extend(host.clock_source.as_deref().filter(|source| is_slow(source)).map(|source| {
        Finding::warning(
            "clock source",
            format_args!("{source}: each look at the time is a system call"),
            "use a host, or a kind of virtual machine, whose clock source is tsc or kvm-clock",
        )
    }));
    findings
}

fn is_slow(source: &str) -> bool {
    matches!(source, "hpet" | "acpi_pm" | "jiffies" | "xen")
}

fn subscribers(config: &Config, plan: &Plan, connections: u64, host: &Host) -> Finding {
    let shards = u64::from(plan.shard_count);
    let has_own = config.fd_tables != FdTables::Shared;
    let by_files = fit(config, shards, host.open_files, has_own);
    let by_memory = memory::connections_possible(config, shards, plan.worst_case.available);
    let found = format!(
        "a server would hold {connections} subscribers here, on {shards} shards: open files allow {by_files}, memory ({} MiB) {by_memory}",
        plan.worst_case.available / MIB
    );
    let set = config.connections_max;
    let can_raise = host.open_files_max.is_some_and(|most| most > host.open_files);
    if by_files < by_memory && by_files <= connections {
        let most = host.open_files_max.unwrap_or(1 << 20);
        let advice = if can_raise {
            format!("LimitNOFILE={most} in its unit, or ulimit -Hn {most} before it is started")
        } else {
            "sysctl fs.nr_open, and then the limit on open files of the service".to_owned()
        };
        return Finding::warning("subscribers", found, advice);
    }
    if set == 0 && connections < by_memory {
        return Finding {
            advice: Some("for more of them set connections_max".to_owned()),
            ..Finding::fine("subscribers", found)
        };
    }
    Finding::fine("subscribers", found)
}

fn backlog(host: &Host) -> Finding {
    let about = "backlog";
    let somaxconn = host.somaxconn.unwrap_or(u64::MAX);
    let least = somaxconn.min(host.syn_backlog.unwrap_or(u64::MAX));
    if least >= u64::from(BACKLOG) {
        return Finding::fine(about, format_args!("{BACKLOG} clients may wait to be accepted"));
    }
    Finding::warning(
        about,
        format_args!(
            "only {least} clients may wait to be accepted: of a storm of reconnects the rest is turned away for seconds"
        ),
        format_args!("sysctl net.core.somaxconn={BACKLOG} net.ipv4.tcp_max_syn_backlog={BACKLOG}"),
    )
}

fn local_ports(ports: u64) -> Finding {
    let about = "ports";
    let found =
        format!("{ports} for clients on this host, a proxy among them, to one address of a server");
    if ports >= LOCAL_PORTS_MIN {
        return Finding::fine(about, found);
    }
    Finding::warning(about, found, "sysctl net.ipv4.ip_local_port_range=\"1024 65535\"")
}

fn tcp_memory(bytes: u64, connections: u64) -> Finding {
    let about = "TCP memory";
    let needed = connections.saturating_mul(SOCKET_BYTES);
    let found = format!(
        "sockets may take {} MiB, and {connections} connections take {} MiB before anyone is slow",
        bytes / MIB,
        needed.div_ceil(MIB)
    );
    if needed <= bytes / 2 {
        return Finding::fine(about, found);
    }
    let pages = (2 * needed).div_ceil(4096);
    let advice = format!("sysctl net.ipv4.tcp_mem=\"{} {} {pages}\"", pages / 2, pages / 4 * 3);
    Finding::warning(about, found, advice)
}

fn io_uring(driver: &str, host: &Host) -> Finding {
    let about = "io_uring";
    if driver.starts_with("io_uring") || driver.contains("as configured") {
        return Finding::fine(about, driver);
    }
    let advice = match host.io_uring_disabled {
        Some(1 | 2) => "sysctl kernel.io_uring_disabled=0, if you want it; epoll serves as well",
        _ if host.has_seccomp => {
            "system calls are filtered (seccomp): allow io_uring_setup, io_uring_enter and io_uring_register in the container's profile, if you want it; epoll serves as well"
        }
        _ => "a kernel of 5.10 or later has it; epoll serves as well",
    };
    Finding { advice: Some(advice.to_owned()), ..Finding::fine(about, driver) }
}

/// The time, in seconds since 1970, and whether somebody keeps it.
pub(super) fn clock(is_synchronised: Option<bool>, now_s: u64) -> Finding {
    let about = "clock";
    if now_s < BUILT_S {
        return Finding::error(
            about,
            "it is years behind: tokens and certificates are not yet valid, and stamps go on from there",
            "set it, and have it kept right (systemd-timesyncd, chrony)",
        );
    }
    match is_synchronised {
        Some(true) => Finding::fine(about, "it is kept right"),
        None => Finding::fine(about, "the kernel does not say whether it is kept right"),
        Some(false) => Finding::warning(
            about,
            "nobody keeps it right: tokens and certificates are judged by it, and events stamped",
            "have it kept right (systemd-timesyncd, chrony); in a container the host does it",
        ),
    }
}

/// A data folder.
pub(super) fn storage(folder: &Path, found: &io::Result<Storage>) -> Vec<Finding> {
    let shown = folder.display();
    let storage = match found {
        Ok(storage) => storage,
        Err(error) => {
            let advice = "make it, and let the server's user write there";
            return vec![Finding::error("data folder", format_args!("{shown}: {error}"), advice)];
        }
    };
    let free = format!("{shown}: {} MiB are free", storage.free / MIB);
    let free = match storage.free {
        FREE_BYTES_MIN.. => Finding::fine("data folder", free),
        _ => Finding::warning("data folder", free, "make room, or keep less"),
    };
    let speed = format!(
        "{shown}: what is written is on the disk after {:.1} ms",
        storage.sync_us as f64 / 1000.0
    );
    let speed = match storage.sync_us {
        ..=SYNC_US_MAX => Finding::fine("fsync", speed),
        _ => Finding::warning(
            "fsync",
            speed,
            "each acknowledgement of a durable publish waits for it: use a disk with power-loss protection, or a policy that syncs less often",
        ),
    };
    vec![free, speed, owner(folder, storage.holder.as_deref()), history(folder, &storage.left)]
}

/// Whose a data folder is.
fn owner(folder: &Path, holder: Option<&str>) -> Finding {
    let shown = folder.display();
    let found = match holder {
        Some(holder) => {
            format!("{shown}: it is in use by {holder}; another server would be refused")
        }
        None => format!("{shown}: nobody has it"),
    };
    Finding::fine("owner", found)
}

/// What there is of a history in a data folder.
fn history(folder: &Path, left: &Result<Option<Manifest>, FolderError>) -> Finding {
    let (about, shown) = ("history", folder.display());
    match left {
        Ok(None) => Finding::fine(about, format_args!("{shown}: there is none in it yet")),
        Ok(Some(manifest)) => {
            let how = if manifest.is_clean { "" } else { "not " };
            let found = format!(
                "{shown}: format {FORMAT}, {how}left in order, by {} shards",
                manifest.shards
            );
            Finding::fine(about, found)
        }
        Err(error) => Finding::error(
            about,
            format_args!("{shown}: {error}"),
            "a server does not start on it: `fanwire history verify` says what is lost",
        ),
    }
}

/// A certificate that the server would show.
pub(super) fn certificate(one: &LookedAt, now_s: u64) -> Finding {
    let about = "certificate";
    let file = &one.file;
    if now_s < one.begins_at_s {
        return Finding::error(
            about,
            format_args!("{file}: it is not yet good"),
            "look at the clock",
        );
    }
    if now_s > one.ends_at_s {
        return Finding::error(about, format_args!("{file}: it is over"), "renew it");
    }
    let days = (one.ends_at_s - now_s) / DAY_S;
    if days < EXPIRY_WARNED_DAYS {
        return Finding::warning(
            about,
            format_args!("{file}: it is over in {days} days"),
            "renew it",
        );
    }
    if one.is_rsa {
        return Finding::warning(
            about,
            format_args!(
                "{file}: its key is RSA, so that a core makes some 1,000 handshakes a second instead of 8,000"
            ),
            "ask for one with an ECDSA key on P-256",
        );
    }
    Finding::fine(about, format_args!("{file}: good for {days} days"))
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use crate::config::Config;
    use crate::history::log::ManifestError;

    fn plan(connections_max: u64) -> (Config, Plan) {
        let mut config = Config { connections_max, shards: 2, ..Config::default() };
        config.memory.bytes_max = 1 << 30;
        let plan = Plan::new(&config).unwrap();
        (config, plan)
    }

    fn roomy() -> Host {
        Host {
            open_files: 1 << 20,
            open_files_max: Some(1 << 20),
            somaxconn: Some(4096),
            syn_backlog: Some(4096),
            local_ports: Some(28_232),
            tcp_bytes: Some(1 << 32),
            clock_source: Some("tsc".to_owned()),
            ..Host::default()
        }
    }

    fn about(read: &Host, what: &str) -> Option<(Severity, String)> {
        let (config, plan) = plan(500);
        let findings = host(&config, &plan, read);
        let found = findings.into_iter().find(|finding| finding.about == what)?;
        Some((found.severity, found.found + " / " + &found.advice.unwrap_or_default()))
    }

    #[test]
    fn a_host_that_has_everything_is_fine() {
        let (config, plan) = plan(500);
        for finding in host(&config, &plan, &roomy()) {
            assert_eq!(finding.severity, Severity::Fine, "{finding:?}");
        }
        let (_, text) = about(&roomy(), "subscribers").unwrap();
        assert!(
            text.starts_with(
                "a server would hold 500 subscribers here, on 2 shards: open files allow "
            ),
            "{text}"
        );
    }

    #[test]
    fn what_is_scarce_is_named_with_what_to_change() {
        let few = Host { open_files: 260, ..roomy() };
        let cases = [
            (few, "subscribers", "LimitNOFILE=1048576"),
            (
                Host { somaxconn: Some(128), ..roomy() },
                "backlog",
                "only 128 clients may wait to be accepted: of a storm of reconnects the rest is turned away for seconds / sysctl net.core.somaxconn=4096",
            ),
            (Host { local_ports: Some(1000), ..roomy() }, "ports", "1000 for clients on this host"),
            (
                Host { tcp_bytes: Some(1 << 20), ..roomy() },
                "TCP memory",
                "sysctl net.ipv4.tcp_mem=\"",
            ),
            (Host { conntrack_max: Some(256), ..roomy() }, "firewall", "nf_conntrack_max=1000"),
            (Host { clock_source: Some("hpet".to_owned()), ..roomy() }, "clock source", "hpet"),
        ];
        for (host, what, words) in cases {
            let (severity, text) = about(&host, what).unwrap();
            assert_eq!(severity, Severity::Warning, "{text}");
            assert!(text.contains(words), "{text}");
        }
        let forbidden = "epoll (the kernel does not allow io_uring: Operation not permitted)";
        for (host, words) in [
            (Host { io_uring_disabled: Some(2), ..roomy() }, "kernel.io_uring_disabled=0"),
            (Host { has_seccomp: true, ..roomy() }, "seccomp"),
            (roomy(), "5.10"),
        ] {
            let finding = io_uring(forbidden, &host);
            assert!(finding.advice.unwrap().contains(words), "{words}");
        }
    }

    #[test]
    fn a_clock_is_judged() {
        assert_eq!(clock(Some(true), 1_800_000_000).severity, Severity::Fine);
        assert_eq!(clock(Some(false), 1_800_000_000).severity, Severity::Warning);
        assert_eq!(clock(Some(true), 0).severity, Severity::Error);
    }

    #[test]
    fn a_folder_is_judged() {
        let judged = |free, sync_us| {
            let (holder, left) = (None, Ok(None));
            let found = Ok(Storage { free, sync_us, holder, left });
            let found = storage(Path::new("/data"), &found);
            found.into_iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(judged(1 << 40, 100), [Severity::Fine; 4]);
        assert_eq!(judged(1 << 20, 30_000)[..2], [Severity::Warning; 2]);
        let held = owner(Path::new("/data"), Some("fanwire serve, process 7"));
        assert!(held.found.contains("in use by fanwire serve, process 7"), "{held:?}");
        let newer = Err(FolderError::Manifest(ManifestError::Newer { format: 9 }));
        let newer = history(Path::new("/data"), &newer);
        assert_eq!(newer.severity, Severity::Error);
        assert!(newer.found.contains("is of format 9"), "{newer:?}");
        let missing = storage(Path::new("/data"), &Err(io::Error::from(io::ErrorKind::NotFound)));
        assert_eq!(missing[0].severity, Severity::Error);
    }

    #[test]
    fn a_certificate_is_judged() {
        let judged = |is_rsa, now_s| {
            let one = LookedAt {
                file: "a.pem".to_owned(),
                begins_at_s: 100,
                ends_at_s: 100 + 30 * DAY_S,
                is_rsa,
            };
            certificate(&one, now_s)
        };
        assert_eq!(judged(false, 200).severity, Severity::Fine);
        assert!(judged(false, 100 + 20 * DAY_S).found.contains("it is over in 10 days"));
        assert_eq!(judged(false, 100 + 31 * DAY_S).severity, Severity::Error);
        assert_eq!(judged(false, 0).severity, Severity::Error);
        assert!(judged(true, 200).found.contains("RSA"));
    }
}
